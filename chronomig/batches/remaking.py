"""
A table of SQLite, remade once for several operations.

SQLite alters next to nothing in place: Django makes a new table, copies the rows, drops the old one and renames the
new one, for every operation. Here each operation is run on a schema editor that only takes notes; then the table is
remade once. Where that is quicker, it is remade without a rename: for a rename SQLite reads the whole schema again
(https://www.sqlite.org/lang_altertable.html), so that its price grows with the number of tables.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.apps.registry import Apps
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor
from django.db.backends.utils import strip_quotes
from django.db.models import Field, ForeignKey, Model

from chronomig.batches.batching import Group
from chronomig.batches.editing import FollowingEditor, Noted, run_deferred
from chronomig.batches.sequences import ASIDE, is_counted, put_aside, put_back
from chronomig.batches.surroundings import Surroundings, forget, has_table, look_around
from chronomig.planning.record import Direction
from chronomig.state import ProjectState, Reader, read_by

CELLS_PER_ENTRY = 100
"""
How many cells cost as much to copy once more as a rename costs for each table and index of the schema.

Measured with 50 to 15000 entries and 0 to 300000 rows: about 0.05 µs for a cell, 8 to 12 µs for an entry. Half of
what that makes, because cells can be wide.
"""

AnyField: TypeAlias = "Field[Any, Any]"


def fields_of(model: type[Model]) -> dict[str, AnyField]:
    """Return the fields that are columns of the table of *model*, in their order."""
    return {field.name: field for field in model._meta.local_concrete_fields}


class NoteTaker(DatabaseSchemaEditor):
    """Runs nothing; notes what Django's own schema editor would make of one table."""

    def __init__(self, connection: BaseDatabaseWrapper, model: type[Model]) -> None:
        super().__init__(connection, collect_sql=True)
        self.deferred_sql = []
        self.is_remade = False
        self.sources: dict[str, str | None] = {
            name: self.column_of(field)
            for name, field in fields_of(model).items()
            if not getattr(field, "generated", False)
        }
        """Name of a field -> what is copied into it, None where the column has a default of its own."""
        self.order = list(fields_of(model))
        """The names of the fields in the order of the columns."""

    def add_field(self, model: type[Model], field: AnyField) -> None:
        if field.concrete:
            self.sources[field.name] = None
            self.order.append(field.name)
        super().add_field(model, field)

    def remove_field(self, model: type[Model], field: AnyField) -> None:
        if field.concrete:
            del self.sources[field.name]
            self.order.remove(field.name)
        super().remove_field(model, field)

    def _remake_table(
        self,
        model: type[Model],
        create_field: AnyField | None = None,
        delete_field: AnyField | None = None,
        alter_fields: Sequence[tuple[AnyField, AnyField]] | None = None,
    ) -> None:
        self.is_remade = True
        fields = fields_of(model)
        if create_field is not None:
            fields[create_field.name] = create_field
            if not create_field.has_db_default():
                self.sources[create_field.name] = self.default_of(create_field)
        if delete_field is not None:
            del fields[delete_field.name]
        for old, new in alter_fields or ():
            fields[new.name] = new
            if old.null and not new.null:
                self.sources[new.name] = f"coalesce({self.column_of(old)}, {self.default_of(new)})"
        self.order = sorted(fields, key=lambda name: place_of(model, fields[name]))

    def column_of(self, field: AnyField) -> str:
        return self.quote_name(str(field.column))

    def default_of(self, field: AnyField) -> str:
        if field.has_db_default():
            return str(self.db_default_sql(field)[0])
        return str(self.prepare_default(self.effective_default(field)))


def place_of(model: type[Model], field: AnyField) -> tuple[bool, int]:
    """Return what Django's schema editor orders columns by: it mixes fields of two states in one class."""
    # Fields that refer to the model itself are copied for that, and a copy is younger than all others.
    is_copied = field.model is model and isinstance(field, ForeignKey) and field.remote_field.model is model
    return is_copied, field.creation_counter


