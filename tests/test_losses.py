"""What a plan destroys: said, counted, and done only after a yes."""

from __future__ import annotations

import pytest
from django.db import migrations, models

from chronomig.effects import Names
from chronomig.state import ProjectState
from tests.conftest import sqlite_settings
from tests.databases import TestDatabase
from tests.inprocess import set_up_django
from tests.projects import Project
from tests.test_terminal import on_a_terminal

set_up_django()

A, B, C, D = (f"2026010{day}000000_{letter}" for day, letter in enumerate("abcd", 1))
CREATE = """
("shop", migrations.CreateModel("Item", [
    ("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField()), ("t", models.CharField(max_length=20)),
])),
"""
NOTES = '("shop", migrations.AddField("item", "notes", models.TextField(null=True))),'


def with_rows(project: Project, count: int = 2) -> Project:
    """Apply two migrations and put rows in."""
    project.migration(A, CREATE)
    project.migration(B, NOTES)
    project.ok("migrate")
    for number in range(1, count + 1):
        project.rows(f"INSERT INTO shop_item (n, t, notes) VALUES ({number}, 'twelve chars', 'q')")
    return project


def test_going_down_says_what_is_lost_and_how_many_rows_and_wants_a_yes(project: Project) -> None:
    with_rows(project)
    done = project.chronomig("migrate", "--to", "zero", "--no-stash")
    assert done.code == 4
    assert [line.strip() for line in done.err.splitlines()] == [
        "Error: Data would be lost; nothing was run.",
        "default (2 migrations undone):",
        f"{B} (down): column notes of shop_item, 2 rows",
        f"{A} (down): table shop_item, 2 rows",
        "-> Add --allow-data-loss to run it.",
    ]
    assert project.applied() == [A, B]
    project.ok("migrate", "--to", "zero", "--no-stash", "--allow-data-loss")
    assert "shop_item" not in project.tables()


def test_a_plan_lists_what_it_would_destroy_and_asks_for_nothing(project: Project) -> None:
    with_rows(project)
    project.migration(C, '("shop", migrations.RemoveField("item", "notes")),')
    done = project.ok("plan")
    assert [line.strip() for line in done.out.splitlines()[1:]] == [
        f"up     {C}",
        f"destroys  {C} (up): column notes of shop_item, 2 rows",
    ]
    (one,) = project.ok("plan", "--json").json["databases"]
    assert one["losses"] == [{"name": C, "direction": "up", "what": "column notes of shop_item", "rows": 2}]
    down = project.ok("migrate", "--plan", "--to", A, "--no-stash").out
    assert f"destroys  {B} (down): column notes of shop_item, 2 rows" in down
    assert "destroys" not in project.ok("migrate", "--plan", "--to", A, "--no-stash", "--fake").out
    assert project.applied() == [A, B]


def test_the_plan_of_an_empty_database_loads_no_file(sqlite_project: Project) -> None:
    sqlite_project.migration(A, CREATE, head="raise RuntimeError")
    assert f"up     {A}" in sqlite_project.ok("plan").out
    assert sqlite_project.ok("plan", "--json").json["databases"][0]["losses"] == []


def test_what_the_stash_takes_is_not_lost(project: Project) -> None:
    with_rows(project)
    assert "stashed   shop_item: 2 rows" in project.ok("migrate", "--to", "zero").out


def test_where_there_are_no_rows_nobody_is_asked(project: Project) -> None:
    with_rows(project, 0)
    project.ok("migrate", "--to", "zero", "--no-stash")
    assert project.applied() == []


