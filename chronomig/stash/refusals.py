"""What a database says when it does not take rows: that it never will, or only not at the moment."""

from __future__ import annotations

from typing import Any

from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

Key = tuple[Any, ...]
"""The values of a primary key."""
Refusals = dict[Key, str]
"""Rows that the database does not take, and what it says."""
NONE: Refusals = {}
REFUSAL = (IntegrityError, DataError)
MOST_REFUSED = 1_000
"""Rows that are looked for one by one."""
SQLITE_ERROR = 1
"""A statement is wrong; the other codes are of locks, files and memory: https://www.sqlite.org/rescode.html"""
MARIADB_FOR_THE_MOMENT = frozenset(
    {1021, 1030, 1037, 1038, 1041, 1053, 1114, 1180, 1205, 1206, 1213, 1290, 1317, 1836, 1927, 1969, 3024}
)
"""
No room, no memory, no lock, read only, killed, shut down, too late: https://mariadb.com/kb/en/mariadb-error-code-reference/

The others may be a trigger's or a column's, which drivers call operational, too: SIGNAL (1644), no default (1364).
"""
MARIADB_CLIENT = range(2000, 3000)
"""The connection is gone, or another error of the client's side."""


def may_pass(connection: BaseDatabaseWrapper, error: DatabaseFault) -> bool:
    """Whether the database may take a moment later what it does not take now: it is gone, busy, or full."""
    if isinstance(error, InterfaceError | TransactionManagementError):
        return True
    if connection.vendor == "mysql":
        code = error.args[0] if error.args else None
        return code in MARIADB_FOR_THE_MOMENT or code in MARIADB_CLIENT
    if connection.vendor == "sqlite" and isinstance(error, OperationalError):
        return bool(getattr(error.__cause__, "sqlite_errorcode", SQLITE_ERROR) & 0xFF != SQLITE_ERROR)
    return isinstance(error, OperationalError)


def in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())
