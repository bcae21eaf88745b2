"""What a database says of its tables: columns with their types, keys, references, the next number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from sqlite3 import sqlite_version_info
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name = %s COLLATE NOCASE",
    "postgresql": """
        SELECT relname FROM pg_class
        WHERE oid = to_regclass(quote_ident(%s)) AND relkind IN ('r', 'p', 'f') AND NOT relispartition
    """,
    "mysql": """
        SELECT table_name FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = %s AND table_type = 'BASE TABLE'
    """,
}
"""One by its name: Django's introspection lists all that there are."""
SQLITE_TABLE_LIST = (3, 37)
"""Since then SQLite finds a table without reading its whole schema."""
COLUMNS = {
    "sqlite": 'SELECT name, type, NOT "notnull", hidden IN (2, 3) FROM pragma_table_xinfo(%s)',
    "postgresql": """
        SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, attgenerated <> ''
        FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(%s)) AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
    """,
    "mysql": """
        SELECT column_name, column_type, is_nullable = 'YES', COALESCE(generation_expression, '') <> ''
        FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position
    """,
}
"""By vendor; its keys are the vendors that a stash works on."""
REFERENCES = {
    "sqlite": """
        SELECT one.name, link."from", link."table",
            COALESCE(link."to", (SELECT name FROM pragma_table_info(link."table") WHERE pk = 1))
        FROM sqlite_master one, pragma_foreign_key_list(one.name) link WHERE one.type = 'table'
    """,
    "postgresql": """
        SELECT one.relname, mine.attname, other.relname, theirs.attname
        FROM pg_constraint link
        JOIN pg_class one ON one.oid = link.conrelid AND pg_table_is_visible(one.oid)
        JOIN pg_class other ON other.oid = link.confrelid AND pg_table_is_visible(other.oid)
        JOIN pg_attribute mine ON mine.attrelid = one.oid AND mine.attnum = link.conkey[1]
        JOIN pg_attribute theirs ON theirs.attrelid = other.oid AND theirs.attnum = link.confkey[1]
        WHERE link.contype = 'f' AND array_length(link.conkey, 1) = 1
    """,
    "mysql": """
        SELECT table_name, column_name, referenced_table_name, referenced_column_name
        FROM information_schema.key_column_usage
        WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()
    """,
}
DEFERRED = """
    SELECT conname FROM pg_constraint
    WHERE conrelid = to_regclass(quote_ident(%s)) AND contype IN ('u', 'x') AND condeferred
"""
Row = tuple[Any, ...]
INTEGERS = frozenset({"smallint", "int", "integer", "bigint"})
TEXTS = ("varchar", "character varying")


class Column(NamedTuple):
    kind: str
    """The type, as the database writes it."""
    nullable: bool = True
    generated: bool = False


class Relation(NamedTuple):
    """A foreign key of one column."""

    column: str
    table: str
    refers_to: str


@dataclass(frozen=True)
class Table:
    """A table as it is, or as it was when its rows were put aside."""

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    """The columns of the primary link."""
    relations: tuple[Relation, ...] = ()
    last_number: int | None = None
    """The last number that the primary key counted."""

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns that hold values of their own."""
        return tuple(name for name, column in self.columns.items() if not column.generated)

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Table:
        """Return the table that ``asdict()`` was called on, perhaps over JSON."""
        return cls(
            values["name"],
            {name: Column(*column) for name, column in values["columns"].items()},
            tuple(values["key"]),
            tuple(Relation(*one) for one in values["relations"]),
            values["last_number"],
        )


def read(connection: BaseDatabaseWrapper, name: str) -> Table | None:
    """Return the table called *name*, whatever the case of its letters; None when there is none."""
    real = real_name(connection, name)
    if real is None:
        return None
    with connection.cursor() as cursor:
        key = connection.introspection.get_primary_key_columns(cursor, real) or ()
        relations = [
            Relation(column, target[1], target[0])  # Django 6.1 adds what happens on delete
            for column, target in connection.introspection.get_relations(cursor, real).items()
        ]
    columns = {
        column: Column(str(kind).lower(), bool(nullable), bool(generated))
        for column, kind, nullable, generated in query(connection, COLUMNS[connection.vendor], [real])
    }
    number = last_number(connection, real, key[0]) if len(key) == 1 else None
    return Table(real, columns, tuple(key), tuple(relations), number)


def called(connection: BaseDatabaseWrapper, name: str) -> str | None:
    """Return what the table *name* is called; None when there is none."""
    sql = TABLES[connection.vendor]
    if connection.vendor == "sqlite" and sqlite_version_info >= SQLITE_TABLE_LIST:
        sql = "SELECT name FROM pragma_table_list(%s) WHERE type = 'table' AND schema = 'main'"
    found = query(connection, sql, [name])
    return str(found[0][0]) if found else None


def real_name(connection: BaseDatabaseWrapper, name: str) -> str | None:
    """Return what the table *name* is called, whatever the case of its letters; None when there is none."""
    if exactly := called(connection, name):
        return exactly
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
    return next((one for one in names if one.lower() == name.lower()), None)


def references(connection: BaseDatabaseWrapper) -> list[tuple[str, Relation]]:
    """Return (table, foreign key) of all tables that are there."""
    return [(name, Relation(*relation)) for name, *relation in query(connection, REFERENCES[connection.vendor])]


def has_rows(connection: BaseDatabaseWrapper, name: str) -> bool:
    """Whether there is a table called *name*, whatever the case of its letters, with anything in it."""
    real = real_name(connection, name)
    return real is not None and bool(query(connection, f"SELECT 1 FROM {connection.ops.quote_name(real)} LIMIT 1"))


def can_stash(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database is one that a stash works on."""
    return connection.vendor in COLUMNS


