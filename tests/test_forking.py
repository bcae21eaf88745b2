"""A command in a fork does what it does in a process that is started for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import forking
from tests.projects import Project

COMMANDS = {
    "arguments": ["-c", "import sys; print(sys.argv, sys.path[0], __name__)", "one", "two"],
    "surroundings": [
        "-c",
        "import os, sys; print(os.getcwd(), os.environ['NAME'], sys.stdin.read(), sys.stdin.isatty())",
    ],
    "a code": ["-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"],
    "a text as code": ["-c", "import sys; sys.exit('why it failed')"],
    "an exception": ["-c", "import sys; sys.tracebacklimit = 0; print('so far'); 1 / 0"],
    "a signal": ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"],
    "at exit": ["-c", "import atexit; atexit.register(print, 'at exit')"],
    "a script": ["script.py", "one"],
    "a module": ["-m", "chronomig", "migrate", "--to", "nowhere"],
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_does_the_same_in_a_fork(sqlite_project: Project, kind: str) -> None:
    sqlite_project.write("script.py", "import sys\nprint(sys.argv, sys.path[0], __name__)\n")
    environment = {**sqlite_project.environment(), "NAME": "välue"}
    command = [sys.executable, *COMMANDS[kind]]
    given = {"cwd": sqlite_project.root, "env": environment, "input": "given ☃", "timeout": 60}
    forked = forking.run(command, **given)
    started = subprocess.run(command, **given, capture_output=True, encoding="utf-8", check=False)
    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path, sqlite_project: Project) -> None:
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    sqlite_project.patience = 2
    with pytest.raises(subprocess.TimeoutExpired):
        sqlite_project.run([sys.executable, "-c", code])
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(500):
            os.kill(pid, 0)
            time.sleep(0.01)
