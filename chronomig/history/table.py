"""
The append-only history of one database, the only module that touches its table.

What it says is the truth about the database: :meth:`History.read` folds its events, in the order in which they were
written, into what is applied. Reading creates nothing; the table is made by the first event.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from django.apps.registry import Apps
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFault
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import chronomig
from chronomig.errors import DatabaseError
from chronomig.git.repo import Head, blob_id
from chronomig.history.events import COLUMNS, LATER, Event, event_in, fold
from chronomig.planning.record import Record

TABLE = "chronomig_history"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
SINCE_SENT = "(clock_timestamp() - statement_timestamp())"
SENT_WITH_OTHERS = {
    "duration_ms": f"%s + round(extract(epoch FROM {SINCE_SENT}) * 1000)",
    "at": f"""to_char(%s::timestamp + {SINCE_SENT}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
}
"""What PostgreSQL makes of these when an event comes behind other statements in its message: it adds their time."""


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
        if not is_made(self.connection):
            return []
        open_connection(self.connection)
        try:
            rows = self._all_rows()
        except (DatabaseFault, UnicodeDecodeError) as error:  # SQLite's words on a damaged file need not be text
            if self._table_exists(error):
                raise DatabaseError(
                    f"The history of the database {self.connection.alias!r} cannot be read.",
                    cause=without_passwords(str(error).strip(), self.connection.settings_dict),
                    next_step=f"Look at the table {TABLE}.",
                ) from error
            return []
        if lacking := {"set_name", *COLUMNS} - LATER - self._columns:
            raise DatabaseError(
                f"The history of the database {self.connection.alias!r} cannot be read.",
                cause=f"The table {TABLE} has no column {', '.join(sorted(lacking))}.",
                next_step="Restore the table from a backup.",
            )
        mine = [event_in(row) for row in rows if row["set_name"] == self.set_name]
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
        with self.connection.cursor() as cursor:
            cursor.execute(self._insert, self._row(event))

    def insertion(self, event: Event) -> tuple[str, list[str | int | None]]:
        """Return what appends *event* behind other statements in a message to PostgreSQL, and its parameters."""
        return self._inserting(SENT_WITH_OTHERS), self._row(event)

    def write_all(self, events: Iterable[Event]) -> None:
        """Append *events*, all or none; the table is there."""
        with transaction.atomic(self.connection.alias, savepoint=False), self.connection.cursor() as cursor:
            cursor.executemany(self._insert, [self._row(event) for event in events])

    @cached_property
    def _insert(self) -> str:
        """A migration writes at least one: without the ORM, which takes as long for it as the server."""
        return self._inserting({})

    def _inserting(self, computed: Mapping[str, str]) -> str:
        """Return a statement that takes a row; *computed* says for columns what is made of their parameter."""
        quote, columns = self.connection.ops.quote_name, ("set_name", *COLUMNS)
        values = ", ".join(computed.get(column, "%s") for column in columns)
        return f"INSERT INTO {quote(TABLE)} ({', '.join(map(quote, columns))}) VALUES ({values})"

    def _row(self, event: Event) -> list[str | int | None]:
        """Return the values of ``set_name`` and of COLUMNS."""
        head = self.head()
        values = {
            "name": event.name,
            "kind": event.kind.value,
            "direction": event.direction.value,
            "sha256": event.sha256,
            "app_label": event.origin[0] if event.origin else "",
            "upstream_name": event.origin[1] if event.origin else "",
            "operation": event.operation,
            "detail": event.detail,
            "duration_ms": event.duration_ms,
            "at": datetime.now(UTC).strftime(TIME_FORMAT),
            "by": who(),
            "version": chronomig.__version__,
            "branch": head.branch.encode(errors="replace").decode()[:255],
            "commit": head.commit,
            "blob": blob_id(event.content, head.hashing) if event.content else event.blob,
        }
        return [self.set_name, *(values[name] for name in COLUMNS)]

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

    def _table_exists(self, error: Exception) -> bool:
        try:
            return TABLE in self._table_names()
        except (DatabaseFault, UnicodeDecodeError):
            raise unreachable(self.connection, error) from error


def add_column(editor: BaseDatabaseSchemaEditor, model: type[models.Model], field: models.Field[Any, Any]) -> None:
    """Add a column by ALTER TABLE on every database: on SQLite, Django would copy the table with columns it lacks."""
    definition, parameters = editor.column_sql(model, field)
    quote = editor.connection.ops.quote_name
    names = {"table": quote(TABLE), "column": quote(field.name), "definition": definition}
    editor.execute(editor.sql_create_column % names, parameters or None)


def is_made(connection: BaseDatabaseWrapper) -> bool:
    """Whether there is a database to read from; opening SQLite's would make an empty file."""
    if connection.vendor != "sqlite" or connection.connection is not None:
        return True
    name = str(connection.settings_dict["NAME"])
    return name.startswith((":", "file:")) or Path(name).exists()


def open_connection(connection: BaseDatabaseWrapper) -> None:
    """Connect where that was not done; raise DatabaseError, also for OPTIONS that the driver does not take."""
    try:
        connection.ensure_connection()
    except ImproperlyConfigured:
        raise
    except Exception as error:  # a driver raises TypeError and the like
        raise unreachable(connection, error) from error


def unreachable(connection: BaseDatabaseWrapper, error: Exception) -> DatabaseError:
    """Return the error for a database that does not answer; it holds no password."""
    return DatabaseError(
        f"The database {connection.alias!r} cannot be used.",
        cause=without_passwords(str(error).strip(), connection.settings_dict),
        next_step=f"Check DATABASES[{connection.alias!r}] and that the server runs.",
    )


def without_passwords(text: str, settings: Mapping[str, Any]) -> str:
    """Return *text* without the passwords of an entry of DATABASES."""
    options = settings.get("OPTIONS") or {}
    secrets = {settings.get("PASSWORD"), *(options.get(key) for key in ("password", "passwd", "sslpassword"))}
    for secret in filter(None, map(str, secrets - {None})):
        text = text.replace(secret, "***")
    return text


@cache
def who() -> str:
    """Return user@host, as far as the machine tells."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    with suppress(Exception):  # getpass raises whatever the platform's user database raises
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"[:255]
