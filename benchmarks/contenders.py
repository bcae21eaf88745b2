"""Who is measured, and what each types for a task."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.history import Key
from benchmarks.results import CHRONOMIG, FASTMIG, STOCK
from benchmarks.workloads import Task


@dataclass(frozen=True)
class Contender:
    """One that runs migrations; the bare SQL has none and follows one of these."""

    name: str
    project: str = STOCK
    """Which of the two generated projects it runs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    """Why it cannot take part."""

    def command(self, task: Task, undo_target: Key, base_name: str) -> list[str]:
        """Return what it types, beginning with its program; *base_name* is the last migration of the base."""
        if self.project == CHRONOMIG:
            return ["chronomig", *chronomig_arguments(task, base_name)]
        return ["manage.py", *django_arguments(task, undo_target)]


def chronomig_arguments(task: Task, base_name: str) -> list[str]:
    return {
        Task.FORWARD: ["migrate", "-v", "0"],
        Task.BACKWARD: ["migrate", "-v", "0", "--yes", "--to", base_name],
        Task.NOTHING: ["migrate", "-v", "0"],
        Task.STATUS: ["status"],
        Task.CHECK: ["makemigrations", "--check", "-v", "0"],
    }[task]


def django_arguments(task: Task, undo_target: Key) -> list[str]:
    return {
        Task.FORWARD: ["migrate", "-v", "0"],
        Task.BACKWARD: ["migrate", "-v", "0", *undo_target],
        Task.NOTHING: ["migrate", "-v", "0"],
        Task.STATUS: ["showmigrations"],
        Task.CHECK: ["makemigrations", "--check", "-v", "0"],
    }[task]


def as_python(command: list[str]) -> list[str]:
    """Return what Python is given to run *command*."""
    return command if command[0].endswith(".py") else ["-m", *command]


def fastmig(folder: Path) -> Contender:
    """Install django-fastmig into *folder*, away from this environment; without it, the contender says why."""
    environment = {"PYTHONPATH": str(folder), "BENCH_MORE_APPS": json.dumps(["fastmig"])}
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [shutil.which("uv") or "", "pip"]
    if not pip[0]:
        return Contender(FASTMIG, missing="neither pip nor uv is there to install it")
    command = [*pip, "install", "--quiet", "--no-deps", "--target", str(folder), "django-fastmig"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Contender(FASTMIG, missing=f"not installed: {last_line(done.stderr)}")
    return Contender(FASTMIG, environment=environment)


def last_line(text: str) -> str:
    """Return the last line that says something: of a traceback, the error."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")[:200]
