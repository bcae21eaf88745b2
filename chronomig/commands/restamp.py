"""``chronomig restamp``: move what only this branch has behind the migrations of the base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from chronomig import output
from chronomig.commands.makemigrations import shown
from chronomig.errors import ChronomigError, GitError, UsageError
from chronomig.git.trees import Trees
from chronomig.project import Database, Project
from chronomig.review.branches import find_base
from chronomig.review.restamping import Restamp, restamps
from chronomig.sets import MigrationSet


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
    """Rename all files or none; the last first, so that none takes the name of one that is still to move."""
    done: list[Restamp] = []
    try:
        for one in reversed(found):
            move(project.trees, one.old, one.new)
            done.append(one)
    except (OSError, GitError) as error:
        raise not_renamed(error, one, stuck=list(moved_back(project.trees, done))) from error


def move(trees: Trees, old: Path, new: Path) -> None:
    """Rename a file, with git where it knows it."""
    if trees.in_repository and trees.repository.tracks(old):
        trees.repository.move(old, new)
    else:
        old.rename(new)


def moved_back(trees: Trees, done: Sequence[Restamp]) -> Iterator[Restamp]:
    """Give files their old names back; yield those that keep the new one."""
    for one in reversed(done):
        try:
            move(trees, one.new, one.old)
        except (OSError, GitError):
            yield one


def not_renamed(error: Exception, one: Restamp, stuck: Sequence[Restamp]) -> ChronomigError:
    causes = [f"{error.fact} {error.cause}".strip() if isinstance(error, GitError) else str(error)]
    causes += [f"{each.new.name} could not get its old name back, {each.old.name}" for each in stuck]
    return ChronomigError(
        f"{one.old.name} could not be renamed; {'not ' if stuck else ''}all files have the names that they had.",
        cause="\n".join(causes),
        next_step="Mend that, then run the command again.",
    )
