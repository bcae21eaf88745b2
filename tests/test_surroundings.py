"""What surrounds a run fails: the disk, rights, passwords, the server, the clock, the terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.databases import TestDatabase
from tests.gitting import Git
from tests.pooling import find_pgbouncer, pgbouncer
from tests.projects import Done, Project
from tests.proxying import Line

A, B = "20260101000000_items", "20260102000000_more"
CREATE = '("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])),'
MORE = '("shop", migrations.AddField("item", "m", models.IntegerField(null=True))),'
FILL = """
def fill(apps, schema_editor):
    item = apps.get_model("shop", "Item")
    item.objects.bulk_create([item(n=n) for n in range(100_000)])
"""
GATED = """
import pathlib, time


def wait(apps, schema_editor):
    gate = pathlib.Path({gate!r})
    apps.get_model("shop", "Item").objects.create(n=7)
    gate.with_suffix(".here").touch()
    while not gate.exists():
        time.sleep(0.02)
    apps.get_model("shop", "Item").objects.create(n=8)
"""
WITHOUT_RIGHTS = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)
"""What lets root pass over the rights of files is dropped; root is then a user like any other."""


def insist_on_an_error(done: Done, *told: str, code: int = 1) -> None:
    assert done.code == code, done
    assert "Error: " in done.err
    for text in told:
        assert text in done.err, done
    assert "Traceback" not in done.err + done.out, done


@pytest.fixture
def migrated(sqlite_project: Project) -> Project:
    sqlite_project.migration(A, CREATE)
    sqlite_project.ok("migrate")
    return sqlite_project


# -- the disk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small disk cannot be mounted here (root on Linux only)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(folder: Path) -> Path:
    """Leave no room."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return filler


def test_a_disk_that_gets_full_in_a_migration_leaves_the_database_as_before_it(
    sqlite_project: Project, small_disk: Path
) -> None:
    sqlite_project.databases["default"]["NAME"] = str(small_disk / "db.sqlite3")
    sqlite_project.configure()
    sqlite_project.migration(A, CREATE)
    sqlite_project.migration(B, '("shop", migrations.RunPython(fill, migrations.RunPython.noop)),', head=FILL)
    done = sqlite_project.chronomig("migrate")
    insist_on_an_error(done, f"{B} was not applied.", "database or disk is full", "It was rolled back")
    assert sqlite_project.applied() == [A]
    assert sqlite_project.rows("SELECT count(*) FROM shop_item") == [["0"]]


def test_on_a_disk_that_is_full_nothing_begins_and_the_next_run_with_room_finishes(
    sqlite_project: Project, small_disk: Path
) -> None:
    sqlite_project.databases["default"]["NAME"] = str(small_disk / "db.sqlite3")
    sqlite_project.configure()
    sqlite_project.migration(A, CREATE)
    filler = fill_up(small_disk)
    insist_on_an_error(sqlite_project.chronomig("migrate"), "full")
    filler.unlink()
    sqlite_project.ok("migrate")
    assert sqlite_project.applied() == [A]


def test_a_migration_file_is_written_whole_or_not_at_all_on_a_full_disk(
    sqlite_project: Project, small_disk: Path
) -> None:
    sqlite_project.models("class Item(models.Model):\n    n = models.IntegerField()\n")
    migrations = sqlite_project.root / "project_migrations"
    migrations.mkdir()
    (migrations / "default").symlink_to(small_disk)
    filler = fill_up(small_disk)
    insist_on_an_error(
        sqlite_project.chronomig("makemigrations", "--no-vendor"), "cannot be written", "No space left on device"
    )
    assert [path.name for path in small_disk.iterdir()] == [filler.name]


def test_output_that_cannot_be_written_is_an_error(migrated: Project) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is not there")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "chronomig", "status"], cwd=migrated.root, env=migrated.environment(), stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: What was to be written: No space left on device.")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# -- rights ----------------------------------------------------------------------------------------------------------


def without_rights(project: Project, *arguments: str) -> Done:
    """Run ``chronomig …`` as a user whom the rights of files bind."""
    command = [sys.executable, "-m", "chronomig", *arguments]
    if os.geteuid() != 0:
        return project.run(command)
    if shutil.which("setpriv") is None:
        pytest.skip("root passes over rights, and setpriv is not there")
    return project.run([*WITHOUT_RIGHTS, *command])


