"""A database to work on, and snapshots that it can be put back to."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from tests.databases import Url, connect_postgres, find_postgres
from tests.servers import Server

VENDORS = ("sqlite", "postgresql")


class Store(Protocol):
    """One database, and copies of it under names."""

    vendor: str
    has_server: bool
    """Whether another process runs the SQL."""

    def settings(self, copy: str = "") -> dict[str, Any]:
        """Return the entry of DATABASES, of a copy when one is named."""

    def clear(self) -> None:
        """Make it empty."""

    def save(self, name: str) -> None:
        """Keep a copy of it as it is."""

    def restore(self, name: str) -> None:
        """Make it as it was when *name* was saved."""

    def close(self) -> None:
        """Remove it and all copies."""


class SqliteStore:
    """A file, and copies of it."""

    vendor = "sqlite"
    has_server = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "work.sqlite3"
        folder.mkdir(parents=True)

    def settings(self, copy: str = "") -> dict[str, Any]:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self._copy(copy) if copy else self.file)}

    def clear(self) -> None:
        for leftover in self.folder.glob("work.sqlite3*"):  # also the journal of a process that was stopped
            leftover.unlink()
        self.file.touch()

    def save(self, name: str) -> None:
        shutil.copyfile(self.file, self._copy(name))

    def restore(self, name: str) -> None:
        self.clear()
        shutil.copyfile(self._copy(name), self.file)

    def close(self) -> None:
        shutil.rmtree(self.folder)

    def _copy(self, name: str) -> Path:
        return self.folder / f"{name}.sqlite3"


class PostgresStore:
    """A database on a server, and databases made with it as their template."""

    vendor = "postgresql"
    has_server = True
    numbers = count(1)

    def __init__(self, url: Url) -> None:
        self.url = url
        self.name = f"bench_{os.getpid()}_{next(self.numbers)}"
        self.saved: set[str] = set()

    def settings(self, copy: str = "") -> dict[str, Any]:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": f"{self.name}_{copy}" if copy else self.name,
            "USER": self.url.user,
            "PASSWORD": self.url.password,
            "HOST": self.url.host,
            "PORT": self.url.port,
        }

    def clear(self) -> None:
        self._copy("template1", self.name)

    def save(self, name: str) -> None:
        self._copy(self.name, f"{self.name}_{name}")
        self.saved.add(name)

    def restore(self, name: str) -> None:
        self._copy(f"{self.name}_{name}", self.name)

    def close(self) -> None:
        for name in (self.name, *(f"{self.name}_{one}" for one in self.saved)):
            self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _copy(self, source: str, target: str) -> None:
        """A template must not be in use: the server may notice late that the last process has gone."""
        self._run(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)')
        give_up = time.monotonic() + 10
        while not self._created(target, source, last_try=time.monotonic() > give_up):
            time.sleep(0.1)

    def _created(self, target: str, source: str, *, last_try: bool) -> bool:
        try:
            self._run(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
        except Exception as error:
            if last_try or "being accessed" not in str(error):
                raise
            return False
        return True

    def _run(self, sql: str) -> None:
        with connect_postgres(self.url) as connection:
            connection.execute(sql)


@contextmanager
def stores(vendors: Sequence[str], folder: Path) -> Iterator[tuple[list[Store], list[str]]]:
    """Give a store for each of *vendors*, and a sentence for each that is not there; clean up at the end."""
    found: list[Store] = []
    missing: list[str] = []
    server: Server | None = None
    if "sqlite" in vendors:
        found.append(SqliteStore(folder / "sqlite"))
    if "postgresql" in vendors:
        text, server, reason = find_postgres()
        if text:
            found.append(PostgresStore(Url.parse(text, 5432)))
        else:
            missing.append(f"NOT MEASURED: postgresql ({reason})")
    try:
        yield found, missing
    finally:
        for store in found:
            store.close()
        if server is not None:
            server.stop()
