"""Some bad input; ``python -m tests.badinput`` draws as much as is wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_bad_input_ends_in_a_listed_error_and_changes_nothing() -> None:
    command = [sys.executable, "-m", "tests.badinput", "--cases", "80", "--seconds", "60", "--seed", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    assert lines[0].startswith("| input | cases |")
    assert len(lines) > 10