@pytest.fixture
def rights(migrated: Project) -> Iterator[Project]:
    yield migrated
    for path in (migrated.root, *migrated.root.rglob("*"), *migrated.root.parent.glob("db*")):
        path.chmod(0o755)


def test_a_directory_of_a_database_that_cannot_be_written_is_named(rights: Project, tmp_path: Path) -> None:
    rights.migration(B, MORE)
    folder = tmp_path / "closed"
    folder.mkdir()
    shutil.move(tmp_path / "db.sqlite3", folder / "db.sqlite3")
    rights.databases["default"]["NAME"] = str(folder / "db.sqlite3")
    rights.configure()
    folder.chmod(0o555)
    try:
        insist_on_an_error(without_rights(rights, "migrate"), "The lock file", "Permission denied")
        assert without_rights(rights, "status").code == 0
    finally:
        folder.chmod(0o755)
    assert rights.applied() == [A]


def test_a_database_file_that_cannot_be_written_is_left_as_it_is(rights: Project, tmp_path: Path) -> None:
    rights.migration(B, MORE)
    (tmp_path / "db.sqlite3").chmod(0o444)
    insist_on_an_error(without_rights(rights, "migrate"), "readonly database")
    assert rights.applied() == [A]


def test_files_that_cannot_be_read_are_named(rights: Project) -> None:
    file = rights.migration(B, MORE)
    file.chmod(0)
    insist_on_an_error(
        without_rights(rights, "migrate"), f"Cannot read the migration file {file}.", "Permission denied"
    )
    file.parent.chmod(0)
    insist_on_an_error(
        without_rights(rights, "status"), "Cannot read the directory of the set 'default'", "Permission denied"
    )


def test_a_directory_of_migrations_that_cannot_be_written_is_named(rights: Project) -> None:
    rights.models("class Item(models.Model):\n    n = models.IntegerField()\n    m = models.TextField(null=True)\n")
    folder = rights.root / "project_migrations/default"
    folder.chmod(0o555)
    done = without_rights(rights, "makemigrations", "--no-vendor")
    insist_on_an_error(done, "cannot be written", "Permission denied", "Nothing was left behind.")
    assert rights.files() == [A]


def test_a_git_directory_that_cannot_be_written_only_loses_the_copies(rights: Project) -> None:
    git = Git.init(rights.root)
    git.commit()
    rights.migration(B, MORE)
    (rights.root / ".git").chmod(0o555)
    done = without_rights(rights, "migrate")
    assert done.code == 0, done
    assert "No copies of the migrations are kept in the vault" in done.out + done.err
    assert rights.applied() == [A, B]


# -- passwords -------------------------------------------------------------------------------------------------------

SECRET = "s3cret-and-odd"
COMMANDS = (
    ["status"],
    ["migrate", "--verbosity", "3"],
    ["plan", "--json"],
    ["history"],
    ["drift"],
    ["check"],
    ["sql"],
    ["stash"],
)


def insist_on_silence(project: Project) -> None:
    project.migration(A, CREATE)
    for command in COMMANDS:
        done = project.chronomig(*command)
        assert SECRET not in done.err + done.out, f"{command} prints the password"
        if command != ["check"] and command != ["sql"]:
            assert done.code == 1, done
            assert "cannot be used." in done.err + done.out, done
        assert "Traceback" not in done.err + done.out


def test_a_wrong_password_is_not_printed(project: Project, database: TestDatabase) -> None:
    settings = project.databases["default"]
    if database.vendor == "sqlite":
        pytest.skip("SQLite has no passwords")
    if database.vendor == "mariadb":
        settings["PASSWORD"] = SECRET
        project.configure()
        insist_on_silence(project)
        return
    program = find_pgbouncer()
    if program is None:
        pytest.skip("the server trusts everybody, and PgBouncer, which does not, is not installed")
    with pgbouncer(program, auth="md5") as url:
        settings |= {"HOST": url.host, "PORT": url.port, "PASSWORD": SECRET}
        project.configure()
        insist_on_silence(project)


def test_a_password_that_a_driver_repeats_is_cut_out() -> None:
    from chronomig.history.table import without_passwords

    settings = {"PASSWORD": SECRET, "OPTIONS": {"passwd": "another", "sslpassword": None}}
    assert without_passwords(f"no: {SECRET}, another", settings) == "no: ***, ***"


# -- the server ------------------------------------------------------------------------------------------------------


