"""Operations on one table of MariaDB and PostgreSQL, in fewer statements: the same schema, the same rows, up and down."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from django.db import Error as DatabaseFault
from django.db import migrations, models
from django.test.utils import CaptureQueriesContext

from chronomig.planning.record import Direction
from tests import schema
from tests.databases import TestDatabase
from tests.inprocess import connected, drop_everything, states_along
from tests.projects import Project
from tests.test_batching import EXAMPLES, Drawing, mask, owner, prepared, run

from chronomig.batches.joining import CLAUSES, Noted, can_join, joined  # isort: skip  Django is set up by the imports above
from chronomig.code.loading import Loaded  # isort: skip
from chronomig.migration import Migration  # isort: skip
from tests.test_resuming import Bench, comparable  # isort: skip
from chronomig.running.sqltext import collect  # isort: skip

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.code.loading import Labelled


UP, DOWN = Direction.UP, Direction.DOWN
ALTERING = ("ALTER", "CREATE", "DROP", "UPDATE")


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[BaseDatabaseWrapper]:
    if database.vendor == "sqlite":
        pytest.skip("tables are remade there: test_batching.py")
    with connected(database.settings()) as one:
        yield one


def content(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return the schema, and every row."""
    tables = schema.dump(connection)
    rows = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY 1")
            rows[table] = [mask(row) for row in cursor.fetchall()]
    return {"schema": tables, "rows": rows}


def statements(connection: BaseDatabaseWrapper, *more: Any, **options: Any) -> list[str]:
    """Run operations; return the statements that changed something."""
    with CaptureQueriesContext(connection) as queries:
        run(connection, *more, **options)
    return [query["sql"] for query in queries if query["sql"].startswith(ALTERING)]


class Castable(Drawing):
    """Draws fields whose values can mostly be turned into those of the others."""

    def __init__(self, random: Random, collation: str) -> None:
        super().__init__(random)
        self.collation = collation

    def operations(self) -> list[Labelled]:
        several = self.random.sample(("size", "label", "noted"), self.random.randint(0, 3))
        altered: list[Labelled] = [("a", migrations.AlterField("thing", name, self.scalar())) for name in several]
        return [*altered, *super().operations()]

    def field(self) -> models.Field[Any, Any]:
        chance = self.random.random()
        return super().field() if chance < 0.1 else owner(null=True) if chance < 0.2 else self.scalar()

    def scalar(self) -> models.Field[Any, Any]:
        fields: list[models.Field[Any, Any]] = [
            models.IntegerField(default=7),
            models.BigIntegerField(null=True),
            models.CharField(max_length=9, default="1"),
            models.TextField(default="1"),
            models.TextField(default="5", db_comment="it's told"),
            models.CharField(max_length=20, null=True, db_index=True),
            models.PositiveIntegerField(default=1),
            models.IntegerField(db_default=4),
        ]
        return self.random.choice(fields)


ROWS = "UPDATE a_thing SET label = '1', noted = '1'"


def outcome(connection: BaseDatabaseWrapper, seed: int, *, batch: bool) -> tuple[list[Any], int]:
    """Return what random operations leave behind, up and down again, or that they fail; and in how many statements."""
    drop_everything(connection)
    left: list[Any] = []
    count = 0
    drawing = Castable(Random(seed), "C" if connection.vendor == "postgresql" else "utf8mb4_bin")
    operations = drawing.operations()
    states = states_along(prepared(connection, ROWS), operations)
    for direction in (UP, DOWN):
        try:
            count += len(statements(connection, states, operations, direction, batch=batch))
        except (DatabaseFault, ValueError) as error:
            assert "SQL syntax" not in str(error) and "syntax error" not in str(error), error
            return [*left, "fails"], count
        left.append(content(connection))
    return left, count


