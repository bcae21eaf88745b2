"""
An operation that did not finish where no transaction held it together: what of it is there is recognised, and left.

The operation runs again. Before each of its statements the database is asked whether what the statement does is done.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AlterUniqueTogether
from django.db.migrations.operations.base import Operation
from django.db.models import Model

from chronomig.errors import ExecutionError
from chronomig.plan import Direction
from chronomig.preparing import Prepared
from chronomig.remaking import Batch, run_deferred
from chronomig.state import ProjectState, is_opaque


class HalfMade(ExecutionError):
    """A table stands where an operation that did not finish makes one, and it is another one."""

    def __init__(self, table: str, there: Sequence[str], wanted: Sequence[str]) -> None:
        super().__init__(
            f"The table {table} is there, but not as the operation makes it.",
            cause=f"It has the columns {', '.join(there)}; the operation makes {', '.join(wanted)}.",
            next_step=f"If nothing needs it, drop it (DROP TABLE {table}), then run the same command again.",
        )


def in_effect(one: Prepared, *, rolls_back: bool) -> int:
    """
    Return how many operations of a migration count as in effect when it begins.

    Where it goes on in the other direction, the operation that did not finish has to be taken up again: what is there
    of it is undone, or completed. Code does not: it was rolled back, or nobody can tell what is left of it. Where all
    operations are rolled back (*rolls_back*), nothing is.
    """
    half, count = one.step.resumed, len(one.loaded.operations)
    if half is None:
        return 0 if one.is_up else count
    if half.direction is one.step.direction or rolls_back:
        return half.done
    turned = half.done - 1 if one.is_up else half.done + 1
    unfinished = max(half.done, turned)
    known = 0 < unfinished <= count and not is_opaque(one.loaded.operations[unfinished - 1][1])
    return turned if known else half.done


NAME = r'[`"]?([^`"\s().;]+)[`"]?'
TABLE = rf"ALTER TABLE (?:IF EXISTS )?{NAME} "
Test = Callable[["Looking", Sequence[str], str], bool]


class Looking:
    """Asks a database what is there."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    def has_table(self, name: str) -> bool:
        with self.connection.cursor() as cursor:
            return name in self.connection.introspection.table_names(cursor)

    def columns(self, table: str) -> list[str]:
        if not self.has_table(table):
            return []
        with self.connection.cursor() as cursor:
            return [one.name for one in self.connection.introspection.get_table_description(cursor, table)]

    def constraints(self, table: str) -> dict[str, Any]:
        """Return {name: what Django's introspection tells} of indexes and constraints."""
        if not self.has_table(table):
            return {}
        with self.connection.cursor() as cursor:
            return dict(self.connection.introspection.get_constraints(cursor, table))

    def has_foreign_key(self, table: str, name: str) -> bool:
        return bool(self.constraints(table).get(name, {}).get("foreign_key"))

    def has_index(self, name: str) -> bool:
        """Whether PostgreSQL has an index of this name, on whatever table."""
        return bool(self._index(name))

    def is_valid(self, name: str) -> bool:
        return bool((self._index(name) or (False,))[0])

    def _index(self, name: str) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
                " WHERE relname = %s AND pg_table_is_visible(pg_class.oid)",
                [name],
            )
            return cursor.fetchone()


def _table_made(looking: Looking, names: Sequence[str], sql: str) -> bool:
    there, wanted = looking.columns(names[0]), columns_in(sql)
    if there and wanted and set(there) != set(wanted):
        raise HalfMade(names[0], there, wanted)
    return bool(there)


def _index_made(looking: Looking, names: Sequence[str], sql: str) -> bool:
    name, table = names
    if looking.connection.vendor != "postgresql":
        return name in looking.constraints(table)
    if looking.has_index(name) and not looking.is_valid(name):  # what a killed CREATE INDEX CONCURRENTLY leaves
        with looking.connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY {looking.connection.ops.quote_name(name)}")
    return looking.has_index(name)


