"""What a database holds, as far as it has to be the same."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.stash.entries import TABLE as STASH
from tests import schema

ALL = frozenset({"schema", "rows", "recorded"})


@dataclass
class Picture:
    """A database at one moment."""

    schema: dict[str, Any]
    rows: dict[str, list[str]]
    """Of the tables, and of what lies in the stash."""
    recorded: list[str]
    """django_migrations."""


def look(connection: BaseDatabaseWrapper) -> Picture:
    tables = schema.dump(connection)
    with connection.cursor() as cursor:
        there = connection.introspection.table_names(cursor)
        rows = {table: rows_of(cursor, connection, table) for table in tables}
        if STASH in there:
            rows |= stashed(cursor, connection)
        recorded: list[str] = []
        if "django_migrations" in there:
            cursor.execute("SELECT app, name FROM django_migrations")
            recorded = sorted(".".join(row) for row in cursor.fetchall())
    return Picture(in_any_order(tables), rows, recorded)


def rows_of(cursor: Any, connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """Return the rows, without numbers that a sequence gave out: a transaction that was rolled back uses some up."""
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
    names = [one[0] for one in cursor.description]
    return sorted(
        str(sorted((name, str(value)) for name, value in zip(names, row, strict=True) if name != "id"))
        for row in cursor.fetchall()
    )


def stashed(cursor: Any, connection: BaseDatabaseWrapper) -> dict[str, list[str]]:
    """Return the rows of each entry that waits for its migration, or could not come back."""
    cursor.execute(f"SELECT id, migration, description, {connection.ops.quote_name('column')}, state FROM {STASH}")
    found: dict[str, list[str]] = {}
    there = connection.introspection.table_names()
    for number, migration, description, column, state in cursor.fetchall():
        if state in ("stashed", "kept"):
            place = f"stash of {migration}, {json.loads(description)['name']}.{column}, {state}"
            found[place] = sorted(found.get(place, []) + rows_of(cursor, connection, f"{STASH}_{number}"))
            if (after := f"{STASH}_{number}_after") in there:
                found[f"{place}, what was left"] = rows_of(cursor, connection, after)
    return found


def in_any_order(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with columns in one order: undoing puts them last."""
    return {name: {**one, "columns": sorted(one["columns"])} for name, one in tables.items()}


def unlike(one: Picture, other: Picture, *, parts: Collection[str] = ALL, but: str = "") -> str:
    """Name the first thing of *parts* that is not the same, leaving the rows of a table out; '' when there is none."""
    for part in sorted({"schema", "rows"}.intersection(parts)):
        mine, theirs = getattr(one, part), getattr(other, part)
        for key in sorted({*mine, *theirs}):
            if mine.get(key) != theirs.get(key) and (part, key) != ("rows", but):
                return difference(part, key, mine.get(key), theirs.get(key))
    if "recorded" in parts and one.recorded != other.recorded:
        return f"django_migrations: {one.recorded} instead of {other.recorded}"
    return ""


def difference(part: str, key: str, mine: Any, theirs: Any) -> str:
    if part == "schema" and mine and theirs:
        for kind in ("columns", "constraints"):
            if mine[kind] != theirs[kind]:
                return f"{key}, {kind}: {mine[kind]} instead of {theirs[kind]}"
    return f"{part} of {key}: {mine} instead of {theirs}"
