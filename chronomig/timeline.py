"""
Stamps, names, entries and timelines: what the migration files say before any of them is loaded.

A timeline knows names and bytes only. It reads no more of a directory than its listing; the bytes of a file are
read when somebody asks for them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from chronomig.errors import TimelineError

STAMP_FORMAT = "%Y%m%d%H%M%S"
NAME_PATTERN = re.compile(r"(?P<stamp>\d{14})_(?P<slug>[a-z0-9_]+)", re.ASCII)
READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe is opened without waiting, and Windows changes no line ends."""
MAX_NAME_LENGTH = 200
"""The width of the ``name`` column in the history."""
MAX_STAMP_AHEAD = timedelta(days=1)
"""Clocks differ and people travel; a stamp further ahead would sort behind everybody's next migration."""


def parse_stamp(text: str) -> datetime:
    """Return the UTC second that the 14 digits name; raise ValueError when there is no such second."""
    if len(text) != 14 or not text.isascii() or not text.isdecimal():
        raise ValueError(f"{text!r} does not have 14 digits")
    if text[8:10] > "23":
        raise ValueError(f"{text!r} has no such hour")  # to Python 3.14 24:00 is the next day
    # strptime() takes ten times as long, and a timeline has thousands of stamps.
    return datetime.fromisoformat(f"{text[:8]}T{text[8:]}").replace(tzinfo=UTC)


def format_stamp(moment: datetime) -> str:
    """Return the 14 digits of a moment, in UTC, cut to the second."""
    return moment.astimezone(UTC).strftime(STAMP_FORMAT)


@dataclass(frozen=True, slots=True)
class Entry:
    """One migration of a timeline: its name, and where its bytes are. There are thousands, hence the slots."""

    name: str
    path: Path
    content: bytes | None = field(default=None, repr=False)
    """The bytes, where they do not come from the disk (the vault, a git object)."""
    fetch: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)
    """Reads the bytes when they are asked for, where they do not come from the disk (the tree of a git ref)."""
    blob: str = field(default="", repr=False, compare=False)
    """What git calls the bytes, where that is known before they are read."""
    commit: str = field(default="", repr=False, compare=False)
    """In whose tree it was found, where that was not the disk."""
    location: str = field(default="", repr=False, compare=False)
    """*path* as text, where that is at hand: pathlib takes as long to make it as the file takes to be read."""
    _source: bytes | None = field(default=None, init=False, repr=False, compare=False)
    _sha256: str = field(default="", init=False, repr=False, compare=False)

    @property
    def file(self) -> str:
        """*path* as text."""
        return self.location or str(self.path)

    @property
    def stamp(self) -> str:
        return self.name[:14]

    @property
    def slug(self) -> str:
        return self.name[15:]

    @property
    def source(self) -> bytes:
        """The bytes of the file, read once; raise TimelineError when it cannot be read."""
        found = self._source
        if found is None:
            found = self._read()
            object.__setattr__(self, "_source", found)
        return found

    @property
    def sha256(self) -> str:
        if not self._sha256:
            object.__setattr__(self, "_sha256", hashlib.sha256(self.source).hexdigest())
        return self._sha256

    def _read(self) -> bytes:
        if self.content is not None:
            return self.content
        if self.fetch is not None:
            return self.fetch()
        try:
            return read_regular_file(self.file)
        except OSError as error:
            raise TimelineError(
                f"Cannot read the migration file {self.path}.",
                cause=error.strerror or str(error),
                next_step="Restore the file or its permissions, then run the command again.",
            ) from error


def read_regular_file(path: str | Path) -> bytes:
    """
    Return the bytes of a file; raise OSError, also for a pipe, where reading would wait for somebody who writes.

    With bare calls: :meth:`Path.read_bytes` takes three times as long, and a timeline has thousands of files.
    """
    descriptor = os.open(path, READING)
    try:
        about = os.fstat(descriptor)
        if stat.S_ISFIFO(about.st_mode):
            raise OSError(errno.EINVAL, "It is a named pipe")
        parts = []
        while part := os.read(descriptor, about.st_size + 1):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Timeline:
    """The migrations of one set, in the order in which they run: the plain ASCII order of their names."""

    set_name: str
    directory: Path
    entries: tuple[Entry, ...] = ()
    branch: str = ""
    commit: str = ""
    """Where it was read from, when that was the tree of a git ref."""

    @cached_property
    def by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries}

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)

    @property
    def newest(self) -> Entry | None:
        return self.entries[-1] if self.entries else None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def next_stamp(newest: str | None, now: datetime) -> str:
    """Return the stamp for what comes after *newest* (14 digits or None), written at *now*."""
    moment = now.astimezone(UTC).replace(microsecond=0)
    if newest is not None:
        moment = max(moment, parse_stamp(newest) + timedelta(seconds=1))
    return format_stamp(moment)