def _index_gone(looking: Looking, names: Sequence[str], sql: str) -> bool:
    name, table = names[0], names[-1]
    if looking.connection.vendor == "postgresql":
        return not looking.has_index(name)
    return name not in looking.constraints(table)


def _key_made(looking: Looking, names: Sequence[str], sql: str) -> bool:
    wanted = re.findall(NAME, sql.rpartition("(")[2])
    keys = [one["columns"] for one in looking.constraints(names[0]).values() if one["primary_key"]]
    return wanted in keys


def _renamed(looking: Looking, names: Sequence[str], sql: str) -> bool:
    table, old, new = names
    there = looking.columns(table)
    return old != new and old not in there and new in there


EFFECTS: Sequence[tuple[str, Test]] = (
    (rf"^CREATE TABLE (?:IF NOT EXISTS )?{NAME}", _table_made),
    (rf"^DROP TABLE (?:IF EXISTS )?{NAME}", lambda db, names, sql: not db.has_table(names[0])),
    (
        rf"^(?:RENAME TABLE|ALTER TABLE) {NAME} (?:RENAME )?TO {NAME}",
        lambda db, names, sql: not db.has_table(names[0]) and db.has_table(names[1]),
    ),
    (rf"^{TABLE}ADD CONSTRAINT \S+ PRIMARY KEY", _key_made),
    (
        rf"^{TABLE}DROP PRIMARY KEY",
        lambda db, names, sql: not any(one["primary_key"] for one in db.constraints(names[0]).values()),
    ),
    (rf"^{TABLE}ADD COLUMN {NAME}", lambda db, names, sql: names[1] in db.columns(names[0])),
    (rf"^{TABLE}DROP COLUMN {NAME}", lambda db, names, sql: names[1] not in db.columns(names[0])),
    (rf"^{TABLE}(?:RENAME COLUMN|CHANGE) {NAME} (?:TO )?{NAME}", _renamed),
    # MariaDB keeps the index of a foreign key that is dropped, under the same name.
    (rf"^{TABLE}ADD CONSTRAINT {NAME} FOREIGN KEY", lambda db, names, sql: db.has_foreign_key(names[0], names[1])),
    (rf"^{TABLE}DROP FOREIGN KEY {NAME}", lambda db, names, sql: not db.has_foreign_key(names[0], names[1])),
    (rf"^{TABLE}ADD CONSTRAINT {NAME}", lambda db, names, sql: names[1] in db.constraints(names[0])),
    (
        rf"{TABLE}DROP (?:CONSTRAINT|INDEX|KEY|CHECK) (?:IF EXISTS )?{NAME}",
        lambda db, names, sql: names[1] not in db.constraints(names[0]),
    ),
    (
        rf"^{TABLE}RENAME INDEX {NAME} TO {NAME}",
        lambda db, names, sql: names[1] not in db.constraints(names[0]) and names[2] in db.constraints(names[0]),
    ),
    (
        rf"^ALTER INDEX {NAME} RENAME TO {NAME}",
        lambda db, names, sql: not db.has_index(names[0]) and db.has_index(names[1]),
    ),
    (rf"^CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?{NAME} ON {NAME}", _index_made),
    (rf"^DROP INDEX (?:CONCURRENTLY )?(?:IF EXISTS )?{NAME}(?: ON {NAME})?", _index_gone),
)
"""
What the statements of schema editors do, and how to see that it is done.

The others can be run again: MODIFY, ALTER COLUMN, COMMENT, UPDATE.
"""


def is_done(looking: Looking, sql: str) -> bool:
    """Whether the database shows what the statement does; False for statements that tell nothing. Raise HalfMade."""
    for pattern, test in EFFECTS:
        if match := re.search(pattern, sql, re.IGNORECASE):
            return test(looking, [name for name in match.groups() if name is not None], sql)
    return False


def columns_in(sql: str) -> list[str]:
    """Return the names of the columns that a CREATE TABLE of a schema editor makes."""
    inside, depth, parts = sql.partition("(")[2], 0, [""]
    for letter in inside:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [match[1] for part in parts if (match := re.match(r'\s*[`"]([^`"]+)[`"] ', part))]


