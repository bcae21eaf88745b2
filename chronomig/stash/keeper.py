"""What the executor calls around each operation: rows go aside before they are dropped, and come back behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation

from chronomig.effects import Loss, effects_of
from chronomig.errors import Refused
from chronomig.stash import tables
from chronomig.stash.aside import Weight, put_after, put_aside, together, weigh
from chronomig.stash.back import Outcome, bring_back, leave_changed
from chronomig.stash.entries import Entries, Entry, State
from chronomig.stash.tables import Table
from chronomig.state import ProjectState


class Move(Protocol):
    """One operation between the two states around it."""

    @property
    def app_label(self) -> str: ...
    @property
    def operation(self) -> Operation: ...
    @property
    def before(self) -> ProjectState: ...
    @property
    def after(self) -> ProjectState: ...


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
    def after(self, move: Move, rest: Iterable[Move]) -> None: ...
    def finish(self) -> None: ...


class Keeper(NothingKept):
    """Puts rows aside and brings them back, for one migration after the other."""

    def __init__(self, connection: BaseDatabaseWrapper, entries: Entries, limits: Limits) -> None:
        self.connection = connection
        self.entries = entries
        self.limits = limits
        self.lying = entries.all()
        """What the stash holds: read once, then kept in step."""
        self.begin("", is_up=True, resumed=False)

    def begin(self, migration: str, *, is_up: bool, resumed: bool) -> None:
        """Turn to *migration*; *resumed* where it goes on behind operations that are done already."""
        self.migration = migration
        self.is_up = is_up
        self.resumed = resumed
        self.notes: list[str] = []
        self.made: list[Entry] = []
        self.waiting: list[tuple[Entry, Operation]] = []
        """What comes back later: (entry, the operation that it waits for)."""
        self.coming = self._lying_of(migration) if is_up else []

    # -- around an operation ----------------------------------------------------------------------------------------

    def before(self, move: Move) -> None:
        """Put aside what the operation drops; raise TooMuch."""
        if self.is_up:
            for entry in self._coming_with(move):
                if entry.column is not None and tables.read(self.connection, entry.after_table):
                    leave_changed(self.connection, entry)
            return
        self.made = []
        if not self.limits.puts_aside:
            return
        for table, column in dropped(self.connection, move):
            if self.resumed and column is not None and self._lies_there(table, column):
                continue  # the values that are left may be cut already
            weight = self.weigh(table, column)
            if weight.rows:
                with together(self.connection):
                    made = put_aside(self.connection, self.entries, self.migration, table, column, weight.size)
                self.made.append(made)
                self.lying.append(made)

    def after(self, move: Move, rest: Iterable[Move]) -> None:
        """Bring back what the operation made room for, behind those of the *rest* that fill it anew."""
        if not self.is_up:
            for entry in self.made:
                self._note_aside(entry)
            return
        coming = self._coming_with(move)
        later = list(rest) if coming else []
        for entry in reversed(coming):
            self.coming.remove(entry)
            last = last_filling(entry, move, later)
            self.waiting.append((entry, last))
            if last is move.operation and entry.column is None:
                self._count_on(entry)
        self._bring_back_until(move)

    def _count_on(self, entry: Entry) -> None:
        """Not where code fills the table first: what it numbers anew would not meet what was there."""
        if there := tables.read(self.connection, entry.table.name):
            tables.count_on_from(self.connection, there, entry.table.last_number)

    def _bring_back_until(self, move: Move) -> None:
        """What waits for *move* comes back, after all that came before it: it may refer to those rows."""
        ready = max((place for place, (_, last) in enumerate(self.waiting) if last is move.operation), default=-1)
        for entry, _ in self.waiting[: ready + 1]:
            self._bring_back(entry)
        del self.waiting[: ready + 1]

    def finish(self) -> None:
        """Bring back what found no operation of its own: the file was edited, or a kill came between."""
        for entry in [entry for entry, _ in self.waiting] + self.coming[::-1]:
            self._bring_back(entry)
        self.waiting, self.coming = [], []

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

    def _bring_back(self, entry: Entry) -> None:
        outcome = bring_back(self.connection, self.entries, entry)
        self.lying = [one for one in self.lying if one.id != entry.id]
        self.notes.append(told(outcome))


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


def last_filling(entry: Entry, move: Move, rest: Iterable[Move]) -> Operation:
    """
    Return the operation that *entry* comes back behind: that of *move*, or the last code that fills its place anew.

    Code that says it has nothing to undo left its rows to be dropped with their place: run before they are back, it
    finds what it found the first time. Not beyond an operation that changes the table.
    """
    last, name = move.operation, entry.table.name.lower()
    for one in rest:
        if has_nothing_to_undo(one.operation):
            last = one.operation
        elif any(
            thing[:2] == ("table", name) for thing in effects_of(one.operation, one.app_label, one.before).writes
        ):
            break
    return last


def has_nothing_to_undo(operation: Operation) -> bool:
    if type(operation) is ops.RunPython:
        return operation.reverse_code is ops.RunPython.noop and operation.code is not ops.RunPython.noop
    return type(operation) is ops.RunSQL and operation.reverse_sql == ops.RunSQL.noop and bool(operation.sql)
