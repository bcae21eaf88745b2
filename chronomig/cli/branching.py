"""typer: the commands about branches."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from chronomig.cli.options import AllowDataLoss, AllowDataLossIn, NoInput, NoStash, OrderPolicy, Settings, Verbosity
from chronomig.cli.shell import done, project

app = typer.Typer()
hooks = typer.Typer(
    no_args_is_help=True, help="Let git say when the databases and the tree differ, and ask what to do."
)
app.add_typer(hooks, name="hooks")


@app.command()
def switch(
    branch: Annotated[str | None, typer.Argument(metavar="[BRANCH]", help="A branch; - is the previous one.")] = None,
    start: Annotated[
        str | None,
        typer.Argument(metavar="[START]", help="Where a new branch starts; the current commit by default."),
    ] = None,
    create: Annotated[bool, typer.Option("--create", "-c", help="Make the branch.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Go to any ref, without a branch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show both halves, move nothing.")] = False,
    no_input: NoInput = False,
    allow_data_loss: AllowDataLoss = False,
    allow_data_loss_in: AllowDataLossIn = None,
    order: OrderPolicy = None,
    no_stash: NoStash = False,
    settings: Settings = None,
    verbosity: Verbosity = 1,
) -> None:
    """Go to another branch with all databases: roll back, git switch, apply."""
    from chronomig.commands import switch as command

    environment = dict(
        os.environ
    )  # before the project sets DJANGO_SETTINGS_MODULE, which the other branch may not have
    done(
        command.run(
            project(settings),
            branch=branch,
            start=start,
            create=create,
            detach=detach,
            dry_run=dry_run,
            allow_data_loss=allow_data_loss,
            allow_data_loss_in=allow_data_loss_in or [],
            interactive=not no_input,
            order=order,
            stash=not no_stash,
            settings=settings,
            environment=environment,
            verbosity=verbosity,
        )
    )


@hooks.command()
def install(settings: Settings = None) -> None:
    """Put a marked block into post-checkout, post-merge and post-rewrite."""
    from chronomig.commands import hooks as command

    done(command.install(project(settings)))


@hooks.command()
def uninstall(settings: Settings = None) -> None:
    """Take the blocks out again."""
    from chronomig.commands import hooks as command

    done(command.uninstall(project(settings)))


@hooks.command()
def status(settings: Settings = None) -> None:
    """Show which hooks have the block."""
    from chronomig.commands import hooks as command

    done(command.show(project(settings)))


@hooks.command()
def run(settings: Settings = None) -> None:
    """Say how the databases differ from the tree, offer to mend it on a terminal; what the hooks call."""
    from chronomig.commands import hooks as command

    done(command.run(project(settings)))
