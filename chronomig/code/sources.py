"""
Where the code of a run comes from: what goes up as the target has it, what is applied as it was applied.

The code of an applied migration that the disk does not have is looked for in git and in the vault. Whatever is found
is checked against the sha256 in the history. Nothing comes from the database: who can write a row cannot run code
that these places do not hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import chain

from chronomig.code.vault import SHA256_PATTERN, Vault
from chronomig.errors import GitError
from chronomig.git.repo import Head, Repository
from chronomig.git.trees import Trees
from chronomig.planning.record import Applied, Record
from chronomig.timeline import NAME_PATTERN, Entry, Timeline

MIGRATION_PATTERN = re.compile(rb"^class Migration\b", re.MULTILINE)


class Source(StrEnum):
    """Where code is."""

    WORKING_TREE = "working tree"
    GIT = "git"
    VAULT = "vault"
    NOWHERE = "nowhere"


@dataclass(frozen=True)
class Found:
    """The code of an applied migration, with the bytes that were applied."""

    entry: Entry
    source: Source


Candidate = tuple[Applied, Source, bytes]
"""Bytes that may be the code of an applied migration, not yet checked."""


class Shelf:
    """The places where the code of one set is looked for."""

    def __init__(self, trees: Trees) -> None:
        self.trees = trees

    @cached_property
    def repository(self) -> Repository | None:
        """The repository, None where there is none or no git."""
        if not self.trees.in_repository:
            return None
        try:
            return self.trees.repository
        except GitError:
            return None

    @cached_property
    def vault(self) -> Vault | None:
        """The vault, None where there is no repository."""
        return Vault(self.repository.common_directory) if self.repository else None

    def head(self) -> Head:
        """Return what is checked out, all empty where git does not say."""
        try:
            return self.repository.head if self.repository else Head()
        except GitError:
            return Head()

    def keep(self, entries: Iterable[Entry]) -> str:
        """Copy *entries* into the vault; return what went wrong, which stops nobody."""
        try:
            if self.vault is not None:
                self.vault.keep(entries)
        except (OSError, GitError) as error:
            return f"No copies of the migrations are kept in the vault: {error}."
        return ""

    def find(self, applied: Iterable[Applied], files: Timeline) -> dict[str, Found]:
        """Return what is found of *applied*, by name, with the bytes that the history records."""
        wanted = {one.name: one for one in applied}
        found = {name: Found(files.by_name[name], Source.WORKING_TREE) for name in as_applied(files, wanted.values())}
        for search in (self._among_objects, self._in_vault, self._in_any_commit):
            left = [one for one in wanted.values() if one.name not in found and is_searchable(one)]
            for one, source, content in search(left) if left and self.repository else ():
                entry = Entry(one.name, files.directory / f"{one.name}.py", content)
                if entry.sha256 == one.sha256 and MIGRATION_PATTERN.search(content):
                    found[one.name] = Found(entry, source)
        return found

    def _among_objects(self, applied: Sequence[Applied]) -> Iterator[Candidate]:
        """Git's objects by the id that was recorded, whether a branch still reaches them or not."""
        contents = self.repository.read(one.blob for one in applied) if self.repository else {}
        return ((one, Source.GIT, contents[one.blob]) for one in applied if one.blob in contents)

    def _in_vault(self, applied: Sequence[Applied]) -> Iterator[Candidate]:
        kept = ((one, self.vault.get(one.sha256)) for one in applied) if self.vault else iter(())
        return ((one, Source.VAULT, content) for one, content in kept if content is not None)

    def _in_any_commit(self, applied: Sequence[Applied]) -> Iterator[Candidate]:
        """Files of that name in any commit that a ref or a reflog reaches: for what was recorded without an id."""
        versions = self.repository.versions([f"{one.name}.py" for one in applied]) if self.repository else {}
        contents = self.repository.read(chain.from_iterable(versions.values())) if self.repository else {}
        for one in applied:
            for blob in versions.get(f"{one.name}.py", ()):
                if blob in contents:
                    yield one, Source.GIT, contents[blob]


@dataclass(frozen=True)
class Aim:
    """What a database shall have, where that is not one timeline: some names, those that go up from *target*."""

    target: Timeline
    names: frozenset[str]
    apart: frozenset[str] = frozenset()
    """What another process will run, and this one cannot load: the project's own modules are others here."""


class Code:
    """The code of one run, and what is known of the way it shall go."""

    def __init__(
        self,
        files: Timeline,
        target: Timeline,
        record: Record,
        wanted: Collection[str],
        shelf: Shelf,
        apart: frozenset[str] = frozenset(),
    ) -> None:
        self.target = target
        """What goes up, and in which order."""
        self.wanted = wanted
        self.apart = apart
        """Code that is not loaded here, see :class:`Aim`."""
        in_effect, known = applied_or_begun(record), {*files.by_name, *target.by_name}
        down = [one for one in in_effect if one.name not in wanted]
        stray = [one for one in in_effect if one.name not in known]
        half = record.half_done
        if half is not None and half.name in files.by_name:
            down = [one for one in down if one.name != half.name]  # mending the file is how it gets finished
        self.found = shelf.find([*down, *stray], files)
        """What goes down, and what is neither on the disk nor in the target, as it was applied."""
        self.edited = frozenset(one.name for one in down if one.name in files.by_name and one.name not in self.found)
        """Going down, but the file has other bytes than when it was applied, and those are nowhere."""
        self.entries: Mapping[str, Entry] = {
            **files.by_name,
            **target.by_name,
            **{name: files.by_name[name] for name in record.names if name in files.by_name},
            **{name: one.entry for name, one in self.found.items()},
        }

    @property
    def elsewhere(self) -> Collection[str]:
        """The names whose code is at hand, but not in the target."""
        return self.entries.keys() - self.target.by_name.keys()


def code_for(files: Timeline, record: Record, wanted: Iterable[str] | Timeline | Aim | None, shelf: Shelf) -> Code:
    """Return the code for the way to *wanted*; None is every file, and what has none stays."""
    if isinstance(wanted, Timeline):
        wanted = Aim(wanted, frozenset(wanted.names))
    if isinstance(wanted, Aim):
        return Code(files, wanted.target, record, wanted.names, shelf, wanted.apart)
    half = record.half_done.names if record.half_done else ()
    names = (*files.names, *record.names, *half) if wanted is None else wanted
    return Code(files, files, record, frozenset(names), shelf)


def applied_or_begun(record: Record) -> list[Applied]:
    """Return what is applied, with what is half done at the end."""
    half = record.half_done
    begun = [Applied(name, half.sha256, blob=half.blob) for name in half.names] if half else []
    return [*record.applied, *begun]


def as_applied(files: Timeline, applied: Iterable[Applied]) -> frozenset[str]:
    """Return those of *applied* whose file holds the bytes that were applied; without a hash, any file does."""
    there = files.by_name
    return frozenset(one.name for one in applied if one.name in there and one.sha256 in ("", there[one.name].sha256))


def edited(files: Timeline, applied: Iterable[Applied]) -> frozenset[str]:
    """Return those of *applied* whose file holds other bytes than when it was applied."""
    applied = [one for one in applied if one.name in files.by_name]
    return frozenset(one.name for one in applied) - as_applied(files, applied)


def is_searchable(one: Applied) -> bool:
    """Whether what the history says of *one* can be looked for; anybody may have written it."""
    return bool(SHA256_PATTERN.fullmatch(one.sha256) and NAME_PATTERN.fullmatch(one.name))
