"""``chronomig migrate``: bring databases to a target."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from chronomig import output
from chronomig.collapse import Collapse
from chronomig.commands.ghosts import Chosen, decide
from chronomig.commands.targets import wanted_from
from chronomig.config import Ghosts, OutOfOrder
from chronomig.errors import ChronomigError, Refused, UsageError
from chronomig.executor import Failed, Result
from chronomig.migrator import Choices, Journey, Wanted, load_journey, migrate, plan_journey
from chronomig.project import Project


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
    yes: bool = False,
    out_of_order: OutOfOrder | None = None,
    stash: bool = True,
    ghosts: Ghosts | None = None,
    wait_seconds: float | None = None,
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
        out_of_order=out_of_order,
        fake=fake,
        stash=project.stash_limits(puts_aside=stash),
        collapse=collapse,
        wait_seconds=project.config.database_timeout if wait_seconds is None else wait_seconds,
        verbosity=verbosity,
        interactive=interactive,
    )
    records = [(database, database.record()) for database in chosen]
    agreed: Chosen = {}
    if not has_target:
        policy, may_ask = ghosts or project.config.ghosts, interactive and not (show_plan or check or json)
        choices, agreed = decide(records, choices, policy, may_ask=may_ask)
    journeys = [plan_journey(database, choices, record) for database, record in records]
    if show_plan or check:
        return _show(journeys, check=check, json=json)
    for journey in journeys:
        load_journey(journey, choices)
    ask_about_downs(journeys, yes=yes, interactive=interactive, agreed=agreed)
    return _run_as_json(journeys, choices) if json else _run(journeys, choices, quiet=verbosity == 0)


def refuse_fake_collapse(fake: bool, collapse: Collapse) -> None:
    if fake and collapse is Collapse.INSIST:
        raise UsageError(
            "--collapse and --fake exclude each other.",
            cause="A faked migration runs nothing that could be collapsed.",
            next_step="Leave one of them out.",
        )


def _show(journeys: Sequence[Journey], *, check: bool, json: bool) -> int:
    found = check and any(journey.plan or journey.adoptable for journey in journeys)
    if json:
        output.say_json("plan", databases=[output.plan_as_json(journey) for journey in journeys])
    else:
        for journey in journeys:
            output.say_plan(journey)
    return 3 if found else 0


def refuse_ghosts_with_target(ghosts: Ghosts | None, has_target: bool) -> None:
    if ghosts is not None and has_target:
        raise UsageError(
            "--ghosts has no meaning with a target.",
            cause="A target says of every migration whether it shall be applied, with or without a file.",
            next_step="Leave one of them out.",
        )


def ask_about_downs(journeys: Sequence[Journey], *, yes: bool, interactive: bool, agreed: Chosen) -> None:
    """Going down drops what the migrations made: it needs a yes, unless *agreed*. Raise Refused without one."""
    downs = [
        (journey.database, step)
        for journey in journeys
        for step in journey.plan.downs
        if step.name not in agreed.get(journey.database.alias, ())
    ]
    if not downs or yes:
        return
    listed = "\n".join(f"  {database.alias}: {step.name}" for database, step in downs)
    what = f"{output.plural(len(downs), 'migration')} would be undone, and what only they hold is dropped"
    if interactive and sys.stdin.isatty():
        output.say(f"{what}:\n{listed}", err=True)
        if output.confirm("Continue?"):
            return
        raise Refused("Nothing was run.", cause="The question was answered with no.")
    raise Refused(f"{what}; nothing was run.", cause=listed, next_step="Add --yes to run it.")


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
    from chronomig import terminal  # rich costs start-up time

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
