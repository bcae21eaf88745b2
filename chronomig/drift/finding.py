"""Find the drift of one database."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations import RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

from chronomig.drift.actual import names_of_tables, read_tables
from chronomig.drift.comparing import Difference, compare
from chronomig.drift.dialects import VENDORS
from chronomig.drift.expected import expected_tables
from chronomig.errors import DatabaseError, UsageError
from chronomig.state import ProjectState

if TYPE_CHECKING:
    from chronomig.code.loading import Loaded
    from chronomig.planning.record import Record
    from chronomig.project import Database


@dataclass(frozen=True)
class Drift:
    """What one database has that its history does not say, and the other way round."""

    alias: str
    differences: tuple[Difference, ...]
    compared: int
    """How many tables were looked at."""
    notes: tuple[str, ...] = ()
    """Why the answer may not be the whole one."""


def drift_of(database: Database) -> Drift:
    """
    Compare the schema with the state of the applied migrations; writes nothing.

    Raise UsageError for a database of another kind, DatabaseError where its schema may not be read, LoadError.
    """
    record = database.record()
    code = database.code(record, None)
    state = database.states(record, code).current
    try:
        found, compared = differences(database.connection, state)
    except DatabaseFault as error:
        raise DatabaseError(
            f"The schema of {database.alias!r} cannot be read.",
            cause=str(error).strip(),
            next_step="Connect as a user that may read every table.",
        ) from error
    there = [name for name in record.names if name in code.entries]
    own_sql = (text for name in there for text in _sql_of(database.set.loader.load(code.entries[name])))
    return Drift(database.alias, tuple(_unexplained(found, own_sql)), compared, tuple(_notes(record, there)))


def differences(connection: BaseDatabaseWrapper, state: ProjectState) -> tuple[list[Difference], int]:
    """Return what differs, by table and column, and how many tables were looked at. Raise UsageError."""
    if connection.vendor not in VENDORS:
        raise UsageError(
            f"The schema of {connection.alias!r} cannot be compared.",
            cause=f"Known are {', '.join(VENDORS)}, not {connection.vendor}.",
        )
    dialect = VENDORS[connection.vendor](connection)
    wanted = {_folded(table.name): table for table in expected_tables(connection, dialect, state)}
    there = {_folded(name): name for name in names_of_tables(connection)}
    found = [Difference(table.name, "table is missing") for key, table in wanted.items() if key not in there]
    for actual in read_tables(connection, dialect, [name for key, name in there.items() if key in wanted]):
        found += compare(wanted[_folded(actual.name)], actual)
    return sorted(found, key=lambda one: (one.table, one.column)), len(wanted)


def _folded(name: str) -> str:
    return name.strip('"`').lower()


def _unexplained(found: Iterable[Difference], own_sql: Iterable[str]) -> Iterator[Difference]:
    """Leave out what is there because a migration's own SQL made it: a state does not tell of that."""
    found = list(found)
    if not any(one.extra for one in found):
        return iter(found)
    words = {word.lower() for text in own_sql for word in re.findall(r"\w+", text)}
    return (one for one in found if one.extra.lower() not in words)


def _sql_of(loaded: Loaded) -> Iterator[str]:
    return (text for _, operation in loaded.operations for text in _statements(operation))


def _statements(operation: Operation) -> Iterator[str]:
    if isinstance(operation, SeparateDatabaseAndState):
        for one in operation.database_operations:
            yield from _statements(one)
    elif isinstance(operation, RunSQL):
        statements = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
        yield from (one if isinstance(one, str) else str(one[0]) for one in statements)


def _notes(record: Record, there: Collection[str]) -> Iterator[str]:
    for name in record.half_done.names if record.half_done else ():
        yield f"{name} is half done: what it changed so far counts as different."
    for name in record.names:
        if name not in there:
            yield f"{name} is applied, but has no file: what it changed counts as different."
