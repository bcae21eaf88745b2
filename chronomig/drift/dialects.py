"""The columns that a table has and the type that a field asks for, in the words of one database."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import groupby
from typing import Any

from django.db import Error, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.drift.schema import Column, ColumnType, Key, Kind


class Sqlite:
    """
    SQLite keeps the text of a type as it was written.

    Integers of all sizes are one: it stores them alike, and Django leaves the columns that refer to a key as they are
    when the key grows from AutoField to BigAutoField.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    def asked_for(self, text: str) -> ColumnType:
        """Return the type that the text of a field's ``db_type()`` stands for."""
        return ColumnType(self.plain(text), text)

    def kept(self, name: str) -> str:
        """Return what the database makes of the name of an index or constraint."""
        return name

    def checks(self, field: Any) -> bool:
        """Whether the database checks what is written to the column of *field*."""
        return bool(field.db_parameters(self.connection)["check"])

    def is_described(self, cursor: Any, table: str) -> bool:
        """Whether *table* has types and keys; a virtual one of SQLite, for full texts say, has only names."""
        query = "SELECT 1 FROM sqlite_master WHERE name = %s AND sql LIKE 'CREATE VIRTUAL %%'"
        return self.connection.vendor != "sqlite" or not cursor.execute(query, [table]).fetchone()

    def columns(self, cursor: Any, table: str) -> Iterator[Column]:
        """Yield the columns of *table*, which has to be there."""
        # Django's description of a table parses its statement, which costs ten times as much.
        cursor.execute(f"PRAGMA table_xinfo({self.connection.ops.quote_name(table)})")
        for _, name, text, not_null, *_ in cursor.fetchall():
            plain = re.sub(r"\s*generated always$", "", text, flags=re.IGNORECASE)
            yield Column(name, self.asked_for(plain), not not_null)

    def keys(self, cursor: Any, table: str) -> Iterator[Key]:
        """Yield the indexes and constraints of *table*."""
        found: Mapping[str, Any] = self.connection.introspection.get_constraints(cursor, table)
        for name, one in found.items():
            columns = tuple(one["columns"] or ())
            target = tuple(one["foreign_key"]) if one["foreign_key"] else None
            # None is an expression between columns. SQLite has no names for foreign keys; Django counts them.
            yield Key(
                kind_of(one),
                () if None in columns else columns,
                "" if target and self.connection.vendor == "sqlite" else name,
                target,
            )

    def plain(self, text: str) -> str:
        return re.sub(r"^(small|big)int\b", "integer", " ".join(text.lower().split()))


