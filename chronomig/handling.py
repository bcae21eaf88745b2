"""The one error handler of the command line: errors become lines and exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

import typer

import chronomig
from chronomig.errors import ChronomigError


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
