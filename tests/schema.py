"""A comparable description of a database's schema, on Django's own introspection."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

OUR_TABLES = ("chronomig_", "django_migrations", "sqlite_sequence")
"""How their names begin."""


def dump(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return {table: {columns, constraints}} of every table but those of the migration frameworks."""
    with connection.cursor() as cursor:
        names = sorted(connection.introspection.table_names(cursor))
        return {name: describe(connection, cursor, name) for name in names if not name.startswith(OUR_TABLES)}


def describe(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> dict[str, Any]:
    return {"columns": columns(connection, cursor, table), "constraints": constraints(connection, cursor, table)}


def columns(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> list[list[str]]:
    """Return [name, type, null, default] of each column, in order."""
    return [
        [one.name, kind(connection, one), str(one.null_ok), str(one.default)]
        for one in connection.introspection.get_table_description(cursor, table)
    ]


def kind(connection: BaseDatabaseWrapper, one: Any) -> str:
    size = one.display_size if connection.vendor != "sqlite" else ""
    return f"{one.type_code} {size} {one.internal_size} {one.precision} {one.scale}"


def constraints(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> dict[str, Any]:
    """Return what is known of each index and constraint; PostgreSQL 18 lists NOT NULL too, which columns tell."""
    try:
        found = connection.introspection.get_constraints(cursor, table)
    except KeyError:  # Django's, where a check of MariaDB has the name that an index has: a unique column renamed
        cursor.execute(f"SHOW CREATE TABLE {connection.ops.quote_name(table)}")
        return {"as MariaDB tells": cursor.fetchone()[1]}
    return {
        name: {key: str(value) for key, value in sorted(one.items()) if key != "definition"}
        for name, one in sorted(found.items())
        if not name.endswith("_not_null")
    }


def definitions(connection: BaseDatabaseWrapper) -> dict[str, list[str]]:
    """Return what SQLite keeps of each table and index, word for word, but for the order inside of tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        rows = cursor.fetchall()
    return {
        f"{kind} {name} on {table}": sorted(parts(sql)) if kind == "table" else [sql]
        for kind, name, table, sql in rows
        if not table.startswith(OUR_TABLES)
    }


def parts(sql: str) -> list[str]:
    """Split the inside of CREATE TABLE (...) at its own commas."""
    found, depth, part = [], 0, ""
    for sign in sql[sql.index("(") + 1 : sql.rindex(")")]:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            found.append(part.strip())
            part = ""
        else:
            part += sign
    return [*found, part.strip()]
