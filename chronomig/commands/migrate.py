"""``chronomig migrate``: bring databases to a target."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence

from chronomig import output
from chronomig.commands.targets import wanted_from
from chronomig.config import OutOfOrder, TimeoutConfig
from chronomig.errors import ChronomigError, Refused
from chronomig.executor import Failed, Result
from chronomig.migrator import Choices, Journey, Wanted, load_journey, migrate, plan_journey
from chronomig.project import Project
from chronomig.timeouts import values_for


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
    check: bool = False,
    interactive: bool = True,
    yes: bool = False,
    out_of_order: OutOfOrder | None = None,
    wait_seconds: float | None = None,
    timeouts: Mapping[str, float | None] | None = None,
    json: bool = False,
    verbosity: int = 1,
) -> int:
    """
    Plan all databases, refuse or ask, then move one after the other; return the exit code.

    *wanted* stands in for the three targets where a front door has its own way to say one. *timeouts* holds fields of
    :class:`~chronomig.config.TimeoutConfig` that were typed, for all databases.
    """
    chosen = project.choose_databases(databases)
    choices = Choices(
        wanted=wanted or wanted_from(to, before, steps, chosen),
        out_of_order=out_of_order,
        fake=fake,
        wait_seconds=project.config.database_timeout if wait_seconds is None else wait_seconds,
        timeouts={database.alias: timeouts_of(project, database.alias, timeouts or {}) for database in chosen},
        verbosity=verbosity,
        interactive=interactive,
    )
    journeys = [plan_journey(database, choices) for database in chosen]
    for database in chosen:
        values_for(database.connection, choices.timeouts[database.alias])  # refuses what a database does not have
    if show_plan or check:
        return _show(journeys, check=check, json=json)
    for journey in journeys:
        load_journey(journey, fake=fake)
    ask_about_downs(journeys, yes=yes, interactive=interactive)
    return _run_as_json(journeys, choices) if json else _run(journeys, choices, quiet=verbosity == 0)


def timeouts_of(project: Project, alias: str, typed: Mapping[str, float | None]) -> TimeoutConfig:
    """Return what is configured for a database, with what was typed in its place."""
    configured = project.config.timeouts.get(alias, TimeoutConfig())
    return configured.model_copy(update={key: value for key, value in typed.items() if value is not None})


def _show(journeys: Sequence[Journey], *, check: bool, json: bool) -> int:
    found = check and any(journey.plan or journey.adoptable for journey in journeys)
    if json:
        output.say_json("plan", databases=[output.plan_as_json(journey) for journey in journeys])
    else:
        for journey in journeys:
            output.say_plan(journey)
    return 3 if found else 0


def ask_about_downs(journeys: Sequence[Journey], *, yes: bool, interactive: bool) -> None:
    """Going down drops what the migrations made: it needs a yes. Raise Refused without one."""
    downs = [(journey.database, step) for journey in journeys for step in journey.plan.downs]
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
