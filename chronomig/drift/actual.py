"""What is in a database, read with Django's introspection."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.drift.schema import Column, Key, Kind, Table
from chronomig.drift.types import TextTypes


def names_of_tables(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the tables of a database; views are none."""
    with connection.cursor() as cursor:
        return {one.name for one in connection.introspection.get_table_list(cursor) if one.type in ("t", "p")}


def read_tables(connection: BaseDatabaseWrapper, types: TextTypes, names: Collection[str]) -> Iterator[Table]:
    """Yield the tables *names*, which have to be there."""
    with connection.cursor() as cursor:
        for name in sorted(names):
            yield Table(name, _columns(connection, types, cursor, name), tuple(_keys(connection, cursor, name)))


def _columns(connection: BaseDatabaseWrapper, types: TextTypes, cursor: Any, table: str) -> dict[str, Column]:
    described = connection.introspection.get_table_description(cursor, table)
    of_table = types.of_table(cursor, table)
    return {one.name: Column(one.name, of_table[one.name], bool(one.null_ok)) for one in described}


def _keys(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> Iterator[Key]:
    found: Mapping[str, Any] = connection.introspection.get_constraints(cursor, table)
    for name, one in found.items():
        columns = tuple(one["columns"] or ())
        if None in columns:  # an expression between columns
            columns = ()
        yield Key(_kind(one), columns, name, _target(one))


def _kind(one: Mapping[str, Any]) -> Kind:
    kinds = {
        "primary_key": Kind.PRIMARY_KEY,
        "foreign_key": Kind.FOREIGN_KEY,
        "check": Kind.CHECK,
        "unique": Kind.UNIQUE,
        "index": Kind.INDEX,
    }
    return next((kind for name, kind in kinds.items() if one[name]), Kind.OTHER)


def _target(one: Mapping[str, Any]) -> tuple[str, str] | None:
    return tuple(one["foreign_key"]) if one["foreign_key"] else None
