"""Locks of a server, held by a session of their own."""

from __future__ import annotations

import hashlib
import math
import os
import selectors
import time
from abc import abstractmethod
from contextlib import suppress
from functools import cached_property
from typing import Any

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.errors import LockError
from chronomig.history.table import who
from chronomig.lock.base import Holder, Lock

SURE_FOR = 1.0
"""How many seconds a silent server is trusted to have kept a lock."""


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
            return self.is_sure() or self.has_it()
        except DatabaseFault:
            return False

    def is_sure(self) -> bool:
        """Whether the server need not be asked."""
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

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._asked = -math.inf
        """When the server said last that it is held, in seconds of the monotonic clock."""

    @cached_property
    def pooled(self) -> bool:
        return is_pooled(self.session)

    def is_sure(self) -> bool:
        """A server that ends a session says so, unless it is cut off: it is asked again after a moment."""
        with self.session.wrap_database_errors:
            return time.monotonic() < self._asked + SURE_FOR and not has_word(self.session.connection)

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
        now = time.monotonic()
        held = bool(
            self.query(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
                " AND pid = pg_backend_pid() AND (classid::bigint << 32) | objid::bigint = %s",
                self.key,
            )[0]
        )
        self._asked = now if held else -math.inf
        return held

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


def has_word(connection: Any) -> bool:
    """Whether there is something to read from the server: what it says of its own accord, or that it is gone."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return bool(selector.select(timeout=0))


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Whether a pooler stands before PostgreSQL: it tells a client another process id than the server's own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (server,) = cursor.fetchone()
    return bool(connection.connection.info.backend_pid != server)
