"""
One tree of errors; what a person reads is in the error, not in whoever catches it.

::

    ChronomigError             1   failed
    ├── UsageError             2   what was typed or configured is wrong
    │   ├── ConfigError
    │   └── TargetError
    ├── TimelineError          1   the files are wrong
    ├── LoadError              1   a migration file cannot be loaded
    ├── DatabaseError          1   the database cannot be reached or used
    │   └── LockError
    ├── GitError               1   git cannot be used, or does not know something
    ├── ExecutionError         1   a migration failed while it ran
    ├── CheckFound             3   a check found something
    ├── Refused                4   needs a yes, or another choice
    └── Interrupted          130   Ctrl-C
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ChronomigError(Exception):
    """Say what is the fact, why (cause), and what to type next (next_step)."""

    exit_code = 1

    def __init__(self, fact: str, *, cause: str = "", next_step: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.cause = cause
        self.next_step = next_step

    def more(self) -> list[str]:
        """Return further lines for a person, between the cause and the next step."""
        return []

    def __str__(self) -> str:
        return "\n".join(part for part in (self.fact, self.cause, self.next_step) if part)


class UsageError(ChronomigError):
    """What was typed is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration is wrong."""


class TargetError(UsageError):
    """The text of ``--to`` names nothing, or more than one thing."""


class TimelineError(ChronomigError):
    """The migration files cannot be put in one order."""


class LoadError(ChronomigError):
    """A migration file cannot be loaded."""


class DatabaseError(ChronomigError):
    """A database cannot be reached or used."""


class LockError(DatabaseError):
    """Another process migrates this database, or the lock cannot be had."""


class GitError(ChronomigError):
    """Git cannot be used here, or does not know what was asked for."""


class ExecutionError(ChronomigError):
    """A migration failed while it ran."""


class CheckFound(ChronomigError):
    """A check found something: pending migrations, changes without a migration."""

    exit_code = 3


class Refused(ChronomigError):
    """Nothing was done, because it needs a yes or another choice."""

    exit_code = 4


class Interrupted(ChronomigError):
    """The user pressed Ctrl-C."""

    exit_code = 130


def in_words(error: BaseException) -> str:
    """Return the type and the text of what any code raised, the text as far as it has one."""
    try:
        text = str(error).strip()
    except Exception:
        text = "its text cannot be made"
    return f"{type(error).__name__}: {text}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'x'?"`` for the nearest known word, or an empty text."""
    nearest = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {nearest[0]!r}?" if nearest else ""
