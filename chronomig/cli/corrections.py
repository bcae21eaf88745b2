"""typer: the commands that correct what the history says."""

from __future__ import annotations

from typing import Annotated

import typer

from chronomig.cli.options import Databases, Json, NoInput, Settings
from chronomig.cli.shell import done, project
from chronomig.config import Mark

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Migrations, or the beginnings of their names.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A migration, or the beginning of its name.")]


def accept(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Migrations, or the beginnings of their names.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every migration that was edited.")] = False,
    databases: Databases = None,
    yes: Yes = False,
    no_input: NoInput = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Let edited files stand for what was applied: record the hashes that they have now."""
    from chronomig.commands import accept as command

    opened = project(settings)
    chosen = databases or []
    done(
        command.run(opened, names or [], databases=chosen, every=every, yes=yes, interactive=not no_input, json=json)
    )


def forget(
    names: Names,
    databases: Databases = None,
    yes: Yes = False,
    no_input: NoInput = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Record that migrations without a file are not applied; run nothing."""
    from chronomig.commands import forget as command

    opened = project(settings)
    done(command.run(opened, names, databases=databases or [], yes=yes, interactive=not no_input, json=json))


def mark(
    name: Name,
    as_what: Annotated[Mark, typer.Argument(help="What the history shall say.")],
    databases: Databases = None,
    yes: Yes = False,
    no_input: NoInput = False,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Record that a migration is applied, or that it is not; run nothing."""
    from chronomig.commands import mark as command

    opened = project(settings)
    done(command.run(opened, name, as_what, databases=databases or [], yes=yes, interactive=not no_input, json=json))
