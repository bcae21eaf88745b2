"""
Rows that code made anew get back the primary keys that they had.

What is unique besides the key tells that it is the same row: a permission by its codename, a page by its path. What
refers to it follows, so that rows of the stash and rows that code made mean the same by the same number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.stash.entries import COMES, FLAG, Entry
from chronomig.stash.tables import Relation, Table, execute, has_rows, query, references

UNIQUE = {
    "sqlite": """
        SELECT one.name, part.name FROM pragma_index_list(%s) one, pragma_index_info(one.name) part
        WHERE one."unique" AND NOT one.partial AND one.origin <> 'pk' ORDER BY one.name, part.seqno
    """,
    "postgresql": """
        SELECT conname, attname FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
        WHERE conrelid = to_regclass(quote_ident(%s)) AND contype = 'u' ORDER BY conname
    """,
    "mysql": """
        SELECT index_name, column_name FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND table_name = %s AND non_unique = 0 AND index_name <> 'PRIMARY'
        ORDER BY index_name, seq_in_index
    """,
}
"""By vendor: what is unique whatever the row; an expression has no column."""
MOST = 10_000
"""Rows that are renumbered, one by one."""


def renumber(connection: BaseDatabaseWrapper, entry: Entry, there: Table) -> None:
    """Move rows that are there to the primary keys under which *entry* has them."""
    if len(there.key) != 1 or not has_rows(connection, there.name):
        return
    pairs = same_rows(connection, entry, there)
    if not 0 < len(pairs) <= MOST:
        return
    found = references(connection)
    for now, then in moves(pairs, keys_there(connection, there, pairs.values()), free(connection, entry, there)):
        move(connection, found, there.name, there.key[0], now, then)


def same_rows(connection: BaseDatabaseWrapper, entry: Entry, there: Table) -> dict[Any, Any]:
    """Return the primary keys of rows that are there -> those that the same rows have in the stash."""
    pairs: dict[Any, Any] = {}
    seen = set[Any]()
    for columns in unique_columns(connection, there):
        if set(columns) <= set(entry.table.stored):
            for now, then in pairs_by(connection, entry, there, columns):
                if now not in pairs and then not in seen:
                    pairs[now] = then
                    seen.add(then)
    return pairs


def unique_columns(connection: BaseDatabaseWrapper, table: Table) -> list[tuple[str, ...]]:
    """Return what no two rows may have the same values of, besides the primary key."""
    rows = query(connection, UNIQUE[connection.vendor], [table.name])
    found = [tuple(column for _, column in group) for _, group in groupby(rows, lambda row: row[0])]
    return [columns for columns in found if None not in columns and columns != table.key]


def pairs_by(
    connection: BaseDatabaseWrapper, entry: Entry, there: Table, columns: Collection[str]
) -> list[tuple[Any, ...]]:
    quote, (key,) = connection.ops.quote_name, map(connection.ops.quote_name, there.key)
    same = " AND ".join(f"here.{quote(one)} = lying.{quote(one)}" for one in columns)
    return query(
        connection,
        f"SELECT here.{key}, lying.{key} FROM {quote(there.name)} here "
        f"JOIN {quote(entry.rows_table)} lying ON {same} AND lying.{quote(FLAG)} = {COMES} "
        f"WHERE here.{key} <> lying.{key} ORDER BY 1",
    )


def keys_there(connection: BaseDatabaseWrapper, there: Table, keys: Collection[Any]) -> set[Any]:
    quote = connection.ops.quote_name
    sql = f"SELECT 1 FROM {quote(there.name)} WHERE {quote(there.key[0])} = %s"
    return {key for key in keys if query(connection, sql, [key])}


def free(connection: BaseDatabaseWrapper, entry: Entry, there: Table) -> int | None:
    """Return a number that no row has, None where keys are no numbers."""
    quote, key = connection.ops.quote_name, connection.ops.quote_name(there.key[0])
    highest = [
        query(connection, f"SELECT MAX({key}) FROM {quote(name)}")[0][0] for name in (there.name, entry.rows_table)
    ]
    return max(highest) + 1 if all(isinstance(one, int) for one in highest) else None


def moves(pairs: Mapping[Any, Any], taken: Collection[Any], free: int | None) -> Iterator[tuple[Any, Any]]:
    """
    Yield (from, to), one after the other, so that each place is free by then.

    Of *taken* places whose row is none of the *pairs*, the row goes where the chain began; circles go over *free*.
    """
    ends, seen = set(pairs.values()), set[Any]()
    for start in [*(one for one in pairs if one not in ends), *pairs]:
        chain, place = [], start
        while place in pairs and place not in seen:
            seen.add(place)
            chain.append(place)
            place = pairs[place]
        circle = bool(chain) and place == chain[0]
        if not (circle or place in taken) or not chain:
            yield from ((one, pairs[one]) for one in reversed(chain))
        elif free is not None:
            yield place, free
            yield from ((one, pairs[one]) for one in reversed(chain[circle:]))
            yield free, pairs[place] if circle else chain[0]


def move(
    connection: BaseDatabaseWrapper, found: list[tuple[str, Relation]], table: str, column: str, now: Any, then: Any
) -> None:
    """Change a value, and with it what refers to it."""
    quote = connection.ops.quote_name
    execute(connection, f"UPDATE {quote(table)} SET {quote(column)} = %s WHERE {quote(column)} = %s", [then, now])
    for name, relation in found:
        refers = (relation.table, relation.refers_to) == (table, column)
        if refers and (name, relation.column) != (table, column):
            move(connection, found, name, relation.column, now, then)