def fits(old: Column, new: Column) -> bool:
    """Whether values of one type can be put where the other is: as they are, or the database refuses them."""
    if old.kind == new.kind:
        return True
    families = [one.kind.partition("(")[0].removesuffix(" unsigned") for one in (old, new)]
    return families[0] == families[1] in TEXTS or INTEGERS.issuperset(families)


def last_number(connection: BaseDatabaseWrapper, table: str, column: str) -> int | None:
    """Return the last number that an automatic primary key counted, None where it does not count."""
    match connection.vendor:
        case "postgresql":
            sequence = sequence_of(connection, table, column)
            return query(connection, f"SELECT last_value FROM {sequence}")[0][0] if sequence else None
        case "mysql":
            found = query(
                connection,
                "SELECT auto_increment FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND table_name = %s",
                [table],
            )
            return int(found[0][0]) - 1 if found and found[0][0] else None
        case _:
            if not query(connection, "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"):
                return None
            found = query(connection, "SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
            return int(found[0][0]) if found else None


def count_on(connection: BaseDatabaseWrapper, table: Table, last: int | None) -> None:
    """Let the primary key of *table* count on behind its highest row and behind *last*; no DDL, so not on MariaDB."""
    if last is None or len(table.key) != 1:
        return
    (key,), quote = table.key, connection.ops.quote_name
    if connection.vendor == "postgresql" and (sequence := sequence_of(connection, table.name, key)):
        highest = f"SELECT GREATEST(%s, COALESCE(MAX({quote(key)}), 1)) FROM {quote(table.name)}"
        query(connection, f"SELECT setval(%s, ({highest}))", [sequence, last])
    elif connection.vendor == "sqlite":
        execute(
            connection, "UPDATE sqlite_sequence SET seq = %s WHERE name = %s AND seq < %s", [last, table.name, last]
        )


def count_on_from(connection: BaseDatabaseWrapper, table: Table, last: int | None) -> None:
    """Do the same on MariaDB for a table that was just made: an ALTER TABLE, which commits."""
    if last is not None and connection.vendor == "mysql":
        execute(connection, f"ALTER TABLE {connection.ops.quote_name(table.name)} AUTO_INCREMENT = {int(last) + 1}")


def count_anew(connection: BaseDatabaseWrapper, table: Table) -> None:
    """Let the primary key of *table* count behind its highest row, as if the rows that are gone had not been."""
    if table.last_number is None:
        return
    (key,), quote = table.key, connection.ops.quote_name
    highest = f"SELECT MAX({quote(key)}) FROM {quote(table.name)}"
    if connection.vendor == "postgresql" and (sequence := sequence_of(connection, table.name, key)):
        query(connection, f"SELECT setval(%s, COALESCE(({highest}), 1), ({highest}) IS NOT NULL)", [sequence])
    elif connection.vendor == "mysql":
        execute(connection, f"ALTER TABLE {quote(table.name)} AUTO_INCREMENT = 1")  # InnoDB raises it to what is free
    elif connection.vendor == "sqlite":
        execute(
            connection, f"UPDATE sqlite_sequence SET seq = COALESCE(({highest}), 0) WHERE name = %s", [table.name]
        )


def sequence_of(connection: BaseDatabaseWrapper, table: str, column: str) -> str | None:
    """Return the sequence of a column, quoted, on PostgreSQL."""
    quoted = connection.ops.quote_name(table)
    found: str | None = query(connection, "SELECT pg_get_serial_sequence(%s, %s)", [quoted, column])[0][0]
    return found


@contextmanager
def unique_at_once(connection: BaseDatabaseWrapper, table: str) -> Iterator[None]:
    """Let what is to be unique at the end of the transaction be so after each statement, meanwhile."""
    names = query(connection, DEFERRED, [table]) if connection.vendor == "postgresql" else []
    listed = ", ".join(connection.ops.quote_name(name) for (name,) in names)
    if listed:
        execute(connection, f"SET CONSTRAINTS {listed} IMMEDIATE")
    try:
        yield
    finally:
        if listed:
            execute(connection, f"SET CONSTRAINTS {listed} DEFERRED")


def query(
    connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any] | None = None
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def execute(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any] | None = None) -> int:
    """Run a statement; return how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return max(0, int(cursor.rowcount))


def plural(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"


def place_of(table: Table, column: str | None) -> str:
    """Name where rows are, for a person."""
    return table.name if column is None else f"{table.name}.{column}"
