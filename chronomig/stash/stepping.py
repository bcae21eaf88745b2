"""
Rows that came back step aside once more, for code that relies on their not being there.

Rows that code of the run made stay, and so do rows that others which stay refer to: at no time does a row refer to
what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.stash import tables
from chronomig.stash.entries import CAME, COMES, FLAG, MET, STAYS, Entry
from chronomig.stash.tables import Relation, Table, execute, query

Copy = Callable[[Table, str | None, str], Entry]
"""Put the rows of a table, or one column of it, aside where a condition holds."""


class Going(NamedTuple):
    """A table whose rows step aside."""

    table: Table
    copy: Entry
    """What they come back from."""


def step_aside(connection: BaseDatabaseWrapper, returned: Iterable[Entry], copy: Copy) -> list[Entry]:
    """
    Take what *returned* out again; return the copies, in the order in which they come back.

    The primary keys count as if the rows had not been there.
    """
    there = [(was, table) for was in returned if (table := still_there(connection, was))]
    copies = [copy(table, was.column, came_with(connection, was, table)) for was, table in there]
    going = [Going(table, made) for (was, table), made in zip(there, copies, strict=True) if was.column is None]
    names = {one.table.name for one in going}
    for was, table in there:
        if was.column is not None and table.name not in names:
            let_go(connection, table, was.column, names)
    for (was, table), made in zip(there, copies, strict=True):
        if was.column is None:
            hold_met(connection, was, table, made)
    hold_referred(connection, going)
    for one in going:
        take_out(connection, one)
    for one in going:  # on MariaDB that commits
        tables.count_anew(connection, one.table)
    return copies


def still_there(connection: BaseDatabaseWrapper, was: Entry) -> Table | None:
    """Return the table, where what came back is still there."""
    table = tables.read(connection, was.table.name)
    return table if table and (was.column is None or was.column in table.columns) else None


def came_with(connection: BaseDatabaseWrapper, was: Entry, table: Table) -> str:
    """Return the condition that a row of *table* came back; all rows of a column, and without a primary key."""
    if was.column is not None or not table.key:
        return "1 = 1"
    flag = connection.ops.quote_name(FLAG)
    return f"EXISTS (SELECT 1 FROM {matching(connection, was, table)} AND {flag} >= {CAME})"


def matching(connection: BaseDatabaseWrapper, entry: Entry, table: Table, name: str = "") -> str:
    """Return the rows of an entry, with the condition that they are those of *table*, or of what is called *name*."""
    quote = connection.ops.quote_name
    stash, name = quote(entry.rows_table), name or quote(table.name)
    return f"{stash} WHERE " + " AND ".join(f"{stash}.{quote(one)} = {name}.{quote(one)}" for one in table.key)


def let_go(connection: BaseDatabaseWrapper, table: Table, column: str, names: set[str]) -> None:
    """Empty a column that came back and refers to what goes, where it may be empty, as it was when code first ran."""
    refers = any(one.column == column and one.table in names for one in table.relations)
    if refers and table.columns[column].nullable:
        quote = connection.ops.quote_name
        execute(connection, f"UPDATE {quote(table.name)} SET {quote(column)} = NULL")


def hold_met(connection: BaseDatabaseWrapper, was: Entry, table: Table, copy: Entry) -> None:
    """Let rows stay that code of the run had made before they came back; their values come back again."""
    if table.key:
        quote = connection.ops.quote_name
        met = f"SELECT 1 FROM {matching(connection, was, table, quote(copy.rows_table))} AND "
        met += f"{quote(was.rows_table)}.{quote(FLAG)} = {MET}"
        execute(connection, f"UPDATE {quote(copy.rows_table)} SET {quote(FLAG)} = {STAYS} WHERE EXISTS ({met})")


def hold_referred(connection: BaseDatabaseWrapper, going: Sequence[Going]) -> None:
    """Let rows stay that are referred to by what stays; they hold others in turn."""
    by_name = {one.table.name: one for one in going}
    known = tables.references(connection) if going else []
    relations = [(name, relation) for name, relation in known if relation.table in by_name]
    again = bool(relations)
    while again:
        again = any(hold(connection, by_name, name, relation) for name, relation in relations)


def hold(connection: BaseDatabaseWrapper, going: dict[str, Going], name: str, relation: Relation) -> bool:
    """Flag the rows that rows of the table *name* hold; return whether there were any."""
    quote, held = connection.ops.quote_name, going[relation.table]
    copy, flag = quote(held.copy.rows_table), quote(FLAG)
    refers = f"holder.{quote(relation.column)} = {copy}.{quote(relation.refers_to)}"
    stays = "1 = 1"
    if name in going:
        other = going[name]
        if not other.table.key:  # all of its rows go
            return False
        same = " AND ".join(f"gone.{quote(one)} = holder.{quote(one)}" for one in other.table.key)
        rows = f"SELECT * FROM {quote(other.copy.rows_table)} WHERE {flag} = {COMES}"
        stays = f"NOT EXISTS (SELECT 1 FROM ({rows}) gone WHERE {same})"
    condition = f"{copy}.{flag} = {COMES} AND EXISTS (SELECT 1 FROM {quote(name)} holder WHERE {refers} AND {stays})"
    ((found,),) = query(connection, f"SELECT COUNT(*) FROM {copy} WHERE {condition}")
    if found:
        execute(connection, f"UPDATE {copy} SET {flag} = {STAYS} WHERE {condition}")
    return bool(found)


def take_out(connection: BaseDatabaseWrapper, one: Going) -> None:
    """Delete the rows that go."""
    quote, table = connection.ops.quote_name, one.table
    where = "1 = 1"
    if table.key:
        where = f"EXISTS (SELECT 1 FROM {matching(connection, one.copy, table)} AND {quote(FLAG)} = {COMES})"
    with connection.constraint_checks_disabled():
        execute(connection, f"DELETE FROM {quote(table.name)} WHERE {where}")
    execute(connection, f"UPDATE {quote(one.copy.rows_table)} SET {quote(FLAG)} = {COMES}")
