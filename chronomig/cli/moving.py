"""typer: the commands with which projects and packages move in and out."""

from __future__ import annotations

from typing import Annotated

import typer

from chronomig.cli.options import Databases, Json, NoInput, Sets, Settings, Verbosity
from chronomig.cli.shell import done, project


def adopt(
    sets: Sets = None,
    move: Annotated[
        bool, typer.Option("--move/--copy", help="Delete the project's own migration files once they are copied.")
    ] = False,
    unsquash: Annotated[
        list[str] | None,
        typer.Option("--unsquash", metavar="APP", help="Take the migrations that APP's squashes stand for instead."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written, write nothing.")] = False,
    no_input: NoInput = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete files without asking.")] = False,
    settings: Settings = None,
    json: Json = False,
    verbosity: Verbosity = 1,
) -> None:
    """Turn a project with migrations of Django's own into a timeline."""
    from chronomig.commands import adopt as command

    done(
        command.run(
            project(settings),
            sets=sets or [],
            move=move,
            unsquash=unsquash or [],
            dry_run=dry_run,
            interactive=not no_input,
            yes=yes,
            json=json,
            verbosity=verbosity,
        )
    )


def eject(
    databases: Databases = None,
    files_only: Annotated[bool, typer.Option("--files-only", help="Leave the databases alone.")] = False,
    record_in: Annotated[
        list[str] | None,
        typer.Option(
            "--record-in",
            metavar="ALIAS",
            help="Record in this database without asking, also when it is protected; can be repeated.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written, write nothing.")] = False,
    no_input: NoInput = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Overwrite and delete files without asking.")] = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Give the project back to stock Django: migrations in its apps, and django_migrations in step."""
    from chronomig.commands import eject as command

    done(
        command.run(
            project(settings),
            databases=databases or [],
            files_only=files_only,
            record_in=record_in or [],
            dry_run=dry_run,
            interactive=not no_input,
            yes=yes,
            json=json,
        )
    )


def freeze(
    sets: Sets = None,
    without_code: Annotated[
        list[str] | None,
        typer.Option(
            "--without-code",
            metavar="NAME",
            help="A migration whose code is left out where what it needs is gone; can be repeated.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 3 when something is not recorded.")
    ] = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Record what migrations use of other packages, so that the timeline outlives them."""
    from chronomig.commands import freeze as command

    done(command.run(project(settings), sets=sets or [], without_code=without_code or [], check=check, json=json))


def vendor(
    sets: Sets = None,
    listing: Annotated[bool, typer.Option("--list", help="List every vendored file; the default.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Show what differs; exit with 3 when something does.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show how files differ from what is installed.")] = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Show where vendored migrations came from, and what is installed now."""
    from chronomig.commands import vendor as command

    everything = listing or not (check or diff)
    done(command.run(project(settings), sets=sets or [], everything=everything, check=check, diff=diff, json=json))
