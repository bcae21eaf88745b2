"""typer: the commands and their help. Django is imported when a command runs, not before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chronomig.cli import branching
from chronomig.cli.corrections import accept, forget, mark
from chronomig.cli.moving import adopt, eject, freeze, vendor
from chronomig.cli.options import (
    AllowDataLoss,
    AllowDataLossIn,
    Before,
    CheckOnly,
    Collapsing,
    Databases,
    DryRun,
    GhostPolicy,
    Json,
    LockRetries,
    LockTimeout,
    MoveNothing,
    NoInput,
    NoVendor,
    OneSet,
    OrderPolicy,
    Sets,
    Settings,
    SquashTo,
    SquashYes,
    Stashing,
    StatementTimeout,
    Steps,
    To,
    Update,
    Verbosity,
    Version,
    Wait,
)
from chronomig.cli.reviewing import check, prove, restamp
from chronomig.cli.shell import done, project
from chronomig.config import StashAction

app = typer.Typer(
    name="chronomig",
    help="Project-level, timestamp-ordered migrations for Django.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


for command_function in (adopt, eject, freeze, vendor):
    app.command()(command_function)


@app.callback()
def main(
    version: Version = False,
) -> None:
    """Project-level, timestamp-ordered migrations for Django."""


@app.command()
def init(
    settings: Settings = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written.")] = False,
) -> None:
    """Set a project up: write the configuration and the directory of each set."""
    from chronomig.commands import init as command

    done(command.run(Path.cwd(), settings=settings, dry_run=dry_run))


@app.command()
def makemigrations(
    sets: Sets = None,
    name: Annotated[str | None, typer.Option("--name", "-n", metavar="SLUG", help="The slug of the file.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Write a migration without operations, to fill in.")] = False,
    check: CheckOnly = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the files, write nothing.")] = False,
    no_input: NoInput = False,
    no_vendor: NoVendor = False,
    update: Update = False,
    settings: Settings = None,
    json: Json = False,
    verbosity: Verbosity = 1,
) -> None:
    """Write what changed in the models, and what reusable apps bring, as new migrations."""
    from chronomig.commands import makemigrations as command

    done(
        command.run(
            project(settings, tidy=True),
            sets=sets or [],
            name=name,
            empty=empty,
            check=check,
            dry_run=dry_run,
            interactive=not no_input,
            vendor=not no_vendor,
            update=update,
            json=json,
            verbosity=verbosity,
        )
    )


@app.command()
def migrate(
    to: To = None,
    before: Before = None,
    steps: Steps = None,
    databases: Databases = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would move, move nothing.")] = False,
    fake: Annotated[bool, typer.Option("--fake", help="Record the migrations without running them.")] = False,
    collapse: Collapsing = False,
    check: MoveNothing = False,
    no_input: NoInput = False,
    allow_data_loss: AllowDataLoss = False,
    allow_data_loss_in: AllowDataLossIn = None,
    order: OrderPolicy = None,
    stash: Stashing = None,
    ghosts: GhostPolicy = None,
    wait: Wait = None,
    lock_timeout: LockTimeout = None,
    statement_timeout: StatementTimeout = None,
    lock_retries: LockRetries = None,
    settings: Settings = None,
    json: Json = False,
    verbosity: Verbosity = 1,
) -> None:
    """Bring databases to a target: everything by default, both ways with --to."""
    from chronomig.commands import migrate as command
    from chronomig.running.collapse import Collapse

    done(
        command.run(
            project(settings),
            databases=databases or [],
            to=to,
            before=before,
            steps=steps,
            show_plan=plan,
            fake=fake,
            collapse=Collapse.INSIST if collapse else Collapse.NEVER,
            check=check,
            interactive=not no_input,
            allow_data_loss=allow_data_loss,
            allow_data_loss_in=allow_data_loss_in or [],
            order=order,
            stash=stash,
            ghosts=ghosts,
            wait_seconds=wait,
            limits=command.Limits(lock_timeout, statement_timeout, lock_retries),
            json=json,
            verbosity=verbosity,
        )
    )


@app.command()
def plan(
    to: To = None,
    before: Before = None,
    steps: Steps = None,
    databases: Databases = None,
    order: OrderPolicy = None,
    ghosts: GhostPolicy = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Show what migrate would do; the same as migrate --plan."""
    from chronomig.commands import migrate as command

    done(
        command.run(
            project(settings),
            databases=databases or [],
            to=to,
            before=before,
            steps=steps,
            order=order,
            ghosts=ghosts,
            show_plan=True,
            json=json,
        )
    )


@app.command()
def status(databases: Databases = None, settings: Settings = None, json: Json = False) -> None:
    """Show every migration, on the disk and in each database."""
    from chronomig.commands import status as command

    done(command.run(project(settings), databases=databases or [], json=json))


for look in (check, restamp, prove):
    app.command()(look)


@app.command()
def sql(
    migrations: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MIGRATION [MIGRATION]]", help="One migration, or the two ends of a range."),
    ] = None,
    database: Annotated[
        str | None, typer.Option("--database", metavar="ALIAS", help="The database whose SQL it is.")
    ] = None,
    backwards: Annotated[bool, typer.Option("--backwards", help="The SQL that undoes.")] = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Print the SQL of one migration, of a range, or of all that is pending; run nothing."""
    from chronomig.commands import sql as command

    done(
        command.run(project(settings), migrations=migrations or [], database=database, backwards=backwards, json=json)
    )


@app.command()
def snapshot(
    sets: Sets = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Write the states after the newest migrations to the disk, so that migrate need not load old files."""
    from chronomig.commands import snapshot as command

    done(command.run(project(settings), sets=sets or [], json=json))


@app.command()
def stash(
    action: Annotated[
        StashAction, typer.Argument(help="list what lies there, drop it, or restore it by hand.")
    ] = StashAction.LIST,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[NUMBER]...", help="As the list shows them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that lies there.")] = False,
    expired: Annotated[bool, typer.Option("--expired", help="What is older than stash_days.")] = False,
    databases: Databases = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    no_input: NoInput = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Show the rows that rollbacks put aside; drop them, or bring them back by hand."""
    from chronomig.commands import stash as command

    done(
        command.run(
            project(settings),
            action,
            ids=numbers or [],
            databases=databases or [],
            every=every,
            expired=expired,
            yes=yes,
            interactive=not no_input,
            json=json,
        )
    )


@app.command()
def drift(databases: Databases = None, settings: Settings = None, json: Json = False) -> None:
    """Compare the schema of each database with what its history says; exit with 3 when they differ."""
    from chronomig.commands import drift as command

    done(command.run(project(settings), databases=databases or [], json=json))


@app.command()
def squash(
    to: SquashTo,
    set_name: OneSet = None,
    dry_run: DryRun = False,
    no_input: NoInput = False,
    yes: SquashYes = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Put the first migrations of a set into one baseline that leads to the same tables."""
    from chronomig.commands import squash as command

    opened, asks = project(settings), not no_input
    done(command.run(opened, to=to, set_name=set_name, dry_run=dry_run, interactive=asks, yes=yes, json=json))


@app.command()
def history(databases: Databases = None, settings: Settings = None, json: Json = False) -> None:
    """Show every event that a database recorded."""
    from chronomig.commands import history as command

    done(command.run(project(settings), databases=databases or [], json=json))


for correction in (accept, forget, mark):
    app.command()(correction)

app.add_typer(branching.app)
