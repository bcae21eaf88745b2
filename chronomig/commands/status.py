"""``chronomig status``: what is on the disk and what is in the databases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from chronomig import output
from chronomig.project import Project
from chronomig.status import status_of


def run(
    project: Project, *, databases: Sequence[str] = (), only: Collection[str] | None = None, json: bool = False
) -> int:
    """Show both lists of every database, or of them the names in *only*."""
    found = [status_of(database) for database in project.choose_databases(databases)]
    if only is not None:
        found = [replace(one, lines=tuple(line for line in one.lines if line.name in only)) for one in found]
    if json:
        output.say_json("status", databases=[output.status_as_json(status) for status in found])
        return 0
    for status in found:
        output.say_status(status)
    return 0
