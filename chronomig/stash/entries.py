"""The list of what lies in the stash of a database, in a table of its own; the rows lie in a table for each entry."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from django.apps.registry import Apps
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.history.table import TIME_FORMAT, who
from chronomig.planning.record import Direction
from chronomig.stash import tables
from chronomig.stash.tables import Table, place_of

TABLE = "chronomig_stash"
FLAG = "chronomig_left"
"""A column of every stash table: what becomes of the row."""
COMES, STAYS, COMES_WITH_GAPS = 0, 1, 2
"""Comes back; cannot; comes without a reference, and stays in the stash, too, as it was."""
CAME, MET = 3, 4
"""Is in place again; so is what met a row of the same key, made by code of the run. Both go with the next sweep."""


class State(StrEnum):
    UNFINISHED = "unfinished"
    """Its rows are being copied; after a kill on MariaDB, they still are where they were."""
    STASHED = "stashed"
    """Comes back with its migration."""
    KEPT = "kept"
    """Could not come back, or not in full."""
    SPENT = "spent"
    """Came back, or was dropped; its tables go with the next :meth:`Entries.sweep`."""


class Cause(NamedTuple):
    """What drops rows."""

    migration: str
    direction: Direction
    operation: int = 0
    """Its number in the migration, 0 where it is none of them that drops anything."""


@dataclass(frozen=True)
class Entry:
    """A table, or a column of one, whose rows were put aside."""

    id: int
    migration: str
    direction: Direction
    """Which way the migration went that dropped them; they come back when it goes the other way."""
    operation: int
    """The number of the operation that dropped them; 0 where that is not known."""
    table: Table
    column: str | None
    """None for the whole table."""
    state: State
    rows: int
    size: int
    """In bytes, estimated from a sample."""
    cause: str
    """Why it was kept."""
    at: datetime

    @property
    def rows_table(self) -> str:
        """Where the rows lie."""
        return f"{TABLE}_{self.id}"

    @property
    def after_table(self) -> str:
        """Where the values lie that a change of type left, to notice who wrote others since."""
        return f"{TABLE}_{self.id}_after"

    @property
    def place(self) -> str:
        """Where the rows came from, for a person."""
        return place_of(self.table, self.column)


@cache
def entry_model() -> type[models.Model]:
    """Return the model of the list, in a registry of its own, so that no project's models can meet it."""

    class StashEntry(models.Model):
        id = models.BigAutoField(primary_key=True)
        set_name = models.CharField(max_length=100)
        migration = models.CharField(max_length=200)
        description = models.TextField()
        column = models.CharField(max_length=200, null=True)  # noqa: DJ001  None and "" differ
        state = models.CharField(max_length=20)
        rows = models.BigIntegerField()
        size = models.BigIntegerField()
        cause = models.TextField()
        at = models.CharField(max_length=32)
        by = models.CharField(max_length=255)

        class Meta:
            apps = Apps()
            app_label = "chronomig"
            db_table = TABLE

        def __str__(self) -> str:
            return f"{self.id} {self.state} {self.migration}"

    return StashEntry


class Entries:
    """The entries of one database, for one set."""

    def __init__(self, connection: BaseDatabaseWrapper, set_name: str) -> None:
        self.connection = connection
        self.set_name = set_name

    def ensure_table(self) -> None:
        """Create the list if it is not there. Not inside a migration's transaction."""
        if not self._exists():
            with self.connection.schema_editor() as editor:
                editor.create_model(entry_model())

    def _exists(self) -> bool:
        with self.connection.cursor() as cursor:
            return TABLE in self.connection.introspection.table_names(cursor)

    def all(self) -> list[Entry]:
        """Return what is in the stash, oldest first; nothing when there is no list."""
        return [one for one in self._read() if one.state is not State.SPENT]

    def came_back(self) -> list[Entry]:
        """Return what came back in a run that did not come to its end, which would have swept it."""
        return [
            one for one in self._read() if one.state is State.SPENT or (one.state is State.KEPT and self._came(one))
        ]

    def _came(self, entry: Entry) -> bool:
        table, flag = map(self.connection.ops.quote_name, (entry.rows_table, FLAG))
        return bool(tables.query(self.connection, f"SELECT 1 FROM {table} WHERE {flag} >= {CAME} LIMIT 1"))

    def _read(self) -> list[Entry]:
        return [_entry(row) for row in self._rows().order_by("id")] if self._exists() else []

    def add(self, by: Cause, table: Table, column: str | None, size: int) -> Entry:
        """Begin an entry; it counts when it is marked as stashed."""
        row = self._rows().create(
            set_name=self.set_name,
            migration=by.migration,
            description=json.dumps({**asdict(table), "direction": by.direction, "operation": by.operation}),
            column=column,
            state=State.UNFINISHED.value,
            rows=0,
            size=size,
            cause="",
            at=datetime.now(UTC).strftime(TIME_FORMAT),
            by=who(),
        )
        return _entry(row)

    def mark(self, entry: Entry, state: State, *, rows: int | None = None, cause: str = "") -> None:
        """Change what the list says of *entry*."""
        counted = entry.rows if rows is None else rows
        self._rows().filter(pk=entry.id).update(state=state.value, rows=counted, cause=cause)

    def rename(self, was: str, name: str) -> None:
        """Let what lies here come back with a migration under the name that it has now."""
        if self._exists():
            self._rows().filter(migration=was).update(migration=name)

    def sweep(self, but: Collection[Entry] = ()) -> None:
        """Drop the tables of what is spent or was never finished. Not while a migration runs."""
        for entry in self._read():
            if entry in but:
                continue
            if entry.state in (State.SPENT, State.UNFINISHED):
                self.drop_tables(entry)
                self._rows().filter(pk=entry.id).delete()
            elif entry.state is State.KEPT:
                table, flag = map(self.connection.ops.quote_name, (entry.rows_table, FLAG))
                tables.execute(self.connection, f"DELETE FROM {table} WHERE {flag} >= {CAME}")

    def drop_tables(self, entry: Entry) -> None:
        for name in (entry.rows_table, entry.after_table):
            tables.execute(self.connection, f"DROP TABLE IF EXISTS {self.connection.ops.quote_name(name)}")

    def drop(self, entries: Iterable[Entry]) -> None:
        """Let the rows of *entries* go."""
        for entry in entries:
            self.mark(entry, State.SPENT)
        self.sweep()

    def older_than(self, days: float) -> list[Entry]:
        """Return the entries that are older than *days*; 0 is no limit."""
        before = datetime.now(UTC) - timedelta(days=days)
        return [one for one in self.all() if one.at < before] if days else []

    def _rows(self) -> models.QuerySet[models.Model]:
        return entry_model()._default_manager.using(self.connection.alias).filter(set_name=self.set_name)


def _entry(row: models.Model) -> Entry:
    values = vars(row)
    description = json.loads(values["description"])
    at = datetime.strptime(values["at"], TIME_FORMAT).replace(tzinfo=UTC)
    return Entry(
        values["id"], values["migration"], Direction(description.get("direction", "down")),
        description.get("operation", 0), Table.load(description), values["column"], State(values["state"]),
        values["rows"], values["size"], values["cause"], at,
    )  # fmt: skip
