"""
How long a migration waits for locks, how long a statement may take, and what happens when a lock was not to be had.

A statement that waits for a lock holds up everybody who comes after it. So it gives up soon, what was in its
transaction is rolled back, and it is tried again after a pause: others get through in between.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import ceil
from typing import Any

from django.db import Error as DatabaseFault
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.config import TimeoutConfig
from chronomig.errors import ConfigError
from chronomig.lock import is_pooled

Values = Mapping[str, str | float]
"""Session variable -> value."""

LONGEST_PAUSE = 30.0
"""Seconds."""
CONCURRENTLY = re.compile(r"\s*(CREATE|DROP|REINDEX|REFRESH)\b[^;]*\bCONCURRENTLY\b", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How one kind of database is told; times are in seconds."""

    lock: Callable[[float], Values]
    statement: Callable[[float], Values] | None
    read: str
    write: str
    is_lock_timeout: Callable[[BaseException], bool]


POSTGRESQL = Dialect(
    lock=lambda seconds: {"lock_timeout": f"{ceil(seconds * 1000)}ms"},
    statement=lambda seconds: {"statement_timeout": f"{ceil(seconds * 1000)}ms"},
    read="SELECT current_setting('{name}')",
    write="SELECT set_config('{name}', %s, false)",
    # psycopg and psycopg2 call it differently.
    is_lock_timeout=lambda error: "55P03" in (getattr(error, "sqlstate", ""), getattr(error, "pgcode", "")),
)
MARIADB = Dialect(
    # Of tables, and of rows. Whole seconds: https://mariadb.com/kb/en/server-system-variables/#lock_wait_timeout
    lock=lambda seconds: {"lock_wait_timeout": ceil(seconds), "innodb_lock_wait_timeout": ceil(seconds)},
    statement=lambda seconds: {"max_statement_time": seconds},
    read="SELECT @@SESSION.{name}",
    write="SET SESSION {name} = %s",
    is_lock_timeout=lambda error: error.args[:1] == (1205,),
)
MYSQL = Dialect(MARIADB.lock, None, MARIADB.read, MARIADB.write, MARIADB.is_lock_timeout)
SQLITE = Dialect(
    lock=lambda seconds: {"busy_timeout": ceil(seconds * 1000)},
    statement=None,
    read="PRAGMA {name}",
    write="PRAGMA {name} = %s",
    is_lock_timeout=lambda error: getattr(error, "sqlite_errorcode", 0) & 0xFF in (5, 6),  # SQLITE_BUSY, _LOCKED
)


def dialect_of(connection: BaseDatabaseWrapper) -> Dialect | None:
    if connection.vendor == "mysql":
        return MARIADB if getattr(connection, "mysql_is_mariadb", False) else MYSQL
    return {"postgresql": POSTGRESQL, "sqlite": SQLITE}.get(connection.vendor)


def values_for(connection: BaseDatabaseWrapper, timeouts: TimeoutConfig) -> Values:
    """Return the session variables that *timeouts* mean; raise ConfigError for what a database does not have."""
    dialect = dialect_of(connection)
    values: dict[str, str | float] = {}
    for key, translate in (
        ("lock_timeout", dialect.lock if dialect else None),
        ("statement_timeout", dialect.statement if dialect else None),
    ):
        seconds = getattr(timeouts, key)
        if seconds is not None and translate is None:
            raise ConfigError(
                f"The database {connection.alias!r} has no {key}.",
                cause=f"{connection.display_name} cannot limit that for all statements.",
                next_step=f"Leave {key} out for this database.",
            )
        if seconds is not None and translate is not None:
            values |= translate(seconds)
    if values and dialect is POSTGRESQL and is_pooled(connection):
        raise ConfigError(
            f"Time-outs cannot be set for the database {connection.alias!r}.",
            cause="Between it and chronomig stands a pooler (PgBouncer): they would hold for others in its sessions.",
            next_step="Migrate through an alias that connects to the server itself, or leave the time-outs out.",
        )
    return values


@contextmanager
def limited(connection: BaseDatabaseWrapper, timeouts: TimeoutConfig) -> Iterator[None]:
    """Let *timeouts* hold inside, and what held before hold again afterwards. Not inside a transaction."""
    values, dialect = values_for(connection, timeouts), dialect_of(connection)
    if dialect is None or not values:
        yield
        return
    before = {name: read(connection, dialect, name) for name in values}
    write(connection, dialect, values)
    try:
        with connection.execute_wrapper(Lifting(connection, dialect, values)):
            yield
    finally:
        try:
            write(connection, dialect, before)
        except DatabaseFault:
            connection.close()  # the server may be gone, and the session with it


