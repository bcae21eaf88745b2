"""What the executor calls around each operation: rows go aside before they are dropped, and come back behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import operations as ops
from django.db.models import Model

from chronomig.batches.batching import Move
from chronomig.planning.record import Direction
from chronomig.stash import tables
from chronomig.stash.aside import Weight, put_after, put_aside, renew_after, together
from chronomig.stash.back import bring_back, leave_changed
from chronomig.stash.entries import Cause, Entries, Entry, State
from chronomig.stash.gaps import RemovedField, fill_gaps, needs_value, removed_field
from chronomig.stash.limits import Limits, TooMuch, weigh_within
from chronomig.stash.order import in_order_of_places, last_of_each_place, place_in
from chronomig.stash.places import OPPOSITE, altered, changes_table, dropped, fills_again, is_code, places_made
from chronomig.stash.stepping import step_aside
from chronomig.stash.tables import Table, place_of, plural
from chronomig.stash.telling import told, warning
from chronomig.state import is_opaque

ADDS_OR_REMOVES = (ops.AddField, ops.RemoveField)
"""Of these a column goes as a whole, or not at all."""


class NothingKept:
    """Stands in where rows are let go."""

    notes: tuple[str, ...] | list[str] = ()
    warnings: tuple[str, ...] | list[str] = ()
    brings_back = False
    """Whether rows came back in this run, or were about to."""

    def begin(self, migration: str, direction: Direction, *, left: Sequence[Move] | None) -> None: ...
    def taking(self, move: Move) -> Move:
        return move

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
        puts_aside: Collection[Direction] = tuple(Direction),
        came_back: Iterable[Entry] = (),
    ) -> None:
        self.connection = connection
        self.entries = entries
        self.limits = limits
        self.puts_aside = puts_aside if limits.puts_aside else ()
        """On which ways anything is put there."""
        self.lying = entries.all()
        """What the stash holds: read when a run or a further try begins, then kept in step."""
        self.filling = set(filling)
        """The migrations of the run that are yet to come and have such code."""
        self.ready = in_order_of_places(
            one
            for one in self.lying
            if one.state is State.STASHED and one.direction is Direction.DOWN and one.migration in applied
        )
        """What waits to come back, its place being there; from an earlier run that did not get there, too."""
        self.returned = last_of_each_place(came_back)
        """What came back in this run, and in those before it that did not come to their end."""
        self._edge = self._standing()
        self.migration = ""
        self.begin("", Direction.UP, left=None)

    def begin(self, migration: str, direction: Direction, *, left: Sequence[Move] | None) -> None:
        """
        Turn to *migration*; *left* is what is left of it where it goes on behind operations that are done already.

        Begun again, it finds what it found the first time, or at the last :meth:`hold`, and what nothing rolled back.
        """
        if migration == self.migration:
            self._go_back()
        self._edge = self._standing()
        self.migration = migration
        self.direction = direction
        self.resumed = left is not None
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.made: list[Entry] = []
        waiting = {one.id for one in self.ready}
        self.coming = [one for one in self._lying_of(OPPOSITE[direction]) if one.id not in waiting]
        there = [] if left is None else [one for one in self.coming if self._is_there(one, left)]
        self.coming = [one for one in self.coming if one not in there]
        self.ready = in_order_of_places([*self.ready, *there])

    def _is_there(self, entry: Entry, left: Sequence[Move]) -> bool:
        """Whether what is done already made the place; a column whose type changes was there before."""
        if not any(place_in(entry) in places_made(move, self.direction) for move in left):
            return True  # nothing is left that it could wait for
        if entry.operation:
            return all(move.number != entry.operation for move in left)
        table = tables.read(self.connection, entry.table.name)
        if table is None or entry.column is None:
            return table is not None
        return entry.column in table.columns and tables.called(self.connection, entry.after_table) is None

    def hold(self) -> None:
        """Note that what was done so far is done: a further try begins behind it."""
        self._edge = self._standing()

    def _standing(self) -> tuple[list[Entry], list[Entry], set[str]]:
        return list(self.ready), list(self.returned), set(self.filling)

    def _go_back(self) -> None:
        ready, returned, self.filling = self._edge
        self.lying = self.entries.all()
        waiting = {one.id for one in self.lying if one.state is State.STASHED}
        self.ready = [one for one in ready if one.id in waiting]
        self.returned = [*returned, *(one for one in ready if one.id not in waiting)]

    @property
    def brings_back(self) -> bool:  # type: ignore[override]
        return bool(self.returned or self.ready or self.coming)

    # -- around an operation ----------------------------------------------------------------------------------------

    def taking(self, move: Move) -> Move:
        """Return *move*, or what leads to the same where there are rows, and Django could not."""
        undoes_removal = self.direction is Direction.DOWN and type(move.operation) is ops.RemoveField
        if undoes_removal and needs_value(removed_field(move)):
            return replace(move, operation=RemovedField(move, self._fill_in))
        return move

    def before(self, move: Move) -> None:
        """Bring back what the operation has to meet, and put aside what it drops; raise TooMuch, NoValue."""
        if self.direction is Direction.DOWN:
            self._bring_back()
        elif fills_again(move.operation):
            self._take_out()
        elif is_code(move.operation) or any(changes_table(move, one.table.name) for one in self.ready):
            self._bring_back()
        self._put_aside(move)
        for entry in self._coming_with(move):
            if entry.column is not None and tables.called(self.connection, entry.after_table):
                leave_changed(self.connection, entry)
        if self.direction is Direction.DOWN:
            self._fill_before(move)

    def after(self, move: Move) -> None:
        """Note what the operation made room for, and what it left of what was put aside."""
        for entry in self.made:
            self._note_aside(entry)
        self.made = []
        if self.returned and self.connection.vendor == "postgresql" and is_opaque(move.operation):
            self._check_what_is_due()
        for entry in reversed(self._coming_with(move)):
            self.coming.remove(entry)
            self.ready.append(entry)
            if entry.column is None and not (self.filling and self.direction is Direction.UP):
                self._count_on(entry)

    def finish(self) -> None:
        """
        Bring back what is left, in the transaction of the migration; not before code that is to come fills the place.

        What found no operation of its own is tried, too: the file was edited, or a kill came between.
        """
        self.filling.discard(self.migration)
        if self.coming:
            self.ready = in_order_of_places([*self.ready, *self.coming])
        self.coming = []
        if self.direction is Direction.DOWN or not self.filling:
            self._bring_back()

    def _put_aside(self, move: Move) -> None:
        if self.direction not in self.puts_aside:
            return
        for table, column in dropped(self.connection, move, self.direction):
            before = self._copies_of(move, table, column) if self.resumed else []
            if before and column is not None and not isinstance(move.operation, ADDS_OR_REMOVES):
                self.made.append(before[-1])  # the values that are left may be cut already
                continue
            try:
                weight = self._weigh(table, column)
            except TooMuch as refused:
                if self.direction is Direction.DOWN or self.limits.both_ways:
                    raise
                self.notes.append(f"not kept  {place_of(table, column)}: {refused.cause}")
                continue
            if weight.rows:
                by = Cause(self.migration, self.direction, move.number)
                self.made.append(self._copy(by, table, column, weight.size, instead_of=before))

    def _fill_in(self, move: Move, model: type[Model]) -> None:
        """Bring back the values of a column that was removed; rows that were made meanwhile get empty ones."""
        for entry in self._coming_with(move):
            self.coming.remove(entry)
            self.ready.append(entry)
        self._bring_back()
        self._fill(model, move.operation.name)  # type: ignore[attr-defined]

    def _fill_before(self, move: Move) -> None:
        changed = altered(move, self.direction)
        if changed and changed[0].null and needs_value(changed[1]):
            operation = move.operation
            assert isinstance(operation, ops.AlterField)
            self._fill(move.after.apps.get_model(move.app_label, operation.model_name), operation.name)

    def _fill(self, model: type[Model], name: str) -> None:
        if note := fill_gaps(self.connection, model, name):
            self.notes.append(note)
            if self.connection.vendor == "postgresql":
                self.connection.check_constraints()

    def _copy(
        self,
        by: Cause,
        table: Table,
        column: str | None,
        size: int,
        where: str = "1 = 1",
        *,
        instead_of: Sequence[Entry] = (),
    ) -> Entry:
        with together(self.connection):
            entry = put_aside(self.connection, self.entries, by, table, column, size, where)
            for one in instead_of:
                self._forget(one)
        self.lying.append(entry)
        return entry

    def _forget(self, entry: Entry) -> None:
        self.entries.mark(entry, State.SPENT)
        self.lying.remove(entry)

    def _take_out(self) -> None:
        """Take what came back out again; rows that code of this run made stay. It is the first to come back."""

        def copy(table: Table, column: str | None, where: str) -> Entry:
            return self._copy(Cause(self.migration, Direction.DOWN), table, column, 0, where)

        with together(self.connection):  # in a migration without a transaction, too: rows refer to each other
            copies = step_aside(self.connection, self.returned, copy)
            for empty in (one for one in copies if not one.rows):
                self._forget(empty)
        ready = [*(one for one in copies if one.rows), *self.ready]
        self.ready = in_order_of_places(ready) if self.resumed else ready  # who was killed may have taken out others
        self.returned = []

    def _bring_back(self) -> None:
        """In the order in which places were made: rows refer to those before them. All of them, or none."""
        if not self.ready:
            return
        with together(self.connection):
            for entry in self.ready:
                self._bring_back_one(entry)
            if self.connection.vendor == "postgresql":
                self.connection.check_constraints()  # a table cannot be altered while checks of its rows are due
        self.ready = []

    def _bring_back_one(self, entry: Entry) -> None:
        outcome = bring_back(self.connection, self.entries, entry)
        self.lying = [one for one in self.lying if one.id != entry.id]
        self.notes.append(told(outcome))
        self.warnings += [warning(outcome)] * bool(outcome.left)
        self.returned.append(entry)
        self._renew_after(entry)

    def _check_what_is_due(self) -> None:
        """Check rows that came back and were changed by code, lest DDL is refused; what fails may hold at the end."""
        with suppress(IntegrityError), transaction.atomic(self.connection.alias):
            self.connection.check_constraints()

    def _renew_after(self, back: Entry) -> None:
        """What a change of type left is not what is there now."""
        for one in self.lying if back.column is not None else ():
            same = (one.migration, one.table.name, one.column) == (back.migration, back.table.name, back.column)
            if same and one.direction is not back.direction and tables.called(self.connection, one.after_table):
                renew_after(self.connection, one)

    def _count_on(self, entry: Entry) -> None:
        """Not where code fills the table first: what it numbers anew would not meet what was there."""
        if there := tables.read(self.connection, entry.table.name):
            tables.count_on_from(self.connection, there, entry.table.last_number)

    def weigh_all(self, moves: Iterable[Move], direction: Direction) -> None:
        """Look at what would be put aside, before anything is; raise TooMuch."""
        for move in moves if direction in self.puts_aside else ():
            for table, column in dropped(self.connection, move, direction):
                self._weigh(table, column)

    def _weigh(self, table: Table, column: str | None) -> Weight:
        return weigh_within(self.connection, self.limits, table, column, lying=sum(one.size for one in self.lying))

    def _coming_with(self, move: Move) -> list[Entry]:
        """Return what the operation makes room for; what its first operation dropped of a column was dropped last."""
        if not self.coming:
            return []
        places = places_made(move, self.direction)
        alters = type(move.operation) is ops.AlterField
        found = [one for one in self.coming if place_in(one) in places and self._is_altered(one) is alters]
        return list({place_in(one): one for one in found}.values())

    def _is_altered(self, entry: Entry) -> bool:
        """Whether the column was there all the time, with another type."""
        return entry.column is not None and tables.called(self.connection, entry.after_table) is not None

    def _copies_of(self, move: Move, table: Table, column: str | None) -> list[Entry]:
        """Return what the operation put aside of a place before it was broken off, oldest first."""
        wanted = (move.number, table.name, column)
        mine = self._lying_of(self.direction)
        return [one for one in mine if (one.operation, one.table.name, one.column) == wanted]

    def _lying_of(self, direction: Direction) -> list[Entry]:
        """Return what the migration dropped when it went that way."""
        return [
            one
            for one in self.lying
            if one.migration == self.migration and one.direction is direction and one.state is State.STASHED
        ]

    def _note_aside(self, entry: Entry) -> None:
        there = tables.read(self.connection, entry.table.name)
        noted = tables.called(self.connection, entry.after_table) is not None  # before it was broken off
        if entry.column is not None and there is not None and entry.column in there.columns and not noted:
            with together(self.connection):
                put_after(self.connection, entry)
        self.notes.append(f"stashed   {entry.place}: {plural(entry.rows)}")
