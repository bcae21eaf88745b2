"""What stands around every command: the project, the exit code, the one error handler."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

import chronomig
from chronomig.errors import ChronomigError

if TYPE_CHECKING:
    from chronomig.project import Project


def project(settings: str | None) -> Project:
    """Open the project; what was imported until here stays, so that the collector need not look at it again."""
    from chronomig.project import open_project

    opened = open_project(settings_module=settings)
    deactivate_translations()
    gc.freeze()
    gc.enable()
    return opened


def deactivate_translations() -> None:
    """As Django's migrate and makemigrations do: what a migration or a receiver writes is in no user's language."""
    from django.utils import translation

    translation.deactivate_all()


def done(code: int) -> None:
    raise typer.Exit(code)


def handle_errors(run: Callable[[], object]) -> int:
    """Run the command line and return its exit code: one handler for all errors."""
    try:
        run()
    except ChronomigError as error:
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except Exception:
        traceback.print_exc()
        typer.echo(versions(), err=True)
        return 1
    return 0


def report(error: ChronomigError) -> None:
    """Tell a person on stderr, and a machine, when it asked for JSON, on stdout."""
    from chronomig import output

    if "--json" in sys.argv:
        output.say_json("error", error=output.error_as_json(error))
    output.say_error(error)


def versions() -> str:
    """Return what a report of an unexpected error needs."""
    import platform

    import django

    return (
        "This is a mistake in chronomig. Please report it with the lines above and: "
        f"chronomig {chronomig.__version__}, Django {django.__version__}, Python {platform.python_version()}, "
        f"{platform.system()}."
    )
