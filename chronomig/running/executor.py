"""
Prepared steps -> an iterator of Results.

One migration, one transaction, its event inside of it. Where DDL is not transactional, every operation is recorded
when it is done, and the next run goes on behind the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration as DjangoMigration
from django.db.migrations.operations.base import Operation

from chronomig.batches.batching import Move
from chronomig.batches.editing import run_deferred, schema_editor
from chronomig.batches.gathering import gathers, stop_gathering, takes_several, together
from chronomig.batches.recorded import in_a_transaction
from chronomig.batches.together import Batch, alone, batches, grouped
from chronomig.code.folding import States, fold
from chronomig.code.loading import Loaded
from chronomig.config import TimeoutConfig
from chronomig.errors import ChronomigError
from chronomig.history.events import Kind
from chronomig.history.table import History
from chronomig.running.leftovers import leftovers
from chronomig.running.preparing import Prepared
from chronomig.running.recording import Recording, milliseconds_since, moved
from chronomig.running.results import Failed, Result, Watcher
from chronomig.running.resuming import in_effect, run_again, taken_up
from chronomig.running.timeouts import Patience, may_read_first
from chronomig.running.way import Way
from chronomig.stash import NothingKept
from chronomig.state import ProjectState, is_opaque

RECORDING = "Recording it"
"""What a migration does last, for messages."""
AT_ONCE = 20
"""So many changes of tables are made ready before they run; what was rendered for them is kept until then."""


class Executor:
    """Move one database along a plan."""

    def __init__(self, connection: BaseDatabaseWrapper, history: History, states: States, watcher: Watcher,
                 keeper: NothingKept | None = None, *, batch: bool, gather: bool = False,
                 timeouts: TimeoutConfig | None = None,
                 fresh: Callable[[Loaded], Loaded] = lambda loaded: loaded) -> None:  # fmt: skip
        self.connection = connection
        self.history = history
        self.recording = Recording(connection, history)
        self.states = states
        self.watcher = watcher
        self.keeper = keeper or NothingKept()
        self.batch = batch
        """Whether operations on one table may be done together."""
        self.gather = gather and takes_several(connection)
        """Whether the statements of a migration may be sent together, as the tables have few rows."""
        self.timeouts = timeouts or TimeoutConfig()
        """Whoever executes sets them; here they say what is tried again."""
        self.fresh = fresh
        """Loads a migration again: operations that failed may not be what they were."""
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
        self.recording.ensure_tables(prepared)
        for index, one in enumerate(prepared):
            self.between_migrations()
            self.watcher.migration_begins(one.step, len(done) + 1, total)
            run = Run(self, one)
            try:
                with self.connection.execute_wrapper(self.count_rows):
                    duration = run.fake() if fake else self._move(run)
            except ChronomigError:
                raise
            except (Exception, SystemExit) as error:  # code that calls exit() may not end this quietly
                self.recording.failed(one, run.operation, error)
                left = [*prepared[index:], *behind]
                raise Failed(
                    one, error, done, left, run.operation,
                    half=run.stepwise, left_behind=[str(one) for one in leftovers(self.connection)],
                    from_stash=self.keeper.brings_back,
                ) from error  # fmt: skip
            kind = Kind.FAKED if fake else moved(one)
            told = () if fake else (tuple(self.keeper.notes), tuple(self.keeper.warnings))
            done.append(Result(one.step.name, one.step.direction, kind, duration, *told))
            yield done[-1]

    def _move(self, run: Run) -> int:
        """Run a migration, again when it did not get a lock; go on where it stands then."""

        def tell(problem: str, pause: float, number: int, total: int) -> None:
            self.watcher.retrying(run.one.step, problem, pause, number, total)

        def begin_again() -> None:
            run.one_by_one = True
            resumed = self.history.read().half_done if run.stepwise else run.one.step.resumed
            run.one = Prepared(replace(run.one.step, resumed=resumed), self.fresh(run.one.loaded))

        patience, session = Patience(self.connection, self.timeouts, tell), self.connection.connection
        try:
            return patience.run(run.move, begin_again)
        except ChronomigError:
            raise
        except Exception:
            # A new session has neither the time-outs nor, perhaps, the lock.
            if run.one_by_one or self.connection.connection is not session:
                raise
        begin_again()  # so that the operation is known
        return patience.run(run.move, begin_again)

    def count_rows(self, execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        result = execute(sql, params, many, context)
        if str(sql).lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE") and context["cursor"].rowcount > 0:
            self.watcher.rows_touched(context["cursor"].rowcount)
        return result


class Run:
    """One migration on its way up or down."""

    def __init__(self, executor: Executor, one: Prepared) -> None:
        self.executor = executor
        self.one = one
        self.connection = executor.connection
        self.recording = executor.recording
        self.keeper = executor.keeper
        self.operation = ""
        """What runs at the moment, for messages."""
        self.one_by_one = self.stepwise or not executor.gather
        """Whether every statement waits for its answer; those that follow code do: it shall not run again."""

    @property
    def stepwise(self) -> bool:
        """Whether operations are recorded one by one, because no transaction holds them together."""
        transactional = self.connection.features.can_rollback_ddl and self.one.loaded.atomic
        return not transactional

    @property
    def takes_up(self) -> bool:
        """Whether it goes on at operations that may be half there; on SQLite those were rolled back."""
        return self.one.step.resumed is not None and self.connection.vendor != "sqlite"

    def in_effect(self, way: Way) -> int:
        """Return how many operations count as in effect when it begins."""
        return taken_up(self.one, way) if self.takes_up else in_effect(self.one)

    def places(self, way: Way) -> list[int]:
        """Return the places of what is left to be done."""
        return way.places(self.in_effect(way), up=self.one.is_up)

    def fake(self) -> int:
        """Record the migration without running it."""
        with transaction.atomic(self.connection.alias):
            self.operation = RECORDING
            self.recording.ended(self.one, Kind.FAKED, 0)
        state = self.executor.states.without(self.one.step.name)
        if self.one.is_up:
            self.executor.states.add(self.one.step.name, fold(state, self.one.loaded))
        return 0

    def move(self) -> int:
        """Run the migration and record it; return the milliseconds it took."""
        began = time.monotonic()
        base = self.executor.states.without(self.one.step.name)
        self.executor.in_pieces = self.stepwise
        way = Way(self.one.loaded, base)
        left = [way.move(place) for place in self.places(way)] if self.one.step.resumed else None
        self.keeper.begin(self.one.step.name, self.one.step.direction, left=left)
        if self.stepwise:
            self.recording.began(self.one, self.in_effect(way))
        with schema_editor(self.connection, atomic=self.one.loaded.atomic) as editor:
            with nullcontext() if self.one_by_one else together(editor):
                state = (
                    self._run_own_code(editor, base)
                    if self.one.loaded.overrides_execution
                    else self._run(editor, way)
                )
                # Django runs these when the editor closes; the event has to come after them, in the same transaction.
                self.operation = "Statements that wait for the end of the migration"
                run_deferred(editor)
                if not self.stepwise:
                    duration = self._settle(editor, began)
            if not self.stepwise:
                self.operation = "At the commit"
        if self.stepwise:
            with transaction.atomic(self.connection.alias):
                duration = self._settle(editor, began)
        self.executor.in_pieces = False
        if self.one.is_up:
            self.executor.states.add(self.one.step.name, state)
        return duration

    def _expect_code(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Get ready for what may do anything: it finds what was to run before it."""
        stop_gathering(editor)
        self.one_by_one = True

    def _settle(self, editor: BaseDatabaseSchemaEditor, began: float) -> int:
        """Bring back what was kept, and record the migration; return the milliseconds it took."""
        self.keeper.finish()
        if self.one.loaded.upstream:
            stop_gathering(editor)
        duration = milliseconds_since(began)
        if gathers(editor):  # a failure is one of what waits, and keeps its name
            editor.execute(*self.recording.insertion(self.one, duration))
            stop_gathering(editor)
            return milliseconds_since(began)
        self.operation = RECORDING
        self.recording.ended(self.one, moved(self.one), duration)
        return duration

    def _run_own_code(self, editor: BaseDatabaseSchemaEditor, base: ProjectState) -> ProjectState:
        source = self.one.loaded.source
        assert isinstance(source, DjangoMigration)
        self.operation = f"{type(source).__name__}.{'apply' if self.one.is_up else 'unapply'}()"
        self._expect_code(editor)
        run = source.apply if self.one.is_up else source.unapply
        return base.after_code(lambda state: run(state, editor))

    def _run(self, editor: BaseDatabaseSchemaEditor, way: Way) -> ProjectState:
        """Run the operations that are not in effect yet (up), or those that are (down), and return the last state."""
        places = self.places(way)
        begun, parts = 0, list[Batch]()
        for one in self._batches(editor, (self.keeper.taking(way.move(place)) for place in places)):
            parts.append(one)
            begun += len(one.moves)
            following = way.numbered[places[begun]].number if begun < len(places) else None
            if following is None or not self._waits(parts, following):
                self._run_parts(editor, parts, begun, len(places))
                parts = []
        return way.end

    def _waits(self, parts: Sequence[Batch], following: int) -> bool:
        """Whether *parts*, which are ready, run with what is numbered *following*."""
        if self.stepwise:  # what a receiver inserted is recorded with what it follows
            return parts[-1].moves[-1].number == following
        last = parts[-1]
        self.operation = described(last.moves)
        waits = len(parts) < AT_ONCE and may_read_first(self.connection)
        return waits and last.make_ready(self.connection, self.one.step.direction)

    def _batches(self, editor: BaseDatabaseSchemaEditor, moves: Iterable[Move]) -> Iterator[Batch]:
        """Yield *moves* in their order, together what may be, or what may be half there."""
        together = self.executor.batch
        found = grouped(self.connection, moves, batch=together or self.takes_up, in_one=not self.stepwise)
        for place, group in enumerate(found):
            self.operation = described(group.moves)
            if place == 0 and self.takes_up:  # it may have run together, whatever is configured now
                yield Batch(group.moves, again=True)
            else:
                yield from batches(editor, group, self.one.step.direction) if together else alone(group)

    def _run_parts(self, editor: BaseDatabaseSchemaEditor, parts: Sequence[Batch], begun: int, total: int) -> None:
        """Run operations and record them: all in one transaction, where there is one."""
        moves = [move for part in parts for move in part.moves]
        again = any(part.again for part in parts)
        begun -= len(moves)
        with self._transaction_of(parts):
            for part in parts:
                self._tell(part, begun, total)
                begun += len(part.moves)
                self._run_part(editor, part, again=again)
            if self.stepwise:
                numbers = dict.fromkeys(move.number for move in moves)
                self.recording.went_on(self.one, [(number, self._own(number).describe()) for number in numbers])
        if self.stepwise:
            self.keeper.hold()

    def _run_part(self, editor: BaseDatabaseSchemaEditor, part: Batch, *, again: bool) -> None:
        if any(is_opaque(move.operation) for move in part.moves):
            self._expect_code(editor)
        for move in part.moves:
            self.keeper.before(move)
        if again:
            run_again(editor, part.moves, self.one.step.direction)
        else:
            part.run(editor, self.one.step.direction)
        if self.stepwise or self.one.loaded.baseline:  # where many migrations were, as after each of them
            run_deferred(editor)
        for move in part.moves:
            self.keeper.after(move)

    def _tell(self, batch: Batch, begun: int, total: int) -> None:
        self.operation = described(batch.moves)
        for number, move in enumerate(batch.moves, begun + 1):
            self.executor.watcher.operation_begins(self.one.step, move.operation.describe(), number, total)

    def _transaction_of(self, parts: Sequence[Batch]) -> AbstractContextManager[object]:
        """Return what holds operations and their record together, where nothing does so for the whole migration."""
        operation, atomic = self._own(parts[0].moves[0].number), self.one.loaded.atomic
        holds = self.stepwise and in_a_transaction(self.connection, operation, self.one.step.direction, atomic=atomic)
        return transaction.atomic(self.connection.alias) if holds else nullcontext()

    def _own(self, number: int) -> Operation:
        """Return the operation with a number that the migration itself has, not what was inserted behind it."""
        return self.one.loaded.operations[number - 1][1]


def described(moves: Iterable[Move]) -> str:
    return "; ".join(move.operation.describe() for move in moves)
