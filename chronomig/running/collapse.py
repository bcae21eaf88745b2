"""
Migrations of an empty database, several at once.

Consecutive migrations of known operations run as one: their operations reduced, and in one transaction with the
events of all of them. Where DDL is not transactional, the reduced operations are recorded one by one, and the next
run goes on behind the last. What is not known runs as it is, between two such groups.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from functools import cached_property
from itertools import groupby

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import operations as ops
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.writer import OperationWriter

from chronomig.batches.batching import Move
from chronomig.batches.editing import run_deferred, schema_editor
from chronomig.batches.gathering import together
from chronomig.batches.together import batches, grouped
from chronomig.code.loading import Labelled
from chronomig.errors import ChronomigError, ExecutionError, Refused
from chronomig.history.events import Event, Kind
from chronomig.history.recorder import record_in_step
from chronomig.history.table import TABLE
from chronomig.planning.record import Direction
from chronomig.reduction import Change, Reduction
from chronomig.running.executor import RECORDING, Executor, described
from chronomig.running.preparing import Prepared
from chronomig.running.recording import event_of, milliseconds_since
from chronomig.running.results import Failed, Result, in_short, root_in_words
from chronomig.stash import TABLE as STASH
from chronomig.state import is_opaque

TABLES_IN_ONE_TRANSACTION = 250
"""PostgreSQL locks whatever a transaction makes, and has room for about 6400 locks by default."""


class Collapse(StrEnum):
    """Whether migrations may run several at once."""

    NEVER = "never"
    IF_EMPTY = "if empty"
    """Where the database is empty; elsewhere they run one by one."""
    INSIST = "insist"
    """Refuse where the database is not empty."""


class NotEmptyRefused(Refused):
    """Only an empty database can be collapsed into."""

    def __init__(self, alias: str, applied: Sequence[str], tables: Sequence[str]) -> None:
        count = f"{len(applied)} migration{'s are' if len(applied) != 1 else ' is'} applied."
        found = count if applied else f"It has tables: {shortened(tables)}."
        super().__init__(
            f"The database {alias!r} is not empty, so that its migrations cannot be collapsed; nothing was run.",
            cause=found,
            next_step="Run the command without --collapse, or begin with an empty database.",
        )


class FailedTogether(Failed):
    """Migrations that ran as one failed where no transaction holds them together."""

    def __init__(
        self, group: Sequence[Prepared], error: BaseException, done: Sequence[Result], behind: Sequence[Prepared],
        operation: str,
    ) -> None:  # fmt: skip
        self.failed, self.done, self.left_behind = group[0].step, tuple(done), ()
        self.left = tuple(one.step for one in (*group, *behind))
        ExecutionError.__init__(
            self,
            f"{in_short([one.step for one in group])}, run as one, were not applied.",
            cause=f"{operation}:\n{root_in_words(error)}\n"
            "Operations before it are done and recorded; the next run goes on there.",
            next_step="Mend the cause, then run the same command again, or begin again with an empty database. "
            "See chronomig status.",
        )


def shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def tables_there(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables of a database, but for those of migration frameworks; rows in the stash are somebody's."""
    own = {TABLE, STASH, MigrationRecorder.Migration._meta.db_table}
    with connection.cursor() as cursor:
        return sorted(set(connection.introspection.table_names(cursor)) - own)


def is_reducible(one: Prepared) -> bool:
    """Whether everything that a migration does is known, and may be done with others in one transaction."""
    loaded = one.loaded
    plain = one.is_up and loaded.atomic and not loaded.overrides_execution and not loaded.inserted
    known = not any(is_opaque(operation) for _, operation in loaded.operations)
    return plain and known and not changes_what_it_makes(loaded.operations)


