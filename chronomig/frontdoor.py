"""What Django's front doors share: the same command functions, behind Django's own flags."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO, cast

from django.apps import apps
from django.conf import settings
from django.core import mail
from django.core.management.base import BaseCommand, CommandError

from chronomig.errors import ChronomigError, TargetError, did_you_mean
from chronomig.opening import current_project
from chronomig.planning.record import Record
from chronomig.planning.target import Known, resolve
from chronomig.project import Database, Project
from chronomig.running.collapse import Collapse
from chronomig.running.migrator import Wanted
from chronomig.sets import MigrationSet


@contextlib.contextmanager
def speaking_django(command: BaseCommand) -> Iterator[Project]:
    """Give the project of this process; print where *command* prints, and turn errors into Django's."""
    out, err = cast(TextIO, command.stdout._out), cast(TextIO, command.stderr._out)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield current_project()
        except ChronomigError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error


def finish(code: int) -> None:
    """Leave with the exit code of a command function, where it is not 0."""
    if code:
        sys.exit(code)


def migrations_are_disabled() -> bool:
    """Whether every app is told to have no migrations, as TEST["MIGRATE"] = False and --nomigrations do."""
    modules = settings.MIGRATION_MODULES
    return all(app.label in modules and modules[app.label] is None for app in apps.get_app_configs())


def belongs_to_django(project: Project, alias: str) -> bool:
    """Whether Django's own command has to do the work: migrations are off, or the alias is unmanaged."""
    return migrations_are_disabled() or alias in project.config.unmanaged


def collapse_for(project: Project, *, run_syncdb: bool) -> Collapse:
    """
    Return whether migrations may run several at once: where a test runner builds its databases.

    It says run_syncdb (create_test_db() in django/db/backends/base/creation.py), in a test environment, which has an
    outbox (setup_test_environment() in django/test/utils.py).
    """
    for_tests = run_syncdb and hasattr(mail, "outbox")
    return Collapse.IF_EMPTY if for_tests and project.config.collapse_test_databases else Collapse.NEVER


def check_labels(labels: Sequence[str]) -> None:
    """Raise TargetError for a label that no installed app has."""
    installed = [app.label for app in apps.get_app_configs()]
    for label in labels:
        if label not in installed:
            raise TargetError(
                f"No installed app has the label {label!r}.",
                cause=did_you_mean(label, installed),
                next_step="chronomig status lists all migrations.",
            )


def names_of(migration_set: MigrationSet, app_label: str) -> list[str]:
    """Return the migrations that touch *app_label*, in order; loads them all."""
    return [
        loaded.name
        for loaded in migration_set.loader.load_all(migration_set.timeline)
        if any(label == app_label for label, _ in loaded.operations)
    ]


def wanted_for_app(app_label: str, name: str | None) -> Wanted:
    """Translate ``migrate <app_label> [<name>]``: a cut through the one order of the project."""

    def wanted(database: Database, record: Record) -> frozenset[str]:
        if name is None:
            return up_to_newest_of(app_label, database, record)
        return resolve(target_text(app_label, name, database), everything(database, record), before=name == "zero")

    return wanted


def up_to_newest_of(app_label: str, database: Database, record: Record) -> frozenset[str]:
    """``migrate <app_label>`` applies and never undoes: what is applied stays."""
    mine = names_of(database.set, app_label)
    newest = mine[-1] if mine else ""
    return frozenset((*record.names, *(name for name in database.set.timeline.names if name <= newest)))


def target_text(app_label: str, name: str, database: Database) -> str:
    """Return the target that *name* means for *app_label*; raise TargetError."""
    mine = names_of(database.set, app_label)
    if name == "zero":
        if not mine:
            raise TargetError(f"No migration of the set {database.set.name!r} touches {app_label!r}.")
        return f"name:{mine[0]}"
    if any(one.startswith(name) for one in mine):
        return f"name:{name}"
    return f"{app_label} {name}"


def everything(database: Database, record: Record) -> Known:
    return Known.of(database.set.timeline.names, record, database.set.origins)


def moved_along(database: Database, names: Sequence[str], app_label: str) -> list[str]:
    """Return those of *names* that do not touch *app_label*: they move only because the order is one."""
    mine = set(names_of(database.set, app_label))
    return [name for name in names if name not in mine]


def prune(database: Database, app_label: str) -> list[str]:
    """Delete the rows of *app_label* in django_migrations that no file of the timeline stands for."""
    from django.db.migrations.recorder import MigrationRecorder

    recorder = MigrationRecorder(database.connection)
    gone = [
        (app, name)
        for app, name in recorder.applied_migrations()
        if app == app_label and (app, name) not in database.set.origins
    ]
    for app, name in gone:
        recorder.record_unapplied(app, name)
    return [name for _, name in gone]