def test_on_the_way_up_too_under_the_names_that_things_have_now(project: Project) -> None:
    with_rows(project, 1)
    project.migration(C, """
        ("shop", migrations.RenameModel("Item", "Thing")),
        ("shop", migrations.RenameField("thing", "notes", "memo")),
        ("shop", migrations.AlterField("thing", "t", models.CharField(max_length=15))),
        ("shop", migrations.AlterField("thing", "n", models.SmallIntegerField())),
        ("shop", migrations.AddField("thing", "short", models.IntegerField(default=1))),
        ("shop", migrations.RemoveField("thing", "short")),
        ("shop", migrations.RemoveField("thing", "memo")),
    """)  # fmt: skip
    project.migration(D, '("shop", migrations.AlterField("thing", "t", models.CharField(max_length=5))),')
    done = project.chronomig("migrate")
    assert [line.strip() for line in done.err.splitlines()] == [
        "Error: Data would be lost; nothing was run.",
        "default:",
        f"{C} (up): column memo of shop_thing, 1 row",
        f"{D} (up): column t of shop_thing, from CharField(15) to CharField(5), 1 row",
        "-> Add --allow-data-loss to run it.",
    ]


def test_a_protected_database_wants_its_name_and_no_general_yes(project: Project) -> None:
    with_rows(project, 0)
    project.configure(extra="CHRONOMIG = {'databases': {'default': {'protected': True}}}")
    other = project.chronomig("migrate", "--to", A, "--allow-data-loss-in", "defult")
    assert (other.code, "There is no database 'defult'." in other.err) == (2, True)
    for arguments in ([], ["--allow-data-loss"], ["--yes"]):
        done = project.chronomig("migrate", "--to", A, *arguments, input="default\n")
        assert done.code == 4
        assert "Error: Migrations would be undone in a protected database; nothing was run." in done.err
        assert "default, a protected database (1 migration undone)\n" in done.err
        assert "-> Add --allow-data-loss-in default to run it." in done.err
    code, shown = on_a_terminal(project, "migrate", "--to", A, "--allow-data-loss", typed="y\n")
    assert code == 4
    assert "Type the name of the protected database 'default' to run it:" in shown
    code, _ = on_a_terminal(project, "migrate", "--to", A, typed="default\n")
    assert (code, project.applied()) == (0, [A])
    project.ok("migrate", "--to", "zero", "--allow-data-loss-in", "default")


def test_a_protected_database_refuses_what_a_script_types_ahead(project: Project) -> None:
    with_rows(project, 1)
    project.configure(extra="CHRONOMIG = {'databases': {'default': {'protected': True}}}")
    project.migration(C, '("shop", migrations.RemoveField("item", "notes")),')
    for arguments in ([], ["--yes"], ["--no-input", "--allow-data-loss"]):
        for typed in ("yes\n" * 50, "default\n" * 50):
            assert project.chronomig("migrate", *arguments, input=typed).code == 4
    assert project.manage("migrate", "--allow-data-loss", input="yes\n" * 50).code == 4
    code, _ = on_a_terminal(project, "migrate", typed="yes\n")
    assert (code, project.applied()) == (4, [A, B])
    assert project.rows("SELECT notes FROM shop_item") == [["q"]]
    project.ok("migrate", "--allow-data-loss-in", "default")


def test_a_protected_database_goes_up_without_a_question_when_nothing_is_destroyed(project: Project) -> None:
    project.configure(extra="CHRONOMIG = {'databases': {'default': {'protected': True}}}")
    with_rows(project, 0)
    assert project.applied() == [A, B]


def test_an_unprotected_database_beside_a_protected_one_has_its_own_answer(
    project: Project, database: TestDatabase
) -> None:
    project.databases["other"] = database.settings("_other")
    project.configure(
        extra="CHRONOMIG = {'sets': {'default': {'databases': ['default', 'other']}}, "
        "'databases': {'default': {'protected': True}}}"
    )
    with_rows(project, 1)
    project.rows("INSERT INTO shop_item (n, t, notes) VALUES (1, 'x', 'q')", "other")
    done = project.chronomig("migrate", "--to", "zero", "--no-stash")
    assert "-> Add --allow-data-loss --allow-data-loss-in default to run it." in done.err
    project.ok("migrate", "--to", "zero", "--no-stash", "--yes", "--allow-data-loss-in", "default")


