"""The test databases themselves: a comparison that cannot fail would prove nothing."""

from __future__ import annotations

import socket

import pytest

from tests.databases import Url, connect_mariadb, connect_postgres
from tests.projects import Project
from tests.servers import MariaServer, PostgresServer, Server, free_port, mariadb_binaries, postgres_binaries


def test_the_schema_of_the_same_models_is_equal_and_that_of_others_is_not(project: Project) -> None:
    create = (
        '("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("n", models.{})])),'
    )
    seen = []
    for field in (
        "IntegerField()",
        "IntegerField()",
        "IntegerField(null=True)",
        "IntegerField(unique=True)",
        "TextField()",
    ):
        project.migration("20260101000000_item", create.format(field))
        project.ok("migrate")
        seen.append(project.schema())
        project.ok("migrate", "--to", "zero", "--yes")
    assert seen[0] == seen[1]
    assert all(seen[0] != other for other in seen[2:])
    assert "shop_item" in seen[0]


KINDS = {"postgresql": (postgres_binaries, PostgresServer), "mariadb": (mariadb_binaries, MariaServer)}


@pytest.mark.parametrize("vendor", KINDS)
def test_a_server_of_our_own_starts_from_binaries_comes_back_from_a_crash_and_stops(vendor: str) -> None:
    find, kind = KINDS[vendor]
    binaries = find()
    if binaries is None:
        pytest.skip(f"the programs of {vendor} are not there")
    server = kind(binaries)
    try:
        run(server, "CREATE TABLE kept (n integer)" if vendor == "postgresql" else "CREATE DATABASE kept")
        server.crash()
        run(server, "SELECT n FROM kept" if vendor == "postgresql" else "CREATE TABLE kept.kept (n integer)")
    finally:
        server.stop()
    assert not server.folder.exists()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=3)


@pytest.mark.parametrize("vendor", KINDS)
def test_a_server_goes_to_another_port_when_its_own_is_taken_before_it_starts(vendor: str) -> None:
    find, kind = KINDS[vendor]
    binaries = find()
    if binaries is None:
        pytest.skip(f"the programs of {vendor} are not there")
    with socket.create_server(("127.0.0.1", 0)) as quicker:
        taken, free = quicker.getsockname()[1], free_port()
        server = kind(binaries, iter([taken, free]))
        try:
            assert (server.port, server.is_alive) == (free, True)
            run(server, "SELECT 1")
        finally:
            server.stop()


def run(server: Server, sql: str) -> None:
    if server.url.startswith("mysql"):
        with connect_mariadb(Url.parse(server.url, 3306)) as connection:
            connection.cursor().execute(sql)
        return
    with connect_postgres(Url.parse(server.url, 5432)) as connection:
        connection.execute(sql)
