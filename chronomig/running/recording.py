"""
A migration that runs -> its events in the history, and the rows of django_migrations.

Who calls decides in which transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.history.events import Event, Kind
from chronomig.history.recorder import ensure_django_table, keep_in_step
from chronomig.history.table import History
from chronomig.running.preparing import Prepared
from chronomig.running.results import root_in_words


class Recording:
    """What a run writes down on one database."""

    def __init__(self, connection: BaseDatabaseWrapper, history: History) -> None:
        self.connection = connection
        self.history = history

    def ensure_tables(self, prepared: Sequence[Prepared]) -> None:
        """Create the tables that *prepared* will be recorded in. Not inside a migration's transaction."""
        self.history.ensure_table()
        if any(one.loaded.upstream for one in prepared):
            ensure_django_table(self.connection)

    def began(self, one: Prepared, in_effect: int) -> None:
        """Record that *one* begins in pieces, with the number of its operations that are in effect."""
        self.history.write(replace(event_of(one, Kind.STARTED), operation=in_effect))

    def went_on(self, one: Prepared, done: Iterable[tuple[int, str]]) -> None:
        """Record operations of *one* as *done*: their numbers and descriptions."""
        event = event_of(one, Kind.PROGRESS)
        self.history.write_all(
            replace(event, operation=number if one.is_up else number - 1, detail=described)
            for number, described in done
        )

    def insertion(self, one: Prepared, duration_ms: int) -> tuple[str, list[str | int | None]]:
        """Return the statement that records *one* as moved, and its parameters, for who sends it with others."""
        return self.history.insertion(event_of(one, moved(one), duration_ms))

    def ended(self, one: Prepared, kind: Kind, duration_ms: int) -> None:
        """Record that *one* is where it was to go."""
        self.history.write(event_of(one, kind, duration_ms))
        if keys := one.loaded.upstream:
            keep_in_step(self.connection, keys, one.step.direction)

    def failed(self, one: Prepared, operation: str, error: BaseException) -> None:
        """Record what *operation* of *one* failed with, if the database can still be written to."""
        detail = f"{operation}: {root_in_words(error)}"[:10_000]
        try:
            self.history.write(replace(event_of(one, Kind.FAILED), detail=detail))
        except DatabaseFault:
            self.connection.close()  # the server may be gone; the failure itself is what has to be told


def moved(one: Prepared) -> Kind:
    """Return the kind of event that says that a migration has run."""
    return Kind.APPLIED if one.is_up else Kind.REVERTED


def event_of(one: Prepared, kind: Kind, duration_ms: int | None = None) -> Event:
    origin = one.loaded.origin
    return Event(
        kind, one.loaded.name, one.step.direction, one.loaded.sha256, origin.key if origin else None,
        duration_ms=duration_ms, content=one.loaded.content,
    )  # fmt: skip


def milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