def changes_what_it_makes(operations: Iterable[Labelled]) -> bool:
    """
    Whether fields may change before their indexes and foreign keys are made.

    Django makes them at the end of the migration, with the names that they have by then, even if the models have them
    no more. Where operations are reduced, nobody knows where that end is.
    """
    made: set[tuple[str, str, str]] = set()
    for label, operation in flat(operations):
        if isinstance(operation, ops.CreateModel):
            made |= {(label, operation.name_lower, name.lower()) for name, _ in operation.fields}
        elif isinstance(operation, ops.AddField):
            made.add((label, operation.model_name_lower, operation.name_lower))
        elif made and isinstance(operation, ops.RenameModel | ops.RenameField | ops.AlterModelTable):
            return True
        elif made and isinstance(operation, ops.AlterField):
            altered, field = (label, operation.model_name_lower, operation.name_lower), operation.field
            if altered in made or field.db_column or field.many_to_many:  # the others have the column that they had
                return True
    return False


def flat(operations: Iterable[Labelled]) -> Iterator[Labelled]:
    """Yield operations and, in the place of those that hold others, what these do to the database."""
    for label, operation in operations:
        if isinstance(operation, ops.SeparateDatabaseAndState):
            yield from flat((label, one) for one in operation.database_operations)
        else:
            yield label, operation


def is_collapsed(one: Prepared) -> bool:
    """Whether a migration began together with others, and has to be finished with them."""
    return one.step.resumed is not None and bool(one.step.resumed.together)


def execute(executor: Executor, prepared: Sequence[Prepared], collapse: bool) -> Iterator[Result]:
    """Yield Results as the executor does, of groups that run as one where that may be; raise Failed."""
    done: list[Result] = []
    for as_one, members in groupby(prepared, lambda one: (is_collapsed(one), collapse and is_reducible(one))):
        group = list(members)
        behind = prepared[len(done) + len(group) :]
        moved = run_together(executor, group, done, behind) if any(as_one) and len(group) > 1 else None
        if moved is None:
            for result in executor.execute(group, before=tuple(done), behind=behind):
                done.append(result)
                yield result
        else:
            done += moved
            yield from moved


def run_together(
    executor: Executor, group: Sequence[Prepared], done: Sequence[Result], behind: Sequence[Prepared]
) -> list[Result] | None:
    """Run *group* as one; return None when it failed and was rolled back: its members can run one by one."""
    executor.recording.ensure_tables(group)
    executor.between_migrations()
    executor.watcher.migration_begins(group[0].step, len(done) + 1, len(done) + len(group) + len(behind))
    before = len(executor.states.names)
    run, session = RunTogether(executor, group), executor.connection.connection
    try:
        with executor.connection.execute_wrapper(executor.count_rows):
            return run.move()
    except ChronomigError:
        raise
    except (Exception, SystemExit) as error:
        if run.stepwise:
            executor.recording.failed(group[0], run.operation, error)
            raise FailedTogether(group, error, done, behind, run.operation) from error
        executor.states.cut(before)
        if executor.connection.connection is not session:  # a new one perhaps has no lock
            raise
        one_by_one = in_short([one.step for one in group])
        executor.watcher.remarked(f"Run one by one: {one_by_one}; as one they failed: {root_in_words(error)}")
        return None


