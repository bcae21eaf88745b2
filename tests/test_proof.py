"""``chronomig prove``: migrations applied, undone and applied again on a scratch database with rows."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations, models

from chronomig.proof.seeding import seed, values_of
from chronomig.state import ProjectState
from tests.conftest import sqlite_settings
from tests.gitting import Git
from tests.inprocess import apply, connected, set_up_django
from tests.projects import Project

set_up_django()

A, B, C, D, E, F = (f"2026010{day}000000_{letter}" for day, letter in enumerate("abcdef", 1))
ITEM = """
("shop", migrations.CreateModel("Item", [
    ("id", models.BigAutoField(primary_key=True)),
    ("n", models.IntegerField()),
    ("t", models.CharField(max_length=20, null=True)),
    ("parent", models.ForeignKey("shop.item", models.CASCADE, null=True)),
    ("others", models.ManyToManyField("shop.item", related_name="+")),
])),
"""
FILES = {
    A: ITEM,
    B: '("shop", migrations.AddField("item", "notes", models.TextField(default="x"))),',
    C: '("shop", migrations.RemoveField("item", "t")),',
    D: '("shop", migrations.RemoveField("item", "n")),',
    E: """
    ("shop", migrations.RunSQL("UPDATE shop_item SET notes = 'gone'", migrations.RunSQL.noop)),
    ("shop", migrations.RunSQL("CREATE TABLE left_over (id integer)", migrations.RunSQL.noop)),
    """,
    F: '("shop", migrations.RunSQL("SELECT 1")),',
}


def with_files(project: Project) -> Project:
    for name, operations in FILES.items():
        project.migration(name, operations)
    return project


def test_each_migration_gets_its_verdict_and_what_it_loses_is_named(project: Project) -> None:
    with_files(project)
    if project.databases["default"]["ENGINE"].endswith("mysql"):
        done = project.chronomig("prove", A, B, C)
        assert done.out.splitlines()[:3] == [
            f"proven          {A}", f"proven          {B}", f"lossy           {C}"
        ]  # fmt: skip
        return
    done = project.chronomig("prove", A, B, C, D, F)
    assert done.code == 3
    assert [line for line in done.out.splitlines() if "Error" not in line and "DETAIL" not in line] == [
        f"proven          {A}",
        f"proven          {B}",
        f"lossy           {C}",
        "    column t of shop_item: 2 values lost or changed",
        f"not reversible  {D}",
        "    Remove field n from item:",
        f"not reversible  {F}",
        "    Raw SQL operation has no reverse",
    ]
    assert project.tables() == []


def test_a_narrower_type_is_lossy_though_the_rows_that_are_made_up_fit(project: Project) -> None:
    project.migration(A, ITEM)
    project.migration(B, '("shop", migrations.AlterField("item", "t", models.CharField(max_length=10, null=True))),')
    project.migration(C, '("shop", migrations.AlterField("item", "t", models.CharField(max_length=30, null=True))),')
    assert project.chronomig("prove", B, C).out.splitlines() == [
        f"lossy           {B}",
        "    column t of shop_item, from CharField(20) to CharField(10): what does not fit",
        f"proven          {C}",
    ]


def test_a_key_of_several_fields_and_a_computed_field_are_proven(project: Project) -> None:
    project.migration(A, """
        ("shop", migrations.CreateModel("Line", [
            ("pk", models.CompositePrimaryKey("order", "number")),
            ("order", models.IntegerField()), ("number", models.IntegerField()), ("n", models.IntegerField(db_default=3)),
        ])),
    """)  # fmt: skip
    project.migration(B, """
        ("shop", migrations.AddField("line", "double", models.GeneratedField(
            expression=models.F("n") * 2, output_field=models.IntegerField(), db_persist=True))),
    """)  # fmt: skip
    project.migration(C, '("shop", migrations.RemoveField("line", "double")),')
    assert project.ok("prove", A, B, C).out.split() == ["proven", A, "proven", B, "proven", C]


def test_what_code_leaves_behind_is_a_loss_and_what_cannot_run_twice_is_broken(sqlite_project: Project) -> None:
    done = with_files(sqlite_project).chronomig("prove", E, "--json")
    (proof,) = done.json["databases"][0]["proofs"]
    assert proof["verdict"] == "broken"
    assert proof["details"][0] == "It cannot be applied again."
    sqlite_project.migration(E, """
        ("shop", migrations.RunSQL("UPDATE shop_item SET notes = 'gone'", migrations.RunSQL.noop)),
        ("shop", migrations.RunSQL("CREATE TABLE IF NOT EXISTS left_over (id integer)", migrations.RunSQL.noop)),
    """)  # fmt: skip
    done = sqlite_project.chronomig("prove", E)
    assert [line.strip() for line in done.out.splitlines()] == [
        f"lossy           {E}",
        "table left_over is left",
        "column notes of shop_item: 2 values lost or changed",
    ]


def test_the_databases_of_the_project_are_not_touched(project: Project) -> None:
    with_files(project)
    project.ok("migrate", "--to", A)
    project.rows("INSERT INTO shop_item (n, t) VALUES (7, 'kept')")
    project.ok("prove", A)
    assert project.applied() == [A]
    assert project.rows("SELECT n, t FROM shop_item") == [["7", "kept"]]


def test_without_names_it_is_what_only_the_branch_has_or_the_newest_file(sqlite_project: Project) -> None:
    git = Git.init(sqlite_project.root)
    sqlite_project.write(".gitignore", "__pycache__/\n*.sqlite3*\n.snapshots/\n")
    sqlite_project.migration(A, FILES[A])
    git.commit()
    git("switch", "-qc", "work")
    sqlite_project.migration(B, FILES[B])
    assert sqlite_project.ok("prove").out == f"proven          {B}\n"
    sqlite_project.migration(C, FILES[C])
    shown = sqlite_project.chronomig("prove", "--base", "main").out
    assert [line.split()[-1] for line in shown.splitlines() if line[0] != " "] == [B, C]
    found = sqlite_project.chronomig("check", "--base", "main", "--prove", "--json").json["findings"]
    (unproven,) = [one for one in found if one["check"] == "unproven"]
    assert unproven["message"] == f"{C} is not proven: lossy."
    assert unproven["details"] == ["column t of shop_item: 2 values lost or changed"]


def test_a_name_that_nobody_knows_is_a_usage_error(sqlite_project: Project) -> None:
    with_files(sqlite_project)
    done = sqlite_project.chronomig("prove", "nothing")
    assert done.code == 2
    assert "None of the names is a migration." in done.err
    assert "is the beginning of several migrations." in sqlite_project.chronomig("prove", "2026").err


def test_every_kind_of_field_gets_values(tmp_path: Path) -> None:
    kinds: list[models.Field] = [  # type: ignore[type-arg]
        models.BooleanField(), models.DateField(), models.DateTimeField(), models.TimeField(), models.DurationField(),
        models.DecimalField(max_digits=5, decimal_places=2), models.IntegerField(), models.FloatField(),
        models.UUIDField(unique=True), models.JSONField(), models.BinaryField(), models.GenericIPAddressField(),
        models.EmailField(), models.URLField(), models.CharField(max_length=2, unique=True), models.TextField(),
        models.FileField(), models.SlugField(), models.IntegerField(choices=[(4, "four"), (5, "five")]),
    ]  # fmt: skip
    fields = [(f"field_{number}", kind) for number, kind in enumerate(kinds)]
    create = ("shop", migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True)), *fields]))
    with connected(sqlite_settings(tmp_path)) as connection:
        assert seed(connection, apply(connection, ProjectState(), [create])) == []
        assert values_of(connection, "shop_thing", "field_18") == [4, 5]


def test_tables_that_no_rows_can_be_made_for_are_named(tmp_path: Path) -> None:
    class Odd(models.Field):  # type: ignore[type-arg]
        def db_type(self, connection: object) -> str:
            return "text"

    create = (
        "shop",
        migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True)), ("odd", Odd())]),
    )
    refers = migrations.CreateModel(
        "Part",
        [("id", models.BigAutoField(primary_key=True)), ("of", models.ForeignKey("shop.thing", models.CASCADE))],
    )
    with connected(sqlite_settings(tmp_path)) as connection:
        state = apply(connection, ProjectState(), [create, ("shop", refers)])
        assert seed(connection, state) == ["shop_part", "shop_thing"]
