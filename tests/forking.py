"""
Python commands, run in forks of a process that has imported Django and chronomig already.

Each is a process of its own, with its own arguments, folder, environment and streams, and ends as Python ends. What it
shares with the others is only the time that the imports take, which is most of what a short command costs. Where there
is no fork, and for other interpreters, a new process is started.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Any

ROOT = Path(__file__).parents[1]
READY = b"ready\n"
OF_OTHERS = (
    "django.contrib.auth.management",
    "django.contrib.contenttypes.management",
    "django.contrib.postgres.operations",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "git",
    "pymysql",
)
WITH_EFFECTS = ("apps", "checks", "management", "pytest_plugin", "__main__")
"""Modules of chronomig that tell Django or pytest that they are there; only a project imports them."""


# -- where the tests are --------------------------------------------------------------------------------------------


class Nursery:
    """The process that forks, started when it is first needed; it ends with the one that started it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.address = tempfile.mkdtemp(prefix="chronomig-fork-") + "/socket"
        self.of_python = of_python(environment)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", self.address],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == READY, "the process that forks did not start"

    def run(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], input: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Do what ``subprocess.run`` does, with the output captured."""
        request = json.dumps({"arguments": list(command[1:]), "cwd": str(cwd), "env": dict(env)}).encode()
        with streams(input) as (given, out, err), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.address)
            socket.send_fds(connection, [b"%d\n" % len(request)], [one.fileno() for one in (given, out, err)])
            connection.sendall(request)
            code = ended(connection, command, timeout)
            return subprocess.CompletedProcess(list(command), code, text_of(out), text_of(err))


@contextmanager
def streams(text: str) -> Iterator[tuple[IO[bytes], IO[bytes], IO[bytes]]]:
    """Give an input with *text* to read, and two outputs."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(text.encode())
        given.seek(0)
        yield given, out, err


def text_of(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode().replace("\r\n", "\n")


def ended(connection: socket.socket, command: Sequence[str], timeout: float) -> int:
    """Wait for the exit code; raise TimeoutExpired, as subprocess does, after ending the process."""
    connection.settimeout(timeout)
    with connection.makefile("rb") as replies:
        pid = int(replies.readline())
        try:
            return int(replies.readline())
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(command), timeout) from None


def of_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what Python reads when it starts, which a fork cannot have otherwise."""
    return {key: value for key, value in environment.items() if key.startswith(("PYTHON", "LC_", "LANG"))}


nursery: Nursery | None = None


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], input: str, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run *command* in a fork where one can be, else in a new process."""
    global nursery
    if hasattr(os, "fork") and command[0] == sys.executable:
        nursery = nursery or Nursery(env)
        if nursery.of_python == of_python(env):
            return nursery.run(command, cwd=cwd, env=env, input=input, timeout=timeout)
    return start(command, cwd=cwd, env=env, input=input, timeout=timeout)


def start(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], input: str, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run *command* in a new process."""
    return subprocess.run(
        command, cwd=cwd, env=env, input=input, capture_output=True, text=True, encoding="utf-8", timeout=timeout,
        check=False,
    )  # fmt: skip


# -- where the forks come from --------------------------------------------------------------------------------------


def preload() -> None:
    """Import what commands import."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "1"
    for path in sorted((ROOT / "chronomig").rglob("*.py")):
        name, *rest = path.relative_to(ROOT).with_suffix("").parts
        if not set(rest) & set(WITH_EFFECTS):
            importlib.import_module(".".join([name, *rest]).removesuffix(".__init__"))
    for module in OF_OTHERS:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is shared stays shared: nobody looks for cycles in it


def serve(address: str) -> tuple[dict[str, Any], list[int]]:
    """Return, in a new process each time, what is to be run and its streams; end when standard input does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.write(1, READY)
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if listener not in ready:
            Path(address).unlink()
            Path(address).parent.rmdir()
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return attended(connection)
        connection.close()


def attended(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return in a child of this process, which stays to say how the child ended."""
    head, descriptors, _, _ = socket.recv_fds(connection, 4096, 3)
    size, _, body = head.partition(b"\n")
    while len(body) < int(size):
        body += connection.recv(65536)
    child = os.fork()
    if child == 0:
        connection.close()
        return json.loads(body), descriptors
    with suppress(OSError):  # who waited has given up
        connection.sendall(b"%d\n" % child)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(b"%d\n" % status)
    os._exit(0)


def become(request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """Take on the streams, the folder and the environment of a command."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115  for all that runs
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.stderr.reconfigure(errors="backslashreplace", line_buffering=True)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])


def execute(arguments: Sequence[str]) -> None:
    """Do what Python does with ``-m``, ``-c`` or the path of a script."""
    kind, rest = arguments[0], list(arguments[1:])
    if kind == "-m":
        sys.argv, sys.path[0] = ["-m", *rest[1:]], str(Path.cwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv, sys.path[0] = [kind, *rest], str(Path(kind).resolve().parent)
        runpy.run_path(kind, run_name="__main__")


def exit_code_of(arguments: Sequence[str]) -> int:
    """Run a command to its end, and return what Python would make of that."""
    try:
        execute(arguments)
    except SystemExit as asked:
        if asked.code is None or isinstance(asked.code, int):
            return asked.code or 0
        print(asked.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


if __name__ == "__main__":
    preload()
    request, streams_of_it = serve(sys.argv[1])
    become(request, streams_of_it)
    code = exit_code_of(request["arguments"])
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking a thousand modules apart takes as long as a short command
