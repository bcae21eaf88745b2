"""``chronomig accept``: edited files stand for what was applied."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig.code.edits import Meaning
from chronomig.commands.records import Change, change, full_name, names_of
from chronomig.errors import UsageError
from chronomig.history.events import Event, Kind
from chronomig.planning.record import Record
from chronomig.project import Database, Project


def run(
    project: Project,
    names: Sequence[str],
    *,
    databases: Sequence[str] = (),
    every: bool = False,
    yes: bool = False,
    interactive: bool = True,
    json: bool = False,
) -> int:
    """Record the hashes that the files have now; a change of meaning needs a yes."""
    if bool(names) == every:
        raise UsageError("Say which: names, or --all.", next_step="chronomig status shows what was edited.")

    def find(database: Database, record: Record) -> list[Change]:
        wanted = {full_name(text, names_of(database, record), database) for text in names}
        return [
            accepted(database, name, meaning) for name, meaning in edits(database, record) if every or name in wanted
        ]

    return change(project, databases, find, "accept", yes=yes, interactive=interactive, json=json)


def edits(database: Database, record: Record) -> list[tuple[str, Meaning]]:
    return [(name, edit.meaning) for name, edit in database.edits(record.applied).items()]


def accepted(database: Database, name: str, meaning: Meaning) -> Change:
    entry = database.set.timeline.by_name[name]
    told = {
        Meaning.SAME: "the same operations",
        Meaning.CHANGED: "other operations than those that were run",
        Meaning.UNKNOWN: "what was applied is nowhere to be found",
    }
    event = Event(Kind.ACCEPTED, name, sha256=entry.sha256, detail=told[meaning], content=entry.source)
    return Change(database, event, f"accept {name} as its file is now ({told[meaning]})", meaning is not Meaning.SAME)
