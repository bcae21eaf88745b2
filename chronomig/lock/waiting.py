"""The lock that suits a database, waited for and held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.errors import LockError
from chronomig.history.table import unreachable
from chronomig.lock.base import Holder, Lock, NoLock
from chronomig.lock.files import FileLock
from chronomig.lock.sessions import MySQLLock, PostgresLock

POLL_SECONDS = 0.2
"""How often a waiting process asks again; one cheap query (or one flock) each time."""

OnWait = Callable[[Holder], None]


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
