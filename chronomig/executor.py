"""
Prepared steps -> an iterator of Results.

One migration, one transaction, its event inside of it. Where DDL is not transactional, every operation is recorded
when it is done, and the next run goes on behind the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from django.db import Error as DatabaseFault
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration as DjangoMigration
from django.db.migrations.operations.base import Operation

from chronomig.batching import Move, groups
from chronomig.errors import ChronomigError, ExecutionError
from chronomig.folding import Path, States, fold
from chronomig.history import Event, History, Kind, ensure_django_table, keep_in_step
from chronomig.loading import Loaded
from chronomig.plan import Direction, Step
from chronomig.preparing import Prepared
from chronomig.remaking import Batch, batches, can_remake, run_deferred
from chronomig.stash import NothingKept
from chronomig.state import ProjectState


@dataclass(frozen=True)
class Result:
    """One migration that moved; given out after the commit."""

    name: str
    direction: Direction
    kind: Kind
    duration_ms: int | None
    """None for one of several that ran as one."""
    notes: tuple[str, ...] = ()
    """What else happened: rows that were stashed or restored."""


class Watcher(Protocol):
    """Hears what the executor does; a progress bar, or nothing."""

    def migration_begins(self, step: Step, number: int, total: int) -> None: ...
    def operation_begins(self, step: Step, description: str, number: int, total: int) -> None: ...
    def rows_touched(self, count: int) -> None: ...
    def remarked(self, text: str) -> None: ...


class Failed(ExecutionError):
    """A migration failed; knows what came before it and what is left."""

    def __init__(self, failed: Prepared, error: BaseException, done: Sequence[Result], left: Sequence[Prepared],
                 operation: str, *, half: bool) -> None:  # fmt: skip
        self.failed, self.done, self.left = failed.step, tuple(done), tuple(one.step for one in left)
        verb = "applied" if failed.is_up else "undone"
        place = (
            "Operations before it are done and recorded; the next run goes on there."
            if half
            else "It was rolled back; the database stands as before it."
        )
        super().__init__(
            f"{failed.step.name} was not {verb}.",
            cause="\n".join(
                filter(
                    None,
                    [
                        f"{operation}:" if operation else "",
                        in_words(error),
                        place,
                    ],
                )
            ),
            next_step=f"Mend {failed.step.name}, then run the same command again. See chronomig status.",
        )

    def more(self) -> list[str]:
        return [f"moved in this run: {in_short(self.done)}", f"left: {in_short(self.left)}"]


def in_words(error: BaseException) -> str:
    """Name what went wrong, not that the transaction around it can do no more (SQLite's editor raises that)."""
    while isinstance(error, transaction.TransactionManagementError) and error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {str(error).strip()}"


def in_short(steps: Sequence[Result | Step]) -> str:
    """List a few names in full, of many the first and the last."""
    if len(steps) > 4:
        return f"{len(steps)} migrations, from {steps[0].name} to {steps[-1].name}"
    return ", ".join(step.name for step in steps) or "none"


class Executor:
    """Move one database along a plan."""

    def __init__(self, connection: BaseDatabaseWrapper, history: History, states: States, watcher: Watcher,
                 keeper: NothingKept | None = None, *, batch: bool) -> None:  # fmt: skip
        self.connection = connection
        self.history = history
        self.states = states
        self.watcher = watcher
        self.keeper = keeper or NothingKept()
        self.batch = batch
        """Whether operations on one table may be done together."""
        self.between_migrations: Callable[[], None] = lambda: None
        """Called at every edge; raises to stop there."""
        self.in_pieces = False
        """Whether what runs now could not be rolled back as a whole."""

    def execute(
        self,
        prepared: Sequence[Prepared],
        *,
        fake: bool = False,
        before: Sequence[Result] = (),
        behind: Sequence[Prepared] = (),
    ) -> Iterator[Result]:
        """
        Yield a Result after each commit; raise Failed, which knows what came before it.

        *before* and *behind* are what moved already and what is left for later, of the same run.
        """
        done = list(before)
        total = len(before) + len(prepared) + len(behind)
        self.ensure_tables(prepared)
        for index, one in enumerate(prepared):
            self.between_migrations()
            self.watcher.migration_begins(one.step, len(done) + 1, total)
            run = Run(self, one)
            try:
                with self.connection.execute_wrapper(self.count_rows):
                    duration = run.fake() if fake else run.move()
            except ChronomigError:
                raise
            except Exception as error:
                self.record_failure(one, run.operation, error)
                left = [*prepared[index:], *behind]
                raise Failed(one, error, done, left, run.operation, half=run.stepwise) from error
            kind = Kind.FAKED if fake else Kind.APPLIED if one.is_up else Kind.REVERTED
            notes = () if fake else tuple(self.keeper.notes)
            done.append(Result(one.step.name, one.step.direction, kind, duration, notes))
            yield done[-1]

    def ensure_tables(self, prepared: Sequence[Prepared]) -> None:
        """Create the tables that *prepared* will be recorded in. Not inside a migration's transaction."""
        self.history.ensure_table()
        if any(one.loaded.origin for one in prepared):
            ensure_django_table(self.connection)

    def record_failure(self, one: Prepared, operation: str, error: Exception) -> None:
        detail = f"{operation}: {in_words(error)}"[:10_000]
        try:
            self.history.write(replace(event_of(one, Kind.FAILED), detail=detail))
        except DatabaseFault:
            self.connection.close()  # the server may be gone; the failure itself is what has to be told

    def count_rows(self, execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        result = execute(sql, params, many, context)
        if str(sql).lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE") and context["cursor"].rowcount > 0:
            self.watcher.rows_touched(context["cursor"].rowcount)
        return result


def event_of(one: Prepared, kind: Kind, duration_ms: int | None = None) -> Event:
    origin = one.loaded.origin
    return Event(
        kind, one.loaded.name, one.step.direction, one.loaded.sha256, origin.key if origin else None,
        duration_ms=duration_ms, content=one.loaded.content,
    )  # fmt: skip


class Run:
    """One migration on its way up or down."""

    def __init__(self, executor: Executor, one: Prepared) -> None:
        self.executor = executor
        self.one = one
        self.connection = executor.connection
        self.history = executor.history
        self.keeper = executor.keeper
        self.operation = ""
        """What runs at the moment, for messages."""

    @property
    def stepwise(self) -> bool:
        """Whether operations are recorded one by one, because no transaction holds them together."""
        transactional = self.connection.features.can_rollback_ddl and self.one.loaded.atomic
        return not transactional

    def fake(self) -> int:
        """Record the migration without running it."""
        with transaction.atomic(self.connection.alias):
            self._record(Kind.FAKED, 0)
        state = self.executor.states.without(self.one.step.name)
        if self.one.is_up:
            self.executor.states.add(self.one.step.name, fold(state, self.one.loaded))
        return 0

    def move(self) -> int:
        """Run the migration and record it; return the milliseconds it took."""
        began = time.monotonic()
        base = self.executor.states.without(self.one.step.name)
        self.executor.in_pieces = self.stepwise
        self.keeper.begin(self.one.step.name, is_up=self.one.is_up, resumed=self.one.step.resumed is not None)
        if self.stepwise:
            half = self.one.step.resumed
            in_effect = half.done if half else 0 if self.one.is_up else len(self.one.loaded.operations)
            self.history.write(replace(event_of(self.one, Kind.STARTED), operation=in_effect))
        with self.connection.schema_editor(atomic=self.one.loaded.atomic) as editor:
            state = (
                self._run_own_code(editor, base) if self.one.loaded.overrides_execution else self._run(editor, base)
            )
            # Django runs these when the editor closes; the event has to come after them, in the same transaction.
            self.operation = "Statements that wait for the end of the migration"
            run_deferred(editor)
            duration = round((time.monotonic() - began) * 1000)
            if not self.stepwise:
                self.keeper.finish()
                self._record(Kind.APPLIED if self.one.is_up else Kind.REVERTED, duration)
        if self.stepwise:
            with transaction.atomic(self.connection.alias):
                self.keeper.finish()
                self._record(Kind.APPLIED if self.one.is_up else Kind.REVERTED, duration)
        self.executor.in_pieces = False
        if self.one.is_up:
            self.executor.states.add(self.one.step.name, state)
        return duration

    def _record(self, kind: Kind, duration_ms: int) -> None:
        self.operation = "Recording it"
        self.history.write(event_of(self.one, kind, duration_ms))
        if origin := self.one.loaded.origin:
            keep_in_step(self.connection, {origin.key, *origin.replaced}, self.one.step.direction)

    def _run_own_code(self, editor: BaseDatabaseSchemaEditor, base: ProjectState) -> ProjectState:
        source = self.one.loaded.source
        assert isinstance(source, DjangoMigration)
        self.operation = f"{type(source).__name__}.{'apply' if self.one.is_up else 'unapply'}()"
        run = source.apply if self.one.is_up else source.unapply
        return base.after_code(lambda state: run(state, editor))

    def _run(self, editor: BaseDatabaseSchemaEditor, base: ProjectState) -> ProjectState:
        """Run the operations that are not in effect yet (up), or those that are (down), and return the last state."""
        way = Way(self.one.loaded, base)
        places = way.places(self.one)
        begun = 0
        batch = self.executor.batch and can_remake(self.connection)
        for group in groups(map(way.move, places), batch=batch):
            self.operation = described(group.moves)
            for one in batches(editor, group, self.one.step.direction):
                self._tell(one, begun, len(places))
                begun += len(one.moves)
                following = way.numbered[places[begun]].number if begun < len(places) else None
                self._run_batch(editor, one, following)
        return way.end

    def _tell(self, batch: Batch, begun: int, total: int) -> None:
        self.operation = described(batch.moves)
        for number, move in enumerate(batch.moves, begun + 1):
            self.executor.watcher.operation_begins(self.one.step, move.operation.describe(), number, total)

    def _run_batch(self, editor: BaseDatabaseSchemaEditor, batch: Batch, following: int | None) -> None:
        """Run operations; record them, but for the one whose number is *following*, which has a part left to run."""
        with self._transaction_of(batch):
            for move in batch.moves:
                self.keeper.before(move)
            batch.run(editor, self.one.step.direction)
            if self.stepwise:
                run_deferred(editor)
            for move in batch.moves:
                self.keeper.after(move)
            if self.stepwise:
                for move in batch.moves:
                    if move.number != following:
                        self._record_progress(move)

    def _transaction_of(self, batch: Batch) -> AbstractContextManager[object]:
        """Django's rule: without a transaction around all, an operation has its own unless it says no."""
        operation = batch.moves[0].operation
        wants = operation.atomic or (self.one.loaded.atomic and operation.atomic is not False)
        wanted = wants or batch.remake is not None
        return transaction.atomic(self.connection.alias) if self.stepwise and wanted else nullcontext()

    def _record_progress(self, move: Move) -> None:
        in_effect = move.number if self.one.is_up else move.number - 1
        self.history.write(
            replace(event_of(self.one, Kind.PROGRESS), operation=in_effect, detail=move.operation.describe())
        )


def described(moves: Iterable[Move]) -> str:
    return "; ".join(move.operation.describe() for move in moves)


class Numbered(NamedTuple):
    """An operation of a migration; what receivers inserted has the number of what it follows."""

    number: int
    app_label: str
    operation: Operation


class Way:
    """The operations of one migration, and the states between them."""

    def __init__(self, loaded: Loaded, base: ProjectState) -> None:
        self.numbered = list(numbered(loaded))
        self._states = Path(base, self.numbered, lambda state, one: state.after(one.app_label, one.operation))

    def places(self, one: Prepared) -> list[int]:
        """Return the places of what is not in effect yet (up), or of what is, the last one first (down)."""
        done = one.step.resumed.done if one.step.resumed else 0 if one.is_up else len(one.loaded.operations)
        numbers = [numbered.number for numbered in self.numbered]
        if one.is_up:
            return [place for place, number in enumerate(numbers) if number > done]
        return [place for place, number in reversed(list(enumerate(numbers))) if number <= done]

    def move(self, place: int) -> Move:
        number, app_label, operation = self.numbered[place]
        return Move(app_label, operation, self._states.at(place), self._states.at(place + 1), number)

    def moves(self) -> Iterator[Move]:
        return (self.move(place) for place in range(len(self.numbered)))

    def moves_down(self) -> Iterator[Move]:
        return (self.move(place) for place in reversed(range(len(self.numbered))))

    @property
    def end(self) -> ProjectState:
        return self._states.at(len(self.numbered))


def numbered(loaded: Loaded) -> Iterator[Numbered]:
    """Yield the operations of a migration in order, with what receivers inserted."""
    for number, labelled in enumerate(loaded.operations, 1):
        yield Numbered(number, *labelled)
        for after, inserted in loaded.inserted:
            if after == number:
                yield Numbered(number, *inserted)
