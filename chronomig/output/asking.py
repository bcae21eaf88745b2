"""A question on the terminal at which somebody typed, whatever standard input is; nobody has to answer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

TERMINAL = Path("CONIN$" if sys.platform == "win32" else "/dev/tty")

if sys.platform == "win32":
    import msvcrt

    def is_in_front(source: IO[str]) -> bool:
        """Whether this process may read from the terminal."""
        return True

    def read_line(source: IO[str], seconds: float) -> str:
        """Return what is typed within *seconds*, empty when no line is finished by then."""
        typed, until = "", time.monotonic() + seconds
        while time.monotonic() < until:
            if not msvcrt.kbhit():
                time.sleep(0.05)
            elif (key := msvcrt.getwche()) in "\r\n":
                return typed
            else:
                typed += key
        return ""

else:
    import select

    def is_in_front(source: IO[str]) -> bool:
        """Whether this process may read from the terminal: in the background, reading would stop it."""
        return os.tcgetpgrp(source.fileno()) == os.getpgrp()

    def read_line(source: IO[str], seconds: float) -> str:
        """Return what is typed within *seconds*, empty when no line is finished by then."""
        ready, _, _ = select.select([source], [], [], seconds)
        return source.readline() if ready else ""


@contextmanager
def terminal() -> Iterator[IO[str] | None]:
    """
    Open the terminal, None where nobody would see a question or could answer it.

    A graphical program that was started at a terminal has one, too, but shows what goes to stderr elsewhere.
    """
    with ExitStack() as stack:
        found = None
        with suppress(OSError):
            if sys.stderr.isatty():
                found = stack.enter_context(TERMINAL.open(encoding="utf-8"))
        yield found if found and is_in_front(found) else None


def agrees(source: IO[str], question: str, seconds: float) -> bool:
    """Ask on the terminal; anything but a yes is a no, and so is nothing within *seconds*."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    answer = read_line(source, seconds)
    if not answer.endswith("\n"):
        print(file=sys.stderr)  # noqa: T201
    return answer.strip().lower() in ("y", "yes")
