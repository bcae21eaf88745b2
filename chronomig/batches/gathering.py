"""
Statements that go to PostgreSQL together.

Nobody looks at the outcome of a statement that changes the schema. Sent alone, each waits for its answer, and others
wait meanwhile for what the transaction has locked already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

BETWEEN = "\n;\n"
"""What joins statements; the last line of one may be a comment."""
AT_MOST = 100
"""As many statements go in one message; the server holds all of them until the last is done."""


class GatheringEditor(BaseDatabaseSchemaEditor):
    """Comes before the schema editor of PostgreSQL; see :func:`together`."""

    def __init__(self, connection: BaseDatabaseWrapper, **options: bool) -> None:
        super().__init__(connection, **options)
        self.gathers = False
        self.waiting: list[str] = []

    def execute(self, sql: Any, params: Sequence[Any] | None = ()) -> None:
        if not self.gathers:
            super().execute(sql, params)
            return
        ops: Any = self.connection.ops
        self.waiting.append(str(sql) if params is None else ops.compose_sql(str(sql), params))
        if len(self.waiting) == AT_MOST:
            self.send()

    def send(self) -> None:
        """Run what waits."""
        statements, self.waiting = self.waiting, []
        if statements:
            super().execute(BETWEEN.join(statements), None)

    def send_first(self, execute: Any, *statement: Any) -> Any:
        """Wrap the statements of a connection: each finds what was to run before it."""
        self.send()
        return execute(*statement)


@contextmanager
def together(editor: BaseDatabaseSchemaEditor) -> Iterator[None]:
    """
    Let what *editor* executes wait inside, if it can: until the database is asked something, or the end.

    Where no transaction holds the statements together, each runs at once. Of what goes wrong nobody knows which
    operation it is.
    """
    if not isinstance(editor, GatheringEditor) or editor.gathers or not editor.connection.in_atomic_block:
        yield
        return
    editor.gathers = True
    try:
        with editor.connection.execute_wrapper(editor.send_first):
            yield
            editor.send()
    finally:
        editor.gathers = False
        editor.waiting.clear()


def gathers(editor: BaseDatabaseSchemaEditor) -> bool:
    """Whether what *editor* executes waits."""
    return isinstance(editor, GatheringEditor) and editor.gathers


def stop_gathering(editor: BaseDatabaseSchemaEditor) -> None:
    """Run what waits, and at once what comes until the end of :func:`together`."""
    if isinstance(editor, GatheringEditor):
        editor.send()
        editor.gathers = False


def takes_several(connection: BaseDatabaseWrapper) -> bool:
    """
    Whether several statements can be sent as one.

    Other editors than Django's own may do something about each. A prepared statement is a single one.
    """
    own = connection.SchemaEditorClass.__module__ == "django.db.backends.postgresql.schema"
    return own and not connection.settings_dict["OPTIONS"].get("server_side_binding")


@cache
def gathering(editor: type[BaseDatabaseSchemaEditor]) -> type[GatheringEditor]:
    """Return *editor* as one that can gather."""
    return type("GatheringEditor", (GatheringEditor, editor), {})
