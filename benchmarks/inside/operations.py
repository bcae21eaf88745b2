"""
``python -m benchmarks.inside.operations [--unsent]``: apply what is pending, print what each operation cost beyond its SQL.

The CPU time of this process between the first statement of the migrations and the last, without that of the statements
themselves: no start, no import, no reading of the history or of a state, no waiting. In milliseconds, over the number
of operations.

With ``--unsent`` no statement that changes the schema reaches the database: a server that works through it takes the
processor's caches, and what the process does next is slower for that, the more tables there are.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from chronomig.opening import open_project
from chronomig.running.executor import Executor
from chronomig.running.garbage import collected_often
from chronomig.running.migrator import Choices, load_journey, plan_journey
from chronomig.running.timeouts import writing_from_the_start


class Deaf:
    """Hears what the executor does, and does nothing about it."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


SCHEMA_CHANGES = ("ALTER ", "CREATE ", "DROP ", "SET CONSTRAINTS ")


class Statements:
    """Adds up the CPU time of the statements of a connection; keeps those that change the schema, if asked to."""

    def __init__(self, *, unsent: bool) -> None:
        self.seconds = 0.0
        self.unsent = unsent

    def __call__(self, execute: Callable[..., Any], sql: object, *arguments: Any) -> Any:
        if self.unsent and str(sql).startswith(SCHEMA_CHANGES):
            return None
        began = time.process_time()
        try:
            return execute(sql, *arguments)
        finally:
            self.seconds += time.process_time() - began


def main(*arguments: str) -> None:
    (database,) = open_project().databases.values()
    journey = plan_journey(database, Choices())
    prepared = load_journey(journey, Choices())
    states = database.states(journey.record, journey.code)
    states.current  # noqa: B018  a property that folds
    executor = Executor(database.connection, database.history, states, Deaf(), batch=True)
    executor.recording.ensure_tables(prepared)
    statements = Statements(unsent="--unsent" in arguments)
    connection = database.connection
    with collected_often(), writing_from_the_start(connection), connection.execute_wrapper(statements):
        began = time.process_time()
        for _ in executor.execute(prepared):
            pass
        beyond = time.process_time() - began - statements.seconds
    operations = sum(len(one.loaded.operations) for one in prepared)
    json.dump(beyond / operations * 1000, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