@dataclass(frozen=True)
class Statements:
    """
    What remakes a table: nothing has to be asked any more.

    It can wait until the others are known, and then all run in a row. SQLite reads its whole schema for many of them,
    and what comes after such a statement finds the caches of the processor without anything of its own.
    """

    noted: tuple[Noted, ...]

    def run(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Remake the table, in one transaction: the rows are somewhere else in between."""
        with nullcontext() if editor.collect_sql else transaction.atomic(editor.connection.alias, savepoint=False):
            for sql, params in self.noted:
                editor.execute(sql, params)


@dataclass(frozen=True)
class Remake:
    """What a group of operations makes of its table."""

    model: type[Model]
    """As it is after them."""
    order: Sequence[str]
    sources: dict[str, str | None]
    around: Surroundings
    has_table: bool
    """Whether it is there; SQL can be asked for before it is."""

    def statements(self, editor: FollowingEditor) -> Statements:
        """Return what remakes the table; what *editor* keeps for its end is part of it."""
        with editor.noting() as noted:
            self.remake(editor)
        return Statements(tuple(noted))

    def remake(self, editor: BaseDatabaseSchemaEditor) -> None:
        aside = self.around.dependents or self.is_cheap_to_copy(editor.connection)
        counted = is_counted(editor.connection, self.model._meta.pk) and (
            self.around.has_sequences or not self.has_table
        )
        if counted:
            put_aside(editor, self.table)
        if aside:
            self.run_aside(editor)
        else:
            self.run_renaming(editor)
        run_deferred(editor)
        if counted:
            put_back(editor, self.table)

    def run_aside(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Copy the rows aside, drop the table, make it anew, copy them back."""
        quote = editor.quote_name
        aside = f"temp.{quote(self.name_with(ASIDE))}"
        columns = ", ".join(map(quote, self.copied))
        chosen = ", ".join(f"{source} AS {quote(column)}" for column, source in self.copied.items())
        editor.execute(f"CREATE TABLE {aside} AS SELECT {chosen} FROM {quote(self.table)}", None)
        self.drop(editor)
        editor.create_model(self.model_named(self.table))
        editor.execute(f"INSERT INTO {quote(self.table)} ({columns}) SELECT {columns} FROM {aside}", None)
        editor.execute(f"DROP TABLE {aside}", None)

    def run_renaming(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Make a new table, copy the rows, drop the old table, give the new one its name: what Django does."""
        quote = editor.quote_name
        new = self.model_named(self.name_with("new__"))
        columns, chosen = ", ".join(map(quote, self.copied)), ", ".join(self.copied.values())
        editor.create_model(new)
        editor.execute(
            f"INSERT INTO {quote(new._meta.db_table)} ({columns}) SELECT {chosen} FROM {quote(self.table)}", None
        )
        self.drop(editor)
        editor.alter_db_table(new, new._meta.db_table, self.table)

    def drop(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Drop the table alone, and what waits to be made on it; the tables of its many-to-many fields stay."""
        assert isinstance(editor, DatabaseSchemaEditor)
        editor.delete_model(self.model, handle_autom2m=False)

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    def name_with(self, prefix: str) -> str:
        return prefix + strip_quotes(self.table)

    @property
    def copied(self) -> dict[str, str]:
        """Column -> what is copied into it."""
        fields = fields_of(self.model)
        return {str(fields[name].column): source for name, source in self.sources.items() if source is not None}

    def is_cheap_to_copy(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether copying the rows twice costs less than a rename in a schema of this size."""
        rows = self.around.entries * CELLS_PER_ENTRY // len(self.order)
        if not self.has_table:
            return True
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(self.table)
            cursor.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {rows + 1})")
            return bool(cursor.fetchone()[0] <= rows)

    def model_named(self, table: str) -> type[Model]:
        """
        Return a class with the columns of the table and nothing else, in a registry of its own.

        Relations to itself are resolved there, to the table under its own name.
        """
        registry = RegistryOfOne()
        made = self.class_named(self.table, self.model.__name__, registry)
        return made if table == self.table else self.class_named(table, f"New{self.model.__name__}", registry)

    def class_named(self, table: str, name: str, registry: Apps) -> type[Model]:
        options = self.model._meta
        meta = {
            "app_label": options.app_label,
            "db_table": table,
            "unique_together": options.unique_together,
            "indexes": options.indexes,
            "constraints": list(options.constraints),
            "apps": registry,
        }
        body: dict[str, Any] = {"Meta": type("Meta", (), meta), "__module__": self.model.__module__}
        fields = fields_of(self.model)
        for place, field_name in enumerate(self.order):
            field = fields[field_name]
            to_itself = isinstance(field, ForeignKey) and field.remote_field.model is self.model
            body[field_name] = field.clone() if to_itself else copy.deepcopy(field)
            body[field_name].creation_counter = place
        return type(name, self.model.__bases__, body)


class RegistryOfOne(Apps):
    """
    The registry of a class that is made for one statement.

    Django's clears what all registries keep of their models (functools.cache on methods of the class), and the next
    foreign key has to walk all models of the project: 24 ms of 3000.
    """

    def clear_cache(self) -> None:
        """Nothing that is kept can change."""


def can_remake(connection: BaseDatabaseWrapper) -> bool:
    """Whether tables can be remade here. By exact type: SpatiaLite's schema editor keeps books of its own."""
    return connection.SchemaEditorClass is DatabaseSchemaEditor


def remade(editor: FollowingEditor, group: Group, direction: Direction) -> Statements | None:
    """Return the remake that does what *group* does; None where Django would not remake the table."""
    change = remake_for(editor, group, direction)
    if change is None:
        forget(editor)
        return None
    return change.statements(editor)


def remake_for(editor: FollowingEditor, group: Group, direction: Direction) -> Remake | None:
    if group.table is None:
        return None
    first, last = group.moves[0], group.moves[-1]
    begin, end = (first.before, last.after) if direction is Direction.UP else (first.after, last.before)
    notes = NoteTaker(editor.connection, model_in(begin, *group.table))
    for move in group.moves:
        move.run(notes, direction)
    if not notes.is_remade:
        return None
    model = model_in(end, *group.table)
    around, table = look_around(editor), strip_quotes(model._meta.db_table)
    if table.lower() in around.with_triggers:  # they go with the table, and no migration tells of them
        return None
    return Remake(model, notes.order, notes.sources, around, has_table(editor.connection, table))


def model_in(state: ProjectState, app_label: str, name: str) -> type[Model]:
    """Return a model as the schema editor gets it; raise LookupError."""
    with read_by(Reader.SCHEMA):
        return state.apps.get_model(app_label, name)
