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
from itertools import dropwhile
from typing import Any

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AlterField, AlterUniqueTogether
from django.db.migrations.operations.base import Operation
from django.db.models import Model

from chronomig.batches.batching import Move, groups
from chronomig.batches.editing import run_deferred
from chronomig.errors import ExecutionError
from chronomig.planning.record import Direction
from chronomig.running.preparing import Prepared
from chronomig.running.way import Way
from chronomig.stash import RemovedField
from chronomig.state import ProjectState, is_opaque


class HalfMade(ExecutionError):
    """A table stands where an operation that did not finish makes one, and it is another one."""

    def __init__(self, table: str, there: Sequence[str], wanted: Sequence[str]) -> None:
        super().__init__(
            f"The table {table} is there, but not as the operation makes it.",
            cause=f"It has the columns {', '.join(there)}; the operation makes {', '.join(wanted)}.",
            next_step=f"If nothing needs it, drop it (DROP TABLE {table}), then run the same command again.",
        )


def in_effect(one: Prepared) -> int:
    """Return how many operations of a migration are recorded as in effect when it begins."""
    if one.step.resumed is not None:
        return one.step.resumed.done
    return 0 if one.is_up else len(one.loaded.operations)


def taken_up(one: Prepared, way: Way) -> int:
    """
    Return how many operations count as in effect where a migration goes on that nothing rolled back.

    In the other direction, what did not finish has to be taken up again, with all that may have run together with it:
    what is there of it is undone, or completed. Code does not: it was rolled back, or nobody can tell what is left.
    """
    half, own = one.step.resumed, one.loaded.operations
    if half is None or half.direction is one.step.direction:
        return in_effect(one)
    left = map(way.move, way.places(half.done, up=half.direction is Direction.UP))
    left_of_own = dropwhile(lambda move: move.operation is not own[move.number - 1][1], left)
    unfinished = next(groups(left_of_own, batch=True), None)
    if unfinished is None or is_opaque(unfinished.moves[0].operation):
        return half.done
    last = unfinished.moves[-1].number
    return last if half.direction is Direction.UP else last - 1


NAME = r'[`"]?([^`"\s().;]+)[`"]?'
TABLE = rf"ALTER TABLE (?:IF EXISTS )?{NAME} "
COLUMN_ADDED = rf"^{TABLE}ADD COLUMN {NAME}"
COLUMN_FILLED = rf"^UPDATE {NAME} SET {NAME} = %s$"
"""What Django does on MariaDB for a default that a column of its type cannot have: to all rows."""
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

    def has_index(self, name: str, sql: str | None = None) -> bool:
        """Whether PostgreSQL has an index of this name, on whatever table, or on one that *sql* names."""
        found = self._index(name)
        return found is not None and (sql is None or self.connection.ops.quote_name(found[1]) in sql)

    def is_valid(self, name: str) -> bool:
        return bool((self._index(name) or (False,))[0])

    def _index(self, name: str) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT indisvalid, tables.relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
                " JOIN pg_class AS tables ON tables.oid = indrelid"
                " WHERE pg_class.relname = %s AND pg_table_is_visible(pg_class.oid)",
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
    if looking.has_index(name, sql) and not looking.is_valid(name):  # what a killed CREATE INDEX CONCURRENTLY leaves
        with looking.connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY {looking.connection.ops.quote_name(name)}")
    return looking.has_index(name, sql)


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
    (COLUMN_ADDED, lambda db, names, sql: names[1] in db.columns(names[0])),
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


def run_again(editor: BaseDatabaseSchemaEditor, moves: Sequence[Move], direction: Direction) -> None:
    """Run operations that may be half there, one by one, whichever of them; those of a group have one table."""
    last, up = moves[-1], direction is Direction.UP
    with leaving_what_is_done(editor.connection):
        for move in moves:
            _run_again(editor, move, direction)
            run_deferred(editor)
        # Not before: a foreign key may have gone already with an operation that comes later.
        if isinstance(last.operation, RemovedField) or not is_opaque(last.operation):
            put_foreign_keys_back(editor, last.app_label, last.operation, last.after if up else last.before)
            run_deferred(editor)


def _run_again(editor: BaseDatabaseSchemaEditor, move: Move, direction: Direction) -> None:
    if direction is Direction.UP:
        start = start_of(editor.connection, move.app_label, move.operation, move.before)
        replace(move, before=start).run(editor, direction)
        drop_default(editor, move, move.after)
    else:
        start = start_of(editor.connection, move.app_label, move.operation, move.after)
        replace(move, after=start).run(editor, direction)
        drop_default(editor, move, move.before)


def drop_default(editor: BaseDatabaseSchemaEditor, move: Move, end: ProjectState) -> None:
    """Drop what Django makes the default of a column while it sets NOT NULL; on its way back it leaves it."""
    operation = move.operation
    if type(operation) is not AlterField:
        return
    states = [state.models[move.app_label, operation.model_name_lower] for state in (move.before, move.after)]
    model: Any = end.apps.get_model(move.app_label, operation.model_name)
    field = model._meta.get_field(operation.name)
    changes = len({one.fields[operation.name].null for one in states}) == 2 and not field.has_db_default()
    if changes and field.column in Looking(editor.connection).columns(model._meta.db_table):
        change = editor.sql_alter_column_no_default_null if field.null else editor.sql_alter_column_no_default
        table, column = editor.quote_name(model._meta.db_table), editor.quote_name(field.column)
        editor.execute(editor.sql_alter_column % {"table": table, "changes": change % {"column": column}}, None)


@contextmanager
def leaving_what_is_done(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let statements inside do nothing where what they do is done."""
    looking = Looking(connection)
    asking = False
    there = set[tuple[str, ...]]()
    """(table, column) of columns that an operation would add, and that may have been filled since."""

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
            there.update(match.groups() for match in re.finditer(COLUMN_ADDED, str(sql), re.IGNORECASE))
            return None
        if (match := re.search(COLUMN_FILLED, str(sql), re.IGNORECASE)) and match.groups() in there:
            sql = f"{sql} WHERE {connection.ops.quote_name(match[2])} IS NULL"
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
