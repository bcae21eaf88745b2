"""Another branch: what git is asked for, and what the databases need before and after it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from chronomig.code.sources import Aim, applied_or_begun
from chronomig.errors import GitError, Refused, UsageError, did_you_mean
from chronomig.git.repo import HEADS, Repository, refuse_odd
from chronomig.planning.record import Record
from chronomig.planning.renames import with_renames
from chronomig.project import Database
from chronomig.running.migrator import Choices, Journey, plan_journey
from chronomig.sets import MigrationSet
from chronomig.timeline import Timeline

REMOTES = "refs/remotes/"


@dataclass(frozen=True)
class Destination:
    """Where to, as people say it and as git is asked for it."""

    name: str
    commit: str
    arguments: tuple[str, ...]
    """For ``git switch``."""
    branch: str = ""
    """The existing branch that will be checked out."""


def find_destination(
    git: Repository, branch: str | None, start: str | None, *, create: bool = False, detach: bool = False
) -> Destination:
    """Return what ``git switch`` would go to; raise UsageError, GitError for what it would not take."""
    if create and detach:
        raise UsageError("-c and --detach exclude each other.", next_step="Type one of them.")
    if start is not None and not create:
        raise UsageError("Only a new branch has a start point.", next_step="Add -c to make one.")
    if detach:
        commit = git.resolve(branch or "HEAD")
        return Destination(f"{branch or 'HEAD'} ({commit[:12]}, detached)", commit, ("--detach", commit))
    if branch is None:
        raise UsageError("Which branch?", next_step="git branch --all lists them.")
    return new_branch(git, branch, start) if create else existing_branch(git, branch)


def new_branch(git: Repository, name: str, start: str | None) -> Destination:
    if not git.is_branch_name(name):
        raise UsageError(f"{name!r} is not a name for a branch.", next_step="See git help check-ref-format.")
    if f"{HEADS}{name}" in git.refs:
        raise UsageError(f"There is a branch {name!r} already.", next_step=f"chronomig switch {name} goes to it.")
    commit = git.resolve(start or "HEAD")
    # The name of a remote branch tells git what the new one tracks; everything else is a hash by now.
    point = start if start and any(one.startswith(REMOTES) for one in git.names_of(start)) else commit
    return Destination(name, commit, ("-c", name, point))


def existing_branch(git: Repository, name: str) -> Destination:
    """Return a local branch, or the one of the only remote that has it, as git guesses; ``-`` is the previous one."""
    if name == "-":
        name = git.previous_branch()
        if not name:
            raise UsageError("There is no branch that was checked out before.", next_step="Type its name.")
    refuse_odd(name)
    if f"{HEADS}{name}" in git.refs:
        return Destination(name, git.resolve(f"{HEADS}{name}"), (name,), name)
    remote = [ref for ref in git.refs if ref.startswith(REMOTES) and ref.split("/", 3)[3:] == [name]]
    if len(remote) == 1:
        return Destination(name, git.resolve(remote[0]), ("-c", name, "--track", remote[0].removeprefix("refs/")))
    branches = [ref.removeprefix(HEADS) for ref in git.refs if ref.startswith(HEADS)]
    raise UsageError(
        f"There is no branch {name!r}.",
        cause=f"Several remotes have it: {', '.join(remote)}." if remote else did_you_mean(name, branches),
        next_step=f"chronomig switch -c {name} makes it, --detach goes to any other ref.",
    )


def refuse_what_git_would(git: Repository, there: Destination) -> None:
    """Raise Refused for what would stop ``git switch``, before anything moves."""
    reason, ways = "", "Commit or stash what is in the way, or finish what was begun, then run the command again."
    if not git.head.commit:
        reason = "There is no commit yet."
    elif what := git.unfinished():
        reason = f"{what.capitalize()} is not finished."
    elif there.branch and (place := git.checked_out_at(there.branch)):
        reason = f"The branch is checked out in another worktree: {place}."
        ways = f"Work there, or take its commit alone: chronomig switch --detach {there.branch}."
    else:
        reason = git.in_the_way(there.commit)
    if reason:
        raise Refused(
            f"git would not switch to {there.name}; nothing was touched.",
            cause=reason,
            next_step=ways,
        )


def tree_after(one: MigrationSet, there: Destination, git: Repository) -> Timeline:
    """Return what the set will be when *there* is checked out: its tree, with the local changes that git carries."""
    disk, trees = one.timeline, one.trees
    target = trees.timeline(there.commit, one.name, known=disk.names)
    try:
        here = set(trees.timeline(git.head.commit, one.name, known=disk.names).names)
    except GitError:
        here = set()  # no migration is committed yet
    if target.directory != disk.directory:
        return target
    added = [entry for entry in disk if entry.name not in here]
    removed = here - set(disk.names)
    kept = [entry for entry in target if entry.name not in removed and entry.name not in {one.name for one in added}]
    return replace(target, entries=tuple(sorted([*kept, *added], key=lambda entry: entry.name)))


def plan_switch(
    database: Database, choices: Choices, there: Destination, git: Repository, is_own: Callable[[Path], bool]
) -> Journey:
    """
    Plan the whole way of one database; what is applied and whose code is nowhere stays.

    What only the other branch has is not loaded where it imports code that *is_own*: here that is this branch's.
    """
    target = tree_after(database.set, there, git)
    record = with_renames(database.record(), target)
    strangers = [one for one in applied_or_begun(record) if one.name not in target.by_name]
    found = database.set.shelf.find(strangers, database.set.timeline)
    half = record.half_done.names if record.half_done else ()
    at_hand = {*found, *(name for name in half if name in database.set.timeline.by_name)}
    stays = {one.name for one in strangers} - at_hand
    here = database.set.timeline.by_name
    ups = [one for one in target if one.name not in record.names]
    new = (one for one in ups if one.name not in here or one.sha256 != here[one.name].sha256)
    apart = frozenset(one.name for one in new if imports_any(one.source, is_own))
    aim = Aim(target, frozenset(target.names) | stays, apart)
    return plan_journey(database, replace(choices, wanted=lambda database, record: aim), record)


def imports_any(source: bytes, is_own: Callable[[Path], bool]) -> bool:
    """Whether a migration file may import a module that *is_own*; the file is read, not run."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return True
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    by_hand = not names.isdisjoint({"import_module", "import_string", "__import__"})
    return by_hand or any(lies_in(module.partition(".")[0], is_own) for module in modules)


