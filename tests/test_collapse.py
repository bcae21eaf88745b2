"""``migrate --collapse``: several migrations at once, into an empty database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.projects import BASE_APPS, Project

ITEM, BOX, LINK, ROWS, NOTES, LAST = (
    "20260101000000_item",
    "20260102000000_box",
    "20260103000000_link",
    "20260104000000_rows",
    "20260105000000_notes",
    "20260106000000_last",
)
HEAD = """
def fill(apps, editor):
    box = apps.get_model("shop", "Box").objects.create(size=4)
    apps.get_model("shop", "Item").objects.create(box=box)
"""
ID = '("id", models.BigAutoField(primary_key=True, serialize=False))'


@pytest.fixture
def shop(project: Project) -> Project:
    """Two groups of known operations around code, and the vendored migrations of Django's own apps before them."""
    write_shop(project)
    return project


def write_shop(project: Project) -> None:
    project.configure(base=[*BASE_APPS, "taggit"])
    project.ok("makemigrations")
    for path in (project.root / "project_migrations" / "default").glob("*.py"):
        path.rename(path.with_name("2025" + path.name[4:]))
    project.migration(ITEM, f'("shop", migrations.CreateModel("Item", [{ID}])),')
    project.migration(BOX, f'("shop", migrations.CreateModel("Box", [{ID}, ("n", models.IntegerField())])),')
    project.migration(
        LINK,
        """
        ("shop", migrations.RenameField("box", "n", "size")),
        ("shop", migrations.AddField("item", "box", models.ForeignKey("shop.Box", models.CASCADE, null=True))),
        """,
    )
    project.migration(ROWS, '("shop", migrations.RunPython(fill, migrations.RunPython.noop)),', head=HEAD)
    project.migration(
        NOTES,
        '("shop", migrations.AddField("item", "notes", models.TextField(default="none"), preserve_default=False)),',
    )
    project.migration(LAST, '("shop", migrations.AddIndex("item", models.Index(fields=["box"], name="box_idx"))),')


def empty(project: Project) -> None:
    project.python(
        """
        from django.db import connection
        from tests.inprocess import drop_everything
        drop_everything(connection)
        result = None
        """
    )


def found(project: Project) -> dict[str, Any]:
    """Return all that a migrate leaves behind, but for times."""
    return project.python(
        """
        from django.apps import apps
        from django.db import connection
        from tests import schema
        cursor = connection.cursor()
        def rows(query):
            cursor.execute(query)
            return [list(map(str, row)) for row in cursor.fetchall()]
        sqlite = connection.vendor == "sqlite"
        result = {
            "schema": schema.definitions(connection) if sqlite else schema.dump(connection),
            "history": rows("SELECT name, kind, direction, sha256, app_label, upstream_name FROM chronomig_history "
                            "WHERE kind = 'applied' ORDER BY id"),
            "django": sorted(rows("SELECT app, name FROM django_migrations")),
            "content types": sorted(rows("SELECT app_label, model FROM django_content_type")),
            "permissions": sorted(rows("SELECT codename FROM auth_permission")),
            "items": rows("SELECT box_id, notes FROM shop_item"),
            "boxes": rows("SELECT size FROM shop_box"),
        }
        """
    )


@pytest.mark.core
def test_a_collapsed_run_leaves_what_an_ordinary_one_leaves(shop: Project) -> None:
    done = shop.ok("migrate", "--collapse")
    assert [line.split()[1] for line in done.out.splitlines()[1:]] == shop.files()
    assert "Run one by one" not in done.err
    collapsed = found(shop)
    assert collapsed["items"] == [["1", "none"]]
    assert shop.ok("migrate", "--collapse").out.splitlines()[1:] == ["  nothing to do"]
    empty(shop)
    shop.ok("migrate")
    assert found(shop) == collapsed


def test_a_collapsed_database_moves_down_and_up_as_any_other(shop: Project) -> None:
    shop.ok("migrate", "--collapse")
    before = shop.schema()
    shop.ok("migrate", "--to", ITEM, "--yes")
    shop.ok("migrate")
    assert shop.schema().keys() == before.keys()
    assert shop.applied() == shop.files()


@pytest.fixture
def two(project: Project) -> Project:
    """Two migrations that can run as one."""
    project.configure(base=["chronomig"])
    project.migration(ITEM, f'("shop", migrations.CreateModel("Item", [{ID}])),')
    project.migration(BOX, '("shop", migrations.AddField("item", "n", models.IntegerField(default=0))),')
    return project


