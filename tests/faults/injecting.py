"""A process that breaks itself at a point: before or after a statement, or around a commit."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created
from typer.main import get_command

from tests.servers import Server

KILL = "process killed at a point"
LATE = "process killed at a moment"
CUT = "connection cut at a point"
CRASH = "server crashed at a moment"
CRASH_AT = "server crashed at a point"
AT_A_POINT = (KILL, CUT, CRASH_AT)


@dataclass
class Breaker:
    """Counts points, and does what it was told at one of them."""

    at: int
    act: Callable[[Any], None]
    reached: int = 0

    def point(self, connection: Any) -> None:
        self.reached += 1
        if self.reached == self.at:
            self.act(connection)

    def listen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count a process that is about to be started, such as git: a hook for ``sys.addaudithook``."""
        if event == "subprocess.Popen":
            self.point(None)

    def watch(self, connection: Any, **_: object) -> None:
        """Instrument a connection that was just made: of the migrations, or of the lock."""
        if getattr(connection, "breaker", None) is self:
            return
        connection.breaker = self
        commit = connection._commit

        def commit_watched() -> None:
            self.point(connection)
            commit()
            self.point(connection)

        def execute_watched(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
            self.point(connection)
            result = execute(sql, params, many, context)
            self.point(connection)
            return result

        connection._commit = commit_watched
        connection.execute_wrappers.append(execute_watched)


def die(connection: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def cut(connection: Any) -> None:
    """Let the server end the session; the process goes on and finds out."""
    if connection is None:  # a process is about to be started
        return
    other = connection.copy()
    try:
        if connection.vendor == "postgresql":
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        else:
            with other.cursor() as cursor:
                cursor.execute(f"KILL CONNECTION {connection.connection.thread_id()}")
    finally:
        other.close()


ACTS: dict[str, Callable[[Any], None]] = {KILL: die, CUT: cut}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, negative for a signal; what it printed; how many points it passed."""

    code: int
    out: str
    err: str
    points: int


def in_child(
    root: Path, arguments: Sequence[str], fault: str = "", at: float = 0, server: Server | None = None
) -> Ended:
    """Run ``chronomig …`` in a forked process, which breaks itself at a point; or it, or *server*, after seconds."""
    out, err, points = (root / f".{name}" for name in ("out", "err", "points"))
    points.write_text("0")
    acts = {**ACTS, CRASH_AT: lambda connection: server.kill() if server else None}
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setpgid(0, 0)  # what it starts ends with it
            breaker = Breaker(int(at), acts.get(fault, lambda connection: None))
            code = run(root, arguments, breaker, (out, err, points))
        finally:
            os._exit(code)
    with suppress(OSError):
        os.setpgid(child, child)  # both do, because either may be the first
    if fault == LATE:
        time.sleep(at)
        os.killpg(child, signal.SIGKILL)  # it may have ended; then it waits to be fetched
    if fault == CRASH and server is not None:
        time.sleep(at)
        server.crash()
    _, status = os.waitpid(child, 0)
    if fault == CRASH_AT and server is not None:
        server.start()
    code, passed = os.waitstatus_to_exitcode(status), points.read_text()  # empty when it was killed writing them
    return Ended(code, out.read_text(), err.read_text(), int(passed or 0))


@cache
def prepare() -> Any:
    """Return the command line; a process that forks makes it before it does."""
    from chronomig.cli.app import app

    return get_command(app)


def run(root: Path, arguments: Sequence[str], breaker: Breaker, files: tuple[Path, Path, Path]) -> int:
    os.chdir(root)
    connection_created.connect(breaker.watch, weak=False)
    sys.addaudithook(breaker.listen)
    sys.argv = ["chronomig", *arguments]
    from chronomig.cli.handling import handle_errors

    with files[0].open("w") as out, files[1].open("w") as err, redirect_stdout(out), redirect_stderr(err):
        code = 0
        try:
            code = handle_errors(prepare())
        except SystemExit as end:
            code = int(end.code or 0)
        with suppress(Exception):
            connections.close_all()
    files[2].write_text(str(breaker.reached))
    return code
