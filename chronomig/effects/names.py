"""Which table or column of the database, as it is now, a name in a later state stands for."""

from __future__ import annotations

from typing import Any

from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation

from chronomig.effects.looking import Key, View, column_of, own_table_of
from chronomig.state import ProjectState

Place = tuple[str | None, str | None]
"""(table, column) as they are now; a table without a column is the whole of it, a table None is not there yet."""
Spot = tuple[str, str | None]
"""(table, column) as a state has them."""
MOVING = (ops.CreateModel, ops.DeleteModel, ops.RenameModel, ops.AlterModelTable, ops.AlterOrderWithRespectTo)


class Names:
    """Names while operations move: nothing is renamed at first."""

    def __init__(self) -> None:
        self._tables: dict[str, str | None] = {}
        self._columns: dict[tuple[str, str], str | None] = {}

    def place(self, table: str, column: str | None = None) -> Place:
        """Return where something is in the database now; (None, None) where the operations have made it."""
        now = self._tables.get(table, table)
        if now is None or column is None:
            return now, None
        column_now = self._columns.get((now, column), column)
        return (now, column_now) if column_now else (None, None)

    def follow(self, operation: Operation, app_label: str, before: ProjectState, after: ProjectState) -> None:
        """Take note of what *operation* renames or makes on the way from one state to the other, up or down."""
        if isinstance(operation, ops.SeparateDatabaseAndState):
            return
        if not isinstance(operation, (*MOVING, FieldOperation)):
            return
        then, now = View(before, app_label), View(after, app_label)
        fields = renamed_fields(operation)
        old_key, new_key = (existing(view, names_of(operation)) for view in (then, now))
        if new_key is None:
            return
        old = places(then, old_key) if old_key else {}
        for field, spot in places(now, new_key).items():
            source = old.get(field) or old.get(fields.get(field, field))
            self._moved(spot, self.place(*source) if source else (None, None))

    def _moved(self, spot: Spot, source: Place) -> None:
        table, column = spot
        if column is None:
            self._tables[table] = source[0]
        elif (now := self._tables.get(table, table)) is not None:
            self._columns[now, column] = source[1]


def names_of(operation: Any) -> list[str]:
    """Return the names that the model of an operation has before and after it."""
    if isinstance(operation, ops.RenameModel):
        return [operation.old_name, operation.new_name]
    return [operation.model_name if isinstance(operation, FieldOperation) else operation.name]


def existing(view: View, names: list[str]) -> Key | None:
    return next((view.key(name) for name in names if view.model(view.key(name))), None)


def renamed_fields(operation: Any) -> dict[str, str]:
    """Return what a field was called on the other side."""
    if not isinstance(operation, ops.RenameField):
        return {}
    return {operation.old_name: operation.new_name, operation.new_name: operation.old_name}


def places(view: View, key: Key) -> dict[str, Spot]:
    """Return where a model is, first its table, then its fields by name."""
    if not view.is_in_database(key):
        return {}
    table = view.table(key)
    found: dict[str, Spot] = {"": (table, None)}
    for name, one in view.fields(key).items():
        if own := own_table_of(name, one, table):
            found[name] = own, None
        elif not one.many_to_many and (column := column_of(name, one)):
            found[name] = table, column
    return found