class Mysql(Sqlite):
    """MariaDB and MySQL tell the type in words of their own."""

    SAME = {
        "bool": "tinyint",
        "boolean": "tinyint",
        "integer": "int",
        "numeric": "decimal",
        "dec": "decimal",
        "double precision": "double",
        "real": "double",
    }

    @property
    def is_mariadb(self) -> bool:
        return bool(getattr(self.connection, "mysql_is_mariadb", False))

    def checks(self, field: Any) -> bool:
        """MariaDB has no type for JSON, and adds a check of its own."""
        return super().checks(field) or (self.is_mariadb and field.db_type(self.connection) == "json")

    def plain(self, text: str) -> str:
        # The width of an integer is for display only; a MariaDB shows one, a MySQL does not.
        text = re.sub(r"\b(\w*int(?:eger)?)\(\d+\)", r"\1", " ".join(text.lower().split()))
        text = text.replace(" auto_increment", "").replace(", ", ",")
        word, rest = re.fullmatch(r"(double precision|\w+)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        if word == "json" and self.is_mariadb:
            word = "longtext"
        return self.SAME.get(word, word) + rest

    def columns(self, cursor: Any, table: str) -> Iterator[Column]:
        cursor.execute(
            "SELECT column_name, column_type, is_nullable FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
            [table],
        )
        return (Column(name, self.asked_for(text), null == "YES") for name, text, null in cursor.fetchall())

    def keys(self, cursor: Any, table: str) -> Iterator[Key]:
        return iter(self._keys_by_table.get(table, ()))

    @cached_property
    def _keys_by_table(self) -> Mapping[str, list[Key]]:
        """Read all at once: Django's introspection of one table goes through the keys of all."""
        found: dict[str, list[Key]] = defaultdict(list)
        with self.connection.cursor() as cursor:
            for (table, name), rows in grouped(cursor, INDEXES):
                kind = Kind.PRIMARY_KEY if name == "PRIMARY" else Kind.INDEX if rows[0][1] else Kind.UNIQUE
                columns = tuple(column for column, _ in rows)
                found[table].append(Key(kind, () if None in columns else columns, name))
            for (table, name), rows in grouped(cursor, FOREIGN_KEYS):
                key = Key(Kind.FOREIGN_KEY, tuple(row[0] for row in rows), name, rows[0][1:])
                found[table].append(key)
            if self.connection.features.can_introspect_check_constraints:
                for (table, name), rows in grouped(cursor, MARIADB_CHECKS if self.is_mariadb else MYSQL_CHECKS):
                    found[table].append(check_of(name, rows[0][0]))
        return found


INDEXES = """
    SELECT table_name, index_name, column_name, non_unique FROM information_schema.statistics
    WHERE table_schema = DATABASE() ORDER BY table_name, index_name, seq_in_index
"""
FOREIGN_KEYS = """
    SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name
    FROM information_schema.key_column_usage
    WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()
    ORDER BY table_name, constraint_name, ordinal_position
"""
MARIADB_CHECKS = """
    SELECT table_name, constraint_name, check_clause FROM information_schema.check_constraints
    WHERE constraint_schema = DATABASE() ORDER BY table_name, constraint_name
"""
MYSQL_CHECKS = """
    SELECT tc.table_name, cc.constraint_name, cc.check_clause
    FROM information_schema.check_constraints AS cc JOIN information_schema.table_constraints AS tc
    ON tc.constraint_schema = cc.constraint_schema AND tc.constraint_name = cc.constraint_name
    WHERE cc.constraint_schema = DATABASE() AND tc.constraint_type = 'CHECK'
    ORDER BY tc.table_name, cc.constraint_name
"""


def grouped(cursor: Any, query: str) -> Iterator[tuple[tuple[str, str], list[tuple[Any, ...]]]]:
    """Yield ((table, name), the rest of its rows) of each key."""
    cursor.execute(query)
    for key, rows in groupby(cursor.fetchall(), key=lambda row: tuple(row[:2])):
        yield key, [tuple(row[2:]) for row in rows]


def check_of(name: str, clause: str) -> Key:
    """A check that belongs to a column has the name that the column had when it was made."""
    columns = tuple(dict.fromkeys(re.findall(r"`([^`]+)`", clause)))
    return Key(Kind.CHECK, columns, name)


class Postgres(Sqlite):
    """PostgreSQL has many names for a type: it is asked itself, with a query that reads nothing."""

    SERIAL = {"serial": "integer", "bigserial": "bigint", "smallserial": "smallint"}

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._known: dict[str, ColumnType] = {}

    def asked_for(self, text: str) -> ColumnType:
        if text not in self._known:
            self._known[text] = ColumnType(self._key_of(self.SERIAL.get(text.lower(), text)), text)
        return self._known[text]

    def kept(self, name: str) -> str:
        """PostgreSQL cuts names off without a word, at 63 bytes."""
        longest = self.connection.ops.max_name_length() or None
        return name.encode()[:longest].decode(errors="ignore")

    def _key_of(self, text: str) -> object:
        with self.connection.cursor() as cursor:
            try:
                with transaction.atomic(self.connection.alias):
                    cursor.execute(f"SELECT CAST(NULL AS {text})")
            except Error:  # a type that this database does not have: no column can have it
                return None
            return described(cursor.description[0])

    def columns(self, cursor: Any, table: str) -> Iterator[Column]:
        name = self.connection.ops.quote_name(table)
        cursor.execute(f"SELECT * FROM {name} LIMIT 0")
        keys = {one.name: described(one) for one in cursor.description}
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [name],
        )
        return (
            Column(name, ColumnType(keys[name], text), not not_null) for name, text, not_null in cursor.fetchall()
        )


def kind_of(one: Mapping[str, Any]) -> Kind:
    """Return the kind of what Django's introspection tells."""
    kinds = {
        "primary_key": Kind.PRIMARY_KEY,
        "foreign_key": Kind.FOREIGN_KEY,
        "check": Kind.CHECK,
        "unique": Kind.UNIQUE,
        "index": Kind.INDEX,
    }
    return next((kind for name, kind in kinds.items() if one[name]), Kind.OTHER)


def described(column: Any) -> object:
    """Return what the driver says of the type of a result's column, its modifiers included."""
    return column.type_code, column.display_size, column.internal_size, column.precision, column.scale


VENDORS: Mapping[str, Callable[[BaseDatabaseWrapper], Sqlite]] = {
    "sqlite": Sqlite,
    "postgresql": Postgres,
    "mysql": Mysql,
}
