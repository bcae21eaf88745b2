"""What is in a database, read with Django's introspection."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.drift.dialects import Sqlite
from chronomig.drift.schema import Table


def names_of_tables(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the tables of a database; views are none."""
    with connection.cursor() as cursor:
        return {one.name for one in connection.introspection.get_table_list(cursor) if one.type in ("t", "p")}


def read_tables(connection: BaseDatabaseWrapper, dialect: Sqlite, names: Collection[str]) -> Iterator[Table]:
    """Yield the tables *names*, which have to be there, as far as they can be compared."""
    with connection.cursor() as cursor:
        for name in sorted(name for name in names if dialect.is_described(cursor, name)):
            columns = {column.name: column for column in dialect.columns(cursor, name)}
            yield Table(name, columns, tuple(dialect.keys(cursor, name)))
