"""
``python -m benchmarks.inside.tracing FILE manage.py|chronomig ARGUMENT…``: run a command, write what it sent to FILE.

The statements of the default connection are kept with their parameters and in their transactions. Connections that a
command opens beside it (chronomig's lock) are not seen.
"""

from __future__ import annotations

import pickle
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import django


class Statement(NamedTuple):
    sql: str
    params: Any
    many: bool
    transaction: int | None
    """Statements with the same number ran in one transaction; None is outside of one."""


class Tracer:
    """Hears every statement, and every commit, because Django tells wrappers of the first only."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.statements: list[Statement] = []
        self.commits = 0
        connection.execute_wrappers.append(self.heard)
        self._commit: Callable[[], None] = connection.commit
        connection.commit = self.committed

    def heard(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        transaction = self.commits if self.connection.in_atomic_block else None
        result = execute(sql, params, many, context)  # what fails is not kept: the replay would stop there
        if transaction is not None or not str(sql).startswith("BEGIN"):  # SQLite's; the replay begins its own
            self.statements.append(Statement(str(sql), params, many, transaction))
        return result

    def committed(self) -> None:
        self._commit()
        self.commits += 1


def main(file: str, program: str, *arguments: str) -> None:
    django.setup()
    from django.db import connections

    tracer = Tracer(connections["default"])
    sys.argv = [program, *arguments]
    try:
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    finally:
        Path(file).write_bytes(pickle.dumps([tuple(one) for one in tracer.statements]))


if __name__ == "__main__":
    main(*sys.argv[1:])
