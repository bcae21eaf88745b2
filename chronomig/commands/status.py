"""``chronomig status``: what is on the disk and what is in the databases."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chronomig import output
from chronomig.status import Status, status_of

if TYPE_CHECKING:
    from chronomig.project import Project


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
    say = status_printer()
    for status in found:
        say(status)
    ghosts = sum(line.is_ghost for status in found for line in status.lines)
    if ghosts:
        output.say(f"{output.ghosts(ghosts)}: {output.undoing(ghosts)}.", err=True)
    return 0


def status_printer() -> Callable[[Status], None]:
    """Return what suits where the output goes."""
    if not output.is_terminal(sys.stdout):
        return output.say_status
    from chronomig.output import terminal  # rich costs start-up time

    return terminal.say_status