def test_random_operations_leave_the_same_schema_and_rows_together_as_one_by_one(
    connection: BaseDatabaseWrapper,
) -> None:
    random = Random(None if EXAMPLES else 1)
    counts = [0, 0]
    for _ in range(EXAMPLES or 8):
        seed = random.randrange(2**32)
        (one_by_one, many), (together, few) = (outcome(connection, seed, batch=batch) for batch in (False, True))
        assert together == one_by_one, seed
        if "fails" not in together:
            counts = [counts[0] + many, counts[1] + few]
    assert 0 < counts[1] < counts[0]


ADD = ("a", migrations.AddField("thing", "first", models.IntegerField(default=1)))
ADD_TEXT = ("a", migrations.AddField("thing", "second", models.TextField(default="100%")))
REMOVE = ("a", migrations.RemoveField("thing", "owner"))
ALTER = ("a", migrations.AlterField("thing", "size", models.IntegerField(default=5)))
WIDER = ("a", migrations.AlterField("thing", "noted", models.CharField(max_length=50, default="")))
WITH_KEY = ("a", migrations.AddField("thing", "user", owner(null=True)))
OPERATIONS = [ADD, ADD_TEXT, REMOVE, ALTER, WIDER, WITH_KEY]


def test_operations_on_one_table_share_their_statements(connection: BaseDatabaseWrapper) -> None:
    states = states_along(prepared(connection), OPERATIONS)
    before = content(connection)
    ran = [sql.replace('"', "`").split(" CONSTRAINT ")[0] for sql in statements(connection, states, OPERATIONS)]
    if connection.vendor == "postgresql":  # what does not pay stays alone
        assert ran[:5] == [
            "ALTER TABLE `a_thing` ADD COLUMN `first` integer DEFAULT 1 NOT NULL",
            "ALTER TABLE `a_thing` ADD COLUMN `second` text DEFAULT '100%' NOT NULL",
            "ALTER TABLE `a_thing` ALTER COLUMN `size` SET DEFAULT 5",
            "ALTER TABLE `a_thing` ADD COLUMN `user_id` integer NULL",
            "ALTER TABLE `a_thing` ALTER COLUMN `first` DROP DEFAULT",
        ]
        assert ran[-4:-1] == [
            "UPDATE `a_thing` SET `size` = 5 WHERE `size` IS NULL; SET CONSTRAINTS ALL IMMEDIATE",
            "ALTER TABLE `a_thing` ALTER COLUMN `size` SET NOT NULL,"
            " ALTER COLUMN `noted` TYPE varchar(50) USING `noted`::varchar(50)",
            "ALTER TABLE `a_thing` ALTER COLUMN `size` DROP DEFAULT",
        ]
    else:
        assert [sql.split(" `a_thing_owner")[0] for sql in ran] == [
            "ALTER TABLE `a_thing` DROP FOREIGN KEY",
            "ALTER TABLE `a_thing` ADD COLUMN `first` integer DEFAULT 1 NOT NULL,"
            " ADD COLUMN `second` longtext DEFAULT '100%' NOT NULL,"
            " ALTER COLUMN `size` SET DEFAULT 5, ADD COLUMN `user_id` integer NULL , ADD",
            "UPDATE `a_thing` SET `size` = 5 WHERE `size` IS NULL",
            "ALTER TABLE `a_thing` ALTER COLUMN `first` DROP DEFAULT, ALTER COLUMN `second` DROP DEFAULT,"
            " DROP COLUMN `owner_id`, MODIFY `size` integer NOT NULL, MODIFY `noted` varchar(50) NOT NULL",
            "ALTER TABLE `a_thing` ALTER COLUMN `size` DROP DEFAULT",
        ]
    run(connection, states, OPERATIONS, DOWN)
    assert in_any_order(content(connection)) == in_any_order(before)


def in_any_order(content: dict[str, Any]) -> list[Any]:
    return [sorted(table["columns"]) for table in content["schema"].values()]


def test_sql_is_what_runs(connection: BaseDatabaseWrapper) -> None:
    base = prepared(connection)
    states = states_along(base, OPERATIONS)
    loaded = Loaded("x", "", tuple(OPERATIONS), True, None, Migration())
    for direction in (UP, DOWN):
        lines = collect(connection, loaded, base, direction, batch=True)
        ran = statements(connection, states, OPERATIONS, direction)
        assert [line.rstrip(";") for line in lines if line.startswith(ALTERING)] == ran


