"""A history, run by chronomig's engine and executor."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

import chronomig
from chronomig.code.folding import States
from chronomig.code.loading import Loaded
from chronomig.errors import ExecutionError
from chronomig.history.table import History as Table
from chronomig.planning.plan import Step
from chronomig.planning.record import Direction
from chronomig.running.executor import Executor
from chronomig.running.preparing import Prepared
from chronomig.running.timeouts import writing_from_the_start
from chronomig.state import ProjectState
from tests.fuzz.histories import History, Written, name_of
from tests.fuzz.stock import Stopped
from tests.fuzz.views import Picture, listening, take


class Silent:
    """Hears what the executor does, and says nothing."""

    def migration_begins(self, step: Step, number: int, total: int) -> None: ...
    def operation_begins(self, step: Step, description: str, number: int, total: int) -> None: ...
    def rows_touched(self, count: int) -> None: ...
    def retrying(self, step: Step, problem: str, pause: float, number: int, total: int) -> None: ...


class Ours:
    """Runs the phases of a history, each with operations of its own, as a process of its own would."""

    def __init__(self, connection: BaseDatabaseWrapper, history: History, *, batch: bool = False) -> None:
        self.connection = connection
        self.history = history
        self.batch = batch

    def move(self, begin: int, end: int) -> Iterator[Picture]:
        """Yield a picture after each migration; raise Stopped."""
        loaded = {name_of(number): loaded_of(number, one) for number, one in enumerate(self.history.migrations)}
        states = States([name_of(number) for number in range(begin)], loaded.__getitem__)
        table = Table(self.connection, "default")
        numbers = {name: number for number, name in enumerate(loaded)}

        def fresh(one: Loaded) -> Loaded:
            return loaded_of(numbers[one.name], self.history.migrations[numbers[one.name]])

        executor = Executor(
            self.connection, table, states, Silent(), batch=self.batch, gather=self.batch, fresh=fresh
        )
        executor.history.ensure_table()
        up = end > begin
        for number in range(begin, end) if up else reversed(range(end, begin)):
            name = name_of(number)
            step = Step(name, Direction.UP if up else Direction.DOWN)
            with listening(self.connection) as listener:
                try:
                    with writing_from_the_start(self.connection):
                        list(executor.execute([Prepared(step, loaded[name])]))
                except ExecutionError as error:
                    cause = error.__cause__
                    assert isinstance(cause, Exception)
                    raise Stopped(number, up, cause) from error
            # Another state of the same models: what is rendered for the picture must not help the next operation.
            shown = ProjectState(dict(states.current.models)).apps
            yield take(self.connection, number, up, shown, listener, self.history.seed)


def loaded_of(number: int, written: Written) -> Loaded:
    operations = tuple((written.app, one) for one in written.build())
    return Loaded(name_of(number), f"{number:064}", operations, written.atomic, None, chronomig.Migration())
