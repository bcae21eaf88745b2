"""Both lists, of the files and of the database, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from chronomig.code.edits import Edit
from chronomig.code.sources import Source
from chronomig.planning.record import Record
from chronomig.running.leftovers import Leftover, leftovers

if TYPE_CHECKING:
    from chronomig.project import Database


class State(StrEnum):
    """Where one migration stands."""

    APPLIED = "applied"
    PENDING = "pending"
    HALF_DONE = "half done"
    MISSING = "missing"
    """Applied, without a file, older than the newest file."""
    FUTURE = "future"
    """Applied, without a file, newer than every file: a newer release ran here."""


NOT_RECORDED = {
    "adopted": "to be adopted from django_migrations",
    "squashed": "stands for migrations that are applied",
}
"""By how they got there: what the next migrate writes to the history."""


@dataclass(frozen=True)
class Line:
    """One migration in one database."""

    name: str
    state: State
    how: str = ""
    """The event that counts: applied, faked, adopted."""
    at: datetime | None = None
    duration_ms: int | None = None
    edited: bool = False
    out_of_order: bool = False
    note: str = ""
    source: Source | None = None
    """Where its code is, of what is applied."""
    branch: str = ""
    commit: str = ""
    """What was checked out when it was applied."""
    edit: Edit | None = None
    """What was done to the file since it was applied."""

    @property
    def is_ghost(self) -> bool:
        """Applied, but not in the tree."""
        return self.state in (State.MISSING, State.FUTURE)


@dataclass(frozen=True)
class Status:
    """One database."""

    alias: str
    set_name: str
    vendor: str
    lines: tuple[Line, ...]
    settled: bool
    leftovers: tuple[Leftover, ...] = ()
    """What a failure left behind."""

    @property
    def counts(self) -> Counter[State]:
        return Counter(line.state for line in self.lines)


def status_of(database: Database) -> Status:
    """Read both lists; writes nothing."""
    record = database.record()
    lines = sorted(_lines(database, record), key=lambda line: line.name)
    connection = database.connection
    left = tuple(leftovers(connection))
    return Status(database.alias, database.set.name, connection.vendor, tuple(lines), record.settled, left)


def _lines(database: Database, record: Record) -> Iterator[Line]:
    timeline = database.set.timeline
    newest = timeline.newest.name if timeline.newest else ""
    edited = database.edits(record.applied)
    astray = [one for one in record.applied if one.name in edited or one.name not in timeline.by_name]
    found = database.set.shelf.find(astray, timeline)
    sources = {one.name: Source.NOWHERE for one in astray} | {name: one.source for name, one in found.items()}
    late = applied_late(record)
    half = record.half_done
    was = {one.name: f"the history calls it {one.was} until the next migrate" for one in record.renamed}
    if half is not None:
        as_one = f" of {len(half.together)} migrations that run as one" if half.together else ""
        note = f"{half.done} operations in effect{as_one}, on its way {half.direction}"
        yield from (Line(name, State.HALF_DONE, at=half.at, note=note) for name in half.names)
    for one in record.applied:
        known = one.name in timeline.by_name
        state = State.APPLIED if known else State.FUTURE if one.name > newest else State.MISSING
        note = was.get(one.name, "") if one.at is not None else NOT_RECORDED.get(one.how, "")
        yield Line(
            one.name, state, one.how, one.at, one.duration_ms, one.name in edited, one.name in late, note,
            sources.get(one.name, Source.WORKING_TREE), one.branch, one.commit, edited.get(one.name),
        )  # fmt: skip
    last = max(record.names, default="")
    notes = {misfit.name: misfit.note for misfit in database.adoption(record).misfits}
    have = {*record.names, *(half.names if half else ())}
    for name in timeline.names:
        if name not in have:
            yield Line(name, State.PENDING, out_of_order=name < last, note=notes.get(name, ""))


def applied_late(record: Record) -> frozenset[str]:
    """Return the names that were applied after a newer one."""
    late, newest = set(), ""
    for name in record.names:
        if name < newest:
            late.add(name)
        newest = max(newest, name)
    return frozenset(late)
