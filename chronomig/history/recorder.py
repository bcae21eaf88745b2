"""``django_migrations``, kept in step for vendored migrations, so that Django's own tools keep telling the truth."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from chronomig.history.table import is_made, open_connection, unreachable
from chronomig.planning.record import Direction


def django_applied(connection: BaseDatabaseWrapper) -> set[tuple[str, str]]:
    """Return what ``django_migrations`` records; an empty set when it is not there. Raise DatabaseError."""
    if not is_made(connection):
        return set()
    open_connection(connection)
    try:
        return set(MigrationRecorder(connection).applied_migrations())
    except DatabaseFault as error:
        raise unreachable(connection, error) from error


def ensure_django_table(connection: BaseDatabaseWrapper) -> None:
    """Create ``django_migrations`` if it is not there. Not inside a migration's transaction."""
    MigrationRecorder(connection).ensure_schema()


def keep_in_step(connection: BaseDatabaseWrapper, origins: Collection[tuple[str, str]], direction: Direction) -> None:
    """
    Record a vendored migration in ``django_migrations`` too, so that Django's own tools keep telling the truth.

    *origins* holds, besides its own, those of what it replaces: Django records them all. The table is there: Django's
    own methods would look for it in a list of all tables, once for each migration.
    """
    recorded = MigrationRecorder(connection).migration_qs
    for app, name in sorted(origins):
        if direction is Direction.DOWN:
            recorded.filter(app=app, name=name).delete()
        elif not recorded.filter(app=app, name=name).exists():
            recorded.create(app=app, name=name)


def record_in_step(connection: BaseDatabaseWrapper, origins: Iterable[tuple[str, str]]) -> None:
    """Record vendored migrations as applied in ``django_migrations``, those that are not there yet."""
    recorder = MigrationRecorder(connection)
    there = set(recorder.migration_qs.values_list("app", "name"))
    rows = [recorder.Migration(app=app, name=name) for app, name in origins if (app, name) not in there]
    recorder.migration_qs.bulk_create(rows, batch_size=500)
