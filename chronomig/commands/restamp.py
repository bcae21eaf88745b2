"""``chronomig restamp``: move what only this branch has behind the migrations of the base."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig import output
from chronomig.branches import find_base
from chronomig.commands.makemigrations import shown
from chronomig.errors import UsageError
from chronomig.project import Database, MigrationSet, Project
from chronomig.restamping import Restamp, restamps


def run(
    project: Project,
    *,
    names: Sequence[str] = (),
    base: str | None = None,
    sets: Sequence[str] = (),
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Rename the files, with git where it knows them; refuse before the first one is touched."""
    chosen = project.choose_sets(sets)
    if names:
        chosen = [one for one in chosen if any(name in one.timeline.by_name for name in names)] or chosen
    if names and len(chosen) > 1:
        raise UsageError("The names are in several sets.", next_step="Choose one with --set.")
    compared = find_base(project.trees, base)
    found = [move for one in chosen for move in restamps(one, names, compared, using(project, one))]
    if not dry_run:
        rename(project, found)
    if json:
        files = [dict(zip(("old", "new"), one.names, strict=True)) for one in found]
        output.say_json("restamp", renamed=not dry_run, files=files)
        return 0
    for one in found:
        output.say(f"{'would rename' if dry_run else 'renamed'} {shown(one.old)} -> {one.new.name}")
    if not found:
        output.say("nothing to restamp")
    return 0


def using(project: Project, one: MigrationSet) -> list[Database]:
    return [database for database in project.databases.values() if database.set.name == one.name]


def rename(project: Project, found: Sequence[Restamp]) -> None:
    """The last first, so that no file takes the name of one that is still to move."""
    for one in reversed(found):
        if project.trees.in_repository and project.trees.repository.tracks(one.old):
            project.trees.repository.move(one.old, one.new)
        else:
            one.old.rename(one.new)