@contextmanager
def writing_from_the_start(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """
    Let transactions of SQLite take the lock for writing when they begin, unless OPTIONS say how they begin.

    One that reads first, and writes when somebody else is about to, fails at once, whatever the busy_timeout:
    https://docs.djangoproject.com/en/stable/ref/databases/#sqlite-transaction-behavior
    """
    if connection.vendor != "sqlite" or connection.settings_dict["OPTIONS"].get("transaction_mode"):
        yield
        return
    connection.ensure_connection()  # which sets it anew
    connection.transaction_mode = "IMMEDIATE"  # type: ignore[attr-defined]
    try:
        yield
    finally:
        connection.transaction_mode = None  # type: ignore[attr-defined]


def may_read_first(connection: BaseDatabaseWrapper) -> bool:
    """
    Whether a transaction may read for a while before it writes.

    On SQLite only with the lock for writing from its beginning; else it fails when somebody has written meanwhile.
    """
    return getattr(connection, "transaction_mode", "IMMEDIATE") in ("IMMEDIATE", "EXCLUSIVE")


def read(connection: BaseDatabaseWrapper, dialect: Dialect, name: str) -> str | float:
    with connection.cursor() as cursor:
        cursor.execute(dialect.read.format(name=name))
        value: str | float = cursor.fetchone()[0]
        return value


def write(connection: BaseDatabaseWrapper, dialect: Dialect, values: Values) -> None:
    with connection.cursor() as cursor:
        for name, value in values.items():
            if dialect is SQLITE:  # a PRAGMA takes no parameter
                cursor.execute(dialect.write.replace("%s", str(int(value))).format(name=name))
            else:
                cursor.execute(dialect.write.format(name=name), [value])


@dataclass(frozen=True)
class Lifting:
    """
    Lifts the time-outs for what PostgreSQL does concurrently.

    That waits for every transaction that is open, holds nobody up meanwhile, and leaves an INVALID index when it is
    cancelled.
    """

    connection: BaseDatabaseWrapper
    dialect: Dialect
    values: Values

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if self.dialect is not POSTGRESQL or not CONCURRENTLY.match(str(sql)):
            return execute(sql, params, many, context)
        write(self.connection, self.dialect, dict.fromkeys(self.values, "0"))
        try:
            return execute(sql, params, many, context)
        finally:
            write(self.connection, self.dialect, self.values)


class Patience:
    """
    Tries again what did not get a lock, a bounded number of times, with longer and longer pauses.

    A statement that stands in no transaction is sent again. Where there was a transaction, all of it is gone, and
    what it belongs to begins again.
    """

    def __init__(
        self, connection: BaseDatabaseWrapper, timeouts: TimeoutConfig, tell: Callable[[str, float, int, int], None]
    ) -> None:
        self.connection = connection
        self.timeouts = timeouts
        self.tell = tell
        """Hears (what went wrong, the pause in seconds, which try comes next, how many there are)."""
        self._may_begin_again = True

    @property
    def tries(self) -> int:
        return self.timeouts.lock_retries + 1 if self.timeouts.lock_timeout is not None else 1

    def run(self, move: Callable[[], int], begin_again: Callable[[], None]) -> int:
        """Return what *move* returns; call *begin_again* before it is called again."""
        with self.connection.execute_wrapper(self._repeat) if self.tries > 1 else nullcontext():
            done = 0
            while True:
                self._may_begin_again = True
                try:
                    return move()
                except DatabaseFault as error:
                    done += 1
                    if not self._may_begin_again or not self._waits(error, done):
                        raise
                begin_again()

    def _repeat(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        done = 0
        while True:
            try:
                return execute(sql, params, many, context)
            except DatabaseFault as error:
                done += 1
                if self.connection.in_atomic_block:
                    raise
                if not self._waits(error, done):
                    self._may_begin_again = False  # what came before this statement stays done
                    raise

    def _waits(self, error: BaseException, done: int) -> bool:
        if done >= self.tries or self.connection.in_atomic_block or not is_lock_timeout(self.connection, error):
            return False
        pause = min(self.timeouts.retry_pause * 2 ** (done - 1), LONGEST_PAUSE)
        said = str(root_of(error).args[-1]).strip().partition("\n")[0]  # MySQL's have a number before the text
        self.tell(said, pause, done + 1, self.tries)
        time.sleep(pause)
        return True


def root_of(error: BaseException) -> BaseException:
    """
    Return what went wrong, not that the transaction around it can do no more (SQLite's editor raises that), or that a
    connection which is lost cannot be used (PyMySQL does, with nothing but a 0).
    """
    while isinstance(error, transaction.TransactionManagementError) or error.args == (0, ""):
        before = (error.__cause__ or error).__context__
        if before is None:
            break
        error = before
    return error


def is_lock_timeout(connection: BaseDatabaseWrapper, error: BaseException) -> bool:
    """Whether the driver gave up waiting for a lock; *error* is Django's, the driver's is its cause."""
    dialect, cause = dialect_of(connection), root_of(error).__cause__
    return dialect is not None and cause is not None and dialect.is_lock_timeout(cause)
