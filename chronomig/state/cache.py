"""
States on the disk: a cache that spares loading and folding the files before them.

A snapshot is named after the names and contents of the migrations that it stands for, in order. One that is damaged,
or was made under other conditions, is passed over. What migration files read from elsewhere when they are imported is
not watched: deleting all snapshots changes nothing but time as far as that stayed the same.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from chronomig.state import NotEncodable, ProjectState, Unusable, dump_state, load_state

SUFFIX = ".json.gz"
KEPT = 24
"""More than the places that one history gets: the branches that one switches between have snapshots of their own."""

Content = tuple[str, str]
"""(name, sha256) of a migration"""


class Snapshots:
    """The snapshots of one set."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.remarks: list[str] = []
        """What was passed over, and why."""
        self._passed_over: set[Path] = set()

    def known(self, migrations: Iterable[Content]) -> dict[int, Callable[[], ProjectState | None]]:
        """Return {after how many of *migrations*: what loads the state, or gives None}."""
        there = {path.name.removesuffix(SUFFIX): path for path in self._files()}
        if not there:
            return {}
        return {
            count: partial(self._load, there[prefix])
            for count, prefix in enumerate(prefixes(migrations), 1)
            if prefix in there
        }

    def write(self, migrations: Iterable[Content], state: ProjectState) -> Path:
        """Write *state*, which is the one after *migrations*; raise NotEncodable, OSError."""
        path = self._path(migrations)
        content = gzip.compress(dump_state(state).encode(), compresslevel=6, mtime=0)
        self.directory.mkdir(parents=True, exist_ok=True)
        ignoring = self.directory.parent / ".gitignore"
        if not ignoring.exists():
            ignoring.write_text("*\n")
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(content)
        unfinished.replace(path)
        self._prune()
        return path

    def write_quietly(self, migrations: Iterable[Content], state: ProjectState) -> None:
        """Write *state* unless it is there, where that is possible; a cache that cannot be written is no failure."""
        migrations = list(migrations)
        path = self._path(migrations)
        if path in self._files() and path not in self._passed_over:
            return
        try:
            self.write(migrations, state)
        except (NotEncodable, OSError) as error:
            self.remarks.append(f"No snapshot was written: {error}.")

    def _path(self, migrations: Iterable[Content]) -> Path:
        *_, prefix = prefixes(migrations)
        return self.directory / f"{prefix}{SUFFIX}"

    def _files(self) -> list[Path]:
        try:
            return list(self.directory.glob(f"*{SUFFIX}"))
        except OSError:
            return []

    def _load(self, path: Path) -> ProjectState | None:
        try:
            return load_state(gzip.decompress(path.read_bytes()).decode())
        except (Unusable, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            self.remarks.append(f"The snapshot {path} is not used: {error}.")
            self._passed_over.add(path)
            return None

    def _prune(self) -> None:
        newest_first = sorted(self._files(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in newest_first[KEPT:]:
            path.unlink(missing_ok=True)


def prefixes(migrations: Iterable[Content]) -> Iterator[str]:
    """Yield the name of the snapshot after each of *migrations*."""
    hashing = hashlib.sha256()
    for name, sha256 in migrations:
        hashing.update(f"{name} {sha256}\n".encode())
        yield hashing.hexdigest()[:40]


def places(count: int) -> list[int]:
    """
    Return after how many of *count* migrations a snapshot is worth having, the last one first.

    A database that a new release finds stands a little before the end, more rarely far before it.
    """
    found, step = [count], 1
    while step < count:
        found.append(count - step)
        step *= 2
    return [place for place in found if place > 0]


def taken(known: Mapping[int, object], count: int) -> int:
    """Return the number of migrations that the newest snapshot up to *count* stands for."""
    return max((place for place in known if place <= count), default=0)
