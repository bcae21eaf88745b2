"""
The append-only history of one database, the only module that touches its table.

What it says is the truth about the database: :meth:`History.read` folds its events, in the order in which they were
written, into what is applied. Reading creates nothing; the table is made by the first event.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any

from django.apps.registry import Apps
from django.db import Error as DatabaseFault
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.recorder import MigrationRecorder

import chronomig
from chronomig.baselines import SQUASHED, Baseline, with_baseline
from chronomig.errors import DatabaseError
from chronomig.gitrepo import Head, blob_id
from chronomig.plan import Applied, Direction, HalfDone, Record
from chronomig.timeline import Entry

TABLE = "chronomig_history"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Kind(StrEnum):
    """What an event says."""

    STARTED = "started"
    """A migration began where DDL is not transactional."""
    COLLAPSING = "collapsing"
    """Several migrations began as one, where no transaction holds them together; the detail has their names."""
    PROGRESS = "progress"
    """One more operation of it is done (up) or undone (down)."""
    APPLIED = "applied"
    REVERTED = "reverted"
    FAKED = "faked"
    """Recorded as applied (up) or as reverted (down), without running anything."""
    ADOPTED = "adopted"
    """Found in django_migrations and taken over, without running anything."""
    SQUASHED = SQUASHED
    """Stands for migrations that are applied, which the detail names; from now on in their place."""
    ACCEPTED = "accepted"
    """The file was edited, and stands for what was applied from now on."""
    FORGOTTEN = "forgotten"
    """Not applied any more, as far as the history goes; nothing was run."""
    FAILED = "failed"
    SETTLED = "settled"
    """A run came to its end, post_migrate receivers included."""


@dataclass(frozen=True)
class Event:
    """One row of the history, without its number."""

    kind: Kind
    name: str
    direction: Direction = Direction.UP
    sha256: str = ""
    origin: tuple[str, str] | None = None
    operation: int | None = None
    """How many operations, from the first, are in effect."""
    detail: str = ""
    duration_ms: int | None = None
    at: datetime | None = None
    """When it was written; None in an event that is yet to be written."""
    by: str = ""
    version: str = ""
    branch: str = ""
    commit: str = ""
    """What was checked out, or the ref that the code was read from."""
    blob: str = ""
    """What git calls the bytes of the migration."""
    content: bytes = b""
    """The bytes themselves; of them only hashes are recorded."""


def taking_over(one: Applied, entry: Entry, baseline: Baseline | None) -> Event:
    """Return the event that says of a file that the database has it, without running anything."""
    detail = baseline.detail if baseline else ""
    return Event(
        Kind(one.how), one.name, sha256=one.sha256, origin=one.origin, detail=detail, content=entry.source
    )  # fmt: skip


@cache
def event_model() -> type[models.Model]:
    """Return the model of the table, in a registry of its own, so that no project's models can meet it."""

    class HistoryEvent(models.Model):
        id = models.BigAutoField(primary_key=True)
        set_name = models.CharField(max_length=100)
        name = models.CharField(max_length=200)
        kind = models.CharField(max_length=20)
        direction = models.CharField(max_length=4)
        sha256 = models.CharField(max_length=64)
        app_label = models.CharField(max_length=255)
        upstream_name = models.CharField(max_length=255)
        operation = models.IntegerField(null=True)
        detail = models.TextField()
        duration_ms = models.BigIntegerField(null=True)
        # ISO 8601 in UTC as text: a DateTimeField means something else with USE_TZ = False.
        at = models.CharField(max_length=32)
        by = models.CharField(max_length=255)
        version = models.CharField(max_length=40)
        # Added later: the database fills them where an older version of chronomig writes.
        branch = models.CharField(max_length=255, db_default="")
        commit = models.CharField(max_length=64, db_default="")
        blob = models.CharField(max_length=64, db_default="")

        class Meta:
            apps = Apps()
            app_label = "chronomig"
            db_table = TABLE

        def __str__(self) -> str:
            return f"{self.at} {self.kind} {self.name}"

    return HistoryEvent


COLUMNS = (
    "name", "kind", "direction", "sha256", "app_label", "upstream_name", "operation", "detail", "duration_ms", "at",
    "by", "version", "branch", "commit", "blob",
)  # fmt: skip