def lies_in(module: str, is_own: Callable[[Path], bool]) -> bool:
    """Whether a top-level module is one that *is_own*, or is not there; imports nothing."""
    spec = find_spec(module) if module else None
    if spec is None:
        return True
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.has_location and spec.origin else ())]
    return any(is_own(Path(place)) for place in places)


def first_half(journeys: Sequence[Journey], choices: Choices) -> tuple[list[Journey], Choices]:
    """Return the way down alone, which is gone with the code of this branch."""
    ends = {one.database.alias: {*one.code.wanted, *(each.was for each in one.record.renamed)} for one in journeys}

    def wanted(database: Database, record: Record) -> Aim:
        in_effect = {one.name for one in applied_or_begun(record)}
        return Aim(database.set.timeline, frozenset(in_effect.intersection(ends[database.alias])))

    choices = replace(choices, wanted=wanted)
    return [plan_journey(one.database, choices, one.record) for one in journeys if one.plan.downs], choices


def where_they_stand(journeys: Sequence[Journey]) -> list[str]:
    """Say of each database what is still to go down and to come up; reads them again."""
    lines = []
    for journey in journeys:
        record = journey.database.record()
        in_effect = [one.name for one in applied_or_begun(record)]
        down = [step.name for step in journey.plan.downs if step.name in in_effect]
        up = [step.name for step in journey.plan.ups if step.name not in record.names]
        parts = [f"still to undo: {', '.join(down)}" if down else "", f"to apply: {', '.join(up)}" if up else ""]
        lines.append(f"{journey.database.alias}: {'; '.join(filter(None, parts)) or 'nothing left to do'}")
    return lines
