"""Locks that somebody else holds: given up, waited for, tried again; on real databases, with a second connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import Error as DatabaseFault
from django.db import migrations, models

from chronomig.config import TimeoutConfig, resolve_sets, validate
from chronomig.errors import ConfigError
from chronomig.planning.plan import Step
from chronomig.planning.record import Direction, HalfDone
from tests.databases import TestDatabase
from tests.inprocess import connected, set_up_django
from tests.projects import Project

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.code.loading import Labelled

set_up_django()

import chronomig  # noqa: E402  what follows needs Django
from chronomig.code.folding import States  # noqa: E402
from chronomig.code.loading import Loaded  # noqa: E402
from chronomig.history.table import History  # noqa: E402
from chronomig.running.executor import Executor  # noqa: E402
from chronomig.running.preparing import Prepared  # noqa: E402
from chronomig.running.results import Failed, Result  # noqa: E402
from chronomig.running.timeouts import dialect_of, limited, read, values_for  # noqa: E402

FAST = TimeoutConfig(lock_timeout=0.3, lock_retries=3, retry_pause=0.01)
FIELDS = [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField(null=True))]
BASE: list[Labelled] = [
    ("a", migrations.CreateModel("Free", FIELDS)),
    ("a", migrations.CreateModel("Held", FIELDS)),
    ("a", migrations.RunSQL("INSERT INTO a_held (n) VALUES (1)", "")),
    ("a", migrations.RunSQL("INSERT INTO a_held (n) VALUES (1)", "")),
]


class Listener:
    """Hears of every try; does what a test wants before one of them."""

    def __init__(self, before: dict[int, Callable[[], None]] | None = None) -> None:
        self.before = before or {}
        self.tries: list[tuple[str, int, int]] = []
        self.operations: list[str] = []

    def migration_begins(self, step: Step, number: int, total: int) -> None: ...
    def rows_touched(self, count: int) -> None: ...

    def operation_begins(self, step: Step, description: str, number: int, total: int) -> None:
        self.operations.append(description)

    def retrying(self, step: Step, problem: str, pause: float, number: int, total: int) -> None:
        self.tries.append((problem, number, total))
        self.before.get(number, lambda: None)()


class Bench:
    """A database with two tables, and a second connection that can hold locks."""

    def __init__(self, connection: BaseDatabaseWrapper, other: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.other = other
        self.loaded: dict[str, Loaded] = {}
        self.migrate("0_base", *BASE)

    def migrate(
        self,
        name: str,
        *operations: Labelled,
        atomic: bool = True,
        timeouts: TimeoutConfig | None = None,
        listener: Listener | None = None,
        fresh: Callable[[Loaded], Loaded] = lambda loaded: loaded,
        resumed: HalfDone | None = None,
        gather: bool = False,
    ) -> list[Result]:
        one = Loaded(name, "0" * 64, operations, atomic, None, chronomig.Migration())
        history = History(self.connection, "default")
        states = States(list(self.loaded), self.loaded.__getitem__)
        executor = Executor(
            self.connection,
            history,
            states,
            listener or Listener(),
            batch=True,
            gather=gather,
            timeouts=timeouts,
            fresh=fresh,
        )
        with limited(self.connection, executor.timeouts):
            results = list(executor.execute([Prepared(Step(name, Direction.UP, resumed), one)]))
        self.loaded[name] = one
        return results

    @contextmanager
    def held(self, table: str = "a_held") -> Iterator[Callable[[], None]]:
        """Hold what is needed to change *table*, until what is given is called."""
        other = self.other
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET n = n")
        try:
            yield other.rollback
        finally:
            other.rollback()
            other.set_autocommit(True)

    def columns(self, table: str = "a_held") -> list[str]:
        with self.connection.cursor() as cursor:
            return [one.name for one in self.connection.introspection.get_table_description(cursor, table)]

    def events(self, name: str) -> list[str]:
        events = History(self.connection, "default").events()
        return [f"{one.kind} {one.operation}" for one in events if one.name == name]

    def settings(self) -> dict[str, Any]:
        """Return what the session has of all that time-outs can set."""
        dialect = dialect_of(self.connection)
        assert dialect is not None
        both = {**dialect.lock(1), **(dialect.statement(1) if dialect.statement else {})}
        return {name: read(self.connection, dialect, name) for name in both}


@pytest.fixture
def bench(database: TestDatabase) -> Iterator[Bench]:
    with connected(database.settings()) as connection, connected(database.settings(), "other") as other:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout = 60000")
        yield Bench(connection, other)


def add(model: str, name: str = "more") -> Labelled:
    return "a", migrations.AddField(model, name, models.IntegerField(null=True))


@pytest.mark.parametrize("gather", [True, False], ids=["together", "one by one"])
def test_what_did_not_get_a_lock_is_tried_again_until_it_does(bench: Bench, gather: bool) -> None:
    before = bench.settings()
    with bench.held() as let_go:
        listener = Listener({3: let_go})
        bench.migrate("1_more", add("free"), add("held"), timeouts=FAST, listener=listener, gather=gather)
    assert [(number, total) for _, number, total in listener.tries] == [(2, 4), (3, 4)]
    assert all("lock" in problem.lower() for problem, _, _ in listener.tries)
    assert bench.columns("a_free") == bench.columns("a_held") == ["id", "n", "more"]
    assert bench.settings() == before


def test_it_is_tried_a_bounded_number_of_times_and_what_held_before_holds_again(bench: Bench) -> None:
    before, listener = bench.settings(), Listener()
    with bench.held() as let_go:
        with pytest.raises(Failed, match=r"1_more was not applied\.") as failed:
            bench.migrate("1_more", add("held"), timeouts=replace(FAST, lock_retries=1), listener=listener)
        let_go()
        assert "lock" in (failed.value.cause or "").lower()
        assert [(number, total) for _, number, total in listener.tries] == [(2, 2)]
    assert bench.columns() == ["id", "n"]
    assert bench.settings() == before


def test_without_a_lock_timeout_nothing_is_tried_again(bench: Bench) -> None:
    listener = Listener()
    with pytest.raises(Failed):
        bench.migrate("1_wrong", ("a", migrations.RunSQL("SELECT * FROM nowhere")), timeouts=TimeoutConfig())
    with pytest.raises(Failed):
        bench.migrate("1_wrong", ("a", migrations.RunSQL("SELECT * FROM nowhere")), timeouts=FAST, listener=listener)
    assert listener.tries == []


def test_a_transaction_begins_again_as_a_whole_with_code_that_is_loaded_again(bench: Bench) -> None:
    """An operation that failed may not be what it was: RenameModel swaps its names while it runs."""
    if not bench.connection.features.can_rollback_ddl:
        pytest.skip("DDL is not transactional")
    reloaded: list[str] = []

    def fresh(loaded: Loaded) -> Loaded:
        reloaded.append(loaded.name)
        return loaded

    with bench.held() as let_go:
        listener = Listener({2: let_go})
        bench.migrate("1_more", add("free"), add("held"), timeouts=FAST, listener=listener, fresh=fresh)
    assert reloaded == ["1_more"]
    assert listener.operations.count("Add field more to free") == 2
    assert bench.events("1_more") == ["applied None"]


def test_where_there_is_no_transaction_only_the_statement_is_sent_again(bench: Bench) -> None:
    with bench.held() as let_go:
        listener = Listener({2: let_go})
        bench.migrate("1_more", add("held"), add("free"), atomic=False, timeouts=FAST, listener=listener)
    assert listener.operations == ["Add field more to held", "Add field more to free"]
    assert len(listener.tries) == 1


def test_a_part_with_a_transaction_of_its_own_begins_again_behind_what_is_done(bench: Bench) -> None:
    if bench.connection.vendor == "sqlite":
        pytest.skip("the other connection would hold the whole database")

    def update(apps: Any, editor: Any) -> None:
        apps.get_model("a", "Held")._default_manager.using(editor.connection.alias).update(n=5)

    code: Labelled = ("a", migrations.RunPython(update, migrations.RunPython.noop, atomic=True))
    with bench.held() as let_go:
        listener = Listener({2: let_go})
        bench.migrate("1_code", add("free"), code, atomic=False, timeouts=FAST, listener=listener)
    assert listener.operations == ["Add field more to free", "Raw Python operation", "Raw Python operation"]
    assert bench.events("1_code") == ["started 0", "progress 1", "started 1", "progress 2", "applied None"]


SLOW = {
    "postgresql": "SELECT pg_sleep(20)",
    "mysql": "SELECT COUNT(*) FROM seq_1_to_100000 a, seq_1_to_100000 b WHERE (a.seq ^ b.seq) = 3",
}


def test_a_statement_that_takes_too_long_is_ended_and_not_tried_again(bench: Bench) -> None:
    vendor, before, listener = bench.connection.vendor, bench.settings(), Listener()
    timeouts = TimeoutConfig(statement_timeout=0.2, lock_timeout=5)
    if vendor == "sqlite":
        with pytest.raises(ConfigError, match="The database 'random' has no statement_timeout") as refused:
            values_for(bench.connection, timeouts)
        assert refused.value.cause == "SQLite cannot limit that for all statements."
        return
    with pytest.raises(Failed, match=r"1_slow was not applied\."):
        bench.migrate("1_slow", ("a", migrations.RunSQL(SLOW[vendor])), timeouts=timeouts, listener=listener)
    assert listener.tries == []
    assert bench.settings() == before


@pytest.fixture
def postgres(bench: Bench) -> Bench:
    if bench.connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL makes indexes concurrently")
    return bench


def test_an_index_that_is_made_concurrently_has_no_timeout(postgres: Bench) -> None:
    """It waits for every transaction that is open, longer than anything else may."""
    operation: Labelled = ("a", AddIndexConcurrently("held", models.Index(fields=["n"], name="held_n")))
    before, listener = postgres.settings(), Listener()
    timeouts = TimeoutConfig(lock_timeout=0.1, statement_timeout=0.1, lock_retries=0)
    with postgres.held():
        threading.Timer(0.7, postgres.other.connection.rollback).start()  # the driver's: Django's keeps to its thread
        postgres.migrate("1_index", operation, atomic=False, timeouts=timeouts, listener=listener)
    assert listener.tries == []
    assert postgres.settings() == before
    with postgres.connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'held_n'::regclass")
        assert cursor.fetchone() == (True,)


def test_an_invalid_index_that_is_left_behind_is_named_with_what_to_type(postgres: Bench) -> None:
    sql = 'CREATE UNIQUE INDEX CONCURRENTLY "Held n" ON a_held (n)'
    told = (
        'INVALID index "Held n" on a_held, which is kept up to date and never used; '
        'remove it: DROP INDEX CONCURRENTLY "Held n";'
    )
    for problem in ("could not create unique index", 'relation "Held n" already exists'):
        with pytest.raises(Failed) as failed:
            postgres.migrate("1_index", ("a", migrations.RunSQL(sql)), atomic=False)
        assert problem in (failed.value.cause or "")
        assert failed.value.more()[-1] == told
    with postgres.connection.cursor() as cursor:
        cursor.execute(told.partition("remove it: ")[2])
        cursor.execute("DELETE FROM a_held")
    postgres.migrate("1_index", ("a", migrations.RunSQL(sql)), atomic=False)


def test_status_and_check_name_an_invalid_index_until_it_is_removed(project: Project, database: TestDatabase) -> None:
    if database.vendor != "postgresql":
        pytest.skip("only PostgreSQL makes indexes concurrently")
    operations = """
        ("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])),
        ("shop", migrations.RunSQL("INSERT INTO shop_item (n) VALUES (1), (1)")),
    """
    project.migration("20260101000000_item", operations)
    sql = "CREATE UNIQUE INDEX CONCURRENTLY item_n ON shop_item (n)"
    project.migration("20260102000000_index", f'("shop", migrations.RunSQL("{sql}")),', body="atomic = False")
    assert project.chronomig("migrate").code == 1
    fact = "INVALID index item_n on shop_item, which is kept up to date and never used"
    mend = "DROP INDEX CONCURRENTLY item_n;"
    assert f"  {fact}; remove it: {mend}\n" in project.ok("status").out
    (told,) = project.ok("status", "--json").json["databases"]
    assert told["leftovers"] == [{"fact": fact, "next_step": mend}]
    checked = project.chronomig("check", "--json").json["findings"]
    (found,) = [one for one in checked if one["check"] == "invalid-index"]
    assert (found["message"], found["hint"]) == (f"The database 'default' has an {fact}.", mend)
    project.rows(mend)
    assert "INVALID" not in project.ok("status").out
    assert "invalid-index" not in project.chronomig("check").out


def test_timeouts_are_set_back_even_when_the_session_is_gone(postgres: Bench) -> None:
    with postgres.connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]

    def kill(apps: Any, editor: Any) -> None:
        with postgres.other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    operations: list[Labelled] = [("a", migrations.RunPython(kill)), add("free")]
    before = postgres.settings()
    with pytest.raises((Failed, DatabaseFault)), suppress(DatabaseFault):
        postgres.migrate("1_gone", *operations, timeouts=FAST)
    postgres.connection.close()
    assert postgres.settings() == before


def test_timeouts_are_configured_for_an_alias_that_is_there() -> None:
    config = validate({"databases": {"defalt": {"lock_timeout": 2}}})
    with pytest.raises(ConfigError, match="There is no database 'defalt' in DATABASES") as error:
        resolve_sets(config, ["default"])
    assert error.value.next_step == "Did you mean 'default'?"


def test_what_is_typed_comes_before_what_is_configured(project: Project, database: TestDatabase) -> None:
    project.configure(extra="CHRONOMIG = {'databases': {'default': {'lock_timeout': 60, 'retry_pause': 0.01}}}")
    project.migration(
        "20260101000000_item",
        """("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True))])),""",
    )
    project.migration(
        "20260102000000_more", """("shop", migrations.AddField("item", "n", models.IntegerField(null=True))),"""
    )
    project.ok("migrate", "--to", "2026-01-01")
    with connected(database.settings(), "other") as other:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("UPDATE shop_item SET id = id")
        done = project.chronomig("migrate", "--lock-timeout", "0.2", "--lock-retries", "2")
        other.rollback()
        other.set_autocommit(True)
    assert done.code == 1
    lines = [line for line in done.err.splitlines() if line.endswith(" s")]
    assert [line.rpartition("; ")[2] for line in lines] == ["try 2 of 3 in 0.01 s", "try 3 of 3 in 0.02 s"]
    assert all(line.startswith("20260102000000_more: ") for line in lines)
    project.ok("migrate", "--lock-timeout", "5")


def test_a_timeout_that_a_database_does_not_have_is_refused_before_anything_runs(sqlite_project: Project) -> None:
    sqlite_project.migration("20260101000000_a", "")
    done = sqlite_project.chronomig("migrate", "--statement-timeout", "5")
    assert done.code == 2
    assert "The database 'default' has no statement_timeout." in done.err
    assert "Leave statement_timeout out for this database." in done.err
    assert sqlite_project.states() == {"20260101000000_a": "pending"}
