"""What a plan destroys, and how many rows that concerns now; counting stops after a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import Error as DatabaseFault
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.code.folding import States, fold, misfit
from chronomig.code.loading import Labelled
from chronomig.effects import DESTROYING_UP, Loss, Names, effects_of
from chronomig.planning.record import Direction
from chronomig.running.preparing import Prepared
from chronomig.state import ProjectState

COUNT_SECONDS = 3.0
"""For all counting of one database; what is not counted by then may be full."""
MADE_AGAIN = frozenset({"django_content_type", "auth_permission"})
"""Tables whose rows Django's own receivers make after every run."""
CHECK_EVERY = 10_000
"""SQLite asks after so many instructions whether to go on."""


@dataclass(frozen=True)
class CountedLoss:
    """Data that a step of a plan destroys."""

    migration: str
    direction: Direction
    what: str
    """For a person: ``table shop_item``."""
    rows: int | None
    """How many rows or values; None where counting took too long."""

    def __str__(self) -> str:
        count = "more rows than could be counted" if self.rows is None else f"{self.rows} row{'s' * (self.rows != 1)}"
        return f"{self.migration} ({self.direction}): {self.what}, {count}"


def count_losses(
    connection: BaseDatabaseWrapper,
    prepared: Sequence[Prepared],
    states: Callable[[], States],
    *,
    stashed: Collection[Direction],
) -> list[CountedLoss]:
    """
    Return what *prepared* destroys of what is in the database; *states* gives the states that it stands on.

    What is dropped on a way that is *stashed* is not lost.
    """
    if not any(may_destroy(one) and not is_kept(one, stashed=stashed) for one in prepared):
        return []
    counter = RowCounter(connection)
    found: dict[object, CountedLoss] = {}
    for one, loss in losses_along(prepared, states()):
        if is_kept(one, stashed=stashed):
            continue
        rows = counter.count(loss)
        if rows != 0 and (loss.table, loss.column) not in found:
            found[loss.table, loss.column] = CountedLoss(one.step.name, one.step.direction, loss.what, rows)
    return list(found.values())


def may_destroy(one: Prepared) -> bool:
    """Whether a migration can destroy anything; goes without the states."""
    return not one.is_up or any(isinstance(operation, DESTROYING_UP) for _, operation in one.loaded.operations)


def is_kept(one: Prepared, *, stashed: Collection[Direction]) -> bool:
    """Whether what a step drops goes to the stash, which cannot see into an apply() or unapply() of a file's own."""
    return one.step.direction in stashed and not one.loaded.overrides_execution


def losses_along(prepared: Sequence[Prepared], states: States) -> Iterator[tuple[Prepared, Loss]]:
    """Yield (step, what it destroys) with the tables and columns as they are called now; not what the plan makes."""
    if not states.names:
        return
    names = Names()
    last = max(index for index, one in enumerate(prepared) if may_destroy(one))
    for one in prepared[: last + 1]:
        base = states.without(one.step.name)
        for label, operation, before, after in along(one, base):
            effects = effects_of(operation, label, before)
            for loss in effects.destroys if one.is_up else effects.destroys_backwards:
                table, column = names.place(loss.table, loss.column)
                if table is not None:
                    yield one, Loss(loss.what, table, column, loss.longest, loss.between)
            names.follow(operation, label, *((before, after) if one.is_up else (after, before)))
        if one.is_up:
            states.add(one.step.name, fold(base, one.loaded))


def along(one: Prepared, base: ProjectState) -> list[tuple[*Labelled, ProjectState, ProjectState]]:
    """Return (app label, operation, state before it, state after it), in the order in which they move."""
    found, state = [], base
    for number, (label, operation) in enumerate(one.loaded.operations, 1):
        try:
            after = state.after(label, operation)
        except Exception as error:
            raise misfit(one.loaded.name, number, operation, error) from error
        found.append((label, operation, state, after))
        state = after
    return found if one.is_up else found[::-1]


class RowCounter:
    """Counts rows until its time is up."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.left = COUNT_SECONDS
        with connection.cursor() as cursor:
            self.tables = {name.lower(): name for name in connection.introspection.table_names(cursor)}

    def count(self, loss: Loss) -> int | None:
        """Return how many rows or values go; None when that takes too long."""
        if loss.table not in self.tables or loss.table in MADE_AGAIN:
            return 0
        began = time.monotonic()
        try:
            with limited(self.connection, max(self.left, 0.01)) as prefix, self.connection.cursor() as cursor:
                cursor.execute(prefix + self.query(loss))
                return int(cursor.fetchone()[0])
        except DatabaseFault:
            return None
        finally:
            self.left -= time.monotonic() - began

    def query(self, loss: Loss) -> str:
        quote = self.connection.ops.quote_name
        text = f"SELECT COUNT(*) FROM {quote(self.tables[loss.table])}"
        if loss.column is None:
            return text
        column = quote(loss.column)
        if loss.longest is not None:
            length = "CHAR_LENGTH" if self.connection.vendor == "mysql" else "LENGTH"
            return f"{text} WHERE {length}({column}) > {loss.longest}"
        if loss.between is not None:
            return f"{text} WHERE {column} NOT BETWEEN {loss.between[0]} AND {loss.between[1]}"
        return f"{text} WHERE {column} IS NOT NULL"


@contextmanager
def limited(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[str]:
    """End a query after *seconds*; yield what to put before it."""
    match connection.vendor:
        case "sqlite":
            until = time.monotonic() + seconds
            connection.ensure_connection()
            connection.connection.set_progress_handler(lambda: time.monotonic() > until, CHECK_EVERY)
            try:
                yield ""
            finally:
                connection.connection.set_progress_handler(None, 0)
        case "postgresql":
            with transaction.atomic(connection.alias):
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")
                yield ""
        case "mysql" if getattr(connection, "mysql_is_mariadb", False):
            yield f"SET STATEMENT max_statement_time = {seconds:.3f} FOR "
        case _:
            yield ""
