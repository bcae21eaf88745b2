"""``chronomig status``: what is on the disk and what is in the databases."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig import output
from chronomig.project import Project
from chronomig.status import status_of


def run(project: Project, *, databases: Sequence[str] = (), json: bool = False) -> int:
    """Show both lists of every database."""
    found = [status_of(database) for database in project.choose_databases(databases)]
    if json:
        output.say_json("status", databases=[output.status_as_json(status) for status in found])
        return 0
    for status in found:
        output.say_status(status)
    return 0
