"""
Columns that may not be NULL and have no default, on the way back to them.

Django cannot undo their removal where there are rows: the stash has their values, and rows that were made meanwhile
have none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import operations as ops
from django.db.models import Field, Model

from chronomig.batches.batching import Move
from chronomig.effects.narrowing import TEXT, WIDTH
from chronomig.stash.tables import execute, has_rows, plural, query
from chronomig.state import run_backwards

EMPTY: dict[str, object] = {
    **dict.fromkeys(TEXT, ""),
    **dict.fromkeys((*WIDTH, "FloatField", "DecimalField"), 0),
    "BooleanField": False,
}
"""By type of field: what a column says where nobody said anything, as MariaDB has it."""


class NoValue(Exception):
    """Rows need a value that nobody can tell."""


class RemovedField(ops.RemoveField):
    """
    A RemoveField that is undone where there are rows: the column may be NULL until *fill* was called.

    Runs Django's own operations, between the states of *move*.
    """

    def __init__(self, move: Move, fill: Callable[[Move, type[Model]], None]) -> None:
        assert isinstance(move.operation, ops.RemoveField)
        super().__init__(move.operation.model_name, move.operation.name)
        self.move = move
        self.fill = fill

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        before, after = self.move.before, self.move.after
        remove = ops.RemoveField(self.model_name, self.name)
        if not has_rows(schema_editor.connection, after.apps.get_model(app_label, self.model_name)._meta.db_table):
            run_backwards(remove, app_label, schema_editor, before, after)
            return
        nullable = removed_field(self.move).clone()
        nullable.null = True
        alter = ops.AlterField(self.model_name, self.name, nullable)
        between = before.after(app_label, alter)
        run_backwards(remove, app_label, schema_editor, between, after)
        self.fill(self.move, between.apps.get_model(app_label, self.model_name))
        run_backwards(alter, app_label, schema_editor, before, between)


def removed_field(move: Move) -> Field[Any, Any]:
    """Return the field that a RemoveField removes."""
    operation = move.operation
    assert isinstance(operation, ops.RemoveField)
    found: Field[Any, Any] = move.before.models[move.app_label, operation.model_name_lower].fields[operation.name]
    return found


def needs_value(field: Field[Any, Any]) -> bool:
    """Whether each row needs a value of its own, because nothing says what stands where nobody said anything."""
    computed = field.primary_key or field.many_to_many or getattr(field, "generated", False)
    return not (field.null or computed or field.has_default() or field.has_db_default())


def fill_gaps(connection: BaseDatabaseWrapper, model: type[Model], name: str) -> str:
    """Fill in where the column is NULL; return a note of it, empty where there was nothing. Raise NoValue."""
    field: Any = model._meta.get_field(name)
    table, column = map(connection.ops.quote_name, (model._meta.db_table, field.column))
    ((rows,),) = query(connection, f"SELECT COUNT(*) FROM {table} WHERE {column} IS NULL")
    if not rows:
        return ""
    place = f"{model._meta.db_table}.{field.column}"
    if field.get_internal_type() not in EMPTY:
        them = "it" if rows == 1 else "them"
        raise NoValue(
            f"{plural(rows)} {'has' if rows == 1 else 'have'} no value for {place}, which may not be NULL and has "
            f"no default: delete {them}, or give {them} one."
        )
    value = EMPTY[field.get_internal_type()]
    stored = field.get_db_prep_save(value, connection)
    execute(connection, f"UPDATE {table} SET {column} = %s WHERE {column} IS NULL", [stored])
    return f"filled in {place}: {plural(rows)} without a value got {value!r}"