def read_timeline(directory: Path, set_name: str, *, now: datetime) -> Timeline:
    """
    Read the timeline of the set *set_name* from *directory*.

    Raise TimelineError for a directory that is not there and for every file that cannot be placed in the order,
    all of them at once. ``__init__.py``, ``__pycache__``, hidden files and what does not end in ``.py`` are no
    migrations.
    """
    try:
        with os.scandir(directory) as listing:
            found = sorted((item.name, item.path) for item in listing if is_migration_file(item.name))
    except FileNotFoundError as error:
        raise TimelineError(
            f"The directory of the set {set_name!r} is not there: {directory}.",
            cause="Every set has a folder of its own below the migrations directory.",
            next_step=(
                "Create it: chronomig init does; chronomig adopt, where apps have migrations of Django's own. "
                f"Or correct 'directory' or 'sets.{set_name}'."
            ),
        ) from error
    except OSError as error:
        raise TimelineError(
            f"Cannot read the directory of the set {set_name!r}: {directory}.",
            cause=error.strerror or str(error),
            next_step="Every set is a folder that this user can read.",
        ) from error
    entries = (Entry(name[:-3], directory / name, location=location) for name, location in found)
    return make_timeline(set_name, directory, entries, now=now)


def is_migration_file(name: str) -> bool:
    """Whether a file of that name has to be a migration; the name itself may still be wrong."""
    return name.endswith(".py") and name != "__init__.py" and not name.startswith(".")


def make_timeline(set_name: str, directory: Path, entries: Iterable[Entry], *, now: datetime) -> Timeline:
    """Order *entries* into a timeline; raise TimelineError that lists all that cannot be placed."""
    ordered = tuple(sorted(entries, key=lambda entry: entry.name))
    problems = list(find_problems(ordered, now))
    if problems:
        raise TimelineError(
            f"The timeline of the set {set_name!r} cannot be read: {directory}.",
            cause="\n".join(f"  {problem}" for problem in problems),
            next_step="Rename or remove what is listed; nothing was run.",
        )
    return Timeline(set_name, directory, ordered)


def find_problems(entries: Iterable[Entry], now: datetime) -> Iterator[str]:
    """Yield a sentence for each entry that has no place in a timeline."""
    latest = format_stamp(now + MAX_STAMP_AHEAD)
    folded: dict[str, str] = {}
    for entry in entries:
        problem = name_problem(entry.name, latest)
        if problem:
            yield f"{entry.name}.py: {problem}"
        twin = folded.setdefault(entry.name.casefold(), entry.name)
        if twin != entry.name:
            yield f"{entry.name}.py: differs from {twin}.py by case only, which some file systems cannot hold"


def name_problem(name: str, latest: str) -> str:
    """Return what is wrong with *name*, or an empty text; *latest* is the last stamp that may be used."""
    match = NAME_PATTERN.fullmatch(name)
    if match is None:
        return (
            "is not named YYYYMMDDHHMMSS_slug.py (14 digits, an underscore, "
            "then lower-case ASCII letters, digits and underscores)"
        )
    if len(name) > MAX_NAME_LENGTH:
        return f"has a name of {len(name)} characters; {MAX_NAME_LENGTH} fit into the history"
    if not is_second(match["stamp"]):
        return f"{match['stamp']} is not a second that exists (year, month, day, hour, minute, second)"
    if match["stamp"] > latest:
        return f"{match['stamp']} is more than a day ahead of this clock (UTC)"
    return ""


def is_second(stamp: str) -> bool:
    try:
        parse_stamp(stamp)
    except ValueError:
        return False
    return True
