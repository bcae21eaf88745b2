"""What an operation drops on its way, and what it makes room for: tables and columns."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from inspect import isfunction

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.models import Field

from chronomig.batches.batching import Move
from chronomig.effects import DESTROYING_UP, Loss, effects_of
from chronomig.planning.record import Direction
from chronomig.stash import tables
from chronomig.stash.tables import Table, query
from chronomig.state import is_opaque

OPPOSITE = {Direction.UP: Direction.DOWN, Direction.DOWN: Direction.UP}


def losses(move: Move, direction: Direction) -> Iterator[Loss]:
    """Yield what the operation drops or cuts; a column that stops to be nullable loses its NULLs."""
    up = direction is Direction.UP
    if up and not isinstance(move.operation, DESTROYING_UP):
        return
    effects = effects_of(move.operation, move.app_label, move.before)
    yield from effects.destroys if up else effects.destroys_backwards
    changed = altered(move, direction)
    if changed and changed[0].null and not changed[1].null:
        assert isinstance(move.operation, ops.AlterField)
        made = ops.AddField(move.operation.model_name, move.operation.name, changed[0])
        yield from effects_of(made, move.app_label, move.before).destroys_backwards


def places_made(move: Move, direction: Direction) -> set[tuple[str, str]]:
    """Return the (table, column), small, that the operation makes room for; the column of a table is empty."""
    return {(loss.table.lower(), (loss.column or "").lower()) for loss in losses(move, OPPOSITE[direction])}


def altered(move: Move, direction: Direction) -> tuple[Field, Field] | None:  # type: ignore[type-arg]
    """Return the field as it was and as it will be, of an operation that alters one."""
    operation = move.operation
    if not isinstance(operation, ops.AlterField):
        return None
    models = [state.models.get((move.app_label, operation.model_name_lower)) for state in (move.before, move.after)]
    fields = [model.fields[operation.name] for model in models if model and operation.name in model.fields]
    if len(fields) != 2:
        return None
    return (fields[0], fields[1]) if direction is Direction.UP else (fields[1], fields[0])


def dropped(connection: BaseDatabaseWrapper, move: Move, direction: Direction) -> Iterator[tuple[Table, str | None]]:
    """Yield (table, column) of what is in the database and would be lost; what is computed or empty is not."""
    seen = set()
    for loss in losses(move, direction):
        if (loss.table, loss.column) in seen or not tables.has_rows(connection, loss.table):
            continue
        seen.add((loss.table, loss.column))
        table = tables.read(connection, loss.table)
        if table is None:
            continue
        if loss.column is None:
            yield table, None
        for one in table.stored:
            if one.lower() == (loss.column or "").lower() and not (one in table.key and all_fit(connection, loss)):
                yield table, one


def all_fit(connection: BaseDatabaseWrapper, loss: Loss) -> bool:
    """Whether a narrower type loses nothing of what is there now."""
    if loss.column is None or (loss.longest is None and loss.between is None):
        return False
    table = connection.ops.quote_name(loss.table)
    return not query(connection, f"SELECT 1 FROM {table} WHERE {what_goes(connection, loss, loss.column)} LIMIT 1")


def what_goes(connection: BaseDatabaseWrapper, loss: Loss, name: str) -> str:
    """Return the condition that a value of the column goes, or is cut."""
    column = connection.ops.quote_name(name)
    if loss.longest is not None:
        length = "CHAR_LENGTH" if connection.vendor == "mysql" else "LENGTH"
        return f"{length}({column}) > {loss.longest}"
    if loss.between is not None:
        return f"{column} NOT BETWEEN {loss.between[0]} AND {loss.between[1]}"
    return f"{column} IS NOT NULL"


def changes_table(move: Move, name: str) -> bool:
    writes = effects_of(move.operation, move.app_label, move.before).writes
    return any(thing[:2] == ("table", name.lower()) for thing in writes)


def is_code(operation: Operation) -> bool:
    """Whether the operation may do anything on the way up."""
    if type(operation) is ops.RunPython:
        return operation.code is not ops.RunPython.noop
    return is_opaque(operation)


def fills_again(operation: Operation) -> bool:
    """Whether the operation is code that does something on the way up, and says that it has nothing to undo."""
    if type(operation) is ops.RunPython:
        return does_nothing(operation.reverse_code) and not does_nothing(operation.code)
    return type(operation) is ops.RunSQL and operation.reverse_sql == ops.RunSQL.noop and bool(operation.sql)


RETURNS_A_CONSTANT = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}


def does_nothing(code: object) -> bool:
    """Whether code is a function without anything in it: ``noop``, or one of the project's own with a docstring."""
    return isfunction(code) and all(one.opname in RETURNS_A_CONSTANT for one in dis.get_instructions(code))
