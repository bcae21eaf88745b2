"""The one error handler of the command line: errors become lines and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import typer

import chronomig
from chronomig.errors import ChronomigError, ConfigError, DatabaseError


def handle_errors(run: Callable[[], object]) -> int:
    """Run the command line and return its exit code: one handler for all errors."""
    try:
        with naming_what_surrounds():
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
    finally:
        close_connections()
    return 0


def close_connections() -> None:
    """As Django's own commands do at their end: SQLite puts its log back into the file, a server hears of it."""
    if "django.db" in sys.modules:
        from django.db import Error as DatabaseFault
        from django.db import connections

        # Where nothing was connected, the settings may be anything.
        known = connections.all(initialized_only=True) if "settings" in vars(connections) else ()
        for one in known:
            if one.connection is not None:
                with suppress(DatabaseFault):
                    one.close()


@contextmanager
def naming_what_surrounds() -> Iterator[None]:
    """Turn what the system, a database or Django's settings cause, wherever it is, into errors of ours."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        leave_unwritten()
        raise ChronomigError(
            f"{error.filename or 'What was to be written'}: {error.strerror or error}.",
            next_step="Look at the disk, and at the rights of files and directories; then run the command again.",
        ) from error
    except Exception as error:
        if found := expected(error):
            raise found from error
        raise


def leave_unwritten() -> None:
    """Keep Python from writing once more at its end what cannot be written, which then decides the exit code."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def expected(error: Exception) -> ChronomigError | None:
    """Return what *error* is for a person, where it is no mistake of chronomig."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import Error as DatabaseFault
    from django.db import connections

    from chronomig.history.table import without_passwords

    if isinstance(error, ImproperlyConfigured):
        return ConfigError("Django's settings are not right.", cause=str(error), next_step="Mend the settings.")
    if isinstance(error, DatabaseFault):
        text = str(error).strip()
        for settings in connections.settings.values():
            text = without_passwords(text, settings)
        return DatabaseError("A database cannot be used.", cause=text, next_step="Check DATABASES and the server.")
    if isinstance(error, UnicodeError):
        fact = "Something that was read or is to be written is no text of this encoding."
        return ChronomigError(fact, cause=str(error), next_step="Set PYTHONUTF8=1, or mend what is named.")
    return None


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
