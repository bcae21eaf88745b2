"""``chronomig forget``: the history no longer says that a migration is applied; nothing is run."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig.commands.records import Change, change, full_name, names_of
from chronomig.errors import UsageError
from chronomig.history.events import Event, Kind
from chronomig.planning.record import Direction, Record
from chronomig.project import Database, Project


def run(
    project: Project,
    names: Sequence[str],
    *,
    databases: Sequence[str] = (),
    yes: bool = False,
    interactive: bool = True,
    json: bool = False,
) -> int:
    """Take migrations that have no file out of what is applied; what they made stays in the database."""

    def find(database: Database, record: Record) -> list[Change]:
        wanted = [full_name(text, names_of(database, record), database) for text in names]
        return [forgotten(database, record, name) for name in dict.fromkeys(wanted) if is_recorded(record, name)]

    return change(project, databases, find, "forget", yes=yes, interactive=interactive, json=json)


def is_recorded(record: Record, name: str) -> bool:
    half = record.half_done
    return name in record.names or (half is not None and name in half.names)


def forgotten(database: Database, record: Record, name: str) -> Change:
    """Return the event; raise UsageError for what has a file, which would then be pending."""
    if name in database.set.timeline.by_name:
        raise UsageError(
            f"{name} has a file, and would be applied again by the next migrate.",
            cause="forget is for what has no file any more.",
            next_step=f"Type chronomig mark {name} unapplied, if that is meant.",
        )
    origin = next((one.origin for one in record.applied if one.name == name), None)
    event = Event(Kind.FORGOTTEN, name, Direction.DOWN, origin=origin)
    return Change(database, event, f"forget {name}; what it made stays in the database")
