"""
Statements of several operations on one table, joined: one ALTER TABLE with several clauses.

MariaDB and MySQL commit every statement, and many of them copy the table; PostgreSQL writes the table anew for each
change of a type, and reads it for each SET NOT NULL. Django's operations run on a schema editor that takes notes. As
each has a column of its own, only the order within an operation matters: whatever is first in each can go together.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AlterField

from chronomig.batches.batching import Group, Move, table_of
from chronomig.batches.remaking import model_in
from chronomig.planning.record import Direction


class Kind(IntEnum):
    """What a statement costs, which says what it goes together with."""

    ALONE = 0
    KEYS_GO = 1
    """
    Not with a column that comes, which MySQL adds at once if nothing else is in the statement that takes longer:
    https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html
    """
    LIGHT = 2
    HEAVY = 3
    """
    Reads or writes the whole table, so that whatever is light costs nothing beside it; or drops a column, which has
    to be there still when a row does not fit another.
    """
    KEYS_COME = 4


CLAUSES = {
    "mysql": {
        Kind.KEYS_GO: re.compile("DROP FOREIGN KEY "),
        Kind.LIGHT: re.compile("(?:ADD|ALTER) COLUMN "),
        Kind.HEAVY: re.compile("MODIFY |DROP COLUMN "),
        Kind.KEYS_COME: re.compile(r"ADD CONSTRAINT \S+ FOREIGN KEY "),
    },
    # The others are as quick one by one (docs/performance.md).
    "postgresql": {Kind.HEAVY: re.compile(r'ALTER COLUMN "(?:[^"]|"")+" (?:TYPE|SET NOT NULL)\b')},
}
"""Vendor -> how the clauses begin that can go together with others of an ALTER TABLE."""


class Noted(NamedTuple):
    """A statement that a schema editor would run."""

    sql: str
    params: Sequence[Any] | None
    """None where a % in the statement stands for itself."""

    @property
    def format(self) -> str:
        return self.sql.replace("%", "%%") if self.params is None else self.sql


class NoteTaker(BaseDatabaseSchemaEditor):
    """Comes before the schema editor of a database; runs nothing."""

    noted: list[Noted]

    def execute(self, sql: Any, params: Sequence[Any] | None = ()) -> None:
        self.noted.append(Noted(str(sql), params))


def note_taker(editor: BaseDatabaseSchemaEditor) -> NoteTaker:
    """Return one that does what *editor* would do, and adds to what it runs at its end."""
    made: NoteTaker = type("NoteTaker", (NoteTaker, type(editor)), {})(editor.connection)
    made.deferred_sql = editor.deferred_sql
    made.noted = []
    return made


def can_join(connection: BaseDatabaseWrapper) -> bool:
    """Whether statements can be joined here. Not by type: the modules of other databases need their drivers."""
    own = f"django.db.backends.{connection.vendor}.schema"
    return connection.vendor in CLAUSES and connection.SchemaEditorClass.__module__ == own


def pays(connection: BaseDatabaseWrapper, group: Group) -> bool:
    """Whether statements of *group* may go together, as far as its operations tell."""
    telling = [move for move in group.moves if connection.vendor == "mysql" or type(move.operation) is AlterField]
    return group.table is not None and len(telling) > 1


@dataclass(frozen=True)
class Joined:
    """What a group of operations does to its table, in fewer statements."""

    moves: tuple[Move, ...]
    direction: Direction

    def run(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Run the operations; the database is read for all of them before anything is changed."""
        first = self.moves[0]
        before = first.before if self.direction is Direction.UP else first.after
        table = editor.quote_name(model_in(before, *table_of(first))._meta.db_table)
        notes = [self.notes_of(move, editor) for move in self.moves]
        for statement in joined(notes, f"ALTER TABLE {table} ", CLAUSES[editor.connection.vendor]):
            editor.execute(*statement)

    def notes_of(self, move: Move, editor: BaseDatabaseSchemaEditor) -> list[Noted]:
        taker = note_taker(editor)
        move.run(taker, self.direction)
        return taker.noted


Waiting: TypeAlias = deque[tuple[Kind, Noted]]
"""The statements of one operation that have not run yet."""


def joined(notes: Sequence[Sequence[Noted]], start: str, clauses: Mapping[Kind, re.Pattern[str]]) -> Iterator[Noted]:
    """Yield the statements of operations, those of each in their order, and those that begin with *start* joined."""
    waiting: list[Waiting] = [deque((kind_of(one, start, clauses), one) for one in each) for each in notes]
    while left := [one for one in waiting if one]:
        kinds = next_kinds(left)
        ready = [one.popleft()[1] for one in left if one[0][0] in kinds]
        yield from ready if Kind.ALONE in kinds else [in_one(ready, start)]


def kind_of(statement: Noted, start: str, clauses: Mapping[Kind, re.Pattern[str]]) -> Kind:
    if not statement.sql.startswith(start):
        return Kind.ALONE
    return next((kind for kind, clause in clauses.items() if clause.match(statement.sql, len(start))), Kind.ALONE)


def next_kinds(left: Sequence[Waiting]) -> set[Kind]:
    """Return which kinds run next; what is heavy waits until all that is heavy can go at once."""
    first = min(one[0][0] for one in left)
    if first not in (Kind.LIGHT, Kind.HEAVY):
        return {first}
    before_heavy = (one for one in left if one[0][0] is Kind.LIGHT and any(kind is Kind.HEAVY for kind, _ in one))
    return {Kind.LIGHT} if any(before_heavy) else {Kind.LIGHT, Kind.HEAVY}


def in_one(statements: Sequence[Noted], start: str) -> Noted:
    """Join statements that begin with *start*; one alone stays as it is."""
    if len(statements) == 1:
        return statements[0]
    literal = all(one.params is None for one in statements)
    sql = start + ", ".join((one.sql if literal else one.format).removeprefix(start) for one in statements)
    return Noted(sql, None if literal else [value for one in statements for value in one.params or ()])
