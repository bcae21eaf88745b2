"""One entry of the stash on its way back: what of it can come, and how it is put in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.stash import tables
from chronomig.stash.entries import CAME, COMES, COMES_WITH_GAPS, FLAG, MET, STAYS, Entry
from chronomig.stash.refusals import MOST_REFUSED, NONE, REFUSAL, Key, Refusals, in_a_line
from chronomig.stash.renumbering import renumber
from chronomig.stash.tables import Relation, Table, execute, fits, query


@dataclass(frozen=True)
class Outcome:
    """What became of an entry."""

    entry: Entry
    back: int
    """Rows that are in place again."""
    left: int
    """Rows that stay in the stash."""
    cause: str = ""


class CannotComeBack(Exception):
    """The place of the rows is not what it was."""


class Return:
    """One entry on its way back."""

    def __init__(self, connection: BaseDatabaseWrapper, entry: Entry, *, by_hand: bool) -> None:
        self.connection = connection
        self.entry = entry
        self.by_hand = by_hand
        self.there = destination_of(connection, entry)
        self.quote = connection.ops.quote_name
        self.table, self.stash = self.quote(self.there.name), self.quote(entry.rows_table)
        self.flag = f"{self.stash}.{self.quote(FLAG)}"
        self.gaps: list[tuple[str, str]] = []
        """(column, condition): where NULL stands in for a reference to what is gone."""

    def run(self, refused: Refusals = NONE) -> Outcome:
        """Bring back what can come; raise CannotComeBack."""
        self.recognise()
        causes = list(self.flag_what_stays(refused))
        if self.entry.column is None:
            self.set_flag(MET, f"{self.flag} = {COMES} AND {self.in_place()}")
            back = self.count(f"{self.flag} <> {STAYS}")
            self.put()
            tables.count_on(self.connection, self.there, self.entry.table.last_number)
        else:
            self.put()
            back = self.count(f"{self.flag} = {COMES} AND {self.in_place()}")
        self.forget()
        left = self.count(f"{self.flag} < {CAME}")
        return Outcome(self.entry, back, left, "; ".join(causes) if left else "")

    def recognise(self) -> None:
        """Give rows that code made anew the primary keys that they are matched by; by hand what is there stays."""
        if self.entry.column is None and not self.by_hand:
            renumber(self.connection, self.entry, self.there)

    # -- what stays -------------------------------------------------------------------------------------------------

    def flag_what_stays(self, refused: Refusals) -> Iterator[str]:
        """Flag the rows that cannot come back, and say why."""
        execute(self.connection, f"DELETE FROM {self.stash} WHERE {self.flag} >= {CAME}")
        if changed := self.count(f"{self.flag} = {STAYS}"):
            yield f"{changed} changed meanwhile"
        for key in refused:
            where = " AND ".join(f"{self.quote(one)} = %s" for one in self.there.key)
            execute(self.connection, f"UPDATE {self.stash} SET {self.quote(FLAG)} = {STAYS} WHERE {where}", key)
        if refused:
            yield f"{len(refused)} refused by the database ({next(iter(refused.values()))})"
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
        return [one for one in found if tables.called(self.connection, one.table)]

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

    def put(self, where: str = "1 = 1", parameters: Sequence[Any] = ()) -> None:
        """Put the rows in, all or those *where*; rows that code has made again give way."""
        comes = f"{self.flag} <> {STAYS} AND {where}"
        if self.entry.column is not None:
            self.overwrite([self.entry.column], comes, parameters)
            return
        columns = self.entry.table.stored
        if self.there.key:
            if others := [one for one in columns if one not in self.there.key]:
                self.overwrite(others, comes, parameters)
            comes += f" AND NOT {self.in_place()}"
        names, values = ", ".join(map(self.quote, columns)), ", ".join(map(self.value, columns))
        sql = f"INSERT INTO {self.table} ({names}) SELECT {values} FROM {self.stash} WHERE {comes}"
        execute(self.connection, sql, parameters or None)

    def overwrite(self, columns: Iterable[str], comes: str, parameters: Sequence[Any]) -> None:
        """Give the rows that are there the values of the stash."""
        same = self.same_key()
        values = ", ".join(
            f"{self.quote(one)} = (SELECT {self.value(one)} FROM {self.stash} WHERE {same})" for one in columns
        )
        execute(
            self.connection,
            f"UPDATE {self.table} SET {values} WHERE EXISTS (SELECT 1 FROM {self.stash} WHERE {same} AND {comes})",
            parameters or None,
        )

    def keys(self) -> list[Key]:
        """Return the primary keys of what comes, in their order."""
        names = ", ".join(f"{self.stash}.{self.quote(one)}" for one in self.there.key)
        sql = f"SELECT {names} FROM {self.stash} WHERE {self.flag} <> {STAYS} ORDER BY {names}"
        return query(self.connection, sql)

    def try_out(self, keys: Sequence[Key], refused: Refusals) -> None:
        """Put in the rows between the first and the last of *keys*, in halves where the database refuses them."""
        names = ", ".join(f"{self.stash}.{self.quote(one)}" for one in self.there.key)
        given = ", ".join(["%s"] * len(self.there.key))
        try:
            with transaction.atomic(self.connection.alias):
                self.put(f"({names}) >= ({given}) AND ({names}) <= ({given})", [*keys[0], *keys[-1]])
        except REFUSAL as error:
            if len(refused) >= MOST_REFUSED:
                raise
            if len(keys) == 1:
                refused[keys[0]] = in_a_line(error)
                return
            self.try_out(keys[: len(keys) // 2], refused)
            self.try_out(keys[len(keys) // 2 :], refused)

    def forget(self) -> None:
        """Leave in the stash what did not come back whole; of a column, what has no row any more was deleted."""
        done = f"{self.flag} = {COMES}"
        if self.entry.column is not None:
            done += f" OR NOT {self.in_place()}"
        self.set_flag(CAME, done)
        self.set_flag(COMES, f"{self.flag} < {CAME}")

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


def destination_of(connection: BaseDatabaseWrapper, entry: Entry) -> Table:
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
