"""``chronomig migrate`` on real databases, through the command line."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import sqlite_settings
from tests.projects import Project

A, B, C = "20260101000000_items", "20260102000000_notes", "20260103000000_broken"
CREATE = """
("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])),
"""
ADD = '("shop", migrations.AddField("item", "notes", models.TextField(default=""))),'
BROKEN = """
("shop", migrations.CreateModel("Box", [
    ("id", models.BigAutoField(primary_key=True)),
    ("item", models.ForeignKey("shop.Item", models.CASCADE)),
])),
("shop", migrations.RunSQL("INSERT INTO nowhere VALUES (1)", migrations.RunSQL.noop)),
("shop", migrations.AddField("box", "colour", models.TextField(default=""))),
"""
WITH_A_LOG = 'DATABASES["default"]["OPTIONS"] = {"init_command": "PRAGMA journal_mode = wal"}'
TRANSACTIONAL = ("sqlite", "postgresql")


@pytest.fixture
def two(project: Project) -> Project:
    """Two migrations, pending."""
    project.migration(A, CREATE)
    project.migration(B, ADD)
    return project


def test_everything_pending_is_applied_and_then_there_is_nothing_to_do(two: Project) -> None:
    done = two.ok("migrate")
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [["applied", A], ["applied", B]]
    assert two.applied() == [A, B]
    assert "nothing to do" in two.ok("migrate").out
    assert [column[0] for column in two.schema()["shop_item"]["columns"]] == ["id", "n", "notes"]


def test_a_target_moves_a_database_both_ways(two: Project) -> None:
    two.ok("migrate")
    down = two.ok("migrate", "--to", "2026-01-01", "--yes")
    assert f"reverted  {B}" in down.out
    assert two.applied() == [A]
    two.ok("migrate", "--before", "latest", "--yes")
    assert two.applied() == [A]
    two.ok("migrate", "--steps", "1")
    assert two.applied() == [A, B]
    two.ok("migrate", "--to", "zero", "--yes")
    assert two.applied() == []
    assert "shop_item" not in two.tables()


@pytest.mark.core
def test_a_failure_tells_what_moved_what_failed_and_what_is_left(two: Project) -> None:
    two.migration(C, BROKEN)
    two.migration("20260104000000_later", "")
    done = two.chronomig("migrate")
    vendor = two.ok("status", "--json").json["databases"][0]["vendor"]
    assert done.code == 1
    assert f"Error: {C} was not applied." in done.err
    assert "Raw SQL operation:" in done.err
    assert f"moved in this run: {A}, {B}" in done.err
    assert f"left: {C}, 20260104000000_later" in done.err
    assert f"Mend {C}, then run the same command again." in done.err
    states = two.states()
    if vendor in TRANSACTIONAL:
        assert "It was rolled back; the database stands as before it." in done.err
        assert states[C] == "pending"
        assert "shop_box" not in two.tables()
    else:
        assert "Operations before it are done and recorded; the next run goes on there." in done.err
        assert states[C] == "half done"
    assert two.ok("history").out.count("failed") == 1


def test_a_failure_in_code_is_told_as_what_it_was(two: Project) -> None:
    two.migration(
        C,
        '("shop", migrations.RunPython(twice, migrations.RunPython.noop)),',
        head="""
def twice(apps, schema_editor):
    make = apps.get_model("shop", "Item").objects.using(schema_editor.connection.alias).create
    make(id=7), make(id=7)
""",
    )
    done = two.chronomig("migrate")
    assert done.code == 1
    assert "  Raw Python operation:\n  IntegrityError: " in done.err
    assert "TransactionManagementError" not in done.err
    told = two.ok("history").out
    assert f"failed    up  {C}" in told
    assert "Raw Python operation: IntegrityError: " in told


@pytest.mark.core
def test_the_next_run_goes_on_and_ends_as_an_undisturbed_one(two: Project) -> None:
    two.migration(C, BROKEN)
    assert two.chronomig("migrate").code == 1
    two.migration(C, BROKEN.replace("INSERT INTO nowhere VALUES (1)", "SELECT 1"))
    two.ok("migrate")
    assert two.applied() == [A, B, C]
    disturbed = two.schema()
    two.ok("migrate", "--to", "zero", "--yes")
    two.ok("migrate")
    assert two.schema() == disturbed


def test_what_is_half_done_can_be_undone_too(two: Project) -> None:
    two.migration(C, BROKEN)
    assert two.chronomig("migrate").code == 1
    two.ok("migrate", "--to", B, "--yes")
    assert two.states()[C] == "pending"
    assert "shop_box" not in two.tables()


def test_operations_that_are_done_cannot_be_edited_away_under_a_half_done_migration(two: Project) -> None:
    two.migration(C, BROKEN, body="atomic = False")
    assert two.chronomig("migrate").code == 1
    two.migration(C, BROKEN.replace('"Box"', '"Crate"'), body="atomic = False")
    done = two.chronomig("migrate")
    assert done.code == 4
    assert f"{C} is half done, and its first 1 operations were edited since." in done.err
    assert "done: Create model Box" in done.err


def test_a_data_migration_sees_historical_models_both_ways(two: Project) -> None:
    head = """
    def forwards(apps, schema_editor):
        Item = apps.get_model("shop", "Item")
        Item.objects.using(schema_editor.connection.alias).bulk_create([Item(n=n, notes=f"n{n}") for n in range(3)])

    def backwards(apps, schema_editor):
        apps.get_model("shop", "Item").objects.filter(n=1).delete()
    """
    two.migration(C, '("shop", migrations.RunPython(forwards, backwards)),', head=head)
    two.ok("migrate")
    assert two.rows("SELECT notes FROM shop_item ORDER BY n") == [["n0"], ["n1"], ["n2"]]
    two.ok("migrate", "--steps", "-1", "--yes")
    assert two.rows("SELECT notes FROM shop_item ORDER BY n") == [["n0"], ["n2"]]


def test_irreversible_migrations_in_the_way_are_all_named_before_anything_runs(two: Project) -> None:
    for name in ("20260103000000_one", "20260104000000_two"):
        two.migration(name, '("shop", migrations.RunSQL("SELECT 1")),')
    two.ok("migrate")
    done = two.chronomig("migrate", "--to", "zero", "--yes")
    assert done.code == 4
    assert "2 migrations cannot be undone; nothing was run." in done.err
    assert "20260103000000_one: Raw SQL operation" in done.err
    assert "20260104000000_two: Raw SQL operation" in done.err
    assert len(two.applied()) == 4


def test_a_pending_migration_older_than_an_applied_one_waits_for_a_decision(two: Project) -> None:
    two.ok("migrate")
    older = "20260101120000_older"
    two.migration(older, '("shop", migrations.RunSQL("SELECT 1", migrations.RunSQL.noop)),')
    done = two.chronomig("migrate")
    assert done.code == 4
    assert f"{older} is pending, but older than {B}, which is applied" in done.err
    two.ok("migrate", "--order", "apply")
    assert two.applied() == [A, older, B]
    (line,) = [line for line in two.ok("status").out.splitlines() if older in line]
    assert "out of order" in line


def test_the_order_policy_can_be_configured_per_set(two: Project) -> None:
    two.configure(extra="CHRONOMIG = {'sets': {'default': {'databases': ['default'], 'order': 'apply'}}}")
    two.ok("migrate")
    two.migration("20260101120000_older", "")
    two.ok("migrate")
    assert len(two.applied()) == 3


def test_fake_records_without_running(two: Project) -> None:
    done = two.ok("migrate", "--to", A, "--fake")
    assert f"faked     {A}" in done.out
    assert "shop_item" not in two.tables()
    assert [line for line in two.ok("status").out.splitlines() if "faked" in line]
    assert "unfaked" in two.ok("migrate", "--to", "zero", "--fake", "--yes").out
    assert two.applied() == []


def test_plan_and_check_move_nothing(two: Project) -> None:
    for arguments in (["plan"], ["migrate", "--plan"]):
        assert f"  up     {A}\n  up     {B}\n" in two.ok(*arguments).out
    assert two.chronomig("migrate", "--check").code == 3
    assert two.rows("SELECT 1") == [["1"]]
    assert "chronomig_history" not in two.python(
        "from django.db import connection\nresult = connection.introspection.table_names()"
    )
    two.ok("migrate")
    assert two.chronomig("migrate", "--check").code == 0


def test_reading_creates_neither_tables_nor_files(two: Project) -> None:
    before = sorted(path for path in two.root.parent.rglob("*") if "__pycache__" not in path.parts)
    for command in ("status", "plan", "history", "sql"):
        two.ok(command)
    tables = two.python("from django.db import connection\nresult = connection.introspection.table_names()")
    assert tables == []
    after = sorted(path for path in two.root.parent.rglob("*") if "__pycache__" not in path.parts)
    # SQLite makes an empty file when somebody connects; that is not ours to prevent.
    assert [path for path in after if path not in before and path.suffix != ".sqlite3"] == []


def test_every_command_speaks_json(two: Project) -> None:
    plan = two.ok("plan", "--json").json
    assert plan["schema"] == "chronomig.plan/1"
    assert [step["name"] for step in plan["databases"][0]["steps"]] == [A, B]
    migrate = two.ok("migrate", "--json").json
    assert migrate["schema"] == "chronomig.migrate/1"
    assert [one["event"] for one in migrate["databases"][0]["results"]] == ["applied", "applied"]
    status = two.ok("status", "--json").json
    assert status["schema"] == "chronomig.status/1"
    assert [line["state"] for line in status["databases"][0]["migrations"]] == ["applied", "applied"]
    history = two.ok("history", "--json").json
    assert history["databases"][0]["events"][-1]["event"] == "settled"
    sql = two.ok("sql", "--json", A).json
    assert any("shop_item" in line for line in sql["migrations"][0]["sql"])
    failure = two.chronomig("migrate", "--to", "nope", "--json")
    assert failure.code == 2
    assert failure.json["error"]["fact"] == "There is no migration 'nope'."


def test_a_failure_in_json_says_what_moved_and_what_is_left(two: Project) -> None:
    two.migration(C, BROKEN)
    done = two.chronomig("migrate", "--json")
    assert done.code == 1
    assert done.json["error"]["kind"] == "Failed"
    assert [one["name"] for one in done.json["databases"][0]["results"]] == [A, B]
    assert done.json["left"] == [C]


def test_sql_prints_one_a_range_or_what_is_pending_and_touches_nothing(two: Project) -> None:
    assert two.ok("sql").out.count("CREATE TABLE") >= 1
    two.ok("migrate", "--to", A)
    only = two.ok("sql", B)
    assert "notes" in only.out
    assert f"-- {A}" not in only.out
    both = two.ok("sql", B, A, "--backwards").out
    assert both.index(f"-- {B} (down)") < both.index(f"-- {A} (down)")
    assert "DROP TABLE" in both
    assert two.applied() == [A]
    assert two.chronomig("sql", "nope").code == 2


def test_an_atomic_false_migration_keeps_what_it_did_before_it_failed(two: Project) -> None:
    two.migration(C, BROKEN, body="atomic = False")
    assert two.chronomig("migrate").code == 1
    assert two.states()[C] == "half done"
    assert "1 operations in effect, on its way up" in two.ok("status").out
    two.migration(C, BROKEN.replace("INSERT INTO nowhere VALUES (1)", "SELECT 1"), body="atomic = False")
    two.ok("migrate")
    assert [column[0] for column in two.schema()["shop_box"]["columns"]] == ["id", "item_id", "colour"]
    assert any("foreign_key" in one and "shop_item" in one["foreign_key"] for one in two.schema()["shop_box"]["constraints"].values())  # fmt: skip


def test_an_applied_migration_whose_file_is_gone_is_named_and_blocks_only_its_own_undoing(two: Project) -> None:
    two.ok("migrate")
    (two.root / f"project_migrations/default/{B}.py").unlink()
    assert two.states()[B] == "future"
    two.migration(C, "")
    assert two.states()[B] == "missing"
    done = two.ok("migrate")
    assert f"stays     {B}  (applied, but without a file)" in done.out
    refused = two.chronomig("migrate", "--to", A, "--yes")
    assert refused.code == 4
    assert f"{B}: it is applied, but has no file" in refused.err


def test_an_edited_migration_is_shown_and_is_not_undone_with_other_code(two: Project) -> None:
    path = two.migration(B, ADD)
    two.ok("migrate")
    original = path.read_text()
    path.write_text(original + "# a note\n")
    assert "edited" in two.ok("status").out
    refused = two.chronomig("migrate", "--to", A, "--yes")
    assert refused.code == 4
    assert f"{B}: its file was edited since it was applied" in refused.err
    path.write_text(original)
    two.ok("migrate", "--to", A, "--yes")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nowhere_at_all\n", "Line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("x = (\n", "Line 1:"),
        ("x = 1\n", "has no Migration."),
        ("from chronomig import Migration\n", "imports Migration, but defines none."),
        ("from django.db import migrations\nclass Migration(migrations.Migration): pass\n", "holds a Django migration without an ORIGIN."),
        ("import chronomig\nfrom django.db import migrations\nclass Migration(chronomig.Migration):\n    operations = [migrations.RunSQL('')]\n", "operation 1 has no app label."),
        ("import chronomig\nclass Migration(chronomig.Migration):\n    operations = [('shop', 3)]\n", "operation 1 is ('shop', 3)."),
        ("import chronomig\nclass Migration(chronomig.Migration):\n    touches = ['shop']\n", "touches holds 'shop'."),
        ("import chronomig\nclass Migration(chronomig.Migration):\n    touches = 'shop.Item'\n", "touches holds 'shop.Item'."),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_stops_everything_before_it_begins(
    sqlite_project: Project, text: str, told: str
) -> None:
    sqlite_project.migration(A, CREATE)
    sqlite_project.write(f"project_migrations/default/{B}.py", text)
    done = sqlite_project.chronomig("migrate")
    assert done.code == 1
    assert told in done.err
    assert "Traceback" not in done.err
    assert sqlite_project.applied() == []


def test_an_origin_that_cannot_be_read_is_named(sqlite_project: Project) -> None:
    sqlite_project.write(f"project_migrations/default/{B}.py", "ORIGIN = {1: nope}\n")
    done = sqlite_project.chronomig("migrate")
    assert done.code == 1
    assert "its ORIGIN cannot be read." in done.err
    assert "Restore the line as makemigrations wrote it." in done.err


def test_a_file_that_is_not_utf_8_is_named(sqlite_project: Project) -> None:
    path = sqlite_project.migration(A, CREATE)
    path.write_bytes(path.read_bytes() + b"# \xff\n")
    done = sqlite_project.chronomig("migrate")
    assert done.code == 1
    assert "It is not UTF-8: invalid start byte at byte" in done.err


@pytest.mark.core
def test_a_second_process_waits_visibly_and_finds_nothing_to_do(two: Project, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    head = f"""
    import pathlib, time

    def wait(apps, schema_editor):
        pathlib.Path({str(gate)!r}).with_suffix(".here").touch()
        while not pathlib.Path({str(gate)!r}).exists():
            time.sleep(0.05)
    """
    two.migration(C, '("shop", migrations.RunPython(wait, migrations.RunPython.noop)),', head=head)
    first = two.start("migrate")
    wait_for(gate.with_suffix(".here"))
    second = two.start("migrate")
    time.sleep(2.5)
    assert second.poll() is None
    impatient = two.chronomig("migrate", "--wait", "0.5")
    assert impatient.code == 1
    assert "The database 'default' is being migrated by" in impatient.err
    assert "It was waited for 0.5 seconds." in impatient.err
    gate.touch()
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert f"applied   {C}" in out
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert "default: waiting for" in err
    assert "since 20" in err
    assert "nothing to do" in out
    assert two.applied() == [A, B, C]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_the_database_at_a_migrations_edge_and_says_where(
    two: Project, tmp_path: Path, number: signal.Signals
) -> None:
    here = tmp_path / "here"
    head = f"""
    import pathlib, time

    def slow(apps, schema_editor):
        apps.get_model("shop", "Item").objects.create(n=7)
        pathlib.Path({str(here)!r}).touch()
        time.sleep(4)
    """
    two.migration(C, '("shop", migrations.RunPython(slow, migrations.RunPython.noop)),', head=head)
    two.migration("20260104000000_after", "")
    running = two.start("migrate")
    wait_for(here)
    os.kill(running.pid, number)
    _out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    vendor = two.ok("status", "--json").json["databases"][0]["vendor"]
    if vendor in TRANSACTIONAL:
        assert f"The database 'default' stands after {B}." in err
        assert f"Left to do: {C}, 20260104000000_after." in err
        assert two.applied() == [A, B]
        assert two.rows("SELECT n FROM shop_item") == []
    else:
        assert "Stopping after this migration, which cannot be rolled back as a whole" in err
        assert f"The database 'default' stands after {C}." in err
        assert two.applied() == [A, B, C]
    two.ok("migrate")
    assert two.rows("SELECT n FROM shop_item") == [["7"]]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


def test_a_database_that_does_not_answer_is_named_without_its_password(sqlite_project: Project) -> None:
    sqlite_project.databases["default"] = {
        "ENGINE": "django.db.backends.postgresql", "NAME": "x", "USER": "x", "PASSWORD": "s3cret", "HOST": "127.0.0.1",
        "PORT": 1,
    }  # fmt: skip
    sqlite_project.configure()
    sqlite_project.migration(A, CREATE)
    for command in ("status", "migrate", "plan", "history"):
        done = sqlite_project.chronomig(command)
        assert done.code == 1
        assert "The database 'default' cannot be used." in done.err
        assert "s3cret" not in done.err + done.out
        assert "Traceback" not in done.err


def test_a_read_only_database_is_left_alone(sqlite_project: Project) -> None:
    sqlite_project.migration(A, CREATE)
    database = Path(str(sqlite_project.databases["default"]["NAME"]))
    sqlite_project.databases["default"]["NAME"] = f"file:{database}?mode=ro"
    sqlite_project.databases["default"]["OPTIONS"] = {"uri": True}
    database.touch()
    sqlite_project.configure()
    done = sqlite_project.chronomig("migrate")
    assert done.code == 1
    assert "readonly database" in done.err
    assert "Traceback" not in done.err


def test_two_targets_at_once_are_a_usage_error(sqlite_project: Project) -> None:
    sqlite_project.migration(A, CREATE)
    done = sqlite_project.chronomig("migrate", "--to", "zero", "--steps", "1")
    assert done.code == 2
    assert "--to, --before and --steps exclude each other." in done.err


def test_an_unknown_database_is_a_usage_error_with_the_nearest(sqlite_project: Project) -> None:
    sqlite_project.migration(A, CREATE)
    done = sqlite_project.chronomig("migrate", "--database", "defualt")
    assert done.code == 2
    assert "There is no database 'defualt'." in done.err
    assert "Did you mean 'default'?" in done.err


def test_a_quiet_run_says_nothing(sqlite_project: Project) -> None:
    sqlite_project.migration(A, CREATE)
    done = sqlite_project.ok("migrate", "-v", "0")
    assert done.out == ""


def test_databases_and_settings_can_be_chosen_for_every_command(sqlite_project: Project, tmp_path: Path) -> None:
    sqlite_project.databases["other"] = sqlite_settings(tmp_path, "other")
    sqlite_project.configure()
    (sqlite_project.root / "site_settings.py").rename(sqlite_project.root / "elsewhere.py")
    for set_name in ("default", "other"):
        sqlite_project.migration(A, CREATE, set_name=set_name)
    settings = ("--settings", "elsewhere")
    done = sqlite_project.ok("migrate", "--database", "other", "--database", "default", *settings, "--json").json
    assert [one["alias"] for one in done["databases"]] == ["other", "default"]
    for command in ("status", "history", "plan"):
        one = sqlite_project.ok(command, "--database", "other", *settings, "--json").json
        assert [row["alias"] for row in one["databases"]] == ["other"]
    assert "shop_item" in sqlite_project.ok("sql", A, "--database", "other", *settings).out
    several = sqlite_project.chronomig("sql", A, *settings)
    assert several.code == 2
    assert "There are several databases." in several.err
    assert "Choose one with --database." in several.err
    for options in (["--to", "zero"], ["--before", A], ["--steps", "-1"]):
        shown = sqlite_project.ok("plan", *options, *settings).out
        assert shown.count(f"down   {A}") == 2
    sqlite_project.migration("20250101000000_older", "")
    assert sqlite_project.chronomig("plan", "--order", "fail", *settings).code == 4
    assert "up     20250101000000_older" in sqlite_project.ok("plan", "--order", "apply", *settings).out


def test_what_runs_is_what_was_hashed_even_when_a_file_changes_within_a_second(sqlite_project: Project) -> None:
    """Python's cache of byte code would take two files of one size and one second for the same."""
    first = sqlite_project.migration(A, CREATE)
    sqlite_project.ok("sql", A)
    moment = first.stat()
    first.write_text(first.read_text().replace('"n"', '"m"'))
    os.utime(first, ns=(moment.st_atime_ns, moment.st_mtime_ns))
    sqlite_project.ok("migrate")
    assert [column[0] for column in sqlite_project.schema()["shop_item"]["columns"]] == ["id", "m"]


def test_a_command_closes_its_connections_and_leaves_no_log_beside_the_file(sqlite_project: Project) -> None:
    sqlite_project.models("class Item(models.Model):\n    pass\n")
    sqlite_project.configure(extra=WITH_A_LOG)
    sqlite_project.ok("makemigrations", fork=False)
    for command in ("migrate", "status"):
        sqlite_project.ok(command, fork=False)
        file = Path(sqlite_project.databases["default"]["NAME"])
        assert file.exists() and not file.with_name(f"{file.name}-wal").exists()
