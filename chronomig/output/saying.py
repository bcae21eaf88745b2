"""Lines, JSON and questions, and the words that all of them share."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import IO, TYPE_CHECKING

from chronomig.errors import ChronomigError

if TYPE_CHECKING:  # status shall not pay for what only migrate needs
    from chronomig.project import Database


def say(text: str = "", *, err: bool = False) -> None:
    """Print a line; a reader who went away does not stop what runs. Nothing in it commands a terminal."""
    stream = sys.stderr if err else sys.stdout
    text = visible(text)
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        silence(stream)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


COMMANDING = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
"""What moves a cursor, changes colours or rings; names and texts may come from a database."""


def visible(text: str) -> str:
    """Return *text* with what would command a terminal written out."""
    return text.translate(COMMANDING)


def silence(stream: IO[str]) -> None:
    """Send what follows nowhere, at the descriptor too, so that closing it cannot fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say_json(kind: str, **content: object) -> None:
    """Print one object with its schema."""
    say(json.dumps({"schema": f"chronomig.{kind}/1", **content}, default=to_json))


def to_json(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"{value!r} has no JSON form")


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_terminal(stream: IO[str]) -> bool:
    """Whether colours, tables and bars make sense there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def seconds(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def ghosts(count: int) -> str:
    return f"{plural(count, 'migration')} {'is' if count == 1 else 'are'} applied, but not in the tree"


def undoing(count: int) -> str:
    return f"chronomig migrate --ghosts rollback undoes {'it' if count == 1 else 'them'}"


def heading(database: Database) -> str:
    return f"{database.alias} ({database.connection.vendor}, set {database.set.name})"


# -- errors ---------------------------------------------------------------------------------------------------------


def say_error(error: ChronomigError) -> None:
    """Print fact, cause and next step on stderr."""
    say(f"Error: {error.fact}", err=True)
    for line in error.cause.splitlines():
        say(f"  {line.removeprefix('  ')}", err=True)
    for line in error.more():
        say(f"  {line}", err=True)
    for number, line in enumerate(error.next_step.splitlines()):
        say(f"  {'  ' if number else '->'} {line}", err=True)


def error_as_json(error: ChronomigError) -> dict[str, object]:
    return {
        "kind": type(error).__name__,
        "fact": error.fact,
        "cause": error.cause,
        "next_step": error.next_step,
        "exit_code": error.exit_code,
    }


def ask(question: str) -> str:
    """Ask on the terminal; return what was typed, in lower case."""
    print(f"{question} ", end="", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline().strip().lower()


def confirm(question: str) -> bool:
    """Ask on the terminal; anything but a yes is a no."""
    return ask(f"{question} [y/N]") in ("y", "yes")