class History:
    """The history of one database, for one set."""

    def __init__(self, connection: BaseDatabaseWrapper, set_name: str, head: Callable[[], Head] = Head) -> None:
        self.connection = connection
        self.set_name = set_name
        self.head = head
        """Says what is checked out; asked when an event is written."""
        self._columns: frozenset[str] = frozenset()
        """Those that the table is known to have."""

    def events(self) -> list[Event]:
        """Return every event, oldest first; an empty list when there is no table. Raise DatabaseError."""
        try:
            rows = self._all_rows()
        except DatabaseFault as error:
            if self._table_exists(error):
                raise DatabaseError(
                    f"The history of the database {self.connection.alias!r} cannot be read.",
                    cause=str(error).strip(),
                    next_step=f"Look at the table {TABLE}.",
                ) from error
            return []
        mine = [_to_event(row) for row in rows if row["set_name"] == self.set_name]
        if rows and not mine:
            raise DatabaseError(
                f"The history of the database {self.connection.alias!r} is of the set {rows[-1]['set_name']!r}, "
                f"not of {self.set_name!r}.",
                cause="A database uses one set, and is known to it by the set's name.",
                next_step="Correct 'sets' in the configuration.",
            )
        return mine

    def read(self) -> Record:
        """Return what is applied, in the order of application, and what is half done."""
        return fold(self.events())

    def ensure_table(self) -> None:
        """Create the table, or the columns that are newer than it. Not inside a migration's transaction."""
        if self._columns.issuperset(COLUMNS):
            return
        model = event_model()
        there = self._columns_there()
        with self.connection.schema_editor() as editor:
            if not there:
                editor.create_model(model)
            for field in model._meta.local_fields if there else ():
                if field.name not in there:
                    add_column(editor, model, field)
        self._columns = frozenset(COLUMNS)

    def write(self, event: Event) -> None:
        """Append *event*; the table is there."""
        self._row(event).save(using=self.connection.alias, force_insert=True)

    def write_all(self, events: Iterable[Event]) -> None:
        """Append *events*, all or none; the table is there."""
        rows = event_model()._default_manager.using(self.connection.alias)
        rows.bulk_create([self._row(event) for event in events], batch_size=500)

    def _row(self, event: Event) -> models.Model:
        head = self.head()
        return event_model()(
            set_name=self.set_name,
            name=event.name,
            kind=event.kind.value,
            direction=event.direction.value,
            sha256=event.sha256,
            app_label=event.origin[0] if event.origin else "",
            upstream_name=event.origin[1] if event.origin else "",
            operation=event.operation,
            detail=event.detail,
            duration_ms=event.duration_ms,
            at=datetime.now(UTC).strftime(TIME_FORMAT),
            by=who(),
            version=chronomig.__version__,
            branch=head.branch.encode(errors="replace").decode()[:255],
            commit=head.commit,
            blob=blob_id(event.content, head.hashing) if event.content else event.blob,
        )

    def _all_rows(self) -> list[dict[str, object]]:
        """Every command reads the history: without the ORM, whose model costs start-up time. Old tables have less."""
        quote = self.connection.ops.quote_name
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {quote(TABLE)} ORDER BY {quote('id')}")
            names = [column[0] for column in cursor.description]
            self._columns = frozenset(names)
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _columns_there(self) -> frozenset[str]:
        with self.connection.cursor() as cursor:
            if TABLE not in self.connection.introspection.table_names(cursor):
                return frozenset()
            described = self.connection.introspection.get_table_description(cursor, TABLE)
            return frozenset(column.name for column in described)

    def _table_names(self) -> list[str]:
        with self.connection.cursor() as cursor:
            return self.connection.introspection.table_names(cursor)

    def _table_exists(self, error: DatabaseFault) -> bool:
        try:
            return TABLE in self._table_names()
        except DatabaseFault:
            raise unreachable(self.connection, error) from error


def add_column(editor: BaseDatabaseSchemaEditor, model: type[models.Model], field: models.Field[Any, Any]) -> None:
    """Add a column by ALTER TABLE on every database: on SQLite, Django would copy the table with columns it lacks."""
    definition, parameters = editor.column_sql(model, field)
    quote = editor.connection.ops.quote_name
    names = {"table": quote(TABLE), "column": quote(field.name), "definition": definition}
    editor.execute(editor.sql_create_column % names, parameters or None)


def unreachable(connection: BaseDatabaseWrapper, error: Exception) -> DatabaseError:
    """Return the error for a database that does not answer; it holds no password."""
    text = str(error).strip()
    secret = str(connection.settings_dict.get("PASSWORD") or "")
    return DatabaseError(
        f"The database {connection.alias!r} cannot be used.",
        cause=text.replace(secret, "***") if secret else text,
        next_step=f"Check DATABASES[{connection.alias!r}] and that the server runs.",
    )


