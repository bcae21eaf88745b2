"""``chronomig history``: every event of a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chronomig import output

if TYPE_CHECKING:
    from chronomig.project import Project


def run(project: Project, *, databases: Sequence[str] = (), json: bool = False) -> int:
    """Show every event, oldest first."""
    found = [(database, database.history.events()) for database in project.choose_databases(databases)]
    if json:
        rows = [
            {
                "alias": database.alias,
                "set": database.set.name,
                "events": [output.event_as_json(one) for one in events],
            }
            for database, events in found
        ]
        output.say_json("history", databases=rows)
        return 0
    for database, events in found:
        output.say_events(database, events)
    return 0