def run_again(
    connection: BaseDatabaseWrapper, editor: BaseDatabaseSchemaEditor, part: Batch, direction: Direction
) -> None:
    """Run an operation that may be half there."""
    if connection.vendor == "sqlite":  # there it has a transaction of its own
        part.run(editor, direction)
        return
    (move,) = part.moves
    up = direction is Direction.UP
    start, end = (move.before, move.after) if up else (move.after, move.before)
    start = start_of(connection, move.app_label, move.operation, start)
    with leaving_what_is_done(connection):
        replace(move, before=start if up else end, after=end if up else start).run(editor, direction)
        run_deferred(editor)
        if not is_opaque(move.operation):
            put_foreign_keys_back(editor, move.app_label, move.operation, end)
            run_deferred(editor)


@contextmanager
def leaving_what_is_done(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let statements inside do nothing where what they do is done."""
    looking = Looking(connection)
    asking = False

    def done(sql: str) -> bool:
        nonlocal asking
        asking = True
        try:
            return is_done(looking, sql)
        finally:
            asking = False

    def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if asking:
            return execute(sql, params, many, context)
        if done(str(sql)):
            return None
        try:
            return execute(sql, params, many, context)
        except DatabaseFault:
            # The server may have been at it still, for the process that was killed.
            if connection.in_atomic_block and connection.features.can_rollback_ddl:
                raise
            if not done(str(sql)):
                raise
            return None

    with connection.execute_wrapper(wrapper):
        yield


def start_of(
    connection: BaseDatabaseWrapper, app_label: str, operation: Operation, start: ProjectState
) -> ProjectState:
    """
    Return the state from which *operation* goes on.

    Django finds the constraint of a unique_together by its columns, and fails when it is gone already.
    """
    if type(operation) is not AlterUniqueTogether:
        return start
    model = start.apps.get_model(app_label, operation.name)
    found = Looking(connection).constraints(model._meta.db_table).values()
    unique = [one["columns"] for one in found if one["unique"]]
    there = {names for names in model._meta.unique_together if columns_of(model, names) in unique}
    return start.after(app_label, AlterUniqueTogether(operation.name, there))


def columns_of(model: type[Model], names: Sequence[str]) -> list[str]:
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    return [field.column for field in fields]


def put_foreign_keys_back(
    editor: BaseDatabaseSchemaEditor, app_label: str, operation: Operation, end: ProjectState
) -> None:
    """
    Make the foreign keys that *operation* dropped in a run before this one.

    To alter a column Django drops its foreign key, and makes it anew at the end if it found one to drop.
    """
    for model in _concerned(app_label, operation, end):
        found = Looking(editor.connection).constraints(model._meta.db_table)
        there = [one["columns"] for one in found.values() if one["foreign_key"]]
        for field in model._meta.local_fields:
            wanted = getattr(field, "db_constraint", False) and field.remote_field is not None
            if found and wanted and [field.column] not in there:
                without = copy.copy(field)
                without.db_constraint = False  # type: ignore[attr-defined]
                editor.alter_field(model, without, field)


def _concerned(app_label: str, operation: Operation, state: ProjectState) -> list[type[Model]]:
    """Return the model of *operation*, those that refer to it, and the tables between."""
    names = (getattr(operation, name, None) for name in ("model_name", "new_name", "old_name", "name"))
    name = next((one for one in names if one and (app_label, one.lower()) in state.models), None)
    if name is None:
        return []
    model = state.apps.get_model(app_label, name)
    related = [one.related_model for one in model._meta.get_fields(include_hidden=True) if one.is_relation]
    throughs = [field.remote_field.through for field in model._meta.local_many_to_many]
    found: list[Any] = [one for one in dict.fromkeys([model, *related, *throughs]) if isinstance(one, type)]
    return [one for one in found if one._meta.managed and not one._meta.proxy]
