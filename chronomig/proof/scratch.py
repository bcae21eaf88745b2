"""An empty database of the same vendor, behind the same alias, for a moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.errors import DatabaseError


@contextmanager
def scratch_database(connection: BaseDatabaseWrapper) -> Iterator[str]:
    """
    Let *connection* lead to an empty database, which is dropped afterwards; yield its name.

    The alias stays, because routers decide by it. Databases are made as Django's test runner makes them. Raise
    DatabaseError when none can be made.
    """
    settings = connection.settings_dict
    creation: Any = connection.creation  # what makes and drops databases is not public
    name, test = settings["NAME"], settings["TEST"]
    made = ":memory:" if connection.vendor == "sqlite" else f"chronomig_prove_{os.getpid()}"
    connection.close()
    settings["TEST"] = {**test, "NAME": made}
    try:
        if connection.vendor != "sqlite":
            _make(connection, creation)
        settings["NAME"] = made
        try:
            yield made
        finally:
            _forget(connection)
            settings["NAME"] = name
            if connection.vendor != "sqlite":
                creation._destroy_test_db(made, verbosity=0)
    finally:
        settings["NAME"], settings["TEST"] = name, test


def _make(connection: BaseDatabaseWrapper, creation: Any) -> None:
    quoted = connection.ops.quote_name(connection.settings_dict["TEST"]["NAME"])
    suffix = creation.sql_table_creation_suffix()
    try:
        with creation._nodb_cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quoted} {suffix}")
    except DatabaseFault as error:
        raise DatabaseError(
            f"No scratch database can be made beside {connection.alias!r}.",
            cause=str(error).strip(),
            next_step="Let its user create databases, as the test runner needs it too.",
        ) from error


def _forget(connection: BaseDatabaseWrapper) -> None:
    """Close the connection for good; Django's closing of an SQLite database in memory does nothing."""
    if connection.connection is not None and connection.vendor == "sqlite":
        connection.connection.close()
        connection.connection = None
    connection.close()
