"""typer: the commands that look at migrations before they are merged."""

from __future__ import annotations

from typing import Annotated

import typer

from chronomig.cli.options import Base, Drifting, Format, Json, Prove, Sets, Settings
from chronomig.cli.shell import done, project
from chronomig.config import CheckFormat


def check(
    base: Base = None,
    sets: Sets = None,
    drifting: Drifting = None,
    prove_: Prove = False,
    format: Format = CheckFormat.TEXT,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Find what should not be merged: clashes with the base, edited files, missing migrations; exit with 3."""
    from chronomig.commands import check as command

    done(
        command.run(
            project(settings),
            base=base,
            sets=sets or [],
            databases=drifting or [],
            prove=prove_,
            format=format,
            json=json,
        )
    )


def restamp(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="By default all that only this branch has.")
    ] = None,
    base: Base = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be renamed.")] = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Give migrations newer stamps, behind those of the base; refuse what a database or the base has."""
    from chronomig.commands import restamp as command

    done(command.run(project(settings), names=names or [], base=base, sets=sets or [], dry_run=dry_run, json=json))


def prove(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="By default what only this branch has, or the newest file."),
    ] = None,
    base: Base = None,
    sets: Sets = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Apply, undo and apply migrations again on a scratch database with rows; exit with 3 when something is lost."""
    from chronomig.commands import prove as command

    done(command.run(project(settings), names=names or [], base=base, sets=sets or [], json=json))
