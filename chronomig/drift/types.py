"""The type that a field asks for and the type that a column has, in the words of one database."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.db import Error, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.drift.schema import ColumnType

ColumnTypes = Mapping[str, ColumnType]
"""{column: type} of one table"""


class TextTypes:
    """SQLite keeps the text of a type as it was written."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    def asked_for(self, text: str) -> ColumnType:
        """Return the type that the text of a field's ``db_type()`` stands for."""
        return ColumnType(self.plain(text), text)

    def of_table(self, cursor: Any, table: str) -> ColumnTypes:
        """Return the types of the columns that are there."""
        found = self.connection.introspection.get_table_description(cursor, table)
        return {one.name: self.asked_for(self.text_of(one)) for one in found}

    def plain(self, text: str) -> str:
        return " ".join(text.lower().split())

    def text_of(self, info: Any) -> str:
        return re.sub(r"\s*generated always$", "", str(info.type_code), flags=re.IGNORECASE)


class MysqlTypes(TextTypes):
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

    def plain(self, text: str) -> str:
        # The width of an integer is for display only; a MariaDB shows one, a MySQL does not.
        text = re.sub(r"\b(\w*int(?:eger)?)\(\d+\)", r"\1", super().plain(text))
        text = text.replace(" auto_increment", "").replace(", ", ",")
        word, rest = re.fullmatch(r"(double precision|\w+)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        if word == "json" and getattr(self.connection, "mysql_is_mariadb", False):
            word = "longtext"
        return self.SAME.get(word, word) + rest

    def of_table(self, cursor: Any, table: str) -> ColumnTypes:
        cursor.execute(
            "SELECT column_name, column_type FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = %s",
            [table],
        )
        return {name: self.asked_for(text) for name, text in cursor.fetchall()}


class PostgresTypes(TextTypes):
    """PostgreSQL has many names for a type: it is asked itself, with a query that reads nothing."""

    SERIAL = {"serial": "integer", "bigserial": "bigint", "smallserial": "smallint"}

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._known: dict[str, ColumnType] = {}

    def asked_for(self, text: str) -> ColumnType:
        if text not in self._known:
            self._known[text] = ColumnType(self._key_of(self.SERIAL.get(self.plain(text), text)), text)
        return self._known[text]

    def _key_of(self, text: str) -> object:
        with self.connection.cursor() as cursor:
            try:
                with transaction.atomic(self.connection.alias):
                    cursor.execute(f"SELECT CAST(NULL AS {text})")
            except Error:  # a type that this database does not have: no column can have it
                return None
            return described(cursor.description[0])

    def of_table(self, cursor: Any, table: str) -> ColumnTypes:
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [self.connection.ops.quote_name(table)],
        )
        texts = dict(cursor.fetchall())
        cursor.execute(f"SELECT * FROM {self.connection.ops.quote_name(table)} LIMIT 0")
        return {one.name: ColumnType(described(one), texts[one.name]) for one in cursor.description}


def described(column: Any) -> object:
    """Return what the driver says of the type of a result's column, its modifiers included."""
    return column.type_code, column.display_size, column.internal_size, column.precision, column.scale


VENDORS: Mapping[str, Callable[[BaseDatabaseWrapper], TextTypes]] = {
    "sqlite": TextTypes,
    "postgresql": PostgresTypes,
    "mysql": MysqlTypes,
}
