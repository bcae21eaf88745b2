"""What the executor calls around each operation: rows go aside before they are dropped, and come back behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation

from chronomig.batching import Move
from chronomig.effects import Loss, effects_of
from chronomig.errors import Refused
from chronomig.stash import tables
from chronomig.stash.aside import Weight, put_after, put_aside, together, weigh
from chronomig.stash.back import Key, Outcome, bring_back, empty, leave_changed
from chronomig.stash.entries import Entries, Entry, State
from chronomig.stash.tables import Table
from chronomig.state import is_opaque


@dataclass(frozen=True)
class Limits:
    """How much may lie in a stash."""

    rows: int
    """Of one table or column."""
    megabytes: float
    """Of all that lies there."""
    days: float
    """How long it may; 0 is without end."""
    puts_aside: bool = True
    """Whether anything is put there; what lies there comes back in any case."""


class Returned(NamedTuple):
    """A table or column whose rows came back in this run."""

    table: str
    column: str | None
    met: list[Key]
    """The primary keys of rows that were there already: code had made them anew."""


class TooMuch(Refused):
    """Rows would be dropped that the stash cannot take."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(
            f"{what} cannot be put into the stash; nothing of it was dropped.",
            cause=why,
            next_step="Add --no-stash to let the rows go, or raise stash_max_rows or stash_max_mb.",
        )


class NothingKept:
    """Stands in where rows are let go."""

    notes: tuple[str, ...] | list[str] = ()

    def begin(self, migration: str, *, is_up: bool, resumed: bool) -> None: ...
    def before(self, move: Move) -> None: ...
    def after(self, move: Move) -> None: ...
    def hold(self) -> None: ...
    def finish(self) -> None: ...


