"""
Only one process migrates a database at a time.

The lock lives in a session of its own, so that it neither sees nor disturbs the transactions of the migrations. It
is polled, never waited for inside the server: a session that blocks in ``pg_advisory_lock`` holds a snapshot, and
makes the holder's CREATE INDEX CONCURRENTLY die of a deadlock (measured on PostgreSQL 15).

Behind a pooler such as PgBouncer, each transaction of a session may reach another session of the server, and two
processes can end up in one. There the lock is held by a transaction that stays open; it has no snapshot, so that
CREATE INDEX CONCURRENTLY does not wait for it.
"""

from chronomig.lock.base import Holder, Lock
from chronomig.lock.sessions import MySQLLock, is_pooled
from chronomig.lock.waiting import OnWait, lock_for, locked

__all__ = ["Holder", "Lock", "MySQLLock", "OnWait", "is_pooled", "lock_for", "locked"]