@pytest.mark.parametrize(
    "alone",
    [
        migrations.AlterField("thing", "slug", models.CharField(max_length=9, unique=True)),
        migrations.AlterField("thing", "first", models.BigIntegerField(default=1)),
        migrations.RenameField("thing", "label", "title"),
        migrations.RunSQL("SELECT 1"),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_may_depend_on_others_keeps_its_place(connection: BaseDatabaseWrapper, alone: Any) -> None:
    operations = [ADD, WIDER, ("a", alone), ALTER, WITH_KEY]
    states = states_along(prepared(connection), operations)
    ran = [len(one.moves) for one in run(connection, states, operations)]
    if connection.vendor == "postgresql":  # two changes of a table are what pays there
        assert ran == ([1, 1, 3] if getattr(alone, "name", "") == "first" else [1, 1, 1, 1, 1])
    else:
        assert ran == ([2, 3] if getattr(alone, "name", "") == "first" else [2, 1, 2])


def test_a_schema_editor_of_another_kind_is_left_alone(connection: BaseDatabaseWrapper) -> None:
    class Editor(type(connection).SchemaEditorClass):  # type: ignore[misc]
        """Brought by a backend of its own."""

    assert can_join(connection)
    connection.SchemaEditorClass = Editor
    assert not can_join(connection)
    states = states_along(prepared(connection), OPERATIONS)
    assert all(len(one.moves) == 1 for one in run(connection, states, OPERATIONS))


TABLE = "ALTER TABLE `t` "


def test_what_reads_the_whole_table_waits_until_all_of_it_can_go() -> None:
    notes = [
        ["MODIFY `a` integer NULL"],
        ["ALTER COLUMN `b` SET DEFAULT %s", "UPDATE", "MODIFY `b` integer NOT NULL", "ALTER COLUMN `b` DROP DEFAULT"],
        ["ADD COLUMN `c` integer DEFAULT %s", "ALTER COLUMN `c` DROP DEFAULT"],
        ["DROP FOREIGN KEY `x`", "MODIFY `d` bigint NULL", "ADD CONSTRAINT `x` FOREIGN KEY (`d`) REFERENCES `e` (`id`)"],
    ]  # fmt: skip
    given = [[noted(text) for text in each] for each in notes]
    assert [one.sql.removeprefix(TABLE) for one in joined(given, TABLE, CLAUSES["mysql"])] == [
        "DROP FOREIGN KEY `x`",
        "ALTER COLUMN `b` SET DEFAULT %s, ADD COLUMN `c` integer DEFAULT %s",
        "UPDATE",
        "MODIFY `a` integer NULL, MODIFY `b` integer NOT NULL, ALTER COLUMN `c` DROP DEFAULT, MODIFY `d` bigint NULL",
        "ALTER COLUMN `b` DROP DEFAULT",
        "ADD CONSTRAINT `x` FOREIGN KEY (`d`) REFERENCES `e` (`id`)",
    ]


def noted(text: str) -> Noted:
    return Noted(text if text == "UPDATE" else TABLE + text, [text] if "%s" in text else None)


def test_operations_whose_statements_come_in_different_orders_all_come_to_their_end() -> None:
    kinds = ["DROP FOREIGN KEY `a`", "ADD COLUMN `a`", "MODIFY `a`", "ADD CONSTRAINT `a` FOREIGN KEY", "UPDATE"]
    random = Random(1)
    for _ in range(200):
        given = [[noted(random.choice(kinds)) for _ in range(random.randint(0, 6))] for _ in range(4)]
        ran = list(joined(given, TABLE, CLAUSES["mysql"]))
        clauses = [text for one in ran for text in one.sql.removeprefix(TABLE).split(", ")]
        assert sorted(clauses) == sorted(one.sql.removeprefix(TABLE) for each in given for one in each)


def test_a_percent_sign_stands_for_itself_beside_parameters() -> None:
    check, default = "ADD COLUMN `a` text CHECK (`a` LIKE '5%')", "ADD COLUMN `b` int DEFAULT %s"
    given = [[Noted(TABLE + check, None)], [Noted(TABLE + default, [7])]]
    assert list(joined(given, TABLE, CLAUSES["mysql"])) == [
        Noted(TABLE + "ADD COLUMN `a` text CHECK (`a` LIKE '5%%'), ADD COLUMN `b` int DEFAULT %s", [7])
    ]


def test_a_statement_of_another_table_is_never_joined() -> None:
    other = "ALTER TABLE `tt` DROP COLUMN `a`"
    given = [[Noted(other, None)], [Noted(TABLE + "DROP COLUMN `b`", None)], [Noted(TABLE + "DROP COLUMN `c`", None)]]
    ran = [one.sql for one in joined(given, TABLE, CLAUSES["mysql"])]
    assert ran == [other, TABLE + "DROP COLUMN `b`, DROP COLUMN `c`"]


TAG = """migrations.CreateModel('Tag', [
    ('id', models.AutoField(primary_key=True)),
    ('box', models.ForeignKey('shop.Box', models.CASCADE, null=True)),
    ('size', models.IntegerField(null=True)),
    ('story', models.TextField(default='')),
    ('label', models.CharField(max_length=5)),
])"""
FILLED = (
    "migrations.RunSQL(['INSERT INTO shop_box (n) VALUES (1)',"
    " \"INSERT INTO shop_tag (box_id, size, story, label) VALUES (1, 3, 'one', 'a'), (1, NULL, 'two', 'b')\"], '')"
)
TOGETHER = (
    "migrations.AddField('tag', 'weight', models.IntegerField(default=1, db_index=True))",
    "migrations.AddField('tag', 'note', models.TextField(default=''))",
    "migrations.AlterField('tag', 'size', models.IntegerField(default=5))",
    "migrations.RemoveField('tag', 'story')",
    "migrations.AlterField('tag', 'label', models.CharField(max_length=50, null=True, db_index=True))",
    "migrations.AddField('tag', 'crate', models.ForeignKey('shop.Box', models.CASCADE, null=True, related_name='+'))",
    "migrations.RemoveField('tag', 'box')",
)


class Halves:
    """A migration of operations that go together, on rows, and what it leaves where nothing breaks off."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.undisturbed = {UP: self.afresh(UP), DOWN: self.afresh(DOWN)}

    def afresh(self, *ways: Direction) -> dict[str, Any]:
        self.bench = self.begun()
        for way in (UP, DOWN) if DOWN in ways else ways:
            assert self.bench.move(self.bench.last, way)
        return content(self.connection)

    def begun(self) -> Bench:
        drop_everything(self.connection)
        bench = Bench(self.connection, TOGETHER, (TAG, FILLED), batch=True)
        assert all(bench.move(name, UP) for name in bench.first)
        return bench

    def check(self, way: Direction, told: str) -> None:
        found, expected = content(self.connection), self.undisturbed[way]
        assert same(found, self.connection) == same(expected, self.connection), told


def same(content: dict[str, Any], connection: BaseDatabaseWrapper) -> Any:
    tables = {name: comparable(table, connection.vendor) for name, table in content["schema"].items()}
    names = [column[0] for column in content["schema"]["shop_tag"]["columns"]]
    rows = [sorted(zip(names, map(str, row), strict=True)) for row in content["rows"]["shop_tag"]]
    return tables, rows


@pytest.mark.parametrize("batch", [True, False], ids=["configured as before", "turned off in between"])
def test_operations_that_broke_off_together_are_finished(connection: BaseDatabaseWrapper, batch: bool) -> None:
    halves = Halves(connection)
    for broken_after in range(30):
        bench = halves.begun()
        ends = []
        for way in (UP, DOWN):
            bench.batch = True
            ends.append(bench.move(bench.last, way, broken_after))
            if not ends[-1]:
                assert bench.history.read().half_done
                bench.batch = batch
                assert bench.move(bench.last, way)
            halves.check(way, f"{way}, broken off after {broken_after}")
        if all(ends):
            break
    assert 3 < broken_after < 29


def test_operations_that_broke_off_together_are_undone(connection: BaseDatabaseWrapper) -> None:
    halves = Halves(connection)
    before, count = (halves.begun(), content(connection))[1], 0
    for broken_after in range(30):
        bench = halves.begun()
        if bench.move(bench.last, UP, broken_after):
            break
        assert bench.move(bench.last, DOWN)
        assert bench.last not in bench.history.read().names
        found = same(content(connection), connection)
        assert found[0] == same(before, connection)[0], broken_after
        stories = {dict(row)["story"] for row in found[1]}
        assert stories in ({"one", "two"}, {""}), "what was never dropped is kept"
        count += stories == {"one", "two"}
    assert count >= 2


def test_operations_that_broke_off_together_on_their_way_back_are_done_again(connection: BaseDatabaseWrapper) -> None:
    halves = Halves(connection)
    for broken_after in range(30):
        bench = halves.begun()
        assert bench.move(bench.last, UP)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE shop_tag SET note = 'told'")
        if bench.move(bench.last, DOWN, broken_after):
            break
        assert bench.move(bench.last, UP)
        found = same(content(connection), connection)
        assert found[0] == same(halves.undisturbed[UP], connection)[0], broken_after
        notes = {dict(row)["note"] for row in found[1]}
        assert notes == {"told"} if broken_after == 0 else notes in ({"told"}, {""}), broken_after
    assert broken_after > 3


def test_a_column_is_there_still_when_a_row_does_not_fit_another(project: Project, database: TestDatabase) -> None:
    made = """
    ("shop", migrations.CreateModel("Item", [
        ("id", models.BigAutoField(primary_key=True)),
        ("size", models.IntegerField(null=True)),
        ("label", models.CharField(max_length=9)),
        ("memo", models.CharField(max_length=9)),
    ])),
    ("shop", migrations.RunSQL("INSERT INTO shop_item (label, memo) VALUES ('too long', 'kept')", "")),
    """
    changed = """
    ("shop", migrations.RemoveField("item", "memo")),
    ("shop", migrations.AlterField("item", "size", models.IntegerField(default=5))),
    ("shop", migrations.AlterField("item", "label", models.CharField(max_length={}))),
    """
    project.migration("20260101000000_item", made)
    project.migration("20260102000000_change", changed.format(3 if database.vendor != "sqlite" else 9))
    if database.vendor != "sqlite":  # which does not mind
        failed = project.chronomig("migrate", "--yes")
        assert failed.code == 1
        assert "label" in failed.err
        assert project.rows("SELECT memo FROM shop_item") == [["kept"]]
        project.migration("20260102000000_change", changed.format(20))
    project.ok("migrate", "--yes")
    assert project.rows("SELECT size, label FROM shop_item") == [["5", "too long"]]
    assert {column[0] for column in project.schema()["shop_item"]["columns"]} == {"id", "size", "label"}


def test_joining_can_be_turned_off(project: Project, database: TestDatabase) -> None:
    operations = "".join(
        f'("shop", migrations.AlterField("item", "{name}", models.BigIntegerField())),' for name in "ab"
    )
    fields = "".join(f'("{name}", models.IntegerField()),' for name in "ab")
    project.migration("20260101000000_item", f'("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), {fields}])),')  # fmt: skip
    project.migration("20260102000000_change", operations)
    project.ok("migrate", "--to", "20260101000000_item")
    count = project.ok("sql").out.count
    assert count("ALTER TABLE") == (0 if database.vendor == "sqlite" else 1)
    project.configure(extra="CHRONOMIG = {'sets': {'default': {'databases': ['default'], 'batch': False}}}")
    count = project.ok("sql").out.count
    assert count("ALTER TABLE") == 2
    project.ok("migrate")
