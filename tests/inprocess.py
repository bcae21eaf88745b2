"""Django in the process of the tests, and operations run on a real database between two states."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import django
from django.apps import apps
from django.db import connections

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.code.loading import Labelled
    from chronomig.state import ProjectState

VARIABLE = "DJANGO_SETTINGS_MODULE"


def set_up_django() -> None:
    """Set Django up once; the environment, which other tests hand to their projects, stays as it was."""
    with suppress(ImportError):
        import pymysql

        pymysql.install_as_MySQLdb()
    if apps.ready:
        return
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "tests.settings"
    try:
        django.setup()
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before


@contextmanager
def connected(entry: Mapping[str, Any], alias: str = "random") -> Iterator[BaseDatabaseWrapper]:
    """Give a connection to the database of an entry of DATABASES, known to Django by its alias."""
    configured = connections.configure_settings({"default": connections.settings["default"], alias: dict(entry)})
    connections.settings[alias] = configured[alias]
    connection = connections[alias]
    try:
        yield connection
    finally:
        connection.close()
        del connections[alias]
        del connections.settings[alias]


def states_along(first: ProjectState, operations: Sequence[Labelled]) -> list[ProjectState]:
    """Return the states before, between and after *operations*."""
    states = [first]
    for label, operation in operations:
        states.append(states[-1].after(label, operation))
    return states


def apply(
    connection: BaseDatabaseWrapper, first: ProjectState, operations: Sequence[Labelled], *, atomic: bool = True
) -> ProjectState:
    """Run *operations* in one transaction, the editor's own if *atomic*; return the state after them."""
    from chronomig.state import run_forwards

    state = first
    with connection.schema_editor(atomic=atomic) as editor:
        for label, operation in operations:
            after = state.after(label, operation)
            run_forwards(operation, label, editor, state, after)
            state = after
    return state


def undo(connection: BaseDatabaseWrapper, first: ProjectState, operations: Sequence[Labelled]) -> None:
    """Undo *operations*, which were applied from *first* on, in one transaction."""
    from chronomig.state import run_backwards

    states = states_along(first, operations)
    with connection.schema_editor(atomic=True) as editor:
        for index in reversed(range(len(operations))):
            label, operation = operations[index]
            run_backwards(operation, label, editor, states[index], states[index + 1])


def drop_everything(connection: BaseDatabaseWrapper) -> None:
    """Drop every table, so that one database serves many examples."""
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DROP SCHEMA public CASCADE")
            cursor.execute("CREATE SCHEMA public")
            return
        for table in connection.introspection.table_names(cursor):
            if table != "sqlite_sequence":
                cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)}")
