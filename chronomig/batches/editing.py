"""The schema editor of a migration: Django's, but for what SQLite's forgets."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor
from django.db.models import Field, Model


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


def schema_editor(connection: BaseDatabaseWrapper, **options: bool) -> BaseDatabaseSchemaEditor:
    """Return what a migration's operations are run with; by exact type, as SpatiaLite has an editor of its own."""
    if connection.SchemaEditorClass is DatabaseSchemaEditor:
        return FollowingEditor(connection, **options)
    return connection.schema_editor(**options)
