"""Many processes at once on one database, and an application that writes meanwhile: real processes, real databases."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from tests.databases import TestDatabase
from tests.inprocess import connected, set_up_django
from tests.pooling import find_pgbouncer, pgbouncer
from tests.projects import Project

A, B, C, D = ("20260101000000_items", "20260102000000_gated", "20260103000000_more", "20260104000000_last")
CREATE = '("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])),'
GATED = """
import os, pathlib, time

GATE = pathlib.Path({gate!r})


def pass_gate(apps, schema_editor):
    GATE.with_suffix(".mine").write_text(str(os.getpid()))
    GATE.with_suffix(".mine").replace(GATE.with_suffix(".here"))
    while not GATE.exists():
        time.sleep(0.02)
    apps.get_model("shop", "Item").objects.create(n=7)
"""
PROCESSES = (2, 8, int(os.environ.get("CHRONOMIG_TEST_PROCESSES", "0")))
"""nox -s faults sets 32."""


class Running:
    """One ``chronomig migrate``, whose words can be read while it runs."""

    def __init__(self, project: Project, number: int, *more: str) -> None:
        self.files = [project.root / f".{name}{number}" for name in ("out", "err")]
        with self.files[0].open("w") as out, self.files[1].open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chronomig", "migrate", *more],
                cwd=project.root, env=project.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip

    @property
    def out(self) -> str:
        return self.files[0].read_text()

    @property
    def err(self) -> str:
        return self.files[1].read_text()

    def waits(self) -> bool:
        assert self.process.poll() is None, self
        return "waiting for" in self.err

    def end(self) -> Running:
        self.process.wait(120)
        assert "Traceback" not in self.err, self
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __repr__(self) -> str:
        return f"exit code {self.process.returncode}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Site:
    """A project whose second migration waits for a gate, and the processes that migrate it."""

    def __init__(self, project: Project, gate: Path) -> None:
        self.project = project
        self.gate = gate
        self.running: list[Running] = []
        project.migration(A, CREATE)
        project.migration(
            B,
            '("shop", migrations.RunPython(pass_gate, migrations.RunPython.noop)),',
            head=GATED.format(gate=str(gate)),
        )
        project.migration(C, '("shop", migrations.AddField("item", "m", models.IntegerField(null=True))),')

    def start(self, *more: str) -> Running:
        self.running.append(Running(self.project, len(self.running), *more))
        return self.running[-1]

    def holder(self) -> Running:
        """Start a process, and return it when it stands at the gate."""
        running = self.start()
        until(lambda: self.here() == running.process.pid)
        return running

    def here(self) -> int:
        """Return the process that stands at the gate, or stood there last."""
        file = self.gate.with_suffix(".here")
        return int(file.read_text()) if file.exists() else 0

    def waiters(self, count: int) -> list[Running]:
        started = [self.start() for _ in range(count)]
        for one in started:
            until(one.waits)
        return started

    def insist_on_one_result(self) -> None:
        """Each migration is applied once, its row is there once."""
        assert self.project.applied() == [A, B, C]
        assert self.project.rows("SELECT n FROM shop_item") == [["7"]]
        applied = self.project.rows("SELECT name FROM chronomig_history WHERE kind = 'applied' ORDER BY id")
        assert applied == [[A], [B], [C]]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)


@pytest.fixture
def site(project: Project, tmp_path: Path) -> Iterator[Site]:
    made = Site(project, tmp_path / "gate")
    yield made
    for one in made.running:
        one.kill()


@pytest.mark.parametrize("count", [count for count in PROCESSES if count])
def test_of_many_processes_one_applies_and_the_others_wait_visibly_and_find_nothing_to_do(
    site: Site, count: int
) -> None:
    holder = site.holder()
    waiters = site.waiters(count - 1)
    site.gate.touch()
    assert holder.end().process.returncode == 0, holder
    assert re.findall(r"applied +(\S+)", holder.out) == [A, B, C]
    for one in waiters:
        assert one.end().process.returncode == 0, one
        assert re.search(r"default: waiting for \S.*@\S+.* since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", one.err), one
        assert "applied" not in one.out
        assert "nothing to do" in one.out
    site.insist_on_one_result()


def test_what_is_said_of_the_holder_is_its_process_and_when_it_began(site: Site) -> None:
    began = time.time()
    holder = site.holder()
    time.sleep(2)
    (waiter,) = site.waiters(1)
    since = re.search(r"since (\S+ \S+) UTC", waiter.err)
    assert since is not None
    assert began - 2 < time.mktime(time.strptime(since[1], "%Y-%m-%d %H:%M:%S")) - time.timezone < time.time() - 1.5
    if site.project.databases["default"]["ENGINE"].endswith("mysql"):
        assert re.search(r"waiting for \w+@\S+ \(session \d+\)", waiter.err)
    else:
        assert f"pid {holder.process.pid} " in waiter.err
    time.sleep(2.5)
    assert waiter.err.count("waiting for") == 1, "the same holder was told twice"


def test_when_the_holder_is_killed_a_waiter_takes_over(site: Site) -> None:
    holder = site.holder()
    waiters = site.waiters(3)
    holder.kill()
    until(lambda: site.here() != holder.process.pid)
    second = next(one for one in waiters if one.process.pid == site.here())
    site.gate.touch()
    assert second.end().process.returncode == 0, second
    assert f"applied   {C}" in second.out
    others = [one.end() for one in waiters if one is not second]
    assert [one.process.returncode for one in others] == [0, 0], others
    assert all("nothing to do" in one.out for one in others)
    assert site.project.applied() == [A, B, C]
    assert site.project.rows("SELECT n FROM shop_item") == [["7"]]


def test_when_every_holder_is_killed_in_turn_the_last_one_finishes(site: Site) -> None:
    queue = [site.holder(), *site.waiters(3)]
    while len(queue) > 1:
        until(lambda: site.here() in [one.process.pid for one in queue])
        at_the_gate = next(one for one in queue if one.process.pid == site.here())
        at_the_gate.kill()
        queue.remove(at_the_gate)
    site.gate.touch()
    assert queue[0].end().process.returncode == 0, queue[0]
    assert site.project.applied() == [A, B, C]
    assert site.project.rows("SELECT n FROM shop_item") == [["7"]]


def test_a_waiter_that_is_killed_disturbs_nobody(site: Site) -> None:
    holder = site.holder()
    first, second = site.waiters(2)
    first.kill()
    site.gate.touch()
    assert holder.end().process.returncode == 0, holder
    assert second.end().process.returncode == 0, second
    site.insist_on_one_result()


def test_a_lock_whose_process_is_gone_is_free(site: Site, database: TestDatabase) -> None:
    """On SQLite its file stays, with the name of the one that is gone."""
    site.holder().kill()
    if database.vendor == "sqlite":
        lock = Path(f"{database.settings()['NAME']}.chronomig-lock")
        assert "pid" in lock.read_text()
    site.gate.touch()
    site.project.ok("migrate", "--wait", "20")
    assert site.project.rows("SELECT n FROM shop_item") == [["7"]]


def test_a_lock_that_is_lost_stops_the_run_before_the_next_migration(site: Site, database: TestDatabase) -> None:
    holder = site.holder()
    take_away_the_lock(database)
    site.gate.touch()
    assert holder.end().process.returncode == 1, holder
    assert "The lock of the database 'default' was lost, so no further migration was begun." in holder.err
    assert "Run the command again; it goes on where this one stopped." in holder.err
    assert site.project.applied() == [A, B]
    site.project.ok("migrate")
    site.insist_on_one_result()


def test_a_server_that_ends_the_session_of_a_lock_is_heard_without_being_asked(database: TestDatabase) -> None:
    if database.vendor != "postgresql":
        pytest.skip("PostgreSQL only")
    set_up_django()
    from chronomig.errors import LockError
    from chronomig.lock.sessions import PostgresLock, has_word

    asked = []

    def count(execute: Any, *arguments: Any) -> Any:
        asked.append(arguments[0])
        return execute(*arguments)

    with connected(database.settings()) as connection:
        lock = PostgresLock(connection)
        assert lock.try_acquire()
        lock.insist()
        with lock.session.execute_wrapper(count):
            lock.insist()
            assert asked == []
            take_away_the_lock(database)
            give_up = time.monotonic() + 20
            while not has_word(lock.session.connection) and time.monotonic() < give_up:
                time.sleep(0.01)  # the server's process has yet to notice
            with pytest.raises(LockError, match="was lost"):
                lock.insist()
            assert len(asked) == 1
        lock.release()


def take_away_the_lock(database: TestDatabase) -> None:
    """End the session that has it; on SQLite, remove its file, as somebody may who finds it lying about."""
    settings = database.settings()
    if database.vendor == "sqlite":
        Path(f"{settings['NAME']}.chronomig-lock").unlink()
        return
    set_up_django()
    with connected(settings, "looking") as connection, connection.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            return
        from chronomig.lock import MySQLLock

        cursor.execute("SELECT IS_USED_LOCK(%s)", [MySQLLock(connection).name])
        cursor.execute(f"KILL CONNECTION {int(cursor.fetchone()[0])}")


# -- an application that writes all the while ------------------------------------------------------------------------


def write_rows(settings: dict[str, Any], first: int, stop: Event, path: str) -> None:
    """Insert rows until told to stop, each again until the database took it; leave the numbers that it took."""
    from django.db import DatabaseError

    taken = []
    with connected(settings, f"writer{first}") as connection:
        number = first
        while not stop.is_set():
            try:
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO shop_item (n) VALUES (%s)", [number])
                taken.append(number)
                number += 1
            except DatabaseError:  # a deadlock or a busy database, which an application tries again
                with suppress(Exception):
                    connection.rollback()
            time.sleep(0.002)
    Path(path).write_text(" ".join(map(str, taken)))


@contextmanager
def written_to(settings: dict[str, Any], folder: Path) -> Iterator[list[Path]]:
    """Let three processes write; the files have what the database took, once it is over."""
    set_up_django()
    forking = multiprocessing.get_context("fork")
    stop, files = forking.Event(), [folder / f"taken{number}" for number in range(3)]
    writers = [
        forking.Process(target=write_rows, args=(settings, (number + 1) * 1_000_000, stop, str(file)))
        for number, file in enumerate(files)
    ]
    for one in writers:
        one.start()
    try:
        yield files
    finally:
        stop.set()
        for one in writers:
            one.join(60)
            one.kill()


def test_an_application_that_writes_all_the_while_loses_nothing(
    project: Project, database: TestDatabase, tmp_path: Path
) -> None:
    project.migration(A, CREATE)
    project.ok("migrate")
    project.migration(B, """
        ("shop", migrations.AddField("item", "a", models.IntegerField(null=True))),
        ("shop", migrations.AddIndex("item", models.Index(fields=["n"], name="item_n"))),
        ("shop", migrations.AlterField("item", "n", models.BigIntegerField())),
    """)  # fmt: skip
    project.migration(C, """
        ("shop", migrations.AddField("item", "b", models.TextField(null=True))),
        ("shop", migrations.RunSQL("UPDATE shop_item SET b = 'x' WHERE b IS NULL", "")),
        ("shop", migrations.RemoveField("item", "a")),
    """)  # fmt: skip
    project.migration(D, '("shop", migrations.RemoveIndex("item", "item_n")),', body="atomic = False")
    with written_to(database.settings(), tmp_path) as files:
        time.sleep(0.5)
        for arguments in (["migrate"], ["migrate", "--to", A, "--yes"], ["migrate"]):
            done = project.chronomig(*arguments)
            assert done.code == 0, done
        time.sleep(0.5)
    taken = sorted(int(number) for file in files for number in file.read_text().split())
    assert len(taken) > 100
    assert [int(n) for (n,) in project.rows("SELECT n FROM shop_item ORDER BY n")] == taken


# -- PostgreSQL: indexes made concurrently, and PgBouncer ------------------------------------------------------------

CONCURRENTLY = "from django.contrib.postgres.operations import AddIndexConcurrently"
INDEX = '("shop", AddIndexConcurrently("item", models.Index(fields=["n"], name="item_n"))),'


@pytest.fixture
def postgres(project: Project, database: TestDatabase) -> Project:
    if database.vendor != "postgresql":
        pytest.skip("PostgreSQL only")
    return project


def concurrent_index_under_a_waiter(project: Project, settings: dict[str, Any]) -> None:
    """Let CREATE INDEX CONCURRENTLY wait for an open transaction while a second process waits for the first."""
    project.migration(A, CREATE)
    project.ok("migrate")
    project.migration(B, INDEX, head=CONCURRENTLY, body="atomic = False")
    set_up_django()
    running: list[Running] = []
    try:
        with connected(settings, "writing") as connection:
            connection.set_autocommit(False)
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO shop_item (n) VALUES (1)")
            running.append(Running(project, 0))
            with connected(settings, "looking") as other:
                until(lambda: is_indexing(other))
            running.append(Running(project, 1))
            until(running[1].waits)
            time.sleep(1)
            connection.commit()
        for one in running:
            assert one.end().process.returncode == 0, one
    finally:
        for one in running:
            one.kill()
    assert f"applied   {B}" in running[0].out
    assert "nothing to do" in running[1].out
    assert project.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'item_n'::regclass") == [["True"]]


def is_indexing(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_an_index_is_made_concurrently_under_a_waiting_second_process(
    postgres: Project, database: TestDatabase
) -> None:
    concurrent_index_under_a_waiter(postgres, database.settings())


@pytest.fixture(params=["transaction", "session"])
def pooled(postgres: Project, request: pytest.FixtureRequest) -> Iterator[Project]:
    """The same project, connected through PgBouncer."""
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed (apt install pgbouncer)")
    with pgbouncer(program, request.param) as url:
        postgres.databases["default"] |= {"HOST": url.host, "PORT": url.port}
        postgres.configure()
        yield postgres


def test_behind_pgbouncer_many_processes_apply_each_migration_once(pooled: Project, tmp_path: Path) -> None:
    """Sessions of PgBouncer's clients share sessions of the server, which gives a lock twice to one session."""
    site = Site(pooled, tmp_path / "gate")
    try:
        holder = site.holder()
        waiters = site.waiters(3)
        killed = waiters.pop()
        killed.kill()
        assert f"pid {holder.process.pid} since" in waiters[0].err
        holder.kill()
        until(lambda: site.here() != holder.process.pid)
        site.gate.touch()
        for one in waiters:
            assert one.end().process.returncode == 0, one
        assert sorted(f"applied   {C}" in one.out for one in waiters) == [False, True]
    finally:
        for one in site.running:
            one.kill()
    site.insist_on_one_result()


def test_behind_pgbouncer_a_direct_process_waits_too(pooled: Project, database: TestDatabase, tmp_path: Path) -> None:
    site = Site(pooled, tmp_path / "gate")
    try:
        site.holder()
        pooled.databases["default"] = database.settings()
        pooled.configure()
        done = pooled.chronomig("migrate", "--wait", "0.5")
        assert done.code == 1
        assert "The database 'default' is being migrated by chronomig " in done.err
        site.gate.touch()
        assert site.running[0].end().process.returncode == 0
    finally:
        for one in site.running:
            one.kill()
    site.insist_on_one_result()


def test_behind_pgbouncer_an_index_is_made_concurrently_under_a_waiting_second_process(
    pooled: Project, database: TestDatabase
) -> None:
    concurrent_index_under_a_waiter(pooled, database.settings())


def test_behind_pgbouncer_time_outs_are_refused_because_others_would_get_them(pooled: Project) -> None:
    pooled.migration(A, CREATE)
    done = pooled.chronomig("migrate", "--lock-timeout", "2")
    assert done.code == 2
    assert "Time-outs cannot be set for the database 'default'." in done.err
    assert "Between it and chronomig stands a pooler (PgBouncer)" in done.err
    assert pooled.states() == {A: "pending"}
