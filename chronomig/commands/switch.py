"""``chronomig switch``: another branch, with the databases that belong to it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence

from chronomig import output
from chronomig.commands.migrate import reporter_for
from chronomig.commands.questions import Consent, can_ask, consent, danger_of, guard_data
from chronomig.config import Order
from chronomig.errors import ChronomigError
from chronomig.git.repo import Head, Repository
from chronomig.planning.plan import OutOfOrderRefused
from chronomig.project import Project
from chronomig.running.migrator import Choices, Journey, load_journeys, migrate
from chronomig.switching import (
    Destination,
    find_destination,
    first_half,
    plan_switch,
    refuse_what_git_would,
    where_they_stand,
)

QUIET_HOOKS = {"CHRONOMIG_SWITCHING": "1"}
"""Tells chronomig's own hooks that this command looks after the databases."""


class Stopped(ChronomigError):
    """A step failed; knows where tree and databases stand, and how to go on or back."""

    def __init__(
        self, error: ChronomigError, there: Destination, git: Repository, journeys: Sequence[Journey], ways: str
    ) -> None:
        here = git.head.branch or git.head.commit[:12]
        stand = "\n".join(f"  {line}" for line in where_they_stand(journeys))
        super().__init__(
            f"The switch to {there.name} stopped. {error.fact}",
            cause="\n".join(filter(None, [error.cause, f"The tree is at {here}. The databases:", stand])),
            next_step=f"{error.next_step} {ways}".strip(),
        )
        self.exit_code = error.exit_code


def run(
    project: Project,
    *,
    branch: str | None,
    start: str | None = None,
    create: bool = False,
    detach: bool = False,
    dry_run: bool = False,
    allow_data_loss: bool = False,
    allow_data_loss_in: Sequence[str] = (),
    interactive: bool = True,
    order: Order | None = None,
    stash: bool = True,
    settings: str | None = None,
    environment: Mapping[str, str],
    verbosity: int = 1,
) -> int:
    """
    Plan both halves and show them, roll back, let git switch, apply in a fresh process; return the exit code.

    *environment* is what the fresh process gets: the one that this process was started with.
    """
    git = project.trees.repository
    origin = git.head
    there = find_destination(git, branch, start, create=create, detach=detach)
    refuse_what_git_would(git, there)
    choices = Choices(
        order=order,
        stash=project.stash_limits(stash),
        wait_seconds=project.config.database_timeout,
        verbosity=verbosity,
        interactive=interactive,
    )
    journeys = plan_all(project, choices, there, git)
    halves, down = first_half(journeys, choices)
    prepared = load_journeys(halves, down)
    if verbosity or dry_run:
        show(journeys, there)
    if dry_run:
        return 0
    found = [danger_of(half, steps, down) for half, steps in zip(halves, prepared, strict=True)]
    agreed = consent(project, allow_data_loss, allow_data_loss_in, ask=can_ask(interactive=interactive))
    guard_data([one for one in found if one], agreed)
    refuse_what_git_would(git, there)
    move(git, there, journeys, halves, down)
    if not any(journey.plan.ups or journey.adoptable or journey.record.renamed for journey in journeys):
        return 0
    arguments = options_for_rest(journeys, choices, agreed, interactive=interactive, settings=settings)
    code = apply_rest(project, arguments, environment)
    if code:
        raise not_applied(code, there, git, journeys, origin)
    return 0


def options_for_rest(
    journeys: Sequence[Journey], choices: Choices, agreed: Consent, *, interactive: bool, settings: str | None
) -> list[str]:
    """Return the options of migrate that say what was chosen here; what only goes down may not be there any more."""
    going_up = [journey.database.alias for journey in journeys if journey.plan.ups]
    stashes = choices.stash is not None and choices.stash.puts_aside
    options = ["--verbosity", str(choices.verbosity), "--stash" if stashes else "--no-stash"]
    options += ["--no-input"] * (not interactive) + ["--allow-data-loss"] * agreed.to_losses
    options += [part for alias in agreed.by_name if alias in going_up for part in ("--allow-data-loss-in", alias)]
    options += ["--order", choices.order.value] if choices.order else []
    return [*options, "--settings", settings] if settings else options


def plan_all(project: Project, choices: Choices, there: Destination, git: Repository) -> list[Journey]:
    """Plan the whole way of every database; raise what refuses a plan."""
    try:
        return [
            plan_switch(database, choices, there, git, project.is_own) for database in project.choose_databases(())
        ]
    except OutOfOrderRefused as refused:
        refused.offer(f"chronomig switch {shlex.quote(there.name)}")
        raise


def show(journeys: Sequence[Journey], there: Destination) -> None:
    """Print both halves in the order in which they come."""
    for journey in journeys:
        for step in journey.plan.downs:
            output.say(f"  down   {step.name}{output.code_of(step, journey)}  ({journey.database.alias})")
    output.say(f"  git switch {' '.join(there.arguments)}")
    for journey in journeys:
        for step in journey.plan.ups:
            output.say(f"  up     {step.name}  ({journey.database.alias})")
        for name in journey.plan.missing:
            output.say(f"  stays  {name}  ({journey.database.alias}; its code is nowhere)")


def move(
    git: Repository, there: Destination, journeys: Sequence[Journey], halves: Sequence[Journey], choices: Choices
) -> None:
    """Undo in every database what the destination does not have, then let git switch; raise Stopped."""
    try:
        for half in halves:
            roll_back(half, choices)
        said = git.switch(there.arguments, QUIET_HOOKS)
    except ChronomigError as error:
        ways = "The same command again finishes the switch; chronomig migrate takes the databases back."
        raise Stopped(error, there, git, journeys, ways) from error
    if choices.verbosity and said:
        output.say(said, err=True)


def roll_back(half: Journey, choices: Choices) -> None:
    reporter = reporter_for(quiet=choices.verbosity == 0)
    try:
        for _ in migrate(half, choices, reporter):
            pass
    finally:
        reporter.close()


def not_applied(code: int, there: Destination, git: Repository, journeys: Sequence[Journey], origin: Head) -> Stopped:
    """Return the error for a second half that failed in its own process."""
    failed = ChronomigError("What it has was not applied.", cause="The lines above say why.")
    failed.exit_code = code
    back = origin.branch or f"--detach {origin.commit[:12]}"
    ways = f"chronomig migrate finishes the switch; chronomig switch {back} goes back."
    return Stopped(failed, there, git, journeys, ways)


def apply_rest(project: Project, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Apply what the destination has in a process that knows only its code; return the exit code."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "chronomig", "migrate", "--ghosts", "keep", *arguments]
    done = subprocess.run(command, cwd=project.root, env=dict(environment), check=False)
    return done.returncode if done.returncode >= 0 else 1
