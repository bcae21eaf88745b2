"""Commands in processes of their own, with the time and the memory that they took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STOPWATCH = Path(__file__).parent / "inside" / "stopwatch.py"
LEFT_OUT = ("DJANGO_", "PYTHONDONTWRITEBYTECODE", "CHRONOMIG_TEST_")
"""Byte code is written and read, as it is wherever a project is used."""


@dataclass(frozen=True)
class Ran:
    """What one process took."""

    seconds: float
    cpu: float
    """Seconds of its own processor time, without the database server's."""
    peak_mb: float
    code: int
    timed_out: bool
    output: str

    @property
    def succeeded(self) -> bool:
        return self.code == 0 and not self.timed_out


class Site:
    """A generated project, and the environment that its processes run in."""

    def __init__(self, folder: Path, extra: Mapping[str, str]) -> None:
        self.folder = folder
        path = [str(ROOT), *filter(None, [extra.get("PYTHONPATH"), os.environ.get("PYTHONPATH")])]
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(LEFT_OUT)},
            **extra,
            "DJANGO_SETTINGS_MODULE": "bench_settings",
            "PYTHONPATH": os.pathsep.join(path),
        }

    def measured(self, command: Sequence[str], database: Mapping[str, Any], limit: float) -> Ran:
        """Run Python with *command*, at most *limit* seconds."""
        log = self.folder.parent / "output.log"
        watch = [sys.executable, "-I", "-S", str(STOPWATCH), str(limit), str(log)]
        environment = {**self.environment, "BENCH_DATABASE": json.dumps(database)}
        told = in_own_session([*watch, sys.executable, *command], self.folder, environment)
        return Ran(**json.loads(told), output=log.read_text(errors="replace"))

    def helped(self, module: str, *arguments: str, database: Mapping[str, Any], given: object = None) -> str:
        """Run a helper of ``benchmarks.inside`` and return what it prints; its failure ends the benchmark."""
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.inside.{module}", *arguments],
            cwd=self.folder,
            env={**self.environment, "BENCH_DATABASE": json.dumps(database)},
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{module} in {self.folder} failed:\n{done.stderr}")
        return done.stdout


def in_own_session(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> bytes:
    """Return what *command* prints; if this process is stopped, so is everything that *command* started."""
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            told, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return told
