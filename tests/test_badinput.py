"""Some bad input; ``python -m tests.badinput`` draws as much as is wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gitting import Git
from tests.projects import Project

ROOT = Path(__file__).parents[1]


def test_bad_input_ends_in_a_listed_error_and_changes_nothing() -> None:
    command = [sys.executable, "-m", "tests.badinput", "--cases", "80", "--seconds", "60", "--seed", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    assert lines[0].startswith("| input | cases |")
    assert len(lines) > 10


GOOD = "from django.db import migrations\nimport chronomig\n\nclass Migration(chronomig.Migration):\n    operations = []\n"
VENDORED = (
    "from django.db import migrations\n\nORIGIN = {'app': 'shop', 'name': '0001', 'distribution': '', 'version': '', 'sha256': ''}\n"
    "class Migration(migrations.Migration):\n    operations = []\n"
)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
            "Line 3: E: its text cannot be made",
        ),
        (GOOD.replace("[]", "None"), "operations is None."),
        (GOOD.replace("[]", "(one for one in [])"), "operations is <generator object"),
        (GOOD + "    def __init__(self): raise ValueError('no')\n", "Line 6: ValueError: no"),
        (VENDORED.replace("[]", "None"), "TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_a_file_that_makes_no_migration_is_named_by_whatever_reads_it(
    sqlite_project: Project, content: str, told: str
) -> None:
    file = sqlite_project.root / "project_migrations/default/20260101000000_odd.py"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    for command in (["migrate"], ["adopt", "--dry-run"], ["makemigrations", "--no-input"]):
        done = sqlite_project.chronomig(*command)
        assert done.code == 1, done
        assert f"Error: {file}" in done.err
        assert told in done.err
        assert "Traceback" not in done.err


def test_a_repository_whose_configuration_is_broken_is_named(sqlite_project: Project) -> None:
    git = Git.init(sqlite_project.root)
    sqlite_project.migration("20260101000000_a", "")
    git.commit()
    git("config", "extensions.worktreeConfig", "true")
    (sqlite_project.root / ".git/config.worktree").write_bytes(b"ref: ")
    done = sqlite_project.chronomig("switch", "main", "--yes")
    assert done.code == 1, done
    assert "bad config" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("MIGRATION_MODULES = 7", "MIGRATION_MODULES is 7, which does not name a module for each app."),
        ("MIGRATION_MODULES = {'shop': 7}", "which does not name a module for each app."),
        ("DATABASE_ROUTERS = ['nothing.Router']", "ModuleNotFoundError: No module named 'nothing'"),
    ],
)
def test_settings_that_django_looks_at_later_are_named_at_once(sqlite_project: Project, line: str, told: str) -> None:
    sqlite_project.configure(extra=line)
    for command in (["check"], ["status"], ["adopt", "--dry-run"]):
        done = sqlite_project.chronomig(*command)
        assert done.code == 2, done
        assert "Error: Django cannot be set up with the settings 'site_settings'." in done.err
        assert told in done.err