def test_a_database_that_is_not_empty_is_refused(two: Project) -> None:
    two.ok("migrate", "--to", ITEM, "--collapse")
    done = two.chronomig("migrate", "--collapse")
    assert done.code == 4
    assert (
        "The database 'default' is not empty, so that its migrations cannot be collapsed; nothing was run."
        in done.err
    )
    assert "1 migration is applied." in done.err
    assert "Run the command without --collapse, or begin with an empty database." in done.err
    assert two.applied() == [ITEM]
    two.ok("migrate", "--to", "zero", "--yes")
    two.python(
        "from django.db import connection\nconnection.cursor().execute('CREATE TABLE own (n int)')\nresult = 1"
    )
    done = two.chronomig("migrate", "--collapse")
    assert done.code == 4
    assert "It has tables: own." in done.err


def test_collapse_and_fake_exclude_each_other(sqlite_project: Project) -> None:
    done = sqlite_project.chronomig("migrate", "--collapse", "--fake")
    assert done.code == 2
    assert "--collapse and --fake exclude each other." in done.err


def test_a_model_that_a_router_keeps_away_has_no_table(sqlite_project: Project) -> None:
    sqlite_project.configure(base=["chronomig"], extra='DATABASE_ROUTERS = ["routing.Router"]')
    sqlite_project.write(
        "routing.py",
        """
        class Router:
            def allow_migrate(self, db, app_label, model_name=None, **hints):
                return model_name != "box"
        """,
    )
    sqlite_project.migration(ITEM, f'("shop", migrations.CreateModel("Item", [{ID}])),')
    sqlite_project.migration(BOX, f'("shop", migrations.CreateModel("Box", [{ID}])),')
    sqlite_project.migration(LINK, '("shop", migrations.AddField("box", "n", models.IntegerField(default=0))),')
    sqlite_project.ok("migrate", "--collapse")
    assert sqlite_project.tables() == ["shop_item"]


