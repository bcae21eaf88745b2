"""The schema editor of a migration: Django's, where SQLite's forgets, MariaDB's refuses and PostgreSQL's waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor
from django.db.models import Field, Model

from chronomig.batches.gathering import gathering, takes_several, together
from chronomig.batches.recorded import changes_rows


class FollowingEditor(DatabaseSchemaEditor):
    """
    SQLite's, whose statements that wait follow a column to its new name, as those of Django's other editors do.

    Else the index of a field that is added and renamed in one migration names a column that is gone, and SQLite takes
    a quoted name that it does not know for a text: the index is made, and serves nothing.
    """

    def alter_field(
        self, model: type[Model], old_field: Field[Any, Any], new_field: Field[Any, Any], strict: bool = False
    ) -> None:
        old, new = old_field.column, new_field.column
        if old and new and old != new:
            for waiting in self.deferred_sql:
                if isinstance(waiting, Statement):
                    waiting.rename_column_references(model._meta.db_table, old, new)
        super().alter_field(model, old_field, new_field, strict)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Roll back what failed; Django asks about foreign keys first, which a broken transaction does not answer."""
        if kind is None:
            super().__exit__(kind, error, trace)
        else:
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
