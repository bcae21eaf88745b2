"""A few faults; ``python -m tests.faults`` injects as many as are wanted, on any database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_what_is_killed_is_finished_by_the_next_run_and_counted() -> None:
    command = [sys.executable, "-m", "tests.faults", "--database", "sqlite", "--faults", "6", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    figures = [[int(cell) for cell in line.split("|")[5:8]] for line in done.stdout.splitlines()[2:]]
    assert [sum(column) for column in zip(*figures, strict=True)] == [6, 6, 0]