def test_what_cannot_be_undone_is_named_at_once_whichever_database_it_is_in_the_way_of(
    sqlite_project: Project,
) -> None:
    sqlite_project.databases["other"] = sqlite_settings(sqlite_project.root.parent, "other")
    sqlite_project.configure(extra="CHRONOMIG = {'sets': {'default': {'databases': ['default', 'other']}}}")
    sqlite_project.migration(A, CREATE)
    sqlite_project.migration(B, '("shop", migrations.RunSQL("SELECT 1")),')
    sqlite_project.migration(C, '("shop", migrations.RunPython(lambda apps, editor: None)),')
    sqlite_project.ok("migrate", "--database", "default", "--to", B)
    sqlite_project.ok("migrate", "--database", "other")
    refused = sqlite_project.chronomig("migrate", "--to", "zero", "--yes")
    assert (refused.code, [line.strip() for line in refused.err.splitlines()]) == (4, [
        "Error: 2 migrations cannot be undone; nothing was run.",
        f"{C}: Raw Python operation",
        f"{B}: Raw SQL operation",
        "-> Give the operation a reverse (reverse_code, reverse_sql), or choose a target after it.",
    ])  # fmt: skip


def test_the_front_door_of_django_guards_data_as_well(project: Project) -> None:
    with_rows(project)
    project.migration(C, '("shop", migrations.RemoveField("item", "notes")),')
    done = project.manage("migrate", "--no-input")
    assert done.code == 4
    assert "Data would be lost; nothing was run." in done.err
    assert project.manage("migrate", "--allow-data-loss").code == 0


def test_what_is_recorded_only_destroys_nothing(project: Project) -> None:
    with_rows(project)
    project.ok("migrate", "--to", "zero", "--fake")
    assert "shop_item" in project.tables()


def test_counting_ends_when_its_time_is_up(project: Project) -> None:
    with_rows(project, 1)
    counted = project.python(
        """
        from django.db import connection
        from chronomig.effects import Loss
        from chronomig.running import losses
        with connection.cursor() as cursor:
            for _ in range(19):
                cursor.execute("INSERT INTO shop_item (n, t, notes) SELECT n, t, notes FROM shop_item")
        whole = losses.RowCounter(connection).count(Loss("column notes", "shop_item", "notes"))
        losses.COUNT_SECONDS = 0.0
        bounded = losses.RowCounter(connection).count(Loss("column notes", "shop_item", "notes"))
        result = [whole, bounded, str(losses.CountedLoss("m", "up", "table t", bounded))]
        """
    )
    assert counted == [2**19, None, "m (up): table t, more rows than could be counted"]


# -- names ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def state() -> ProjectState:
    fields = [("id", models.BigAutoField(primary_key=True)), ("tags", models.ManyToManyField("shop.item"))]
    return ProjectState().after("shop", migrations.CreateModel("Item", fields))


def test_tables_are_followed_through_new_names_up_and_down(state: ProjectState) -> None:
    operation = migrations.RenameModel("Item", "Thing")
    after = state.after("shop", operation)
    up, down = Names(), Names()
    up.follow(operation, "shop", state, after)
    assert up.place("shop_thing") == ("shop_item", None)
    assert up.place("shop_thing_tags") == ("shop_item_tags", None)
    down.follow(operation, "shop", after, state)
    assert down.place("shop_item", "id") == ("shop_thing", "id")


def test_what_the_plan_makes_itself_is_nowhere_yet(state: ProjectState) -> None:
    operation = migrations.AddField("item", "n", models.IntegerField(default=0))
    names = Names()
    names.follow(operation, "shop", state, state.after("shop", operation))
    assert names.place("shop_item", "n") == (None, None)
    assert names.place("shop_item", "id") == ("shop_item", "id")
    made = Names()
    made.follow(migrations.CreateModel("Item", []), "shop", ProjectState(), state)
    assert made.place("shop_item") == (None, None)
