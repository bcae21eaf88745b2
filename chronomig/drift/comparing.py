"""Two tables -> what differs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chronomig.drift.schema import Column, Key, Kind, Table

_LEFT_BEHIND = re.compile(r"_[0-9a-f]{8}_like$")
"""PostgreSQL's second index of a text, which Django does not find again once its table has another name."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the history says."""

    table: str
    text: str
    column: str = ""
    extra: str = ""
    """The name of what is there and should not be; empty for all else."""


def compare(expected: Table, actual: Table) -> Iterator[Difference]:
    """Yield what differs in one table."""
    yield from _columns(expected, actual)
    there = {column.lower() for column in actual.columns}
    for key in expected.keys:
        # What a missing column would be part of says nothing more.
        if {column.lower() for column in key.columns} <= there:
            yield from _missing(key, actual)
    for key in actual.keys:
        if _is_extra(key, expected):
            yield Difference(expected.name, f"{key} is not in the models", extra=key.name)


def _columns(expected: Table, actual: Table) -> Iterator[Difference]:
    there = {name.lower(): column for name, column in actual.columns.items()}
    for name, column in expected.columns.items():
        if found := there.pop(name.lower(), None):
            yield from _column(expected.name, column, found)
        else:
            yield Difference(expected.name, "column is missing", name)
    for column in there.values():
        yield Difference(expected.name, "column is not in the models", column.name, extra=column.name)


def _column(table: str, expected: Column, actual: Column) -> Iterator[Difference]:
    if expected.type != actual.type:
        text = f"type is {actual.type.text}, should be {expected.type.text}"
        yield Difference(table, text, expected.name)
    if expected.null is not None and expected.null != actual.null:
        text = "allows NULL, should not" if actual.null else "does not allow NULL, should"
        yield Difference(table, text, expected.name)


def _missing(key: Key, actual: Table) -> Iterator[Difference]:
    same_name = [one for one in actual.keys if key.name and one.name.lower() == key.name.lower()]
    if same_name:
        found = same_name[0]
        if not _is_same_kind(key, found) or (key.columns and found.columns and not _same_columns(key, found)):
            yield Difference(actual.name, f"{found} should be: {key}")
        return
    serving = [one for one in actual.keys if _serves(one, key)]
    if not serving:
        yield Difference(actual.name, f"{key} is missing")
    elif key.name:
        yield Difference(actual.name, f"{serving[0]} should have the name {key.name!r}")


def _serves(actual: Key, expected: Key) -> bool:
    """Whether *actual* does what *expected* is for, whatever its name."""
    if not expected.columns:
        return False
    if expected.kind is Kind.CHECK:  # the names in an expression, in any order
        return actual.kind is Kind.CHECK and set(_lower(expected)) <= set(_lower(actual))
    if expected.kind is Kind.FOREIGN_KEY:
        same_target = _lower_all(actual.target or ()) == _lower_all(expected.target or ())
        return actual.kind is Kind.FOREIGN_KEY and same_target and _same_columns(actual, expected)
    if expected.kind is Kind.INDEX and not expected.name:
        # MariaDB drops the index of a foreign key where a longer one begins with its column.
        kinds = (Kind.INDEX, Kind.UNIQUE, Kind.PRIMARY_KEY, Kind.FOREIGN_KEY)
        return actual.kind in kinds and _lower(actual)[: len(expected.columns)] == _lower(expected)
    return _is_same_kind(expected, actual) and _same_columns(actual, expected)


def _is_extra(key: Key, expected: Table) -> bool:
    if key.kind in (Kind.OTHER, Kind.PRIMARY_KEY) or _LEFT_BEHIND.search(key.name):
        return False
    if key.kind is Kind.CHECK and key.name.startswith("__"):  # without a name: part of a column's type
        return False
    if any(one.name and one.name.lower() == key.name.lower() for one in expected.keys):
        return False
    return not any(_explains(one, key) for one in expected.keys)


def _explains(expected: Key, actual: Key) -> bool:
    """Whether *actual* comes with *expected*: databases and Django add indexes for keys, and patterns for texts."""
    if actual.kind in (Kind.FOREIGN_KEY, Kind.CHECK):
        return expected.kind is actual.kind and _serves(actual, expected)
    if actual.kind is Kind.UNIQUE and expected.kind not in (Kind.UNIQUE, Kind.PRIMARY_KEY):
        return False
    return expected.kind is not Kind.CHECK and bool(actual.columns) and _same_columns(expected, actual)


def _is_same_kind(one: Key, other: Key) -> bool:
    return one.kind is other.kind or {one.kind, other.kind} == {Kind.UNIQUE, Kind.PRIMARY_KEY}


def _same_columns(one: Key, other: Key) -> bool:
    return _lower(one) == _lower(other)


def _lower(key: Key) -> tuple[str, ...]:
    return _lower_all(key.columns)


def _lower_all(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)