class Keeper(NothingKept):
    """
    Puts rows aside and brings them back, in one run.

    Code that says it has nothing to undo left what it made to be dropped with its place. It runs as it did the first
    time, without the rows that came back in this run; what was there then wins over what it makes anew.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        entries: Entries,
        limits: Limits,
        *,
        applied: Collection[str] = (),
        filling: Collection[str] = (),
    ) -> None:
        self.connection = connection
        self.entries = entries
        self.limits = limits
        self.lying = entries.all()
        """What the stash holds: read once, then kept in step."""
        self.filling = set(filling)
        """The migrations of the run that are yet to come and have such code."""
        self.ready = [one for one in self.lying if one.state is State.STASHED and one.migration in applied]
        """What waits to come back, its place being there; from an earlier run that did not get there, too."""
        self.returned: list[Returned] = []
        """What came back in this run."""
        self._edge = self._standing()
        self.migration = ""
        self.begin("", is_up=True, resumed=False)

    def begin(self, migration: str, *, is_up: bool, resumed: bool) -> None:
        """
        Turn to *migration*; *resumed* where it goes on behind operations that are done already.

        Begun again, after it was rolled back, it finds what it found the first time, or at the last :meth:`hold`.
        """
        if migration == self.migration:
            self.lying, self.ready, self.returned, self.filling = self._edge
        self._edge = self._standing()
        self.migration = migration
        self.is_up = is_up
        self.resumed = resumed
        self.notes: list[str] = []
        self.made: list[Entry] = []
        waiting = {one.id for one in self.ready}
        self.coming = [one for one in self._lying_of(migration) if is_up and one.id not in waiting]

    def hold(self) -> None:
        """Note that what was done so far is done: a further try begins behind it."""
        self._edge = self._standing()

    def _standing(self) -> tuple[list[Entry], list[Entry], list[Returned], set[str]]:
        return list(self.lying), list(self.ready), list(self.returned), set(self.filling)

    # -- around an operation ----------------------------------------------------------------------------------------

    def before(self, move: Move) -> None:
        """Put aside what the operation drops, raise TooMuch; or bring back what it has to meet."""
        if not self.is_up:
            self._bring_back()
            self._put_aside(move)
            return
        if fills_again(move.operation):
            self._take_out()
        elif is_code(move.operation) or any(changes_table(move, one.table.name) for one in self.ready):
            self._bring_back()
        for entry in self._coming_with(move):
            if entry.column is not None and tables.read(self.connection, entry.after_table):
                leave_changed(self.connection, entry)

    def after(self, move: Move) -> None:
        """Note what the operation made room for, or what it left of what was put aside."""
        if not self.is_up:
            for entry in self.made:
                self._note_aside(entry)
            self.made = []
            return
        for entry in reversed(self._coming_with(move)):
            self.coming.remove(entry)
            self.ready.append(entry)
            if entry.column is None and not self.filling:
                self._count_on(entry)

    def finish(self) -> None:
        """
        Bring back what is left, in the transaction of the migration; not before code that is to come fills the place.

        What found no operation of its own is tried, too: the file was edited, or a kill came between.
        """
        self.filling.discard(self.migration)
        self.ready += self.coming[::-1]
        self.coming = []
        if self.is_up and not self.filling:
            self._bring_back()

    def _put_aside(self, move: Move) -> None:
        if not self.limits.puts_aside:
            return
        for table, column in dropped(self.connection, move):
            if self.resumed and column is not None and self._lies_there(table, column):
                continue  # the values that are left may be cut already
            weight = self.weigh(table, column)
            if weight.rows:
                self.made.append(self._copy(table, column, weight.size))

    def _copy(self, table: Table, column: str | None, size: int) -> Entry:
        with together(self.connection):
            entry = put_aside(self.connection, self.entries, self.migration, table, column, size)
        self.lying.append(entry)
        return entry

    def _take_out(self) -> None:
        """Take what came back out again; rows that code of this run had made stay. It is the first to come back."""
        taken = []
        for one in self.returned:
            table = tables.read(self.connection, one.table)
            if table is None or (one.column is not None and one.column not in table.columns):
                continue
            taken.append(self._copy(table, one.column, 0))
            if one.column is None:
                empty(self.connection, table, one.met)
        self.ready = taken + self.ready
        self.returned = []

    def _bring_back(self) -> None:
        """In the order in which places were made: rows refer to those before them."""
        for entry in self.ready:
            outcome = bring_back(self.connection, self.entries, entry)
            self.lying = [one for one in self.lying if one.id != entry.id]
            self.notes.append(told(outcome))
            self.returned.append(Returned(entry.table.name, entry.column, outcome.met))
        if self.ready and self.connection.vendor == "postgresql":
            self.connection.check_constraints()  # a table cannot be altered while checks of its rows are due
        self.ready = []

    def _count_on(self, entry: Entry) -> None:
        """Not where code fills the table first: what it numbers anew would not meet what was there."""
        if there := tables.read(self.connection, entry.table.name):
            tables.count_on_from(self.connection, there, entry.table.last_number)

    def weigh_all(self, moves: Iterable[Move]) -> None:
        """Look at what would be put aside, before anything is; raise TooMuch."""
        if self.limits.puts_aside:
            for move in moves:
                for table, column in dropped(self.connection, move):
                    self.weigh(table, column)

    def weigh(self, table: Table, column: str | None) -> Weight:
        """Return how much would be put aside; raise TooMuch for more than may be, and for what cannot be matched."""
        what = f"The table {table.name}" if column is None else f"The column {column} of {table.name}"
        weight = weigh(self.connection, table, column, self.limits.rows)
        if weight.rows > self.limits.rows:
            raise TooMuch(what, f"It has more than {self.limits.rows} rows (stash_max_rows).")
        if weight.rows and column is not None and (not table.key or column in table.key):
            raise TooMuch(what, "Its rows could not be matched by primary key when they come back.")
        lying = sum(entry.size for entry in self.lying)
        if weight.rows and weight.size + lying > self.limits.megabytes * 1_000_000:
            raise TooMuch(
                what,
                f"It has about {weight.size / 1e6:.1f} MB, {lying / 1e6:.1f} MB lie in the stash, "
                f"and {self.limits.megabytes:g} MB may (stash_max_mb).",
            )
        return weight

    def _coming_with(self, move: Move) -> list[Entry]:
        if not self.coming:
            return []
        places = {(loss.table.lower(), (loss.column or "").lower()) for loss in losses(move)}
        return [one for one in self.coming if (one.table.name.lower(), (one.column or "").lower()) in places]

    def _lies_there(self, table: Table, column: str) -> bool:
        mine = self._lying_of(self.migration)
        return any((one.table.name, one.column) == (table.name, column) for one in mine)

    def _lying_of(self, migration: str) -> list[Entry]:
        return [one for one in self.lying if one.migration == migration and one.state is State.STASHED]

    def _note_aside(self, entry: Entry) -> None:
        there = tables.read(self.connection, entry.table.name)
        if entry.column is not None and there is not None and entry.column in there.columns:
            with together(self.connection):
                put_after(self.connection, entry)
        self.notes.append(f"stashed   {entry.place}: {plural(entry.rows)}")


def told(outcome: Outcome) -> str:
    """Say in a line what became of an entry."""
    entry = outcome.entry
    text = f"restored  {entry.place}: {plural(outcome.back)}"
    if not outcome.left:
        return text
    return f"{text}; {outcome.left} stay in the stash as {entry.id}: {outcome.cause}"


def plural(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"


def losses(move: Move) -> Iterator[Loss]:
    """Yield what undoing the operation drops or cuts; a column that stops to be nullable loses its NULLs."""
    yield from effects_of(move.operation, move.app_label, move.before).destroys_backwards
    operation = move.operation
    if isinstance(operation, ops.AlterField):
        key = move.app_label, operation.model_name_lower
        before, after = move.before.models.get(key), move.after.models.get(key)
        if before and after and operation.name in before.fields:
            old, new = before.fields[operation.name], after.fields[operation.name]
            if new.null and not old.null:
                yield from effects_of(
                    ops.AddField(operation.model_name, operation.name, new), move.app_label, move.before
                ).destroys_backwards


def dropped(connection: BaseDatabaseWrapper, move: Move) -> Iterator[tuple[Table, str | None]]:
    """Yield (table, column) of what is in the database and would be lost; what is computed is not."""
    seen = set()
    for loss in losses(move):
        table = tables.read(connection, loss.table)
        if table is None or (loss.table, loss.column) in seen:
            continue
        seen.add((loss.table, loss.column))
        if loss.column is None:
            yield table, None
        for column in table.stored:
            if column.lower() == (loss.column or "").lower():
                yield table, column


def changes_table(move: Move, name: str) -> bool:
    writes = effects_of(move.operation, move.app_label, move.before).writes
    return any(thing[:2] == ("table", name.lower()) for thing in writes)


def is_code(operation: Operation) -> bool:
    """Whether the operation may do anything on the way up."""
    if type(operation) is ops.RunPython:
        return operation.code is not ops.RunPython.noop
    return is_opaque(operation)


def fills_again(operation: Operation) -> bool:
    """Whether the operation is code that does something on the way up, and says that it has nothing to undo."""
    if type(operation) is ops.RunPython:
        return operation.reverse_code is ops.RunPython.noop and operation.code is not ops.RunPython.noop
    return type(operation) is ops.RunSQL and operation.reverse_sql == ops.RunSQL.noop and bool(operation.sql)
