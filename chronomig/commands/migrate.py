"""``chronomig migrate``: bring databases to a target."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from chronomig import output
from chronomig.commands.ghosts import decide
from chronomig.commands.questions import can_ask, consent, danger_of, guard_data, losses_of, plan_all
from chronomig.commands.targets import wanted_from
from chronomig.config import DatabaseConfig, Ghosts, Order, TimeoutConfig
from chronomig.errors import ChronomigError, UsageError
from chronomig.project import Project
from chronomig.running.collapse import Collapse
from chronomig.running.losses import CountedLoss
from chronomig.running.migrator import Choices, Journey, Wanted, load_journey, load_journeys, migrate
from chronomig.running.results import Failed, Result


class Limits(NamedTuple):
    """What was typed in place of what is configured, see :class:`~chronomig.config.TimeoutConfig`."""

    lock_timeout: float | None = None
    statement_timeout: float | None = None
    lock_retries: int | None = None


NO_LIMITS = Limits()


def run(
    project: Project,
    *,
    databases: Sequence[str] = (),
    to: str | None = None,
    before: str | None = None,
    steps: int | None = None,
    wanted: Wanted | None = None,
    show_plan: bool = False,
    fake: bool = False,
    collapse: Collapse = Collapse.NEVER,
    check: bool = False,
    interactive: bool = True,
    allow_data_loss: bool = False,
    allow_data_loss_in: Sequence[str] = (),
    order: Order | None = None,
    stash: bool | None = None,
    ghosts: Ghosts | None = None,
    wait_seconds: float | None = None,
    limits: Limits = NO_LIMITS,
    json: bool = False,
    verbosity: int = 1,
) -> int:
    """
    Plan all databases, refuse or ask, then move one after the other; return the exit code.

    *wanted* stands in for the three targets where a front door has its own way to say one.
    """
    refuse_fake_collapse(fake, collapse)
    has_target = wanted is not None or any(option is not None for option in (to, before, steps))
    refuse_ghosts_with_target(ghosts, has_target)
    chosen = project.choose_databases(databases)
    choices = Choices(
        wanted=wanted or wanted_from(to, before, steps, chosen),
        order=order,
        fake=fake,
        stash=project.stash_limits(stash),
        collapse=collapse,
        wait_seconds=project.config.database_timeout if wait_seconds is None else wait_seconds,
        timeouts={database.alias: timeouts_of(project, database.alias, limits) for database in chosen},
        verbosity=verbosity,
        interactive=interactive,
    )
    moves = not (show_plan or check)
    ask = moves and not json and can_ask(interactive=interactive)
    records = [(database, database.record()) for database in chosen]
    if not has_target:
        choices = decide(records, choices, ghosts or project.config.ghosts, may_ask=ask)
    journeys, choices = plan_all(records, choices, command=typed(to, before, steps, databases), ask=ask)
    if not moves:
        return _show(journeys, choices, check=check, counts=show_plan, json=json)
    prepared = load_journeys(journeys, choices)
    if not fake:
        found = (danger_of(journey, steps, choices) for journey, steps in zip(journeys, prepared, strict=True))
        guard_data([one for one in found if one], consent(project, allow_data_loss, allow_data_loss_in, ask=ask))
    return _run_as_json(journeys, choices) if json else _run(journeys, choices, quiet=verbosity == 0)


def timeouts_of(project: Project, alias: str, typed: Limits) -> TimeoutConfig:
    """Return what is configured for a database, with what was typed in its place."""
    configured = project.config.databases.get(alias, DatabaseConfig())
    return replace(configured, **{key: value for key, value in typed._asdict().items() if value is not None})


def refuse_fake_collapse(fake: bool, collapse: Collapse) -> None:
    if fake and collapse is Collapse.INSIST:
        raise UsageError(
            "--collapse and --fake exclude each other.",
            cause="A faked migration runs nothing that could be collapsed.",
            next_step="Leave one of them out.",
        )


def _show(journeys: Sequence[Journey], choices: Choices, *, check: bool, counts: bool, json: bool) -> int:
    """Print the plans, with what they destroy where that *counts*."""
    found = check and any(journey.plan or journey.adoptable or journey.record.renamed for journey in journeys)
    shown = [(journey, _losses(journey, choices) if counts else []) for journey in journeys]
    if json:
        output.say_json("plan", databases=[_as_json(journey, losses) for journey, losses in shown])
    else:
        for journey, losses in shown:
            output.say_plan(journey, losses)
    return 3 if found else 0


def _losses(journey: Journey, choices: Choices) -> list[CountedLoss]:
    """Return what a run would destroy; a database that has nothing has nothing to lose, and no file is loaded."""
    if choices.fake or not (journey.record.applied or journey.record.half_done):
        return []
    return losses_of(journey, load_journey(journey, choices), choices)


def _as_json(journey: Journey, losses: Sequence[CountedLoss]) -> dict[str, object]:
    return {**output.plan_as_json(journey), "losses": [output.loss_as_json(one) for one in losses]}


def typed(to: str | None, before: str | None, steps: int | None, databases: Sequence[str]) -> list[str]:
    """Return the command that was given, to be typed again with another choice."""
    targets = [("--to", to), ("--before", before), ("--steps", steps)]
    options = [(option, str(value)) for option, value in targets if value is not None]
    options += [("--database", alias) for alias in databases]
    return ["chronomig", "migrate", *(part for option in options for part in option)]


def refuse_ghosts_with_target(ghosts: Ghosts | None, has_target: bool) -> None:
    if ghosts is not None and has_target:
        raise UsageError(
            "--ghosts has no meaning with a target.",
            cause="A target says of every migration whether it shall be applied, with or without a file.",
            next_step="Leave one of them out.",
        )


def _run(journeys: Sequence[Journey], choices: Choices, *, quiet: bool) -> int:
    for journey in journeys:
        if not quiet:
            output.say(output.heading(journey.database))
            for name in journey.plan.missing:
                output.say(f"  stays     {name}  (applied, but without a file)")
        reporter = reporter_for(quiet=quiet)
        try:
            moved = len(list(migrate(journey, choices, reporter)))
        finally:
            reporter.close()
        if not quiet and not moved:
            output.say("  nothing to do")
    return 0


def reporter_for(*, quiet: bool) -> output.PlainReporter:
    """Return the reporter that suits where the output goes."""
    if quiet or not (output.is_terminal(sys.stdout) and output.is_terminal(sys.stderr)):
        return output.PlainReporter(quiet=quiet)
    from chronomig.output import terminal  # rich costs start-up time

    return terminal.ProgressReporter()


def _run_as_json(journeys: Sequence[Journey], choices: Choices) -> int:
    """One object at the end, whatever happens; what receivers print goes to stderr."""
    moved: list[list[Result]] = []
    failure: ChronomigError | None = None
    reporter = output.PlainReporter(quiet=True)
    with contextlib.redirect_stdout(sys.stderr):
        for journey in journeys:
            moved.append([])
            try:
                for result in migrate(journey, choices, reporter):
                    moved[-1].append(result)
            except ChronomigError as error:
                failure = error
                break
    databases = [
        {**output.plan_as_json(journey), "results": [output.result_as_json(one) for one in results]}
        for journey, results in zip(journeys, moved, strict=False)
    ]
    left = [step.name for step in failure.left] if isinstance(failure, Failed) else []
    error_object = output.error_as_json(failure) if failure else None
    output.say_json("migrate", databases=databases, error=error_object, left=left)
    return failure.exit_code if failure else 0
