"""``chronomig hooks``: git tells when the databases and the tree differ."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from chronomig import output
from chronomig.config import Ghosts
from chronomig.errors import ChronomigError
from chronomig.hooks import Hook, find_hooks
from chronomig.output import asking
from chronomig.project import Project
from chronomig.status import State, status_of

LOOK_SECONDS = 3.0
"""How long git waits for all databases together."""
ANSWER_SECONDS = 60.0
"""How long git waits for an answer."""


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
    """
    Say in a line on stderr how the databases differ from the tree, and offer to mend it on a terminal.

    git never waits for a database that does not answer, and never hears of a failure.
    """
    try:
        with no_longer_than(LOOK_SECONDS):
            counts = count(project)
    except ChronomigError as error:
        output.say(f"chronomig: {error.fact}", err=True)
        return 0
    ghosts, pending = counts[State.MISSING] + counts[State.FUTURE], counts[State.PENDING]
    if ghosts:
        output.say(f"chronomig: {output.ghosts(ghosts)}. chronomig migrate --ghosts rollback undoes.", err=True)
    if pending:
        output.say(f"chronomig: {output.plural(pending, 'migration')} pending. chronomig migrate applies.", err=True)
    if project.config.hooks_ask:
        offer(project, ghosts if project.config.ghosts is not Ghosts.KEEP else 0, pending)
    return 0


def count(project: Project) -> Counter[State]:
    counts: Counter[State] = Counter()
    for database in project.choose_databases(()):
        counts += status_of(database).counts
    return counts


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """End the process when what is inside takes longer: a driver that waits for its server cannot be stopped."""

    def give_up() -> None:
        output.say(f"chronomig: The databases did not answer within {seconds:g} seconds.", err=True)
        sys.stderr.flush()
        os._exit(0)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def offer(project: Project, ghosts: int, pending: int) -> None:
    """Ask whether the databases shall follow now, and let them."""
    parts = [f"roll back {ghosts}"] * bool(ghosts) + [f"apply {pending}"] * bool(pending)
    with asking.terminal() as source:
        question = f"chronomig: {' and '.join(parts).capitalize()} now?"
        if source is None or not parts or not asking.agrees(source, question, ANSWER_SECONDS):
            return
        policy = Ghosts.ROLLBACK if ghosts else Ghosts.KEEP
        command = [sys.executable, "-m", "chronomig", "migrate", "--ghosts", policy.value]
        subprocess.run(command, cwd=project.root, stdin=source, check=False)
