"""
What SQLite counts for AUTOINCREMENT: a key that was given out once is not given out again.

Dropping a table, as every remake does, forgets which those were: https://www.sqlite.org/autoinc.html
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import strip_quotes
from django.db.models import Field

ASIDE = "aside__"


def is_counted(connection: BaseDatabaseWrapper, field: Field[Any, Any]) -> bool:
    """Whether the values of a field are those that AUTOINCREMENT counts; only a primary key's can be."""
    return "AUTOINCREMENT" in (field.db_type_suffix(connection) or "")


def put_aside(editor: BaseDatabaseSchemaEditor, table: str) -> None:
    """Keep what was counted for *table*, which is about to be dropped."""
    execute(editor, table, "UPDATE sqlite_sequence SET name = {aside} WHERE name = {own}")


def put_back(editor: BaseDatabaseSchemaEditor, table: str) -> None:
    """Count on where *table* was, which has been made anew."""
    there = "EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = {aside})"
    execute(editor, table, f"DELETE FROM sqlite_sequence WHERE name = {{own}} AND {there}")
    execute(editor, table, "UPDATE sqlite_sequence SET name = {own} WHERE name = {aside}")


def execute(editor: BaseDatabaseSchemaEditor, table: str, statement: str) -> None:
    own = strip_quotes(table)
    names = {"own": editor.quote_value(own), "aside": editor.quote_value(ASIDE + own)}
    editor.execute(statement.format(**names), None)
