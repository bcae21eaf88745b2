"""The schema editor of a migration: Django's, where SQLite's forgets, MariaDB's refuses and PostgreSQL's waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor
from django.db.models import Field, Model

from chronomig.batches.gathering import gathering, takes_several, together
from chronomig.batches.recorded import changes_rows
from chronomig.batches.sequences import is_counted, put_aside, put_back
from chronomig.batches.surroundings import has_table

Noted: TypeAlias = "tuple[str, Sequence[Any] | None]"
"""A statement and its parameters."""


class FollowingEditor(DatabaseSchemaEditor):
    """
    SQLite's, whose statements that wait follow a column to its new name, as those of Django's other editors do.

    Else the index of a field that is added and renamed in one migration names a column that is gone, and SQLite takes
    a quoted name that it does not know for a text: the index is made, and serves nothing.
    """

    noted: list[Noted] | None = None

    def execute(self, sql: Any, params: Sequence[Any] | None = ()) -> None:
        if self.noted is None:
            super().execute(sql, params)
        else:
            self.noted.append((str(sql), params))

    @contextmanager
    def noting(self) -> Iterator[list[Noted]]:
        """Run nothing inside, and give what would run."""
        self.noted = []
        try:
            yield self.noted
        finally:
            self.noted = None

    def alter_field(
        self, model: type[Model], old_field: Field[Any, Any], new_field: Field[Any, Any], strict: bool = False
    ) -> None:
        old, new = old_field.column, new_field.column
        if old and new and old != new:
            for waiting in self.deferred_sql:
                if isinstance(waiting, Statement):
                    waiting.rename_column_references(model._meta.db_table, old, new)
        super().alter_field(model, old_field, new_field, strict)

    def _remake_table(
        self,
        model: type[Model],
        create_field: Field[Any, Any] | None = None,
        delete_field: Field[Any, Any] | None = None,
        alter_fields: Sequence[tuple[Field[Any, Any], Field[Any, Any]]] | None = None,
    ) -> None:
        """Let the key count on where it was; Django's counts on behind the last row that is left."""
        coming = [create_field] if create_field is not None else [new for _, new in alter_fields or ()]
        keys = [model._meta.pk, *(field for field in coming if field.primary_key)]
        counted = all(is_counted(self.connection, key) for key in keys) and (
            self.collect_sql or has_table(self.connection, "sqlite_sequence")
        )
        if counted:
            put_aside(self, model._meta.db_table)
        super()._remake_table(model, create_field, delete_field, alter_fields)  # type: ignore[misc]
        if counted:
            put_back(self, model._meta.db_table)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """
        Roll back what failed.

        Django asks about foreign keys first, which a broken transaction does not answer, and leaves the transaction
        open when they are what failed.
        """
        try:
            if kind is None:
                self.connection.check_constraints()
        except BaseException as found:  # an interrupt is no reason to commit
            kind, error, trace = type(found), found, found.__traceback__
            raise
        finally:
            BaseDatabaseSchemaEditor.__exit__(self, kind, error, trace)
            self.connection.enable_constraint_checking()


class RowsEditor(BaseDatabaseSchemaEditor):
    """
    Comes before the schema editor of MariaDB, which refuses every statement inside a transaction.

    Those that change rows do not end it, and have to be in one with their record.
    """

    def execute(self, sql: Any, params: Sequence[Any] | None = ()) -> None:
        if self.connection.in_atomic_block and not self.collect_sql and changes_rows(str(sql)):
            with self.connection.cursor() as cursor:
                cursor.execute(str(sql), params)
        else:
            super().execute(sql, params)


def run_deferred(editor: BaseDatabaseSchemaEditor) -> None:
    """
    Run the statements that the editor keeps for its end: foreign keys and indexes, mostly.

    They are most of what a new table sends.
    """
    statements = list(editor.deferred_sql)
    editor.deferred_sql.clear()
    with together(editor):
        for statement in statements:
            editor.execute(statement, None)


def schema_editor(connection: BaseDatabaseWrapper, **options: bool) -> BaseDatabaseSchemaEditor:
    """Return what a migration's operations are run with; by exact type, as SpatiaLite has an editor of its own."""
    if connection.SchemaEditorClass is DatabaseSchemaEditor:
        return FollowingEditor(connection, **options)
    if not connection.features.can_rollback_ddl:
        made: type[RowsEditor] = type("RowsEditor", (RowsEditor, connection.SchemaEditorClass), {})
        return made(connection, **options)
    if takes_several(connection) and not options.get("collect_sql"):
        return gathering(connection.SchemaEditorClass)(connection, **options)
    return connection.schema_editor(**options)
