"""The databases that Django's tests run on: the servers of tests/databases.py, and names of our own."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from typing import Any

from tests.databases import (
    FINDERS,
    Server,
    connect_mariadb,
    connect_postgres,
    mariadb_url,
    postgres_url,
)

ENGINES = {"sqlite": "sqlite3", "postgresql": "postgresql", "mariadb": "mysql"}


def find_server(vendor: str) -> tuple[Server | None, str]:
    """Find the server of *vendor*; return (the one that was started for it, why there is none)."""
    if vendor not in FINDERS:
        return None, ""
    variable, find = FINDERS[vendor]
    os.environ[variable], server, reason = find()
    return server, reason


def settings(vendor: str, name: str) -> dict[str, dict[str, Any]]:
    """Return DATABASES with the two aliases that Django's tests need."""
    return {"default": _entry(vendor, name), "other": _entry(vendor, f"{name}_other")}


def _entry(vendor: str, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"ENGINE": f"django.db.backends.{ENGINES[vendor]}"}
    url = {"postgresql": postgres_url, "mariadb": mariadb_url}.get(vendor, lambda: None)()
    if url is None:
        return entry
    server = {"USER": url.user, "PASSWORD": url.password, "HOST": url.host, "PORT": url.port}
    charset = {"CHARSET": "utf8mb4"} if vendor == "mariadb" else {}
    return {**entry, **server, "NAME": name, "TEST": {"NAME": name, **charset}}


def drop(vendor: str, name: str) -> None:
    """Drop what a run that was stopped left behind."""
    for database in (name, f"{name}_other"):
        with suppress(Exception):
            _drop(vendor, database)


def _drop(vendor: str, name: str) -> None:
    sql = f"DROP DATABASE IF EXISTS {name}"
    if vendor == "postgresql" and (url := postgres_url()):
        with connect_postgres(url) as connection:
            connection.execute(f"{sql} WITH (FORCE)")
    elif vendor == "mariadb" and (url := mariadb_url()):
        with closing(connect_mariadb(url)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
