"""Bringing rows back: by primary key, as far as what they refer to is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import Error as DatabaseFault
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.stash import tables
from chronomig.stash.entries import FLAG, Entries, Entry, State
from chronomig.stash.tables import Relation, Table, execute, fits, query

Key = tuple[Any, ...]
"""The values of a primary key."""
COMES, STAYS, COMES_WITH_GAPS = 0, 1, 2
"""What the flag of a row says while it comes back; the last one also stays in the stash, as it was."""


@dataclass(frozen=True)
class Outcome:
    """What became of an entry."""

    entry: Entry
    back: int
    """Rows that are in place again."""
    left: int
    """Rows that stay in the stash."""
    cause: str = ""
    met: list[Key] = field(default_factory=list)
    """The primary keys of rows of the table that were there already, and gave way."""


class CannotComeBack(Exception):
    """The place of the rows is not what it was."""


def bring_back(connection: BaseDatabaseWrapper, entries: Entries, entry: Entry, *, by_hand: bool = False) -> Outcome:
    """
    Bring the rows of *entry* back; what cannot come back stays in the stash, with its cause.

    In the transaction that is open, and without DDL. *by_hand*, rows of a table that are there already stay.
    """
    try:
        with transaction.atomic(connection.alias), connection.constraint_checks_disabled():
            outcome = Return(connection, entry, by_hand=by_hand).run()
            if by_hand or connection.vendor != "postgresql":  # there all checks that are due would be made at once
                connection.check_constraints([entry.table.name])
    except (CannotComeBack, DatabaseFault) as error:
        outcome = Outcome(entry, 0, entry.rows, str(error).strip())
    if outcome.left:
        entries.mark(entry, State.KEPT, rows=outcome.left, cause=outcome.cause)
    else:
        entries.mark(entry, State.SPENT)
    return outcome


class Return:
    """One entry on its way back."""

    def __init__(self, connection: BaseDatabaseWrapper, entry: Entry, *, by_hand: bool) -> None:
        self.connection = connection
        self.entry = entry
        self.by_hand = by_hand
        self.there = place_of(connection, entry)
        self.quote = connection.ops.quote_name
        self.table, self.stash = self.quote(self.there.name), self.quote(entry.rows_table)
        self.flag = f"{self.stash}.{self.quote(FLAG)}"
        self.gaps: list[tuple[str, str]] = []
        """(column, condition): where NULL stands in for a reference to what is gone."""

    def run(self) -> Outcome:
        """Bring back what can come; raise CannotComeBack."""
        causes = list(self.flag_what_stays())
        met: list[Key] = []
        if self.entry.column is None:
            met = self.put_rows()
            back = self.count(f"{self.flag} <> {STAYS}")
        else:
            self.overwrite([self.entry.column])
            back = self.count(f"{self.flag} = {COMES} AND {self.in_place()}")
        self.forget()
        left = self.count("1 = 1")
        return Outcome(self.entry, back, left, "; ".join(causes) if left else "", met)

    # -- what stays -------------------------------------------------------------------------------------------------

    def flag_what_stays(self) -> Iterator[str]:
        """Flag the rows that cannot come back, and say why."""
        if changed := self.count(f"{self.flag} = {STAYS}"):
            yield f"{changed} changed meanwhile"
        if self.entry.column is None:
            yield from self.flag_taken()
        strict = [one for one in self.relations() if not self.gives_gaps(one)]
        yield from dict.fromkeys(self.flag_dangling(strict))
        for relation in filter(self.gives_gaps, self.relations()):
            gone = self.gone(relation)
            if found := self.set_flag(COMES_WITH_GAPS, f"{self.flag} <> {STAYS} AND {gone}"):
                self.gaps.append((relation.column, gone))
                yield f"{found} came back without {relation.column}: what it refers to in {relation.table} is gone"

    def flag_taken(self) -> Iterator[str]:
        if not self.there.key:
            if query(self.connection, f"SELECT 1 FROM {self.table} LIMIT 1"):
                raise CannotComeBack(f"{self.there.name} has rows, and no primary key to match them by")
        elif self.by_hand and (taken := self.set_flag(STAYS, f"{self.flag} = {COMES} AND {self.in_place()}")):
            yield f"{taken} have a primary key that is taken"

    def flag_dangling(self, relations: list[Relation]) -> Iterator[str]:
        """A row that stays takes those of its own table with it that refer to it."""
        again = True
        while again:
            again = False
            for relation in relations:
                if found := self.set_flag(STAYS, f"{self.flag} = {COMES} AND {self.gone(relation)}"):
                    again = True
                    yield f"{found} refer with {relation.column} to what is gone in {relation.table}"

    def relations(self) -> list[Relation]:
        """Return the references that rows bring along, to tables that are there."""
        brought = self.brought()
        found = [one for one in self.entry.table.relations if one.column in brought]
        with self.connection.cursor() as cursor:
            names = self.connection.introspection.table_names(cursor)
        return [one for one in found if one.table in names]

    def brought(self) -> tuple[str, ...]:
        return self.entry.table.stored if self.entry.column is None else (self.entry.column,)

    def gives_gaps(self, relation: Relation) -> bool:
        return self.entry.column is None and self.there.columns[relation.column].nullable

    def gone(self, relation: Relation) -> str:
        """Return the condition that what a row of the stash refers to is not there, and does not come back."""
        quote, value = self.quote, f"{self.stash}.{self.quote(relation.column)}"
        refers_to = f"other.{quote(relation.refers_to)} = {value}"
        gone = f"{value} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {quote(relation.table)} other WHERE {refers_to})"
        if relation.table != self.there.name or self.entry.column is not None:
            return f"({gone})"
        coming = f"SELECT {quote(relation.refers_to)} FROM {self.stash} WHERE {quote(FLAG)} <> {STAYS}"
        return f"({gone} AND NOT EXISTS (SELECT 1 FROM ({coming}) other WHERE {refers_to}))"

    # -- what comes -------------------------------------------------------------------------------------------------

    def put_rows(self) -> list[Key]:
        """Put the rows in; those that code has made again give way. Return the keys of these."""
        columns, comes = self.entry.table.stored, f"{self.flag} <> {STAYS}"
        met: list[Key] = []
        if self.there.key:
            keys = ", ".join(f"{self.stash}.{self.quote(one)}" for one in self.there.key)
            met = query(self.connection, f"SELECT {keys} FROM {self.stash} WHERE {comes} AND {self.in_place()}")
            others = [one for one in columns if one not in self.there.key]
            if met and others:
                self.overwrite(others)
            comes += f" AND NOT {self.in_place()}"
        names, values = ", ".join(map(self.quote, columns)), ", ".join(map(self.value, columns))
        sql = f"INSERT INTO {self.table} ({names}) SELECT {values} FROM {self.stash} WHERE {comes}"
        execute(self.connection, sql)
        tables.count_on(self.connection, self.there, self.entry.table.last_number)
        return met

    def overwrite(self, columns: Iterable[str]) -> None:
        """Give the rows that are there the values of the stash."""
        same = self.same_key()
        values = ", ".join(
            f"{self.quote(one)} = (SELECT {self.value(one)} FROM {self.stash} WHERE {same})" for one in columns
        )
        execute(
            self.connection,
            f"UPDATE {self.table} SET {values} "
            f"WHERE EXISTS (SELECT 1 FROM {self.stash} WHERE {same} AND {self.flag} <> {STAYS})",
        )

    def forget(self) -> None:
        """Keep in the stash what did not come back whole; of a column, what has no row any more was deleted."""
        done = f"{self.flag} = {COMES}"
        if self.entry.column is not None:
            done += f" OR NOT {self.in_place()}"
        execute(self.connection, f"DELETE FROM {self.stash} WHERE {done}")
        self.set_flag(COMES, "1 = 1")

    def value(self, column: str) -> str:
        value = f"{self.stash}.{self.quote(column)}"
        for name, gone in self.gaps:
            if name == column:
                return f"CASE WHEN {gone} THEN NULL ELSE {value} END"
        return value

    def same_key(self) -> str:
        return " AND ".join(
            f"{self.table}.{self.quote(one)} = {self.stash}.{self.quote(one)}" for one in self.there.key
        )

    def in_place(self) -> str:
        """Return the condition that a row of the stash has one in the table."""
        return f"EXISTS (SELECT 1 FROM {self.table} WHERE {self.same_key()})"

    def set_flag(self, flag: int, condition: str) -> int:
        sql = f"UPDATE {self.stash} SET {self.quote(FLAG)} = {flag} WHERE {condition}"
        found = self.count(condition)  # what an UPDATE counts differs: MariaDB leaves out rows that stay the same
        execute(self.connection, sql)
        return found

    def count(self, condition: str) -> int:
        ((found,),) = query(self.connection, f"SELECT COUNT(*) FROM {self.stash} WHERE {condition}")
        return int(found)


def place_of(connection: BaseDatabaseWrapper, entry: Entry) -> Table:
    """Return the table that the rows go back to; raise CannotComeBack when it is not what it was."""
    was, there = entry.table, tables.read(connection, entry.table.name)
    if there is None:
        raise CannotComeBack(f"there is no table {was.name}")
    if there.key != was.key:
        raise CannotComeBack(f"the primary key of {was.name} was {', '.join(was.key)}, now {', '.join(there.key)}")
    for column in was.stored if entry.column is None else (*was.key, entry.column):
        if column not in there.columns:
            raise CannotComeBack(f"there is no column {was.name}.{column}")
        old, new = was.columns[column], there.columns[column]
        if not fits(old, new):
            raise CannotComeBack(f"the type of {was.name}.{column} was {old.kind}, now {new.kind}")
    return there


def empty(connection: BaseDatabaseWrapper, table: Table, but: Sequence[Key]) -> None:
    """Delete the rows of *table*, but for those with the primary keys in *but*; references to them stay."""
    quote = connection.ops.quote_name
    with connection.constraint_checks_disabled():
        if not but:
            execute(connection, f"DELETE FROM {quote(table.name)}")
        for key in rows_but(connection, table, but) if but else ():
            where = " AND ".join(f"{quote(one)} = %s" for one in table.key)
            execute(connection, f"DELETE FROM {quote(table.name)} WHERE {where}", key)
    tables.count_anew(connection, table)


def rows_but(connection: BaseDatabaseWrapper, table: Table, but: Sequence[Key]) -> list[Key]:
    names = ", ".join(map(connection.ops.quote_name, table.key))
    found = query(connection, f"SELECT {names} FROM {connection.ops.quote_name(table.name)}")
    kept = set(but)
    return [key for key in found if key not in kept]


def leave_changed(connection: BaseDatabaseWrapper, entry: Entry) -> None:
    """Before a change of type is made again: flag the rows whose value is not the one that undoing it left."""
    quote, column = connection.ops.quote_name, quote_of(connection, entry)
    table, after, stash = map(quote, (entry.table.name, entry.after_table, entry.rows_table))
    same = {"postgresql": "{}::text IS NOT DISTINCT FROM {}::text", "mysql": "BINARY {} <=> BINARY {}"}
    unchanged = same.get(connection.vendor, "{} IS {}").format(f"{table}.{column}", f"{after}.{column}")
    here = " AND ".join(f"{table}.{quote(one)} = {stash}.{quote(one)}" for one in entry.table.key)
    then = " AND ".join(f"{after}.{quote(one)} = {stash}.{quote(one)}" for one in entry.table.key)
    execute(
        connection,
        f"UPDATE {stash} SET {quote(FLAG)} = {STAYS} WHERE EXISTS ("
        f"SELECT 1 FROM {table}, {after} WHERE {here} AND {then} AND NOT ({unchanged}))",
    )


def quote_of(connection: BaseDatabaseWrapper, entry: Entry) -> str:
    return connection.ops.quote_name(entry.column or "")
