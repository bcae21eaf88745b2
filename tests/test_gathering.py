"""Statements that go to PostgreSQL together, on real databases; the others get one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from chronomig.batches.editing import run_deferred
from chronomig.batches.gathering import AT_MOST, BETWEEN
from tests.databases import TestDatabase
from tests.projects import Project

BOXES = """
("shop", migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True))])),
("shop", migrations.CreateModel("Item", [
    ("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField(db_index=True)),
    ("m", models.IntegerField(db_index=True)),
])),
("shop", migrations.AddField("item", "label", models.CharField(max_length=9, null=True))),
"""
MADE = [["CREATE TABLE", "CREATE TABLE", "ALTER TABLE", "CREATE INDEX", "CREATE INDEX"]]
ONE_BY_ONE = [[one] for one in MADE[0]]
DEFERRED = [*ONE_BY_ONE[:3], MADE[0][3:]]
TWICE = """
("shop", migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True))])),
{code}
("shop", migrations.CreateModel("Bag", [("id", models.BigAutoField(primary_key=True))], {{"db_table": "shop_box"}})),
("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True))])),
"""
NOTING = """
def note(apps, editor):
    with open("noted.txt", "a") as file:
        file.write(f"{apps.get_model('shop', 'Box').objects.count()}\\n")
"""


def messages(project: Project, *, collapsed: bool = False) -> Any:
    """Return what a migrate sends about tables of shop: the first two words of each statement of each message."""
    messages = [[one for one in sql.split(BETWEEN) if "shop_" in one] for sql in project.sent(collapsed=collapsed)]
    return [[" ".join(one.split()[:2]) for one in message] for message in messages if message]


def only_postgresql(database: TestDatabase) -> None:
    if database.vendor != "postgresql":
        pytest.skip("nothing is sent together")


def test_an_empty_postgresql_gets_the_statements_of_a_migration_in_one_message(
    project: Project, database: TestDatabase
) -> None:
    project.migration("20260101000000_boxes", BOXES)
    sent = messages(project)
    if database.vendor == "postgresql":
        assert sent == MADE
    else:
        assert all(len(message) == 1 for message in sent)


@pytest.mark.parametrize("batch", [True, False])
def test_migrations_that_run_as_one_are_sent_together_unless_nothing_shall_be(
    project: Project, database: TestDatabase, batch: bool
) -> None:
    only_postgresql(database)
    project.configure(extra=f"CHRONOMIG = {{'sets': {{'default': {{'databases': ['default'], 'batch': {batch}}}}}}}")
    for number in (1, 2):
        made = f'("shop", migrations.CreateModel("Box{number}", [("id", models.BigAutoField(primary_key=True))])),'
        project.migration(f"2026010{number}000000_boxes", made)
    both = ["CREATE TABLE", "CREATE TABLE"]
    assert messages(project, collapsed=True) == ([both] if batch else [[one] for one in both])


@pytest.mark.parametrize(
    ("options", "extra", "applied", "sent"),
    [
        ({"server_side_binding": True, "prepare_threshold": 0}, "", False, ONE_BY_ONE),
        ({}, "CHRONOMIG = {'sets': {'default': {'databases': ['default'], 'batch': False}}}", False, DEFERRED),
        ({}, "", True, DEFERRED),
    ],
    ids=["prepared statements", "batch = false", "not empty"],
)
def test_elsewhere_only_what_waits_for_the_end_is_sent_together_if_anything(
    project: Project, database: TestDatabase, options: Any, extra: str, applied: bool, sent: Sequence[object]
) -> None:
    only_postgresql(database)
    project.databases["default"].setdefault("OPTIONS", {}).update(options)
    project.configure(extra=extra)
    if applied:
        project.migration("20260101000000_code", '("shop", migrations.RunSQL("SELECT 1", "")),')
        project.ok("migrate")
    project.migration("20260102000000_boxes", BOXES)
    assert messages(project) == sent


AFTER_AN_INDEX = """
CREATE FUNCTION after_an_index() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {does}; END $$;
CREATE EVENT TRIGGER indexed ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION after_an_index();
"""
SLOW = "CREATE TABLE noted (at timestamptz);" + AFTER_AN_INDEX.format(
    does="INSERT INTO noted VALUES (clock_timestamp()); PERFORM pg_sleep(0.2)"
)
APPLIED = (
    "SELECT duration_ms, at::timestamptz > (SELECT max(at) FROM noted) FROM chronomig_history WHERE kind = 'applied'"
)


def test_what_is_applied_is_recorded_in_the_message_that_does_it_with_the_time_that_took(
    project: Project, database: TestDatabase
) -> None:
    only_postgresql(database)
    project.rows(SLOW)
    project.migration("20260101000000_boxes", BOXES)
    (message,) = [sql for sql in project.sent() if "CREATE TABLE" in sql and "shop_" in sql]
    assert message.split(BETWEEN)[-1].startswith('INSERT INTO "chronomig_history"')
    ((duration, is_at_the_end),) = project.rows(APPLIED)
    assert 400 <= int(duration) < 10_000
    assert is_at_the_end == "True"


def test_the_time_counts_where_rows_come_back_at_the_end(project: Project, database: TestDatabase) -> None:
    only_postgresql(database)
    project.migration("20260101000000_boxes", BOXES)
    project.ok("migrate")
    project.rows("INSERT INTO shop_item (n, m) VALUES (1, 2)")
    project.ok("migrate", "--to", "zero", "--yes")
    project.rows(SLOW)
    project.ok("migrate")
    assert project.rows("SELECT n, m FROM shop_item") == [["1", "2"]]
    duration, is_at_the_end = project.rows(f"{APPLIED} ORDER BY id")[-1]
    assert 400 <= int(duration) < 10_000
    assert is_at_the_end == "True"


def test_a_session_that_is_lost_in_what_waits_is_not_lost_by_recording_it(
    project: Project, database: TestDatabase
) -> None:
    only_postgresql(database)
    project.rows(AFTER_AN_INDEX.format(does="PERFORM pg_terminate_backend(pg_backend_pid())"))
    project.migration("20260101000000_boxes", BOXES)
    done = project.chronomig("migrate")
    assert done.code == 1
    assert "Statements that wait for the end of the migration:\n  OperationalError" in done.err


FIRST = '("shop", migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True))])),'
DANGLING = 'models.ForeignKey("shop.Nope", models.CASCADE, null=True)'


def test_of_operations_that_are_made_ready_together_the_one_that_fails_is_named(
    project: Project, database: TestDatabase
) -> None:
    only_postgresql(database)
    project.migration("20260101000000_boxes", FIRST)
    project.ok("migrate")
    fields = {"a": "models.IntegerField(null=True)", "b": DANGLING, "c": "models.IntegerField(null=True)"}
    added = [f'("shop", migrations.AddField("box", "{name}", {field})),' for name, field in fields.items()]
    project.migration("20260102000000_fields", "\n".join(added))
    done = project.chronomig("migrate")
    assert done.code == 1
    assert "\n  Add field b to box:\n  ValueError" in done.err
    assert project.applied() == ["20260101000000_boxes"]


def test_what_a_router_keeps_away_is_not_looked_at(project: Project, database: TestDatabase) -> None:
    only_postgresql(database)
    project.write(
        "routers.py",
        """
        class Router:
            def allow_migrate(self, db, app_label, model_name=None, **hints):
                return False if model_name == "ghost" else None
        """,
    )
    project.configure(extra="DATABASE_ROUTERS = ['routers.Router']")
    fields = f'[("id", models.BigAutoField(primary_key=True)), ("box", {DANGLING})]'
    ghost = f'migrations.SeparateDatabaseAndState(state_operations=[migrations.CreateModel("Ghost", {fields})])'
    mended = DANGLING.replace("Nope", "Box")
    project.migration(
        "20260101000000_ghost",
        f"""
        {FIRST}
        ("shop", {ghost}),
        ("shop", migrations.AlterField("ghost", "box", {mended})),
        ("shop", migrations.AddField("ghost", "n", models.IntegerField(null=True))),
        """,
    )
    project.ok("migrate")


def test_no_message_is_endless(project: Project, database: TestDatabase) -> None:
    only_postgresql(database)
    fields = ", ".join(f'("n{number}", models.IntegerField(db_index=True))' for number in range(AT_MOST))
    many = f'("shop", migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True)), {fields}])),'
    project.migration("20260101000000_boxes", many)
    assert list(map(len, messages(project))) == [AT_MOST, 1]


def test_of_statements_sent_together_the_one_that_fails_is_named(project: Project, database: TestDatabase) -> None:
    file = project.migration("20260101000000_boxes", TWICE.format(code=""))
    done = project.chronomig("migrate")
    assert done.code == 1
    assert "Create model Bag" in done.err
    assert "shop_box" in done.err
    assert ";\n" not in done.err
    assert "shop_item" not in project.tables()
    assert ("shop_box" in project.tables()) == (database.vendor == "mariadb")
    file.write_text(file.read_text().replace('"shop_box"', '"shop_bag"'))
    project.ok("migrate")
    assert {"shop_box", "shop_bag", "shop_item"} <= set(project.tables())


BEHIND = {
    "nothing": "",
    "an operation without SQL": '("shop", migrations.AlterModelOptions("box", {"verbose_name": "box"})),',
    "code": '("shop", migrations.RunPython(lambda apps, editor: None)),',
    "an error": '("shop", migrations.AddConstraint("box", models.UniqueConstraint(fields=["no"], name="n"))),',
}


@pytest.mark.parametrize("what", BEHIND)
def test_what_fails_is_named_whatever_comes_behind_it(project: Project, database: TestDatabase, what: str) -> None:
    project.migration("20260101000000_clash", '("shop", migrations.RunSQL("CREATE TABLE shop_box (n int)")),')
    project.migration("20260102000000_boxes", FIRST + BEHIND[what])
    done = project.chronomig("migrate")
    assert done.code == 1
    assert "Create model Box" in done.err
    assert "shop_box" in done.err
    ((detail,),) = project.rows("SELECT detail FROM chronomig_history WHERE kind = 'failed'")
    assert detail.startswith("Create model Box: ")


LOST = """
def lose():
    from django.db import connection
    with open("noted.txt", "a") as file:
        file.write("lost\\n")
    try:
        connection.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    except Exception:
        return 1
"""


def test_a_session_that_is_lost_takes_the_lock_with_it_so_nothing_runs_again(
    project: Project, database: TestDatabase
) -> None:
    only_postgresql(database)
    field = "models.IntegerField(default=lose)"
    project.migration("20260101000000_box", f'{FIRST} ("shop", migrations.AddField("box", "n", {field})),', head=LOST)
    done = project.chronomig("migrate")
    assert done.code == 1
    assert "20260101000000_box was not applied" in done.err
    assert (project.root / "noted.txt").read_text() == "lost\n"
    assert project.tables() == []


def test_code_runs_once_finds_what_was_to_run_before_it_and_what_follows_is_named_at_once(
    project: Project, database: TestDatabase
) -> None:
    code = '("shop", migrations.RunPython(note)),'
    project.migration("20260101000000_boxes", TWICE.format(code=code), head=NOTING)
    done = project.chronomig("migrate")
    assert done.code == 1
    assert "Create model Bag" in done.err
    assert (project.root / "noted.txt").read_text() == "0\n"


def test_an_operation_that_looks_for_a_constraint_finds_what_was_to_run_before_it(
    project: Project, database: TestDatabase
) -> None:
    operations = (
        BOXES
        + """
    ("shop", migrations.AddField("item", "code", models.IntegerField(null=True, unique=True))),
    ("shop", migrations.AlterField("item", "code", models.IntegerField(null=True))),
    """
    )
    project.migration("20260101000000_boxes", operations)
    project.ok("migrate")
    constraints = project.schema()["shop_item"]["constraints"].values()
    assert not [one for one in constraints if "code" in one["columns"]]
    assert project.chronomig("drift").code == 0


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