UNKNOWN = {
    "code": ("", '("shop", migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: None)),', ""),
    "a statement": ("", '("shop", migrations.RunSQL("SELECT 1", "SELECT 1")),', ""),
    "no transaction": ("", f'("shop", migrations.CreateModel("Other", [{ID}])),', "atomic = False"),
    "an operation of its own": (
        "class Own(migrations.AlterModelOptions):\n    pass",
        '("shop", Own("item", {"verbose_name": "thing"})),',
        "",
    ),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_not_known_runs_as_it_is(sqlite_project: Project, kind: str) -> None:
    head, operations, body = UNKNOWN[kind]
    sqlite_project.configure(base=["chronomig"])
    sqlite_project.migration(ITEM, f'("shop", migrations.CreateModel("Item", [{ID}])),')
    sqlite_project.migration(BOX, '("shop", migrations.AddField("item", "n", models.IntegerField(default=0))),')
    sqlite_project.migration(LINK, operations, head=head, body=body)
    sqlite_project.migration(ROWS, '("shop", migrations.AddField("item", "m", models.IntegerField(default=0))),')
    sqlite_project.migration(NOTES, '("shop", migrations.AddField("item", "o", models.IntegerField(default=0))),')
    sqlite_project.ok("migrate", "--collapse")
    took = dict(sqlite_project.rows("SELECT name, duration_ms FROM chronomig_history WHERE kind = 'applied'"))
    assert [name for name, time in took.items() if time == "None"] == [ITEM, ROWS]
    assert [column[0] for column in sqlite_project.schema()["shop_item"]["columns"]] == ["id", "n", "m", "o"]


CLASH = f"""
("shop", migrations.CreateModel("Box", [{ID}], {{"db_table": "shop_item"}})),
"""


def test_a_failure_leaves_what_the_next_run_finishes(two: Project) -> None:
    two.migration(LINK, CLASH)
    done = two.chronomig("migrate", "--collapse")
    assert done.code == 1
    two.migration(LINK, CLASH.replace("shop_item", "shop_box"))
    if "half done" not in two.states().values():
        assert f"Run one by one: {ITEM}, {BOX}, {LINK}; as one they failed: " in done.err
        assert f"{LINK} was not applied." in done.err
        assert two.applied() == [ITEM, BOX]
    else:
        assert f"Error: {ITEM}, {BOX}, {LINK}, run as one, were not applied." in done.err
        assert "Operations before it are done and recorded; the next run goes on there." in done.err
        assert set(two.states().values()) == {"half done"}
        assert "1 operations in effect of 3 migrations that run as one" in two.ok("status").out
        refused = two.chronomig("migrate", "--to", ITEM)
        assert refused.code == 4
        assert f"3 migrations, from {ITEM} to {LINK}, ran as one and are half done; nothing was run." in refused.err
        assert f"from {ITEM} to {LINK}" in two.ok("history").out
    two.ok("migrate")
    assert two.applied() == [ITEM, BOX, LINK]
    assert two.tables() == ["shop_box", "shop_item"]
    assert [column[0] for column in two.schema()["shop_item"]["columns"]] == ["id", "n"]


def test_files_that_were_edited_under_a_collapse_are_noticed(two: Project) -> None:
    two.migration(LINK, CLASH)
    assert two.chronomig("migrate", "--collapse").code == 1
    if "half done" not in two.states().values():
        pytest.skip("what a transaction holds together is never half done")
    two.migration(BOX, '("shop", migrations.AddField("item", "other", models.IntegerField(default=0))),')
    done = two.chronomig("migrate")
    assert done.code == 4
    assert f"{ITEM}, {BOX}, {LINK}, run as one, are half done; files were edited since." in done.err
    assert "done: Create model Item (" in done.err
    assert "Restore the files as they were, or begin again with an empty database." in done.err


TESTS = """
from django.db import connection
from django.test import TestCase


class Tests(TestCase):
    def test_how_it_was_built(self):
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM chronomig_history WHERE kind = 'applied' AND duration_ms IS NULL")
        print("AS ONE:", cursor.fetchone()[0])
"""


def test_a_test_runner_builds_its_database_so_unless_told_otherwise(two: Project, tmp_path: Path) -> None:
    two.write("shop/tests.py", TESTS)
    done = two.manage("test", "--noinput")
    assert (done.code, "AS ONE: 1" in done.out) == (0, True), done
    two.configure(extra='CHRONOMIG = {"collapse_test_databases": False}')
    done = two.manage("test", "--noinput")
    assert (done.code, "AS ONE: 0" in done.out) == (0, True), done
    assert two.manage("migrate", "--run-syncdb", "--no-input").code == 0
    rows = two.rows("SELECT name FROM chronomig_history WHERE kind = 'applied' AND duration_ms IS NULL")
    assert rows == []


BEGIN_ANEW = """
    from django.db import connection
    from tests.inprocess import drop_everything
    drop_everything(connection)
    result = None
"""
LOOSE = "models.CASCADE, db_constraint=False"
TAGGED = f"""
("shop", migrations.CreateModel("Box", [{ID}])),
("shop", migrations.CreateModel("Thing", [
    {ID}, ("tags", models.ManyToManyField("shop.Box")), ("n", models.IntegerField(db_index=True, db_column="m")),
    ("box", models.ForeignKey("shop.Box", models.CASCADE)),
])),
"""
LATE = {
    "no constraint": f'("shop", migrations.AlterField("thing", "box", models.ForeignKey("shop.Box", {LOOSE}))),',
    "no index": '("shop", migrations.AlterField("thing", "n", models.IntegerField(db_column="m"))),',
    "within another": """("shop", migrations.SeparateDatabaseAndState(
        [migrations.RenameField("thing", "box", "crate")], [migrations.RenameField("thing", "box", "crate")],
    )),""",
    "a model": '("shop", migrations.RenameModel("Thing", "Gadget")),',
    "a table": '("shop", migrations.AlterModelTable("thing", "gadgets")),',
    "a foreign key": '("shop", migrations.RenameField("thing", "box", "crate")),',
    "tables between": '("shop", migrations.AlterField("thing", "tags", models.ManyToManyField("shop.Box", db_table="t"))),',
    "a column": '("shop", migrations.AlterField("thing", "n", models.IntegerField(db_index=True))),',
}


@pytest.mark.parametrize("what", LATE)
def test_what_changes_in_the_migration_that_makes_it_ends_as_it_does_without(project: Project, what: str) -> None:
    project.migration("20260101000000_things", TAGGED + LATE[what])
    project.migration("20260102000000_item", f'("shop", migrations.CreateModel("Item", [{ID}])),')
    project.ok("migrate", "--collapse")
    collapsed = project.schema()
    project.python(BEGIN_ANEW)
    project.ok("migrate")
    assert collapsed == project.schema()
