"""A process or a connection that ends between two statements of the stash, or one that commits each: nothing is lost."""

from __future__ import annotations

import pytest

from tests.databases import TestDatabase
from tests.projects import Project

BREAKING = """
CHRONOMIG = {"sets": {"default": {"databases": ["default"], "stash": True}}}

import os
from tests.faults.injecting import cut
from django.db.backends.signals import connection_created


def break_off(execute, sql, params, many, context):
    text = str(sql).replace("`", "").replace('"', "")
    if os.environ.get("BREAKS_BEFORE", "nothing") in text:
        os._exit(9)
    if os.environ.get("CUTS_BEFORE", "nothing") in text:
        del os.environ["CUTS_BEFORE"]
        cut(context["connection"])
    return execute(sql, params, many, context)


connection_created.connect(lambda connection, **_: connection.execute_wrappers.append(break_off), weak=False)
"""
A, MORE, B, C = "20260101000000_items", "20260101120000_more", "20260102000000_rows", "20260103000000_drop"
MODELS = """
("shop", migrations.CreateModel("Item", [
    ("id", models.AutoField(primary_key=True)), ("n", models.CharField(max_length=9)),
])),
("shop", migrations.CreateModel("Box", [
    ("id", models.AutoField(primary_key=True)), ("item", models.ForeignKey("shop.Item", models.CASCADE)),
])),
"""
FILL = """
import os

def fill(apps, schema_editor):
    if os.environ.get("BREAKS_BEFORE") == "CODE":
        os._exit(9)
    item = apps.get_model("shop", "Item").objects.create(n="code")
    apps.get_model("shop", "Box").objects.create(item=item)
"""
PATIENT = """
CHRONOMIG["databases"] = {"default": {"lock_timeout": 1, "retry_pause": 0.01}}
"""
FILL_LATE = """
import os
from threading import Timer

def fill(apps, schema_editor):
    if os.environ.pop("HOLDS", None):
        holder = schema_editor.connection.copy()
        cursor = holder.cursor()
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO shop_item (id, n) VALUES (1, 'held')")
        Timer(1.5, holder.connection.close).start()
    apps.get_model("shop", "Item").objects.create(id=1, n="code")
"""
ADDED = """
("shop", migrations.AddField("item", "m", models.IntegerField(null=True))),
("shop", migrations.AddField("box", "m", models.IntegerField(null=True))),
"""
ROWS = '("shop", migrations.RunPython(fill, migrations.RunPython.noop)),'
WIDENED = """
("shop", migrations.AddField("item", "m", models.IntegerField(null=True))),
("shop", migrations.AlterField("item", "m", models.BigIntegerField(null=True))),
"""
NARROW_AND_DROP = """
("shop", migrations.AlterField("item", "n", models.CharField(max_length=20))),
("shop", migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)),
("shop", migrations.RemoveField("item", "n")),
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.configure(base=("chronomig",), extra=BREAKING)
    project.migration(A, MODELS)
    return project


def kill(project: Project, before: str, *arguments: str) -> None:
    done = project.chronomig("migrate", *arguments, "--yes", env={"BREAKS_BEFORE": before})
    assert done.code == 9, done


@pytest.mark.parametrize(
    "before",
    [
        "UPDATE chronomig_stash SET",  # while they come back
        "INSERT INTO shop_box",
        "DELETE FROM shop_item",  # while they step aside
        "DELETE FROM shop_box",
        "INSERT INTO shop_item",
    ],
)
def test_rows_that_step_aside_for_code_come_back_with_all_that_refers_to_them(shop: Project, before: str) -> None:
    shop.migration(MORE, ADDED)  # rows come back before it
    shop.migration(B, ROWS, head=FILL)
    shop.ok("migrate")
    shop.rows("INSERT INTO shop_item (id, n) VALUES (7, 'person')")
    shop.rows("INSERT INTO shop_box (id, item_id) VALUES (8, 7)")
    shop.ok("migrate", "--to", "zero", "--yes")
    kill(shop, before)
    done = shop.ok("migrate", "--yes")
    assert "stay in the stash" not in done.out
    assert shop.rows("SELECT id, n FROM shop_item ORDER BY id") == [["1", "code"], ["7", "person"]]
    assert shop.rows("SELECT id, item_id FROM shop_box ORDER BY id") == [["1", "1"], ["8", "7"]]
    assert "0 in the stash" in shop.ok("stash").out


def test_a_value_that_is_altered_and_dropped_in_one_migration_is_not_left_behind_by_a_kill_between(
    shop: Project,
) -> None:
    shop.ok("migrate")
    shop.rows("INSERT INTO shop_item (id, n) VALUES (7, 'person')")
    shop.migration(C, NARROW_AND_DROP)
    shop.ok("migrate", "--yes")
    shop.ok("migrate", "--steps", "-1", "--yes")
    assert shop.rows("SELECT n FROM shop_item") == [["person"]]
    shop.ok("migrate", "--to", "zero", "--yes")
    kill(shop, "DROP COLUMN n")
    done = shop.ok("migrate", "--yes")
    assert "stay in the stash" not in done.out
    shop.ok("migrate", "--to", A, "--yes")
    assert shop.rows("SELECT n FROM shop_item") == [["person"]]


def test_values_come_back_with_the_next_run_when_the_connection_was_lost_meanwhile(
    shop: Project, database: TestDatabase
) -> None:
    if database.vendor == "sqlite":
        pytest.skip("sqlite has no connection that could be cut")
    shop.migration(MORE, WIDENED)
    shop.ok("migrate")
    shop.rows("INSERT INTO shop_item (id, n, m) VALUES (7, 'person', 70)")
    shop.ok("migrate", "--to", "zero", "--yes")
    broken = shop.chronomig("migrate", "--yes", env={"CUTS_BEFORE": "UPDATE shop_item SET m"})
    assert broken.code == 1, broken
    assert f"{MORE} was not applied" in broken.err
    assert "Alter field m on item" in broken.err
    assert "onnection" in broken.err  # "Lost connection", or "terminating connection"
    done = shop.ok("migrate", "--yes")
    assert "stay in the stash" not in done.out
    assert shop.rows("SELECT id, n, m FROM shop_item") == [["7", "person", "70"]]
    assert "0 in the stash" in shop.ok("stash").out


@pytest.mark.parametrize("before", ["DROP COLUMN m", "DROP TABLE shop_item", "CREATE TABLE chronomig_stash_1_after"])
def test_what_a_killed_run_put_aside_is_put_aside_once_as_it_was_last(shop: Project, before: str) -> None:
    shop.migration(MORE, WIDENED)
    shop.ok("migrate")
    shop.rows("INSERT INTO shop_item (id, n, m) VALUES (7, 'person', 70)")
    kill(shop, before, "--to", "zero")
    shop.rows("UPDATE shop_item SET n = 'other'")
    shop.ok("migrate", "--to", "zero", "--yes")
    (one,) = shop.ok("stash", "--json").json["databases"]
    assert [(entry["table"], entry["column"]) for entry in one["entries"]] == [
        ("shop_item", "m"),
        ("shop_item", "m"),
        ("shop_item", None),
    ]
    done = shop.ok("migrate", "--yes")
    assert "stay in the stash" not in done.out
    assert shop.rows("SELECT id, n, m FROM shop_item") == [["7", "other", "70"]]
    assert "0 in the stash" in shop.ok("stash").out


def test_rows_that_stepped_aside_for_code_that_was_killed_come_back_after_a_way_down(shop: Project) -> None:
    shop.migration(MORE, ADDED)
    shop.migration(B, ROWS, head=FILL)
    shop.ok("migrate")
    shop.rows("INSERT INTO shop_item (id, n) VALUES (7, 'person')")
    shop.rows("INSERT INTO shop_box (id, item_id) VALUES (8, 7)")
    shop.ok("migrate", "--to", "zero", "--yes")
    kill(shop, "CODE")
    shop.ok("migrate", "--to", "zero", "--yes")
    done = shop.ok("migrate", "--yes")
    assert "stay in the stash" not in done.out
    assert shop.rows("SELECT id, n FROM shop_item ORDER BY id") == [["1", "code"], ["7", "person"]]
    assert shop.rows("SELECT id, item_id FROM shop_box ORDER BY id") == [["1", "1"], ["8", "7"]]
    assert "0 in the stash" in shop.ok("stash").out


def test_rows_that_stepped_aside_come_back_in_the_same_run_when_the_code_is_tried_again(
    shop: Project, database: TestDatabase
) -> None:
    if database.vendor != "mariadb":
        pytest.skip(f"on {database.vendor} nobody else writes to the table meanwhile, and all of it is rolled back")
    shop.configure(base=("chronomig",), extra=BREAKING + PATIENT)
    shop.migration(MORE, ADDED)
    shop.migration(B, ROWS, head=FILL_LATE)
    shop.ok("migrate")
    shop.rows("INSERT INTO shop_item (id, n) VALUES (7, 'person')")
    shop.ok("migrate", "--to", "zero", "--yes")
    done = shop.ok("migrate", "--yes", env={"HOLDS": "a row for longer than the code waits"})
    assert f"{B}: " in done.err
    assert "try 2 of 6" in done.err
    assert shop.rows("SELECT id, n FROM shop_item ORDER BY id") == [["1", "code"], ["7", "person"]]
    assert "0 in the stash" in shop.ok("stash").out
