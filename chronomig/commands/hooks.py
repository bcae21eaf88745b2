"""``chronomig hooks``: git tells when the databases and the tree differ."""

from __future__ import annotations

from collections import Counter

from chronomig import output
from chronomig.errors import ChronomigError
from chronomig.hooks import Hook, find_hooks
from chronomig.project import Project
from chronomig.status import State, status_of


def hooks_of(project: Project) -> list[Hook]:
    return list(find_hooks(project.trees.repository, project.root, project.directory))


def install(project: Project) -> int:
    """Put the block into every hook; none is written when one cannot be."""
    hooks = hooks_of(project)
    for hook in hooks:
        hook.refuse_foreign()
    for hook in hooks:
        hook.install()
    return show(project)


def uninstall(project: Project) -> int:
    """Take the block out of every hook."""
    for hook in hooks_of(project):
        hook.uninstall()
    return show(project)


def show(project: Project) -> int:
    """Say of each hook whether the block is there."""
    for hook in hooks_of(project):
        output.say(f"{hook.name:<13}  {hook.state:<13}  {hook.path}")
    return 0


def run(project: Project) -> int:
    """Say in a line on stderr how the databases differ from the tree; git never hears of a failure."""
    counts: Counter[State] = Counter()
    try:
        for database in project.choose_databases(()):
            counts += status_of(database).counts
    except ChronomigError as error:
        output.say(f"chronomig: {error.fact}", err=True)
        return 0
    ghosts, pending = counts[State.MISSING] + counts[State.FUTURE], counts[State.PENDING]
    if ghosts:
        output.say(f"chronomig: {output.ghosts(ghosts)}. chronomig migrate --ghosts rollback undoes.", err=True)
    if pending:
        output.say(f"chronomig: {output.plural(pending, 'migration')} pending. chronomig migrate applies.", err=True)
    return 0
