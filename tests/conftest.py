"""Fixtures: real databases, real projects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import FINDERS, VENDORS, TestDatabase, unique_names
from tests.projects import Project
from tests.servers import Server

MISSING = "CHRONOMIG_TEST_MISSING_"
"""+ vendor: why it is missing; set by the controller, read by its workers."""
SERVERS = pytest.StashKey[list[Server]]()
NAMES = unique_names()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db",
        default="auto",
        help="auto, or some of sqlite,postgresql,mariadb; what is named, and everything in CI, must be there",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find or start the servers once; the workers of xdist inherit the environment."""
    if hasattr(config, "workerinput"):
        return
    wanted = wanted_vendors(config)
    started = config.stash[SERVERS] = []
    for vendor, (variable, find) in FINDERS.items():
        if vendor in wanted:
            url, server, reason = find()
            remember(vendor, variable, url, reason)
            started += [server] if server else []


def remember(vendor: str, variable: str, url: str, reason: str) -> None:
    os.environ.pop(MISSING + vendor, None)
    if url:
        os.environ[variable] = url
    else:
        os.environ[MISSING + vendor] = reason


def pytest_unconfigure(config: pytest.Config) -> None:
    for server in config.stash.get(SERVERS, []):
        server.stop()


def wanted_vendors(config: pytest.Config) -> tuple[str, ...]:
    chosen = config.getoption("--db")
    names = VENDORS if chosen == "auto" else tuple(chosen.split(","))
    if unknown := set(names) - set(VENDORS):
        raise pytest.UsageError(f"--db: there is no {', '.join(sorted(unknown))}; choose from {', '.join(VENDORS)}")
    return names


def is_required(config: pytest.Config) -> bool:
    return config.getoption("--db") != "auto" or os.environ.get("CI", "").lower() in ("1", "true")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        metafunc.parametrize("database", wanted_vendors(metafunc.config), indirect=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for vendor in VENDORS:
        if reason := os.environ.get(MISSING + vendor):
            terminalreporter.write_line(f"NOT TESTED: {vendor} ({reason})", red=True)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestDatabase]:
    """An empty database of each vendor in turn."""
    vendor: str = request.param
    if reason := os.environ.get(MISSING + vendor):
        if is_required(request.config):
            pytest.fail(f"{vendor} is required here, but missing: {reason}")
        pytest.skip(f"{vendor}: {reason}")
    made = TestDatabase(vendor, next(NAMES), tmp_path)
    yield made
    made.drop()


@pytest.fixture
def project(database: TestDatabase, tmp_path: Path) -> Project:
    """A Django project on the database of the test, with one app ``shop`` and chronomig installed."""
    return Project(tmp_path / "site", {"default": database.settings()})


@pytest.fixture
def sqlite_project(tmp_path: Path) -> Project:
    """The same on SQLite only, for what does not depend on the database."""
    return Project(tmp_path / "site", {"default": sqlite_settings(tmp_path)})


def sqlite_settings(folder: Path, name: str = "db") -> dict[str, str]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / f"{name}.sqlite3")}
