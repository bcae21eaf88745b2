"""The schema editor of a migration, on real databases."""

from __future__ import annotations

import pytest

from tests.databases import TestDatabase
from tests.projects import Project

ITEM = """
("shop", migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True))])),
("shop", migrations.CreateModel("Item", [
    ("id", models.BigAutoField(primary_key=True)), ("boxes", models.ManyToManyField("shop.Box")),
])),
"""
RENAMED = {
    "added": """
        ("shop", migrations.AddField("item", "n", models.IntegerField(null=True, db_index=True))),
        ("shop", migrations.RenameField("item", "n", "number")),
    """,
    "with a default": """
        ("shop", migrations.AddField("item", "n", models.IntegerField(default=3, db_index=True))),
        ("shop", migrations.RenameField("item", "n", "number")),
    """,
    "a foreign key": """
        ("shop", migrations.AddField("item", "box", models.ForeignKey("shop.Box", models.CASCADE, null=True))),
        ("shop", migrations.RenameField("item", "box", "crate")),
    """,
    "another column": """
        ("shop", migrations.AddField("item", "n", models.IntegerField(null=True, db_index=True))),
        ("shop", migrations.AlterField("item", "n", models.IntegerField(null=True, db_index=True, db_column="m"))),
    """,
    "a model": """
        ("shop", migrations.CreateModel("Label", [
            ("id", models.BigAutoField(primary_key=True)), ("items", models.ManyToManyField("shop.Item")),
        ])),
        ("shop", migrations.RenameModel("Label", "Tag")),
    """,
}


@pytest.mark.parametrize("what", RENAMED)
def test_what_is_indexed_and_renamed_in_one_migration_is_indexed_under_its_new_name(
    project: Project, database: TestDatabase, what: str
) -> None:
    project.migration("20260101000000_item", ITEM)
    project.migration("20260102000000_renamed", RENAMED[what])
    project.ok("migrate")
    columns = {table: {one[0] for one in told["columns"]} for table, told in project.schema().items()}
    for table, told in project.schema().items():
        for name, one in told["constraints"].items():
            named = {part.strip("'") for part in one["columns"].strip("[]").split(", ")}
            assert named <= columns[table], (table, name)
    assert project.chronomig("drift").code == 0
    project.ok("migrate", "--to", "2026-01-01", "--yes")
    assert project.chronomig("drift").code == 0


def test_the_sql_that_is_shown_names_the_new_column_too(sqlite_project: Project) -> None:
    sqlite_project.migration("20260101000000_item", ITEM)
    sqlite_project.migration("20260102000000_renamed", RENAMED["added"])
    sqlite_project.ok("migrate", "--to", "2026-01-01")
    assert '("number");' in sqlite_project.ok("sql").out
