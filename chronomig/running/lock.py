"""
Only one process migrates a database at a time.

The lock lives in a session of its own, so that it neither sees nor disturbs the transactions of the migrations. It
is polled, never waited for inside the server: a session that blocks in ``pg_advisory_lock`` holds a snapshot, and
makes the holder's CREATE INDEX CONCURRENTLY die of a deadlock (measured on PostgreSQL 15).

Behind a pooler such as PgBouncer, each transaction of a session may reach another session of the server, and two
processes can end up in one. There the lock is held by a transaction that stays open; it has no snapshot, so that
CREATE INDEX CONCURRENTLY does not wait for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.errors import LockError
from chronomig.history.table import unreachable, who

POLL_SECONDS = 0.2
"""How often a waiting process asks again; one cheap query (or one flock) each time."""


@dataclass(frozen=True)
class Holder:
    """Who has the lock, as far as the database tells."""

    who: str
    since: str

    def __str__(self) -> str:
        return f"{self.who or 'another process'}{f' since {self.since}' if self.since else ''}"


OnWait = Callable[[Holder], None]


class Lock(ABC):
    """A lock on one database; subclasses know how one vendor does it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    @abstractmethod
    def try_acquire(self) -> bool:
        """Take the lock if it is free, without waiting."""

    @abstractmethod
    def holder(self) -> Holder:
        """Tell who has it."""

    @abstractmethod
    def is_held(self) -> bool:
        """Whether what was taken is still ours."""

    @abstractmethod
    def release(self) -> None:
        """Give it back."""

    def insist(self) -> None:
        """Raise LockError when the lock is not ours any more."""
        if not self.is_held():
            raise LockError(
                f"The lock of the database {self.connection.alias!r} was lost, so no further migration was begun.",
                cause="Its session was ended or its file removed; another process may migrate by now.",
                next_step="Run the command again; it goes on where this one stopped.",
            )


class SessionLock(Lock):
    """A lock of the server, held by a second, idle, autocommit connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self.session = connection.copy()
        self.session.inc_thread_sharing()

    def query(self, sql: str, *parameters: str | int) -> tuple[object, ...]:
        with self.session.cursor() as cursor:
            cursor.execute(sql, parameters)
            return tuple(cursor.fetchone() or ())

    @property
    def name(self) -> str:
        return f"chronomig:{self.connection.settings_dict['NAME']}"

    @abstractmethod
    def unlock(self) -> None:
        """Give the lock back within the session."""

    @abstractmethod
    def has_it(self) -> bool:
        """Ask the server whether this session has the lock."""

    def is_held(self) -> bool:
        try:
            return self.has_it()
        except DatabaseFault:
            return False

    def release(self) -> None:
        """Unlock before closing: a connection pool keeps the session, and with it the lock."""
        with suppress(DatabaseFault):
            if self.session.connection is not None:
                self.unlock()
        with suppress(DatabaseFault):
            self.session.close()


class PostgresLock(SessionLock):
    @property
    def key(self) -> int:
        """The database is part of an advisory lock's identity already; the rest is chronomig's name."""
        return int.from_bytes(hashlib.sha256(b"chronomig").digest()[:8], "big", signed=True)

    @cached_property
    def pooled(self) -> bool:
        return is_pooled(self.session)

    def try_acquire(self) -> bool:
        if self.pooled:
            self.session.set_autocommit(False)
        held = bool(self.query(f"SELECT pg_try_advisory_{'xact_' if self.pooled else ''}lock(%s)", self.key)[0])
        if held:
            self._settle_down()
        elif self.pooled:
            self._end_transaction()
        return held

    def _settle_down(self) -> None:
        """Say who holds the lock, and lift what would end a session or a transaction that does nothing."""
        only_here = 1 if self.pooled else 0
        self.query(
            "SELECT count(set_config(name, '0', %s = 1)) FROM pg_settings WHERE name IN"
            " ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')",
            only_here,
        )
        name = f"chronomig {who()} pid {os.getpid()}"[:63]
        self.query("SELECT set_config('application_name', %s, %s = 1)", name, only_here)

    def _end_transaction(self) -> None:
        self.session.rollback()
        self.session.set_autocommit(True)

    def unlock(self) -> None:
        if self.pooled:
            self._end_transaction()
        else:
            self.query("SELECT pg_advisory_unlock_all()")

    def has_it(self) -> bool:
        return bool(
            self.query(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
                " AND pid = pg_backend_pid() AND (classid::bigint << 32) | objid::bigint = %s",
                self.key,
            )[0]
        )

    def holder(self) -> Holder:
        row = self.query(
            "SELECT activity.application_name,"
            " to_char(activity.state_change AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'"
            " FROM pg_locks AS lock JOIN pg_stat_activity AS activity ON activity.pid = lock.pid"
            " WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1"
            " AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (lock.classid::bigint << 32) | lock.objid::bigint = %s",
            self.key,
        )
        return Holder(str(row[0] or ""), str(row[1] or "")) if row else Holder("", "")


class MySQLLock(SessionLock):
    @property
    def name(self) -> str:
        """MySQL's locks are the server's, and their names end after 64 characters."""
        return "chronomig_" + hashlib.sha256(super().name.encode()).hexdigest()[:40]

    def try_acquire(self) -> bool:
        result = self.query("SELECT GET_LOCK(%s, 0)", self.name)[0]
        if result is None:
            raise LockError(
                f"The lock of the database {self.connection.alias!r} cannot be taken.",
                cause="GET_LOCK returned NULL: the server was out of memory, or the session was killed.",
                next_step="Run the command again.",
            )
        if result:  # the server ends sessions that do nothing for wait_timeout; a year is the most that it takes
            self.query("SET SESSION wait_timeout = 31536000")
        return bool(result)

    def unlock(self) -> None:
        self.query("SELECT RELEASE_LOCK(%s)", self.name)

    def has_it(self) -> bool:
        return bool(self.query("SELECT IS_USED_LOCK(%s) <=> CONNECTION_ID()", self.name)[0])

    def holder(self) -> Holder:
        (session,) = self.query("SELECT IS_USED_LOCK(%s)", self.name)
        if session is None:
            return Holder("", "")
        row = self.query(
            "SELECT user, host, DATE_FORMAT(UTC_TIMESTAMP() - INTERVAL time SECOND, '%%Y-%%m-%%d %%H:%%i:%%s')"
            " FROM information_schema.processlist WHERE id = %s",
            int(str(session)),
        )
        return Holder(f"{row[0]}@{row[1]} (session {session})", f"{row[2]} UTC") if row else Holder("", "")


class FileLock(Lock):
    """A lock of the operating system on a file beside the database file; it dies with its process."""

    def __init__(self, connection: BaseDatabaseWrapper, path: Path) -> None:
        super().__init__(connection)
        self.path = path
        self._file: BinaryIO | None = None

    def try_acquire(self) -> bool:
        file = self._open()
        if not lock_file(file) or not is_at(file, self.path):  # somebody may have removed it before we locked it
            file.close()
            return False
        self._file = file
        with suppress(OSError):  # on a full disk it is held without a word
            file.truncate(0)
            now = datetime.now(UTC)
            holder = {"who": f"{who()} pid {os.getpid()}", "since": f"{now:%Y-%m-%d %H:%M:%S} UTC"}
            file.write(json.dumps(holder).encode())
        return True

    def _open(self) -> BinaryIO:
        try:
            return cast(BinaryIO, self.path.open("ab+", buffering=0))
        except OSError as error:
            raise LockError(
                f"The lock file {self.path} cannot be written.",
                cause=error.strerror or str(error),
                next_step="The directory of a SQLite database must be writable to migrate it.",
            ) from error

    def holder(self) -> Holder:
        try:
            return Holder(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Holder("", "")

    def is_held(self) -> bool:
        return self._file is not None and is_at(self._file, self.path)

    def release(self) -> None:
        """The file stays: removing it would let two processes lock two files of one name."""
        if self._file is not None:
            with suppress(OSError):
                self._file.truncate(0)
            self._file.close()
            self._file = None


class NoLock(Lock):
    """For a database that no other process can reach."""

    def try_acquire(self) -> bool:
        return True

    def holder(self) -> Holder:
        return Holder("", "")

    def is_held(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing is held."""


