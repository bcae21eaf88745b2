"""Putting rows aside: copies of tables and columns, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.stash.entries import COMES, FLAG, Cause, Entries, Entry, State
from chronomig.stash.tables import Table, execute, query

SAMPLE = 1_000
"""Rows whose size is looked at."""
LENGTH = {
    "sqlite": "LENGTH(CAST({0} AS BLOB))",
    "postgresql": "pg_column_size({0})",
    "mysql": "OCTET_LENGTH({0})",
}


@dataclass(frozen=True)
class Weight:
    """How much would be put aside."""

    rows: int
    """Counted up to one more than the limit."""
    size: int
    """Bytes, from a sample of the rows."""


def weigh(connection: BaseDatabaseWrapper, table: Table, column: str | None, at_most: int) -> Weight:
    """Count the rows of *table*, not further than behind *at_most*, and estimate their size."""
    quote, length = connection.ops.quote_name, LENGTH[connection.vendor]
    name = quote(table.name)
    (rows,) = query(connection, f"SELECT COUNT(*) FROM (SELECT 1 FROM {name} LIMIT {at_most + 1}) AS seen")[0]
    measured = " + ".join(f"COALESCE({length.format(quote(one))}, 0)" for one in copied(table, column))
    sample = f"SELECT {measured} AS size FROM {name} LIMIT {SAMPLE}"
    (mean,) = query(connection, f"SELECT COALESCE(AVG(size), 0) FROM ({sample}) AS seen")[0]
    return Weight(int(rows), round(float(mean) * int(rows)))


def copied(table: Table, column: str | None) -> tuple[str, ...]:
    """Return the columns that are put aside."""
    return table.stored if column is None else (*table.key, column)


def put_aside(
    connection: BaseDatabaseWrapper,
    entries: Entries,
    by: Cause,
    table: Table,
    column: str | None,
    size: int,
    where: str = "1 = 1",
) -> Entry:
    """
    Copy the rows of *table*, or one column of it with the primary key; all of them, or those *where*.

    The entry counts when all is there.
    """
    entry = entries.add(by, table, column, size)
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, copied(table, column)))
    if connection.vendor == "postgresql":  # nobody shall write between the copy and the drop
        execute(connection, f"LOCK TABLE {quote(table.name)} IN ACCESS EXCLUSIVE MODE")
    execute(
        connection,
        f"CREATE TABLE {quote(entry.rows_table)} AS "
        f"SELECT {names}, {COMES} AS {quote(FLAG)} FROM {quote(table.name)} WHERE {where}",
    )
    if table.key:
        index_key(connection, entry.rows_table, table)
    ((rows,),) = query(connection, f"SELECT COUNT(*) FROM {quote(entry.rows_table)}")
    entries.mark(entry, State.STASHED, rows=rows)
    return replace(entry, rows=rows, state=State.STASHED)


def put_after(connection: BaseDatabaseWrapper, entry: Entry) -> None:
    """Keep the values that a change of type left, so that others can be told from them."""
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, copied(entry.table, entry.column)))
    execute(connection, f"DROP TABLE IF EXISTS {quote(entry.after_table)}")
    execute(connection, f"CREATE TABLE {quote(entry.after_table)} AS SELECT {names} FROM {quote(entry.table.name)}")
    index_key(connection, entry.after_table, entry.table)


def renew_after(connection: BaseDatabaseWrapper, entry: Entry) -> None:
    """Keep these values anew, without DDL: others came back to where they are."""
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, copied(entry.table, entry.column)))
    execute(connection, f"DELETE FROM {quote(entry.after_table)}")
    execute(
        connection,
        f"INSERT INTO {quote(entry.after_table)} ({names}) SELECT {names} FROM {quote(entry.table.name)}",
    )


def index_key(connection: BaseDatabaseWrapper, name: str, table: Table) -> None:
    """Rows are matched by primary key: without an index that takes the square of their number."""
    quote = connection.ops.quote_name
    key = ", ".join(map(quote, table.key))
    execute(connection, f"CREATE UNIQUE INDEX {quote(name + '_key')} ON {quote(name)} ({key})")


def together(connection: BaseDatabaseWrapper) -> transaction.Atomic:
    """One transaction, or part of the one that is open; without a savepoint, which DDL ends on MariaDB."""
    return transaction.atomic(connection.alias, savepoint=False)