@pytest.fixture
def line(project: Project, database: TestDatabase) -> Iterator[Line]:
    """The project's line to its server."""
    if database.vendor == "sqlite":
        pytest.skip("SQLite has no server")
    settings: dict[str, Any] = project.databases["default"]
    made = Line(settings["HOST"], int(settings["PORT"]))
    settings |= {"HOST": "127.0.0.1", "PORT": made.port}
    project.configure()
    yield made
    made.cut()


def test_a_server_that_is_gone_is_named_and_the_next_run_finishes(project: Project, line: Line) -> None:
    project.migration(A, CREATE)
    line.cut()
    for command in ("status", "migrate", "plan", "history"):
        insist_on_an_error(
            project.chronomig(command), "The database 'default' cannot be used.", "that the server runs"
        )
    line.mend()
    project.ok("migrate")
    assert project.applied() == [A]


def test_a_server_that_goes_in_the_middle_is_named_and_the_next_run_finishes(
    project: Project, line: Line, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    project.migration(A, CREATE)
    project.migration(
        B, '("shop", migrations.RunPython(wait, migrations.RunPython.noop)),', head=GATED.format(gate=str(gate))
    )
    running = project.start("migrate")
    deadline = time.monotonic() + 60
    while not gate.with_suffix(".here").exists():
        assert time.monotonic() < deadline, running.communicate()
        time.sleep(0.05)
    line.cut()
    gate.touch()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1, err
    assert f"applied   {A}" in out
    assert f"Error: {B} was not applied." in err
    assert "Traceback" not in err
    line.mend()
    project.ok("migrate")
    assert project.applied() == [A, B]
    assert project.rows("SELECT n FROM shop_item ORDER BY n") == [["7"], ["8"]]


# -- the clock -------------------------------------------------------------------------------------------------------


def test_a_clock_that_went_back_changes_nothing_about_the_order(project: Project) -> None:
    """What counts is the order in which events were written, whatever time they bear."""
    project.migration(A, CREATE)
    project.migration(B, MORE)
    project.ok("migrate")
    project.rows("UPDATE chronomig_history SET at = '2031-01-01T00:00:00.000000Z'")
    project.ok("migrate", "--to", A, "--yes")
    assert project.states() == {A: "applied", B: "pending"}
    project.ok("migrate")
    project.ok("migrate", "--steps", "-1", "--yes")
    assert project.states() == {A: "applied", B: "pending"}
    assert "2031-01-01" in project.ok("history").out


def test_a_file_from_a_clock_that_is_ahead_stays_before_what_is_written_next(sqlite_project: Project) -> None:
    ahead = f"{datetime.now(UTC) + timedelta(hours=12):%Y%m%d%H%M%S}"
    sqlite_project.models("class Item(models.Model):\n    n = models.IntegerField()\n")
    sqlite_project.configure(base=("chronomig",))
    sqlite_project.migration(f"{ahead}_theirs", "")
    sqlite_project.ok("makemigrations")
    ours = sqlite_project.files()[-1]
    assert ahead < ours[:14]
    sqlite_project.ok("migrate")
    assert sqlite_project.applied() == [f"{ahead}_theirs", ours]


def test_a_file_from_a_clock_that_is_days_ahead_is_refused_by_name(sqlite_project: Project) -> None:
    ahead = f"{datetime.now(UTC) + timedelta(days=3):%Y%m%d%H%M%S}"
    sqlite_project.migration(f"{ahead}_theirs", "")
    insist_on_an_error(
        sqlite_project.chronomig("migrate"),
        f"{ahead}_theirs.py: {ahead} is more than a day ahead of this clock (UTC)",
    )


# -- the terminal and the environment --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [{"COLUMNS": "1"}, {"COLUMNS": "nonsense"}, {"LC_ALL": "C", "LANG": "C"}, {"TZ": "Mars/Olympus"}, {"HOME": ""}, {"PYTHONIOENCODING": "ascii"}],
    ids=str,
)  # fmt: skip
def test_an_odd_environment_changes_nothing_about_the_result(migrated: Project, variables: dict[str, str]) -> None:
    migrated.migration(B, MORE)
    done = migrated.chronomig("migrate", env=variables)
    assert done.code == 0, done
    assert f"applied   {B}" in done.out
    assert B in migrated.ok("status", env=variables).out


def test_closed_output_ends_nothing_halfway(migrated: Project) -> None:
    migrated.migration(B, MORE)
    done = migrated.run(["/bin/sh", "-c", f"{sys.executable} -m chronomig migrate >&- 2>&-"])
    assert done.code == 0, done
    assert migrated.applied() == [A, B]
