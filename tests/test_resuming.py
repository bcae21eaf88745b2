"""What an operation that did not finish left behind is recognised, on real databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.databases import TestDatabase
from tests.fuzz.histories import Written, name_of, operation_of
from tests.fuzz.ours import Silent, loaded_of
from tests.inprocess import connected, drop_everything

from chronomig.errors import ExecutionError  # isort: skip  Django is set up by the imports above
from chronomig.running.executor import Executor  # isort: skip
from chronomig.code.folding import States  # isort: skip
from chronomig.history.table import History  # isort: skip
from chronomig.planning.plan import Step
from chronomig.planning.record import Direction, HalfDone

from chronomig.batches.recorded import in_a_transaction  # isort: skip
from chronomig.running.preparing import Prepared  # isort: skip
from chronomig.running.resuming import HalfMade, Looking, columns_in, in_effect, is_done, taken_up  # isort: skip
from chronomig.state import ProjectState  # isort: skip
from chronomig.running.way import Way  # isort: skip
from tests.schema import dump  # isort: skip

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

UP, DOWN = Direction.UP, Direction.DOWN
BOX = "migrations.CreateModel('Box', [('id', models.AutoField(primary_key=True)), ('n', models.IntegerField(db_index=True))])"
TAG = """migrations.CreateModel('Tag', [
    ('id', models.AutoField(primary_key=True)),
    ('box', models.ForeignKey('shop.Box', models.CASCADE)),
    ('boxes', models.ManyToManyField('shop.Box', related_name='+')),
], options={'unique_together': {('id', 'box')}})"""
OPERATIONS = (
    TAG,
    "migrations.AlterField('tag', 'box', models.ForeignKey('shop.Box', models.CASCADE, null=True))",
    "migrations.AddField('box', 'tag', models.ForeignKey('shop.Tag', models.SET_NULL, null=True, related_name='+'))",
    "migrations.AlterUniqueTogether('tag', {('box', 'id')})",
    "migrations.RenameModel('Box', 'Crate')",
    "migrations.AlterField('crate', 'n', models.BigIntegerField(unique=True, default=3))",
    "migrations.RemoveField('crate', 'tag')",
)


class Broken(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[BaseDatabaseWrapper]:
    with connected(database.settings()) as one:
        yield one


class Bench:
    """Migrations; the last one, which runs in pieces, breaks off after a number of its statements."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        operations: tuple[str, ...],
        before: tuple[str, ...],
        *,
        batch: bool = False,
        atomic: bool = False,
    ) -> None:
        self.connection = connection
        self.batch = batch
        self.history = History(connection, "default")
        self.written = [
            *(Written("shop", (one,)) for one in (BOX, *before)),
            Written("shop", operations, atomic=atomic),
        ]
        *self.first, self.last = map(name_of, range(len(self.written)))
        self.left = -1

    def move(self, name: str, direction: Direction, breaking_after: int = -1) -> bool:
        """Move a migration, going on where it broke off; return whether it came to its end."""
        loaded = {name_of(number): loaded_of(number, one) for number, one in enumerate(self.written)}
        record = self.history.read()
        states = States([one.name for one in record.applied], loaded.__getitem__)
        half = record.half_done if record.half_done and record.half_done.name == name else None
        executor = Executor(self.connection, self.history, states, Silent(), batch=self.batch)
        self.left = breaking_after
        try:
            with self.connection.execute_wrapper(self.breaking):
                list(executor.execute([Prepared(Step(name, direction, half), loaded[name])]))
        except ExecutionError as error:
            assert breaking_after >= 0, error
            return False
        return True

    def breaking(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        changes = self.is_a_point(str(sql), params)
        if changes and self.left == 0:
            raise Broken
        self.left -= changes
        return execute(sql, params, many, context)

    def is_a_point(self, sql: str, params: Any) -> bool:
        """Whether it breaks off before statements like this one."""
        return (
            sql.startswith(("CREATE", "ALTER", "DROP", "RENAME", "UPDATE", "SET CONSTRAINTS"))
            and "chronomig" not in sql
        )


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_an_operation_that_broke_off_anywhere_is_finished_or_undone(
    connection: BaseDatabaseWrapper, number: int
) -> None:
    undisturbed: dict[Direction, Any] = {}
    for broken_after in range(20):
        drop_everything(connection)
        bench = Bench(connection, (OPERATIONS[number],), OPERATIONS[:number])
        assert all(bench.move(name, UP) for name in bench.first)
        if broken_after == 0:
            assert bench.move(bench.last, UP)
            undisturbed[UP] = dump(connection)
            assert bench.move(bench.last, DOWN)
            undisturbed[DOWN] = dump(connection)
        if bench.move(bench.last, UP, broken_after):
            break
        assert bench.move(bench.last, UP), broken_after
        assert_same(connection, undisturbed[UP], broken_after)
        assert not bench.history.read().half_done
        assert bench.move(bench.last, DOWN, broken_after) or bench.move(bench.last, DOWN)
        assert_same(connection, undisturbed[DOWN], broken_after)
        assert bench.move(bench.last, UP, broken_after) or bench.move(bench.last, DOWN)  # turned around
        if not bench.history.read().half_done and bench.last not in bench.history.read().names:
            assert_same(connection, undisturbed[DOWN], broken_after)
    else:
        pytest.fail("it never came to its end")


def assert_same(connection: BaseDatabaseWrapper, expected: dict[str, Any], broken_after: int) -> None:
    found = dump(connection)
    for table in {*found, *expected}:
        assert comparable(found[table], connection.vendor) == comparable(expected[table], connection.vendor), (
            f"{table}, broken off after {broken_after} statements"
        )


def comparable(table: dict[str, Any], vendor: str) -> tuple[list[Any], list[str]]:
    """Return what stays the same where columns go and come back: their order and the names of constraints do not."""
    found = table["constraints"].values()
    keys = [one["columns"].split(",")[0].strip("[]") for one in found if one["foreign_key"] != "None"]
    told = []
    for one in found:
        if one["foreign_key"] != "None":
            told.append(f"{one['columns']} -> {one['foreign_key']}")
        # MariaDB makes an index for a foreign key when no other serves, and keeps it when one comes later.
        elif vendor != "mysql" or one["unique"] == "True" or one["columns"].split(",")[0].strip("[]") not in keys:
            told.append(str(one))
    return sorted(table["columns"]), sorted(told)


def test_a_table_that_is_another_one_is_named_with_what_to_type(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE shop_box (other integer)")
    with pytest.raises(HalfMade) as raised:
        is_done(Looking(connection), 'CREATE TABLE "shop_box" ("id" integer NOT NULL, "n" integer)')
    assert str(raised.value).splitlines() == [
        "The table shop_box is there, but not as the operation makes it.",
        "It has the columns other; the operation makes id, n.",
        "If nothing needs it, drop it (DROP TABLE shop_box), then run the same command again.",
    ]


def test_the_columns_of_a_create_table_are_read_past_its_types_and_checks() -> None:
    sql = "CREATE TABLE `a` (`id` integer, `n` numeric(5, 2) CHECK (`n` > 0, 1), CONSTRAINT `x` UNIQUE (`id`, `n`))"
    assert columns_in(sql) == ["id", "n"]


@pytest.mark.parametrize("table", ["shop_box", "other"])
def test_an_index_of_another_table_is_another_index(connection: BaseDatabaseWrapper, table: str) -> None:
    with connection.cursor() as cursor:
        for name in ("shop_box", "other"):
            cursor.execute(f"CREATE TABLE {name} (n integer)")
        cursor.execute(f"CREATE INDEX taken ON {table} (n)")
    quoted = connection.ops.quote_name("shop_box")
    made = is_done(Looking(connection), f"CREATE INDEX {connection.ops.quote_name('taken')} ON {quoted} (n)")
    assert made == (table == "shop_box")


def test_a_statement_that_tells_nothing_is_never_taken_for_done(connection: BaseDatabaseWrapper) -> None:
    assert not is_done(Looking(connection), "UPDATE shop_box SET n = 1")


@pytest.mark.parametrize(
    ("half", "direction", "expected"),
    [
        (HalfDone("a", UP, 1), UP, 1),
        (HalfDone("a", DOWN, 1), DOWN, 1),
        (HalfDone("a", UP, 0), DOWN, 1),  # what is there of the first operation is undone
        (HalfDone("a", DOWN, 1), UP, 0),  # and made again
        (HalfDone("a", UP, 1), DOWN, 1),  # code was rolled back
        (HalfDone("a", UP, 2), DOWN, 2),
        (HalfDone("a", DOWN, 0), UP, 0),
    ],
)
def test_a_migration_that_turns_around_takes_up_what_did_not_finish(
    half: HalfDone, direction: Direction, expected: int
) -> None:
    loaded = loaded_of(0, Written("shop", (BOX, "migrations.RunPython(migrations.RunPython.noop)")))
    prepared = Prepared(Step("a", direction, half), loaded)
    assert taken_up(prepared, Way(loaded, ProjectState())) == expected
    assert in_effect(prepared) == half.done  # where what did not finish is not there


@pytest.mark.parametrize(
    ("half", "direction", "expected"),
    [
        (HalfDone("a", UP, 1), DOWN, 3),
        (HalfDone("a", UP, 2), DOWN, 4),
        (HalfDone("a", UP, 3), DOWN, 4),  # the same column once more
        (HalfDone("a", DOWN, 4), UP, 2),
        (HalfDone("a", DOWN, 3), UP, 1),
        (HalfDone("a", UP, 1), UP, 1),
    ],
)
def test_operations_that_may_have_run_together_are_taken_up_together(
    half: HalfDone, direction: Direction, expected: int
) -> None:
    added = [f"migrations.AddField('box', '{name}', models.IntegerField(null=True))" for name in "ab"]
    again = "migrations.AlterField('box', 'a', models.BigIntegerField(null=True))"
    loaded = loaded_of(0, Written("shop", (BOX, *added, again)))
    prepared = Prepared(Step("a", direction, half), loaded)
    assert taken_up(prepared, Way(loaded, ProjectState())) == expected


class RecordingBench(Bench):
    """Breaks off between what was done and its record."""

    def is_a_point(self, sql: str, params: Any) -> bool:
        return "chronomig_history" in sql and not {"progress", "applied", "reverted"}.isdisjoint(
            map(str, params or ())
        )


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(
    "sql",
    [
        "migrations.RunSQL('-- one more\\nUPDATE shop_box SET n = n + 1', 'UPDATE shop_box SET n = n - 1;')",
        "migrations.RunSQL([('UPDATE shop_box SET n = n + %s', [1])], [('UPDATE shop_box SET n = n - %s', [1])])",
        "migrations.SeparateDatabaseAndState([migrations.RunSQL('UPDATE shop_box SET n = n + 1', 'UPDATE shop_box SET n = n - 1')])",
    ],
)
def test_sql_that_changes_rows_runs_once_though_its_record_did_not_get_written(
    connection: BaseDatabaseWrapper, sql: str, atomic: bool
) -> None:
    row = "migrations.RunSQL('INSERT INTO shop_box (n) VALUES (7)')"
    bench = RecordingBench(connection, (sql,), (row,), atomic=atomic)
    assert all(bench.move(name, UP) for name in bench.first)
    for broken_after in (0, 1):
        assert bench.move(bench.last, UP, broken_after) or bench.move(bench.last, UP)
        assert numbers(connection) == [8]
        assert bench.move(bench.last, DOWN, broken_after) or bench.move(bench.last, DOWN)
        assert numbers(connection) == [7]


def test_statements_that_change_rows_are_recorded_together_where_the_migration_is_atomic(
    connection: BaseDatabaseWrapper,
) -> None:
    two = "migrations.RunSQL('UPDATE shop_box SET n = n + 1; UPDATE shop_box SET n = n * 2')"
    bench = RecordingBench(
        connection, (two,), ("migrations.RunSQL('INSERT INTO shop_box (n) VALUES (7)')",), atomic=True
    )
    assert all(bench.move(name, UP) for name in bench.first)
    assert not bench.move(bench.last, UP, 0)
    assert bench.move(bench.last, UP)
    assert numbers(connection) == [16]


def numbers(connection: BaseDatabaseWrapper) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM shop_box")
        return [n for (n,) in cursor.fetchall()]


@pytest.mark.parametrize(
    ("text", "atomic", "expected"),
    [
        ("migrations.RunSQL('/* why */ update a set n = 1')", False, True),
        ("migrations.RunSQL('UPDATE a SET n = 1; -- done')", False, True),
        ("migrations.RunSQL('UPDATE a SET n = 1; DELETE FROM b')", False, False),  # its author wants two commits
        ("migrations.RunSQL(['UPDATE a SET n = 1', 'DELETE FROM b'])", True, True),
        ("migrations.RunSQL('UPDATE a SET n = 1; DROP TABLE b')", True, False),
        ("migrations.RunSQL('/*!99999 DROP TABLE b */; UPDATE a SET n = 1')", True, False),
        ("migrations.RunSQL('VACUUM')", True, False),
        ("migrations.RunSQL('')", True, False),
        ("migrations.RunPython(migrations.RunPython.noop)", True, True),
        ("migrations.RunPython(migrations.RunPython.noop)", False, False),
        ("migrations.RunPython(migrations.RunPython.noop, atomic=True)", False, True),
        ("migrations.RunPython(migrations.RunPython.noop, atomic=False)", True, False),
    ],
)
def test_what_has_a_transaction_with_its_record(
    connection: BaseDatabaseWrapper, text: str, atomic: bool, expected: bool
) -> None:
    assert in_a_transaction(connection, operation_of(text), UP, atomic=atomic) is expected