if sys.platform == "win32":
    import msvcrt

    def lock_file(file: BinaryIO) -> bool:
        """Lock one byte far behind the text, because a locked byte cannot be read by others on Windows."""
        try:
            file.seek(1 << 30)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def lock_file(file: BinaryIO) -> bool:
        """Lock the file for this process, without waiting."""
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def is_at(file: BinaryIO, path: Path) -> bool:
    """Whether *path* still leads to the file that is open."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Whether a pooler stands before PostgreSQL: it tells a client another process id than the server's own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (server,) = cursor.fetchone()
    return bool(connection.connection.info.backend_pid != server)


def lock_for(connection: BaseDatabaseWrapper) -> Lock:
    """Return the lock that suits the database behind *connection*."""
    if connection.vendor == "postgresql":
        return PostgresLock(connection)
    if connection.vendor == "mysql":
        return MySQLLock(connection)
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        if connection.is_in_memory_db():  # type: ignore[attr-defined]
            return NoLock(connection)
        return FileLock(connection, Path(name.removeprefix("file:").partition("?")[0] + ".chronomig-lock"))
    raise LockError(
        f"There is no lock for the database vendor {connection.vendor!r}.",
        cause="chronomig locks PostgreSQL, MariaDB, MySQL and SQLite.",
        next_step="Put the alias under 'unmanaged'.",
    )


@contextmanager
def locked(connection: BaseDatabaseWrapper, *, timeout: float, on_wait: OnWait) -> Iterator[Lock]:
    """
    Hold the lock of the database for the time of the block.

    Wait *timeout* seconds (0: without end), calling *on_wait* whenever the holder changes; raise LockError when the
    time is over, DatabaseError when the database does not answer.
    """
    lock = lock_for(connection)
    try:
        wait_for(lock, timeout, on_wait)
        yield lock
    finally:
        lock.release()


def wait_for(lock: Lock, timeout: float, on_wait: OnWait) -> None:
    """Poll until the lock is ours."""
    deadline = time.monotonic() + timeout if timeout else None
    seen: Holder | None = None
    while (holder := ask(lock)) is not None:
        if seen is None or (holder.who and holder.who != seen.who):
            on_wait(holder)
            seen = holder
        if deadline is not None and time.monotonic() >= deadline:
            raise LockError(
                f"The database {lock.connection.alias!r} is being migrated by {holder}.",
                cause=f"It was waited for {timeout:g} seconds.",
                next_step="Run the command again when it is done.",
            )
        time.sleep(POLL_SECONDS)


def ask(lock: Lock) -> Holder | None:
    """Take the lock, or return who has it; raise DatabaseError."""
    try:
        return None if lock.try_acquire() else lock.holder()
    except DatabaseFault as error:
        raise unreachable(lock.connection, error) from error
