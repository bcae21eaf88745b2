"""Which operations of a migration that runs in pieces are in one transaction with their record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sqlparse
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations import RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

from chronomig.planning.record import Direction
from chronomig.state import is_opaque

CHANGES_ROWS = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "WITH"})
"""How statements begin that commit nothing by themselves, and do not show afterwards that they ran."""
COMMENTS = re.compile(r"(?:[\s;]|--[^\n]*(?:\n|$)|/\*(?!M?!).*?\*/)*", re.DOTALL)
"""What MariaDB runs although it looks like a comment is none."""


def in_a_transaction(
    connection: BaseDatabaseWrapper, operation: Operation, direction: Direction, *, atomic: bool
) -> bool:
    """
    Whether *operation*, of a migration that is *atomic* or not, has a transaction of its own.

    Django's rule: without a transaction around all, it has one unless it says no. But on SQLite an operation may make
    a table anew, with its rows under another name in between. And SQL that changes rows, and does nothing else, may
    not run twice: Django lets it commit alone, where a kill before the record would make it run again.
    """
    if operation.atomic or (atomic and operation.atomic is not False):
        return True
    if connection.vendor == "sqlite" and not is_opaque(operation):
        return True
    kinds = list(kinds_of(operation, direction))
    return bool(kinds) and CHANGES_ROWS.issuperset(kinds) and (atomic or len(kinds) == 1)


def changes_rows(sql: str) -> bool:
    """Whether a statement changes rows and does nothing else."""
    return first_word(sql) in CHANGES_ROWS


def first_word(sql: str) -> str:
    """Return the first word of a statement, empty where there is nothing but comments."""
    told = COMMENTS.sub("", sql, count=1)
    word = re.match("[A-Za-z]+|.?", told, re.DOTALL)
    return word[0].upper() if word else ""


def kinds_of(operation: Operation, direction: Direction) -> Iterator[str]:
    """Yield how each statement begins that *operation* runs, as far as it is nothing but SQL."""
    if type(operation) is SeparateDatabaseAndState:
        for one in operation.database_operations:
            yield from kinds_of(one, direction)
    elif type(operation) is RunSQL:
        given: Any = operation.sql if direction is Direction.UP else operation.reverse_sql
        for text in [given] if isinstance(given, str) else given or ():
            yield from filter(None, map(first_word, sqlparse.split(text if isinstance(text, str) else text[0])))
    else:
        yield "something else"
