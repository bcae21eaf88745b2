"""``chronomig mark``: the history says that a migration is applied, or is not; nothing is run."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig.code.origins import read_origin
from chronomig.commands.records import Change, change, full_name, names_of
from chronomig.config import Mark
from chronomig.errors import UsageError
from chronomig.history.events import Event, Kind
from chronomig.planning.record import Direction, Record
from chronomig.project import Database, Project


def run(
    project: Project,
    name: str,
    as_what: Mark,
    *,
    databases: Sequence[str] = (),
    yes: bool = False,
    interactive: bool = True,
    json: bool = False,
) -> int:
    """Record one migration as applied or as not applied, as migrate --fake does for many."""

    def find(database: Database, record: Record) -> list[Change]:
        full = full_name(name, names_of(database, record), database)
        half = record.half_done
        is_settled = half is None or full not in half.names
        if is_settled and (full in record.names) == (as_what is Mark.APPLIED):
            return []
        return [marked(database, full, as_what)]

    return change(project, databases, find, "mark", yes=yes, interactive=interactive, json=json)


def marked(database: Database, name: str, as_what: Mark) -> Change:
    """Return the event; raise UsageError for what has no file."""
    entry = database.set.timeline.by_name.get(name)
    if entry is None:
        raise UsageError(
            f"{name} has no file.",
            cause="Only what has a file is marked; without one nobody knows what it stands for.",
            next_step=f"Type chronomig forget {name}, if it shall not be recorded any more.",
        )
    origin = read_origin(entry)
    direction = Direction.UP if as_what is Mark.APPLIED else Direction.DOWN
    key, detail = origin.key if origin else None, "marked"
    event = Event(Kind.FAKED, name, direction, entry.sha256, key, detail=detail, content=entry.source)
    return Change(database, event, f"mark {name} as {as_what}")
