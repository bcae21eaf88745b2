"""The schema editor of a migration, on real databases."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chronomig.batches.editing import run_deferred
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


TWO_INDEXED = """
("shop", migrations.CreateModel("Box", [
    ("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField(db_index=True)),
    ("m", models.IntegerField(db_index=True)),
])),
"""
SENT = """
    from django.db import connection
    from chronomig import output
    from chronomig.batches.editing import BETWEEN
    from chronomig.opening import current_project
    from chronomig.running import migrator
    sent = []
    def note(execute, sql, *rest):
        sent.append(str(sql))
        return execute(sql, *rest)
    with connection.execute_wrapper(note):
        journey = migrator.plan_journey(current_project().databases["default"], migrator.Choices())
        list(migrator.migrate(journey, migrator.Choices(), output.PlainReporter(quiet=True)))
    result = [[one.split()[1] for one in sql.split(BETWEEN)] for sql in sent if sql.startswith("CREATE INDEX")]
"""


@pytest.mark.parametrize(
    ("options", "together"),
    [({}, True), ({"server_side_binding": True, "prepare_threshold": 0}, False)],
    ids=["as it is", "prepared"],
)
def test_postgresql_gets_what_waits_for_the_end_at_once_unless_it_prepares_statements(
    project: Project, database: TestDatabase, options: dict[str, object], together: bool
) -> None:
    if database.vendor == "postgresql":
        project.databases["default"].setdefault("OPTIONS", {}).update(options)
        project.configure()
    project.migration("20260101000000_boxes", TWO_INDEXED)
    at_once = together and database.vendor == "postgresql"
    assert project.python(SENT, fork=False) == ([["INDEX", "INDEX"]] if at_once else [["INDEX"], ["INDEX"]])


def test_an_editor_of_another_package_gets_each_statement_as_it_made_it() -> None:
    class Editor:
        """Does something about each statement, as django-pg-zero-downtime-migrations does."""

        collect_sql = False
        connection = SimpleNamespace(vendor="postgresql", in_atomic_block=True, settings_dict={"OPTIONS": {}})

        def __init__(self) -> None:
            self.deferred_sql = [object(), object()]
            self.executed: list[object] = []

        def execute(self, statement: object, params: object) -> None:
            self.executed.append(statement)

    editor: Any = Editor()
    waiting = list(editor.deferred_sql)
    run_deferred(editor)
    assert editor.executed == waiting
    assert not editor.deferred_sql