def fold(events: Iterable[Event]) -> Record:
    """Return what *events*, oldest first, leave applied and half done."""
    applied: dict[str, Applied] = {}
    half: HalfDone | None = None
    settled = True
    for event in events:
        settled = event.kind is Kind.SETTLED or (settled and event.kind in (Kind.ACCEPTED, Kind.FORGOTTEN))
        match event.kind:
            case Kind.APPLIED | Kind.ADOPTED:
                half = None
                _put(applied, event)
            case Kind.FAKED if event.direction is Direction.UP:
                half = None
                _put(applied, event)
            case Kind.ACCEPTED if event.name in applied:
                applied[event.name] = replace(applied[event.name], sha256=event.sha256, blob=event.blob)
            case Kind.REVERTED | Kind.FAKED | Kind.FORGOTTEN:
                half = None
                applied.pop(event.name, None)
            case Kind.STARTED:
                half = _started(event, half)
            case Kind.SQUASHED:
                standing = with_baseline(tuple(applied.values()), _as_applied(event), event.detail.split("\n"))
                applied = {one.name: one for one in standing}
            case Kind.COLLAPSING:
                half = replace(_started(event, half), together=tuple(event.detail.split("\n")))
            case Kind.PROGRESS if half is not None:
                half = replace(half, done=event.operation or 0, described=_described(half, event))
            case _:
                pass
    if half is not None:
        for name in half.names:
            applied.pop(name, None)
    return Record(tuple(applied.values()), half, settled)


def _put(applied: dict[str, Applied], event: Event) -> None:
    applied.pop(event.name, None)  # applied again is applied last
    applied[event.name] = _as_applied(event)


def _as_applied(event: Event) -> Applied:
    return Applied(
        event.name, event.sha256, event.kind.value, event.at, event.duration_ms, event.origin,
        event.blob, event.branch, event.commit,
    )  # fmt: skip


def _started(event: Event, half: HalfDone | None) -> HalfDone:
    described = half.described if half is not None and half.name == event.name else ()
    return HalfDone(event.name, event.direction, event.operation or 0, event.sha256, described, event.at, event.blob)


def _described(half: HalfDone, event: Event) -> tuple[str, ...]:
    if event.direction is Direction.DOWN:
        return half.described[: event.operation or 0]
    return (*half.described, event.detail)


def _to_event(row: Mapping[str, object]) -> Event:
    values = {name: row[name] for name in COLUMNS if name in row}
    origin = values.pop("app_label"), values.pop("upstream_name")
    try:
        kind, direction = Kind(str(values["kind"])), Direction(str(values["direction"]))
        at = datetime.fromisoformat(str(values["at"])).replace(tzinfo=UTC)  # TIME_FORMAT, without strptime's price
    except ValueError as error:
        raise DatabaseError(
            f"The history holds an event that this version does not know: {values['name']}.",
            cause=str(error),
            next_step="A newer chronomig may have written it; use that version.",
        ) from error
    values |= {"kind": kind, "direction": direction, "at": at, "origin": origin if origin[0] else None}
    return Event(**values)  # type: ignore[arg-type]


@cache
def who() -> str:
    """Return user@host, as far as the machine tells."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    with suppress(Exception):  # getpass raises whatever the platform's user database raises
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"[:255]


def django_applied(connection: BaseDatabaseWrapper) -> set[tuple[str, str]]:
    """Return what ``django_migrations`` records; an empty set when it is not there."""
    try:
        return set(MigrationRecorder(connection).applied_migrations())
    except DatabaseFault as error:
        raise unreachable(connection, error) from error


def ensure_django_table(connection: BaseDatabaseWrapper) -> None:
    """Create ``django_migrations`` if it is not there. Not inside a migration's transaction."""
    MigrationRecorder(connection).ensure_schema()


def keep_in_step(connection: BaseDatabaseWrapper, origins: Collection[tuple[str, str]], direction: Direction) -> None:
    """
    Record a vendored migration in ``django_migrations`` too, so that Django's own tools keep telling the truth.

    *origins* holds, besides its own, those of what it replaces: Django records them all.
    """
    recorder = MigrationRecorder(connection)
    for app, name in sorted(origins):
        if direction is Direction.DOWN:
            recorder.record_unapplied(app, name)
        elif not recorder.migration_qs.filter(app=app, name=name).exists():
            recorder.record_applied(app, name)


def record_in_step(connection: BaseDatabaseWrapper, origins: Iterable[tuple[str, str]]) -> None:
    """Record vendored migrations as applied in ``django_migrations``, those that are not there yet."""
    recorder = MigrationRecorder(connection)
    there = set(recorder.migration_qs.values_list("app", "name"))
    rows = [recorder.Migration(app=app, name=name) for app, name in origins if (app, name) not in there]
    recorder.migration_qs.bulk_create(rows, batch_size=500)