class RunTogether:
    """Consecutive migrations on their way up, as one."""

    def __init__(self, executor: Executor, group: Sequence[Prepared]) -> None:
        self.executor = executor
        self.connection = executor.connection
        self.history = executor.history
        self.group = group
        self.resumed = group[0].step.resumed
        self.operation = ""
        """What runs at the moment, for messages."""

    @cached_property
    def stepwise(self) -> bool:
        """Whether reduced operations are recorded one by one, because no transaction holds them together."""
        if self.resumed is not None or not self.connection.features.can_rollback_ddl:
            return True
        operations = (operation for one in self.group for _, operation in one.loaded.operations)
        tables = sum(isinstance(operation, ops.CreateModel) for operation in operations)
        return self.connection.vendor == "postgresql" and tables > TABLES_IN_ONE_TRANSACTION

    def move(self) -> list[Result]:
        """Run the migrations and record them all; return their results, the last with the milliseconds of all."""
        began = time.monotonic()
        stepwise = self.executor.in_pieces = self.stepwise
        if stepwise and self.resumed is None:
            names = "\n".join(one.step.name for one in self.group)
            self.history.write(Event(Kind.COLLAPSING, self.group[0].step.name, operation=0, detail=names))
        with schema_editor(self.connection, atomic=not stepwise) as editor:
            with self._together(editor):
                self._run(editor)
            if not stepwise:
                results = self._record(began)
        if stepwise:
            with transaction.atomic(self.connection.alias):
                results = self._record(began)
        self.executor.in_pieces = False
        return results

    def _run(self, editor: BaseDatabaseSchemaEditor) -> None:
        for group in grouped(self.connection, self._moves(), batch=self.executor.batch):
            for one in batches(editor, group, Direction.UP):
                self.operation = described(one.moves)
                with self._transaction():
                    with self._together(editor):
                        one.run(editor, Direction.UP)
                        run_deferred(editor)
                    if self.stepwise:
                        self._record_progress(one.moves)

    def _together(self, editor: BaseDatabaseSchemaEditor) -> AbstractContextManager[None]:
        return together(editor) if self.executor.gather else nullcontext()

    def _moves(self) -> Iterator[Move]:
        """Yield the reduced operations that are left to do."""
        for number, change in enumerate(self._changes(), 1):
            if self.resumed is None or number > self.resumed.done:
                yield Move(*change, number)
            else:
                self._check_unchanged(change, self.resumed.described[number - 1 : number])

    def _changes(self) -> Iterator[Change]:
        """Yield the reduced operations, and keep the states after each migration."""
        reduction = Reduction(self.executor.states.current)
        for one in self.group:
            count = len(one.loaded.operations)
            for number, (label, operation) in enumerate(one.loaded.operations, 1):
                self.executor.watcher.operation_begins(one.step, operation.describe(), number, count)
                yield from reduction.take(label, operation)
            self.executor.states.add(one.step.name, reduction.state)
        yield from reduction.rest()

    def _transaction(self) -> AbstractContextManager[object]:
        own = self.stepwise and self.connection.features.can_rollback_ddl
        return transaction.atomic(self.connection.alias) if own else nullcontext()

    def _record_progress(self, moves: Sequence[Move]) -> None:
        name = self.group[0].step.name
        self.history.write_all(
            Event(Kind.PROGRESS, name, operation=move.number, detail=fingerprint(move)) for move in moves
        )

    def _check_unchanged(self, change: Change, recorded: Sequence[str]) -> None:
        """What is recorded as done must still be what the files lead to."""
        if list(recorded) != [fingerprint(change)]:
            raise Refused(
                f"{in_short([one.step for one in self.group])}, run as one, are half done; files were edited since.",
                cause=f"  done: {', '.join(recorded) or 'nothing'}\n  now:  {fingerprint(change)}",
                next_step="Restore the files as they were, or begin again with an empty database.",
            )

    def _record(self, began: float) -> list[Result]:
        """Record every migration; which time each of them took is not known."""
        self.operation = RECORDING
        whole = milliseconds_since(began)
        times = [None] * (len(self.group) - 1) + [whole]
        events = [event_of(one, Kind.APPLIED, took) for one, took in zip(self.group, times, strict=True)]
        self.history.write_all(events)
        if keys := {key for one in self.group for key in one.loaded.upstream}:
            record_in_step(self.connection, keys)
        steps = zip(self.group, times, strict=True)
        return [Result(one.step.name, Direction.UP, Kind.APPLIED, took) for one, took in steps]


def fingerprint(change: Change | Move) -> str:
    """Describe a reduced operation so that another one is noticed, as far as Django can write it."""
    description = change.operation.describe()
    try:
        text, _ = OperationWriter(change.operation, indentation=0).serialize()
    except ValueError:  # what cannot be written, such as a lambda
        return description
    return f"{description} ({hashlib.sha256(text.encode()).hexdigest()[:12]})"
