"""The events of a history, and what they leave applied. Plain values; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from chronomig.errors import DatabaseError
from chronomig.planning.baselines import SQUASHED, Baseline, with_baseline
from chronomig.planning.record import Applied, Direction, HalfDone, Record, Renamed
from chronomig.planning.renames import called, half_called
from chronomig.timeline import Entry


class Kind(StrEnum):
    """What an event says."""

    STARTED = "started"
    """A migration began where DDL is not transactional."""
    COLLAPSING = "collapsing"
    """Several migrations began as one, where no transaction holds them together; the detail has their names."""
    PROGRESS = "progress"
    """One more operation of it is done (up) or undone (down)."""
    APPLIED = "applied"
    REVERTED = "reverted"
    FAKED = "faked"
    """Recorded as applied (up) or as reverted (down), without running anything."""
    ADOPTED = "adopted"
    """Found in django_migrations and taken over, without running anything."""
    SQUASHED = SQUASHED
    """Stands for migrations that are applied, which the detail names; from now on in their place."""
    ACCEPTED = "accepted"
    """The file was edited, and stands for what was applied from now on."""
    RENAMED = "renamed"
    """The same file, under another name; the detail has the name that it had."""
    FORGOTTEN = "forgotten"
    """Not applied any more, as far as the history goes; nothing was run."""
    FAILED = "failed"
    SETTLED = "settled"
    """A run came to its end, post_migrate receivers included."""


@dataclass(frozen=True)
class Event:
    """One row of the history, without its number."""

    kind: Kind
    name: str
    direction: Direction = Direction.UP
    sha256: str = ""
    origin: tuple[str, str] | None = None
    operation: int | None = None
    """How many operations, from the first, are in effect."""
    detail: str = ""
    duration_ms: int | None = None
    at: datetime | None = None
    """When it was written; None in an event that is yet to be written."""
    by: str = ""
    version: str = ""
    branch: str = ""
    commit: str = ""
    """What was checked out, or the ref that the code was read from."""
    blob: str = ""
    """What git calls the bytes of the migration."""
    content: bytes = b""
    """The bytes themselves; of them only hashes are recorded."""


def taking_over(one: Applied, entry: Entry, baseline: Baseline | None) -> Event:
    """Return the event that says of a file that the database has it, without running anything."""
    detail = baseline.detail if baseline else ""
    return Event(
        Kind(one.how), one.name, sha256=one.sha256, origin=one.origin, detail=detail, content=entry.source
    )  # fmt: skip


def renaming(one: Renamed, applied: Iterable[Applied]) -> Event:
    """Return the event that gives a migration the name of its file."""
    found = next((each for each in applied if each.name == one.name), Applied(one.name))
    return Event(Kind.RENAMED, one.name, sha256=found.sha256, detail=one.was, blob=found.blob)


COLUMNS = (
    "name", "kind", "direction", "sha256", "app_label", "upstream_name", "operation", "detail", "duration_ms", "at",
    "by", "version", "branch", "commit", "blob",
)  # fmt: skip

LATER = frozenset({"branch", "commit", "blob"})
"""Columns that an old table lacks."""
NUMBERS = ("operation", "duration_ms")

QUIET = (Kind.ACCEPTED, Kind.FORGOTTEN, Kind.RENAMED)
"""What is written beside runs."""


def fold(events: Iterable[Event]) -> Record:
    """Return what *events*, oldest first, leave applied and half done."""
    applied: dict[str, Applied] = {}
    undone: dict[str, Applied] = {}
    half: HalfDone | None = None
    settled = True
    for event in events:
        settled = event.kind is Kind.SETTLED or (settled and event.kind in QUIET)
        match event.kind:
            case Kind.APPLIED | Kind.ADOPTED:
                half = None
                undone.pop(event.name, None)
                _put(applied, event)
            case Kind.FAKED if event.direction is Direction.UP:
                half = None
                _put(applied, event)
            case Kind.ACCEPTED if event.name in applied:
                applied[event.name] = replace(applied[event.name], sha256=event.sha256, blob=event.blob)
            case Kind.REVERTED:
                half = None
                undone[event.name] = applied.pop(event.name, _as_applied(event))
            case Kind.RENAMED:
                names = {event.detail: event.name}
                applied = {one.name: one for one in called(applied.values(), names)}
                undone = {one.name: one for one in called(undone.values(), names)}
                half = half_called(half, names)
            case Kind.FAKED | Kind.FORGOTTEN:
                half = None
                applied.pop(event.name, None)
            case Kind.STARTED:
                half = _started(event, half)
            case Kind.SQUASHED:
                applied = _squashed(applied, event)
            case Kind.COLLAPSING:
                half = replace(_started(event, half), together=tuple(event.detail.split("\n")))
            case Kind.PROGRESS if half is not None:
                half = replace(half, done=event.operation or 0, described=_described(half, event))
            case _:
                pass
    if half is not None:
        for name in half.names:
            applied.pop(name, None)
    return Record(tuple(applied.values()), half, settled, tuple(undone.values()))


def _squashed(applied: Mapping[str, Applied], event: Event) -> dict[str, Applied]:
    names = event.detail.split("\n")
    if applied.keys().isdisjoint(names):
        raise DatabaseError(
            f"The history holds an event that is impossible: {event.name!r} squashed.",
            cause=f"It stands for migrations that are not applied: {event.detail[:80]!r}.",
            next_step="Somebody wrote to chronomig_history; restore the row, or remove it, with SQL.",
        )
    return {one.name: one for one in with_baseline(tuple(applied.values()), _as_applied(event), names)}


def _put(applied: dict[str, Applied], event: Event) -> None:
    applied.pop(event.name, None)  # applied again is applied last
    applied[event.name] = _as_applied(event)


def _as_applied(event: Event) -> Applied:
    return Applied(
        event.name, event.sha256, event.kind.value, event.at, event.duration_ms, event.origin,
        event.blob, event.branch, event.commit,
    )  # fmt: skip


def _started(event: Event, half: HalfDone | None) -> HalfDone:
    described = half.described if half is not None and half.name == event.name else ()
    return HalfDone(event.name, event.direction, event.operation or 0, event.sha256, described, event.at, event.blob)


def _described(half: HalfDone, event: Event) -> tuple[str, ...]:
    if event.direction is Direction.DOWN:
        return half.described[: event.operation or 0]
    return (*half.described, event.detail)


def event_in(row: Mapping[str, object]) -> Event:
    """Return the event in a row of the table; raise DatabaseError for one that chronomig never wrote."""
    values = {name: row[name] for name in COLUMNS if name in row}
    for name, value in values.items():
        if not is_possible(name, value):
            raise DatabaseError(
                f"The history holds a row that is impossible: number {row.get('id')}, {str(values['name'])[:80]!r}.",
                cause=f"Its {name} is {repr(value)[:80]}.",
                next_step="Somebody wrote to chronomig_history; restore the row, or remove it, with SQL.",
            )
    origin = values.pop("app_label"), values.pop("upstream_name")
    try:
        kind, direction = Kind(str(values["kind"])), Direction(str(values["direction"]))
        at = datetime.fromisoformat(str(values["at"])).replace(tzinfo=UTC)  # TIME_FORMAT, without strptime's price
    except ValueError as error:
        raise DatabaseError(
            f"The history holds an event that this version does not know: {values['name']}.",
            cause=str(error),
            next_step="A newer chronomig may have written it; use that version.",
        ) from error
    values |= {"kind": kind, "direction": direction, "at": at, "origin": origin if origin[0] else None}
    return Event(**values)  # type: ignore[arg-type]


def is_possible(column: str, value: object) -> bool:
    """SQLite keeps any type in any column."""
    if column in NUMBERS:
        return value is None or (isinstance(value, int) and value >= 0)
    return isinstance(value, str)
