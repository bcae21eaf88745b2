"""What a person reads when something is wrong in a way that no other file of tests is about."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.projects import Project

A = "20260101000000_items"
INSERT = (
    "INSERT INTO chronomig_history (set_name, name, kind, direction, sha256, app_label, upstream_name, detail, at, {q}by{q}, version)"
    " VALUES ('{set_name}', 'x', '{kind}', 'up', '', '', '', '', '2026-01-01T00:00:00.000000Z', '', '')"
)


@pytest.fixture
def migrated(sqlite_project: Project) -> Project:
    sqlite_project.migration(A, "")
    sqlite_project.ok("migrate")
    return sqlite_project


def told(project: Project, *arguments: str, code: int) -> str:
    done = project.chronomig(*arguments)
    assert done.code == code, done
    assert "Traceback" not in done.err
    return done.err


def test_a_history_of_another_set_is_named(migrated: Project) -> None:
    migrated.configure(extra="CHRONOMIG = {'sets': {'main': {'databases': ['default']}}}")
    migrated.write("project_migrations/main/.gitkeep", "")
    text = told(migrated, "status", code=1)
    assert "The history of the database 'default' is of the set 'default', not of 'main'." in text
    assert "Correct 'sets' in the configuration." in text


def test_an_event_that_this_version_does_not_know_is_named(migrated: Project) -> None:
    migrated.python(
        "from django.db import connection\n"
        f"connection.cursor().execute({INSERT.format(set_name='default', kind='levitated', q=chr(34))!r})\nresult = 1"
    )
    text = told(migrated, "migrate", code=1)
    assert "The history holds an event that this version does not know: x." in text
    assert "A newer chronomig may have written it; use that version." in text


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("operation = -1", "Its operation is -1."),
        ("operation = 'x'", "Its operation is 'x'."),
        ("name = x'ff00'", r"Its name is b'\xff\x00'."),
        ("duration_ms = 'long'", "Its duration_ms is 'long'."),
    ],
)
def test_a_row_that_is_impossible_is_named(migrated: Project, change: str, cause: str) -> None:
    migrated.rows(f"UPDATE chronomig_history SET {change} WHERE kind = 'applied'")
    for command in ("status", "migrate"):
        text = told(migrated, command, code=1)
        assert "The history holds a row that is impossible: number 1, " in text
        assert cause in text
        assert "restore the row, or remove it, with SQL" in text


def test_an_event_that_stands_for_nothing_is_named(migrated: Project) -> None:
    migrated.rows("UPDATE chronomig_history SET kind = 'squashed', detail = 'gone' WHERE kind = 'applied'")
    for command in ("status", "drift"):
        text = told(migrated, command, code=1)
        assert f"The history holds an event that is impossible: {A!r} squashed." in text
        assert "It stands for migrations that are not applied: 'gone'." in text


def test_columns_of_a_newer_chronomig_are_left_alone(migrated: Project) -> None:
    migrated.rows("ALTER TABLE chronomig_history ADD COLUMN mood TEXT DEFAULT 'good'")
    migrated.migration("20260102000000_more", "")
    migrated.ok("migrate")
    assert migrated.applied() == [A, "20260102000000_more"]
    assert ["good"] in migrated.rows("SELECT mood FROM chronomig_history")


def test_a_history_that_lacks_a_column_is_named(migrated: Project) -> None:
    migrated.rows("ALTER TABLE chronomig_history DROP COLUMN sha256")
    assert "The table chronomig_history has no column sha256." in told(migrated, "status", code=1)


def test_what_a_database_says_commands_no_terminal(migrated: Project) -> None:
    migrated.rows(
        "UPDATE chronomig_history SET name = char(27) || '[31mred', detail = char(7) WHERE kind = 'applied'"
    )
    for command in ("history", "status"):
        out = migrated.ok(command).out
        assert "\x1b" not in out and "\x07" not in out
        assert "\\x1b[31mred" in out


@pytest.mark.parametrize("code", ["import sys; sys.exit(0)", "raise SystemExit('bye')"])
def test_code_that_exits_does_not_end_a_command_quietly(migrated: Project, code: str) -> None:
    file = migrated.write("project_migrations/default/20260102000000_exits.py", code)
    assert f"{file} cannot be loaded." in told(migrated, "migrate", code=1)
    migrated.migration(
        file.stem, '("shop", migrations.RunPython(leave)),', head=f"def leave(apps, editor):\n    {code}"
    )
    assert "20260102000000_exits was not applied." in told(migrated, "migrate", code=1)
    migrated.configure(extra=code)
    assert "Django cannot be set up with the settings 'site_settings'." in told(migrated, "status", code=2)


def test_an_operation_that_does_not_fit_is_named(migrated: Project) -> None:
    migrated.migration(A, '("shop", migrations.RemoveField("nothing", "n")),')
    migrated.migration("20260102000000_more", "")
    text = told(migrated, "migrate", code=1)
    assert f"{A}: operation 1, RemoveField, does not fit what comes before it." in text


def test_the_sql_of_what_stands_on_a_file_that_is_gone_is_an_error(sqlite_project: Project) -> None:
    sqlite_project.configure(base=("chronomig",))
    first = sqlite_project.migration(
        A, '("shop", migrations.CreateModel("Item", [("id", models.AutoField(primary_key=True))])),'
    )
    sqlite_project.ok("migrate")
    first.unlink()
    more = "20260102000000_more"
    sqlite_project.migration(more, '("shop", migrations.AddField("item", "n", models.IntegerField(null=True))),')
    text = told(sqlite_project, "sql", code=1)
    assert f"The SQL of {more} cannot be collected." in text
    assert "restore those that it stands on" in text


def test_tables_that_are_no_list_of_names_are_an_error(migrated: Project) -> None:
    file = migrated.migration("20260102000000_more", "")
    file.write_text(f"{file.read_text()}\nTABLES = [x]\n")
    assert f"{file}: its TABLES cannot be read." in told(migrated, "migrate", code=1)


def test_a_named_pipe_in_the_place_of_a_migration_file_is_not_waited_for(migrated: Project) -> None:
    os.mkfifo(migrated.root / "project_migrations/default/20260102000000_pipe.py")
    assert "It is a named pipe" in told(migrated, "migrate", code=1)


def test_a_default_that_cannot_be_written_is_named(sqlite_project: Project) -> None:
    sqlite_project.models("class Item(models.Model):\n    n = models.IntegerField(default=lambda: 1)\n")
    text = told(sqlite_project, "makemigrations", "--no-vendor", code=1)
    assert "An operation on 'shop' cannot be written: Create model Item." in text
    assert "Cannot serialize function: lambda" in text


def test_there_is_nothing_to_update_in_an_empty_set(sqlite_project: Project) -> None:
    text = told(sqlite_project, "makemigrations", "--update", code=2)
    assert "The set 'default' has no migration to update." in text


def test_a_pyproject_that_is_not_utf_8_is_named(sqlite_project: Project) -> None:
    (sqlite_project.root / "pyproject.toml").write_bytes(b"[tool.chronomig]\n# \xff\n")
    assert "pyproject.toml is not UTF-8." in told(sqlite_project, "status", code=2)


def test_a_configuration_that_is_not_valid_says_so_first(sqlite_project: Project) -> None:
    sqlite_project.configure(extra="CHRONOMIG = {'database_timeout': 'long'}")
    text = told(sqlite_project, "status", code=2)
    assert "The configuration of chronomig is not valid." in text
    assert "'database_timeout'" in text


def test_a_reusable_app_whose_dependency_is_not_installed_is_named(sqlite_project: Project) -> None:
    sqlite_project.configure(apps=["shop", "reusable"], extra="CHRONOMIG = {'own_apps': ['shop']}")
    sqlite_project.write("reusable/models.py", "")
    sqlite_project.write("reusable/migrations/__init__.py", "")
    sqlite_project.write(
        "reusable/migrations/0001_initial.py",
        "from django.db import migrations\n\nclass Migration(migrations.Migration):\n    dependencies = [('auth', '9999_nothing')]\n    operations = []\n",
    )
    text = told(sqlite_project, "makemigrations", code=1)
    assert "The migrations of the installed apps do not fit together." in text
    assert "9999_nothing" in text


def test_a_folder_in_the_place_of_a_migration_file_is_named(sqlite_project: Project) -> None:
    (sqlite_project.root / f"project_migrations/default/{A}.py").mkdir(parents=True)
    text = told(sqlite_project, "migrate", code=1)
    assert "Cannot read the migration file" in text
    assert "Is a directory" in text


def test_a_place_before_all_migrations_has_no_sql(migrated: Project) -> None:
    assert "'2020-01-01' names no migration." in told(migrated, "sql", "2020-01-01", code=2)


def test_a_vendor_without_a_lock_is_refused(sqlite_project: Project) -> None:
    result = sqlite_project.python(
        """
        from django.db import connection
        from chronomig.errors import LockError
        from chronomig.lock import lock_for
        connection.vendor = "oracle"
        try:
            lock_for(connection)
        except LockError as error:
            result = str(error)
        """
    )
    assert "There is no lock for the database vendor 'oracle'." in result


def test_a_lock_that_the_server_refuses_is_an_error(project: Project) -> None:
    """GET_LOCK(NULL) is NULL, as it is when the server runs out of memory."""
    result = project.python(
        """
        from django.db import connection
        from chronomig.errors import LockError
        from chronomig.lock import MySQLLock

        class Nameless(MySQLLock):
            name = None

        result = "other vendor"
        if connection.vendor == "mysql":
            try:
                Nameless(connection).try_acquire()
            except LockError as error:
                result = str(error)
        """
    )
    if project.databases["default"]["ENGINE"].endswith("mysql"):
        assert "The lock of the database 'default' cannot be taken." in result
    else:
        assert result == "other vendor"


def test_a_lock_file_that_cannot_be_written_is_named(migrated: Project) -> None:

    lock = Path(str(migrated.databases["default"]["NAME"]) + ".chronomig-lock")
    lock.unlink()
    lock.mkdir()
    migrated.migration("20260102000000_more", "")
    assert f"The lock file {lock} cannot be written." in told(migrated, "migrate", code=1)


def test_an_unexpected_error_asks_for_a_report_with_the_versions(sqlite_project: Project) -> None:
    done = sqlite_project.run(
        [
            sys.executable,
            "-c",
            "from chronomig.cli.handling import handle_errors\ndef broken():\n    raise RuntimeError('a mistake')\nraise SystemExit(handle_errors(broken))",
        ]
    )
    assert done.code == 1
    assert "RuntimeError: a mistake" in done.err
    assert "This is a mistake in chronomig. Please report it" in done.err
    assert "Django" in done.err


@pytest.mark.parametrize("command", ["status", "plan", "history"])
def test_nothing_else_than_json_is_on_stdout_with_json(migrated: Project, command: str) -> None:
    done = migrated.ok(command, "--json")
    assert done.out.count("\n") == 1
    assert done.json["schema"] == f"chronomig.{command}/1"


def test_a_project_without_a_database_says_so(sqlite_project: Project) -> None:
    sqlite_project.databases = {}
    sqlite_project.configure()
    for command in ("status", "migrate"):
        assert "There is no database." in told(sqlite_project, command, code=2)
