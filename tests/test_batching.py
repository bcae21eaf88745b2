"""Operations on one table, together and one by one: the same schema, the same rows, up and down."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import ref

import pytest
from django.apps.registry import Apps
from django.db import Error as DatabaseFault
from django.db import migrations, models
from django.db.models.functions import Lower, Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from chronomig.planning.record import Direction
from chronomig.state import ProjectState
from tests.conftest import sqlite_settings
from tests.inprocess import apply, connected, set_up_django, states_along
from tests.projects import Project

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

    from chronomig.code.loading import Labelled

set_up_django()

from chronomig.batches import remaking  # noqa: E402  needs Django
from chronomig.batches.batching import Move, groups  # noqa: E402
from chronomig.batches.editing import schema_editor  # noqa: E402
from chronomig.batches.together import Batch, batches  # noqa: E402
from chronomig.code.loading import Loaded  # noqa: E402
from chronomig.migration import Migration  # noqa: E402
from chronomig.running.sqltext import collect  # noqa: E402

EXAMPLES = int(os.environ.get("CHRONOMIG_TEST_BATCHED", "0"))
"""How many random batches, not the same ones each time; 0 is a fixed few."""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[BaseDatabaseWrapper]:
    with connected(sqlite_settings(tmp_path)) as one:
        yield one


def key() -> tuple[str, models.Field[Any, Any]]:
    return "id", models.AutoField(primary_key=True)


def owner(**options: Any) -> models.ForeignKey[Any, Any]:
    return models.ForeignKey("a.User", models.CASCADE, related_name="+", **options)


def base() -> list[Labelled]:
    """Return what makes two tables that refer to each other, a child, and a many-to-many relation."""
    fields = [
        key(),
        ("slug", models.CharField(max_length=5, unique=True)),
        ("size", models.IntegerField(null=True)),
        ("label", models.CharField(max_length=5, default="z", db_index=True)),
        ("owner", owner(null=True)),
        ("parent", models.ForeignKey("self", models.CASCADE, null=True, related_name="+")),
        ("noted", models.TextField(default="it's 100%")),
        ("fans", models.ManyToManyField("a.User", related_name="+")),
    ]
    options = {
        "constraints": [
            models.CheckConstraint(condition=models.Q(slug__gt=""), name="a_thing_ck"),
            models.UniqueConstraint(fields=["slug", "id"], name="a_thing_uq"),
            models.UniqueConstraint(fields=["slug"], condition=models.Q(id__gt=3), name="a_thing_part"),
            models.UniqueConstraint(Lower("slug"), name="a_thing_lower"),
        ],
        "indexes": [models.Index(fields=["slug", "-id"], name="a_thing_ix")],
        "unique_together": {("id", "slug")},
    }
    link = models.OneToOneField("a.Thing", models.CASCADE, parent_link=True, auto_created=True, primary_key=True)
    return [
        ("a", migrations.CreateModel("User", [key()])),
        ("a", migrations.CreateModel("Thing", fields, options)),
        ("a", migrations.CreateModel("Part", [key(), ("thing", models.ForeignKey("a.Thing", models.CASCADE))])),
        ("a", migrations.CreateModel("Child", [("thing_ptr", link), ("age", models.IntegerField(null=True))], bases=("a.Thing",))),
    ]  # fmt: skip


ROWS = (
    "INSERT INTO a_user VALUES (1)",
    *(
        "INSERT INTO a_thing (slug, size, label, owner_id, parent_id, noted)"
        f" VALUES ('k{one}', {one if one % 2 else 'NULL'}, 'l{one}', {1 if one % 2 else 'NULL'}, NULL, 'n{one}')"
        for one in range(6)
    ),
    "UPDATE a_thing SET parent_id = 1 WHERE id > 2",
    "DELETE FROM a_thing WHERE id = 6",
    "INSERT INTO a_part (thing_id) VALUES (2)",
    "INSERT INTO a_child VALUES (2, 7)",
    "INSERT INTO a_thing_fans (thing_id, user_id) VALUES (3, 1)",
)


def prepared(connection: BaseDatabaseWrapper, *more: str) -> ProjectState:
    """Make the tables of :func:`base`, with rows; return their state."""
    state = apply(connection, ProjectState(), base())
    with connection.cursor() as cursor:
        for statement in (*ROWS, *more):
            cursor.execute(statement, None)
    return state


def moves_along(states: Sequence[ProjectState], operations: Sequence[Labelled]) -> list[Move]:
    return [
        Move(label, operation, states[place], states[place + 1], place + 1)
        for place, (label, operation) in enumerate(operations)
    ]


def run(
    connection: BaseDatabaseWrapper,
    states: Sequence[ProjectState],
    operations: Sequence[Labelled],
    direction: Direction = Direction.UP,
    *,
    batch: bool = True,
) -> list[Batch]:
    """Run *operations* along *states*, or undo them, as late as may be; return what ran together."""
    moves = moves_along(states, operations)
    ready, ran = list[Batch](), 0
    with schema_editor(connection, atomic=True) as editor:
        for group in groups(moves if direction is Direction.UP else reversed(moves), batch=batch, apart=batch):
            for one in batches(editor, group, direction):
                ready.append(one)
                if not one.make_ready(editor.connection, direction):
                    run_all(ready[ran:], editor, direction)
                    ran = len(ready)
        run_all(ready[ran:], editor, direction)
    return ready


def run_all(ready: Sequence[Batch], editor: BaseDatabaseSchemaEditor, direction: Direction) -> None:
    for one in ready:
        one.run(editor, direction)


def content(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return the text of the schema, and every row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name")
        schema = cursor.fetchall()
        cursor.execute("PRAGMA foreign_key_check")
        assert not cursor.fetchall()
        found: dict[str, Any] = {"schema": schema}
        for kind, name, _, _ in schema:
            if kind == "table" and name != "sqlite_sequence":
                cursor.execute(f'SELECT rowid, * FROM "{name}"')
                found[name] = cursor.fetchall()
        cursor.execute("SELECT name FROM sqlite_temp_master")
        assert not cursor.fetchall()
    return found


def outcome(folder: Path, operations: Sequence[Labelled], *, batch: bool) -> list[Any]:
    """Return what *operations* leave behind, up and down again, or how they fail."""
    left: list[Any] = []
    # A connection of its own: Django leaves a transaction open when its check of foreign keys fails.
    with connected(sqlite_settings(folder)) as connection:
        states = states_along(prepared(connection), operations)
        for direction in (Direction.UP, Direction.DOWN):
            try:
                run(connection, states, operations, direction, batch=batch)
            except (DatabaseFault, ValueError, LookupError) as error:
                return [*left, type(error).__name__]
            left.append(content(connection))
    return left


class Drawing:
    """Draws operations on one model or several, one after the other, from one source of randomness."""

    collation = "nocase"

    def __init__(self, random: Random, *models: str) -> None:
        self.random = random
        self.models = models or ("thing",)
        self.names = {"thing": ["size", "label", "owner", "parent", "noted"], "part": ["thing"]}
        self.model = "thing"
        self.made = 0

    @property
    def live(self) -> list[str]:
        return self.names[self.model]

    def operations(self) -> list[Labelled]:
        return [("a", self.operation()) for _ in range(self.random.randint(2, 10))]

    def operation(self) -> Any:
        self.model = self.random.choice(self.models)
        return self.random.choice((self.add, self.add, self.remove, self.alter))()

    def add(self) -> Any:
        self.made += 1
        self.live.append(f"new{self.made}")
        once = {"preserve_default": False} if self.random.random() < 0.2 else {}
        return migrations.AddField(self.model, self.live[-1], self.field(), **once)

    def remove(self) -> Any:
        if not self.live:
            return self.add()
        return migrations.RemoveField(self.model.title(), self.live.pop(self.random.randrange(len(self.live))))

    def alter(self) -> Any:
        if not self.live:
            return self.add()
        return migrations.AlterField(self.model, self.random.choice(self.live), self.field())

    def field(self) -> models.Field[Any, Any]:
        makers: list[Callable[[], models.Field[Any, Any]]] = [
            lambda: models.IntegerField(default=7),
            lambda: models.IntegerField(null=True),
            lambda: models.IntegerField(db_default=4),
            lambda: models.DateTimeField(db_default=Now()),
            lambda: models.CharField(max_length=self.random.choice((5, 9)), default="100% o'clock"),
            lambda: models.CharField(max_length=7, null=True, help_text="told"),
            lambda: models.CharField(max_length=7, db_collation=self.collation, default=""),
            lambda: models.TextField(null=True),
            lambda: models.BooleanField(default=False),
            lambda: models.PositiveIntegerField(default=1, db_index=True),
            lambda: models.BinaryField(default=b"\x00'"),
            lambda: models.DecimalField(max_digits=5, decimal_places=2, default="1.50"),
            lambda: models.UUIDField(null=True, unique=self.random.random() < 0.3),
            lambda: models.IntegerField(null=True, db_column="Named"),
            lambda: owner(null=True),
            lambda: owner(null=True, db_constraint=False, db_index=False),
            lambda: models.ForeignKey("a.Thing", models.SET_NULL, null=True, related_name="+"),
            lambda: models.ManyToManyField("a.User", related_name="+"),
        ]
        return self.random.choice(makers)()


def normal(outcome: list[Any]) -> list[Any]:
    """Leave out what differs from one run to the next: the time in a column that the database fills."""
    return [one if isinstance(one, str) else {table: [mask(row) for row in rows] for table, rows in one.items()} for one in outcome]  # fmt: skip


def mask(row: Sequence[Any]) -> list[Any]:
    return ["now" if str(value).startswith("20") and ":" in str(value) else value for value in row]


def told(ran: Sequence[Any]) -> list[list[str]]:
    """Return what ran together, without the name of the model."""
    return [[move.operation.describe().split(" on ")[0].split(" to ")[0].split(" from ")[0] for move in one.moves] for one in ran]  # fmt: skip


@pytest.mark.parametrize("cells", [remaking.CELLS_PER_ENTRY, 0], ids=["copied aside", "renamed"])
def test_random_operations_leave_the_same_schema_and_rows_together_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    monkeypatch.setattr(remaking, "CELLS_PER_ENTRY", cells)

    @settings(max_examples=EXAMPLES or 15, derandomize=not EXAMPLES, deadline=None, database=None)
    @given(st.integers(0, 2**32))
    def compare(seed: int) -> None:
        one_by_one, together = (
            normal(
                outcome(
                    tmp_path_factory.mktemp("db"),
                    Drawing(Random(seed), "thing", "thing", "part").operations(),
                    batch=batch,
                )
            )
            for batch in (False, True)
        )
        assert together == one_by_one

    compare()


ADD = ("a", migrations.AddField("thing", "first", models.IntegerField(default=1)))
REMOVE = ("a", migrations.RemoveField("thing", "noted"))
ALTER = ("a", migrations.AlterField("thing", "size", models.IntegerField(default=5)))


class Subclass(migrations.AddField):
    """May do anything."""


def test_operations_on_one_table_are_one_remake(connection: BaseDatabaseWrapper) -> None:
    operations = [ADD, REMOVE, ALTER, ("a", migrations.AddField("part", "size", models.IntegerField(default=1)))]
    states = states_along(prepared(connection), operations)
    for direction, first in ((Direction.UP, 3), (Direction.DOWN, 1)):
        with CaptureQueriesContext(connection) as queries:
            ran = run(connection, states, operations, direction)
        assert len(ran) == 2
        assert len(ran[0].moves) == first
        made = [query["sql"] for query in queries if query["sql"].startswith('CREATE TABLE "')]
        # SQLite drops the column of part in place.
        assert [sql.partition(" (")[0] for sql in made] == ['CREATE TABLE "a_thing"', 'CREATE TABLE "a_part"'][
            : 2 if direction is Direction.UP else 1
        ]


def test_operations_on_other_tables_may_be_between_them(connection: BaseDatabaseWrapper) -> None:
    more = ("a", migrations.AddField("part", "size", models.IntegerField(default=1)))
    less = ("a", migrations.RemoveField("part", "thing"))
    apart = [ADD, more, REMOVE, less, ALTER]
    moves = moves_along(states_along(prepared(connection), apart), apart)

    def numbers(moves: Sequence[Move], **options: bool) -> list[list[int]]:
        return [[move.number for move in group.moves] for group in groups(moves, batch=True, **options)]

    assert numbers(moves) == [[1], [2], [3], [4], [5]]
    assert numbers(moves, apart=True) == [[1, 3, 5], [2, 4]]
    again = ("a", migrations.AlterField("thing", "first", models.TextField(default="")))
    for between, expected in ((again, [[1], [2], [3, 4]]), (("a", migrations.RunSQL("")), [[1], [2], [3], [4]])):
        operations = [ADD, more, between, REMOVE]
        moves = moves_along(states_along(prepared_state(), operations), operations)
        assert numbers(moves, apart=True) == expected


@pytest.mark.parametrize(
    "unique",
    [
        {"constraints": [models.UniqueConstraint(fields=["code"], name="a_place_code")]},
        {"unique_together": {("code",)}},
    ],
    ids=["constraint", "unique_together"],
)
def test_what_a_foreign_key_may_refer_to_changes_alone(unique: dict[str, Any]) -> None:
    place = migrations.CreateModel("Place", [key(), ("code", models.CharField(max_length=5))], unique)
    operations = [
        ("a", migrations.AddField("place", "one", models.IntegerField(default=1))),
        ("a", migrations.AlterField("place", "code", models.IntegerField())),
        ("a", migrations.AddField("place", "two", models.IntegerField(default=1))),
    ]
    states = states_along(ProjectState().after("a", place), operations)
    found = groups(moves_along(states, operations), batch=True, apart=True)
    assert told(list(found)) == [["Add field one"], ["Alter field code"], ["Add field two"]]


class User(models.Model):
    """What code that makes a default may look for."""

    label = models.CharField(max_length=9, default="")

    class Meta:
        app_label = "a"
        apps = Apps()


def test_code_that_makes_a_default_finds_the_other_tables_as_they_are_by_then(
    connection: BaseDatabaseWrapper,
) -> None:
    def somebody() -> int:
        return User.objects.using(connection.alias).get_or_create(label="nobody")[0].pk

    operations = [
        ("a", migrations.RemoveField("part", "thing")),
        ("a", migrations.AddField("user", "label", models.CharField(max_length=9, default=""))),
        ("a", migrations.AddField("part", "owner", owner(default=somebody))),
        ("a", migrations.AddField("part", "at", models.DateTimeField(default=timezone.now))),
        ("a", migrations.AddField("part", "made", models.UUIDField(default=uuid4))),
    ]
    ran = run(connection, states_along(prepared(connection), operations), operations)
    assert [[move.number for move in one.moves] for one in ran] == [[1], [2], [3], [4, 5]]
    with connection.cursor() as cursor:
        cursor.execute("SELECT label FROM a_part JOIN a_user ON a_user.id = owner_id")
        assert cursor.fetchall() == [("nobody",)]


def test_a_group_is_let_go_of_before_the_next_one() -> None:
    operations = [ADD, ("a", migrations.AddField("part", "size", models.IntegerField(default=1)))]
    states = states_along(prepared_state(), operations)
    # Only what is read shares a state with others.
    found = groups((replace(one, before=one.before.clone()) for one in moves_along(states, operations)), batch=True, apart=True)  # fmt: skip
    group = next(found)
    first = ref(group.moves[0].before)
    group = next(found)
    gc.collect()
    assert group.moves[0].number == 2
    assert first() is None


@pytest.mark.parametrize(
    "alone",
    [
        migrations.AlterField("thing", "id", models.BigAutoField(primary_key=True)),
        migrations.AlterField("thing", "slug", models.CharField(max_length=9, unique=True)),
        migrations.AlterField("thing", "size", models.IntegerField(null=True, unique=True)),
        migrations.AddField("thing", "one", models.OneToOneField("a.User", models.CASCADE, null=True)),
        migrations.AddField("thing", "many", models.ManyToManyField("a.User", related_name="+")),
        migrations.AddField(
            "thing",
            "made",
            models.GeneratedField(expression=Lower("slug"), output_field=models.TextField(), db_persist=False),
        ),
        migrations.AlterField("thing", "label", models.CharField(max_length=5, db_column="named", default="z")),
        migrations.AlterField("thing", "first", models.TextField(default="")),
        migrations.AddField("thing", "again", models.TextField(default="", db_column="FIRST")),
        Subclass("thing", "other", models.TextField(default="")),
        migrations.RunSQL("SELECT 1"),
        migrations.RenameField("thing", "size", "height"),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_cannot_go_together_runs_alone(connection: BaseDatabaseWrapper, alone: Any) -> None:
    operations = [ADD, ("a", alone), REMOVE]
    states = states_along(apply(connection, ProjectState(), base()), operations)
    found = [len(group.moves) for group in groups(moves_along(states, operations), batch=True)]
    assert found[0] == 1
    assert sum(found) == 3


def test_an_index_on_a_field_that_goes_keeps_its_removal_apart(connection: BaseDatabaseWrapper) -> None:
    operations = [
        ("a", migrations.AddField("part", "size", models.IntegerField(null=True))),
        ("a", migrations.AddIndex("part", models.Index(fields=["size"], name="a_part_size"))),
        ("a", migrations.RemoveField("part", "size")),
        ("a", migrations.AddField("part", "label", models.TextField(default="x"))),
    ]
    states = states_along(prepared(connection), operations)
    found = groups(moves_along(states, operations), batch=True)
    assert told(list(found)) == [["Add field size"], ["Create index a_part_size"], ["Remove field size"], ["Add field label"]]  # fmt: skip


def test_a_table_with_an_order_of_its_own_or_a_composite_key_is_left_to_django() -> None:
    fields = [("x", models.IntegerField()), ("y", models.IntegerField())]
    composite = [("pk", models.CompositePrimaryKey("x", "y")), *fields]
    for made in (
        migrations.CreateModel("Thing", [key(), ("u", owner())], {"order_with_respect_to": "u"}),
        migrations.CreateModel("Thing", composite),
    ):
        state = ProjectState().after("a", migrations.CreateModel("User", [key()])).after("a", made)
        operations = [ADD, ("a", migrations.AddField("thing", "second", models.IntegerField(default=1)))]
        found = groups(moves_along(states_along(state, operations), operations), batch=True)
        assert told(list(found)) == [["Add field first"], ["Add field second"]]


def test_what_django_does_in_place_is_not_remade(connection: BaseDatabaseWrapper) -> None:
    operations = [
        ("a", migrations.AddField("thing", "first", models.IntegerField(null=True))),
        ("a", migrations.AddField("thing", "second", models.IntegerField(null=True))),
        ("a", migrations.AlterField("thing", "noted", models.TextField(default="it's 100%", help_text="told"))),
    ]
    states = states_along(prepared(connection), operations)
    with CaptureQueriesContext(connection) as queries:
        assert [one.change for one in run(connection, states, operations)] == [None, None, None]
    changes = [query["sql"] for query in queries if not query["sql"].startswith(("SELECT", "PRAGMA"))]
    assert changes[1:-1] == [
        'ALTER TABLE "a_thing" ADD COLUMN "first" integer NULL',
        'ALTER TABLE "a_thing" ADD COLUMN "second" integer NULL',
    ]


def test_a_big_table_is_renamed_and_a_small_one_copied_aside(connection: BaseDatabaseWrapper) -> None:
    state = prepared(connection)
    operations = [ADD, REMOVE]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sqlite_master")
        entries = cursor.fetchone()[0]
    states = states_along(state, operations)
    for rows, renames in ((5, False), (entries * remaking.CELLS_PER_ENTRY // 7, True)):
        fill(connection, rows)
        with CaptureQueriesContext(connection) as queries:
            run(connection, states, operations)
        assert any(" RENAME TO " in query["sql"] for query in queries) is renames
        run(connection, states, operations, Direction.DOWN)


VIEW = "CREATE VIEW labels AS SELECT label FROM a_thing"
OWN_TRIGGER = "CREATE TRIGGER own AFTER INSERT ON a_thing BEGIN UPDATE a_part SET thing_id = thing_id; END"
OTHER_TRIGGER = "CREATE TRIGGER other AFTER INSERT ON a_part BEGIN UPDATE a_thing SET label = 'told'; END"


@pytest.mark.parametrize(("between", "reads", "remakes"), [("", 1, 2), (OWN_TRIGGER, 2, 3)], ids=["nothing", "SQL"])
def test_the_schema_is_read_once_for_several_remakes_and_again_after_anything_else(
    connection: BaseDatabaseWrapper, between: str, reads: int, remakes: int
) -> None:
    more = [("a", migrations.AddField("part", f"n{number}", models.IntegerField(default=1))) for number in range(2)]
    operations = [ADD, more[0], *[("a", migrations.RunSQL(between))][: len(between)], REMOVE, more[1]]
    states = states_along(prepared(connection), operations)
    with CaptureQueriesContext(connection) as queries:
        ran = run(connection, states, operations)
    assert sum(query["sql"].startswith("SELECT count(*), total(") for query in queries) == reads
    assert sum(one.change is not None for one in ran) == remakes


def fill(connection: BaseDatabaseWrapper, rows: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
            " INSERT INTO a_thing (slug, label, noted) SELECT 's' || %s || i, '', '' FROM n",
            [rows, rows],
        )


@pytest.mark.parametrize("more", [VIEW, OTHER_TRIGGER], ids=["view", "trigger"])
def test_what_reads_a_table_outlives_its_remake(
    connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """Django's own remake fails here: a rename parses views and triggers, and the table is not there."""
    monkeypatch.setattr(remaking, "CELLS_PER_ENTRY", 0)
    states = states_along(prepared(connection, more), [ADD, REMOVE])
    for direction in (Direction.UP, Direction.DOWN):
        run(connection, states, [ADD, REMOVE], direction)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO a_part (thing_id) VALUES (1)")
            cursor.execute("SELECT count(*) FROM sqlite_master WHERE sql = %s", [more])
            assert cursor.fetchone() == (1,)


def test_a_table_with_triggers_is_left_to_django(connection: BaseDatabaseWrapper) -> None:
    states = states_along(prepared(connection, OWN_TRIGGER), [ADD, REMOVE])
    assert told(run(connection, states, [ADD, REMOVE])) == [["Add field first"], ["Remove field noted"]]


@pytest.mark.parametrize(
    ("cells", "batch"),
    [(remaking.CELLS_PER_ENTRY, True), (0, True), (0, False)],
    ids=["copied aside", "renamed", "remade by Django"],
)
def test_a_key_that_was_given_out_is_not_given_out_again(
    connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, cells: int, batch: bool
) -> None:
    """Django's own remake forgets the keys of rows that were deleted."""
    monkeypatch.setattr(remaking, "CELLS_PER_ENTRY", cells)
    states = states_along(prepared(connection, "UPDATE a_thing SET parent_id = NULL"), [ADD, REMOVE])
    run(connection, states, [ADD, REMOVE], batch=batch)
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name IN ('a_thing', 'aside__a_thing', 'new__a_thing')")
        assert cursor.fetchall() == [(6,)]
        cursor.execute("DELETE FROM a_thing WHERE id <> 1 AND id <> 2 AND id <> 3")
    run(connection, states, [ADD, REMOVE], Direction.DOWN, batch=batch)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_thing (slug, label, noted) VALUES ('new', '', '')")
        assert cursor.lastrowid == 7


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        (models.AutoField(primary_key=True), models.BigAutoField(primary_key=True), [(6,)]),
        (models.AutoField(primary_key=True), models.IntegerField(primary_key=True), []),
        (models.IntegerField(primary_key=True), models.AutoField(primary_key=True), [(4,)]),
    ],
    ids=["another type", "no longer", "from now on"],
)
def test_a_key_that_changes_counts_on_if_it_counted(
    connection: BaseDatabaseWrapper,
    before: models.Field[Any, Any],
    after: models.Field[Any, Any],
    left: Sequence[Any],
) -> None:
    made = [("a", migrations.CreateModel("Box", [("id", before)]))]
    altered = [("a", migrations.AlterField("box", "id", after))]
    state = apply(connection, ProjectState(), made)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_box VALUES (4), (6)")
        cursor.execute("DELETE FROM a_box WHERE id = 6")
    run(connection, states_along(state, altered), altered)
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name LIKE '%a_box'", None)
        assert cursor.fetchall() == left


def test_a_default_is_taken_as_it_stands(connection: BaseDatabaseWrapper) -> None:
    """Django's own remake takes %s in a default for a parameter."""
    operations = [("a", migrations.AddField("thing", "rate", models.TextField(default="100%s of 'it' %")))]
    run(connection, states_along(prepared(connection), operations), operations)
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT rate FROM a_thing")
        assert cursor.fetchall() == [("100%s of 'it' %",)]


def test_a_row_that_does_not_fit_is_what_is_told(connection: BaseDatabaseWrapper) -> None:
    """Foreign keys are checked when the editor closes; they are as they were."""
    operations = [ADD, ("a", migrations.AddField("thing", "due", models.DateField(null=True))),
                  ("a", migrations.AlterField("thing", "size", models.IntegerField()))]  # fmt: skip
    states = states_along(prepared(connection), operations)
    before = content(connection)
    with pytest.raises(DatabaseFault, match=r"NOT NULL constraint failed: a_thing\.size"):
        run(connection, states, operations)
    assert content(connection) == before


def test_an_interrupt_while_foreign_keys_are_checked_rolls_back(
    connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = states_along(prepared(connection), [ADD])
    before = content(connection)

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(connection, "check_constraints", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(connection, states, [ADD])
    assert content(connection) == before


def test_sql_is_what_runs(connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = (ADD, REMOVE, ALTER)
    base_state = prepared(connection)
    states = states_along(base_state, operations)
    loaded = Loaded("x", "", operations, True, None, Migration())
    for cells in (remaking.CELLS_PER_ENTRY, 0):
        monkeypatch.setattr(remaking, "CELLS_PER_ENTRY", cells)
        for direction in (Direction.UP, Direction.DOWN):
            lines = collect(connection, loaded, base_state, direction, batch=True)
            with CaptureQueriesContext(connection) as queries:
                run(connection, states, operations, direction)
            ran = [query["sql"] for query in queries if not query["sql"].startswith(("SELECT", "PRAGMA", "SAVEPOINT", "RELEASE"))]  # fmt: skip
            assert [line.rstrip(";") for line in lines if not line.startswith("--")] == ran
            assert sum(line.startswith("CREATE TABLE") for line in lines) == (2 if cells else 1)


def test_sql_of_a_migration_that_is_not_atomic_has_a_transaction_around_a_batch(
    connection: BaseDatabaseWrapper,
) -> None:
    loaded = Loaded("x", "", (ADD, REMOVE), False, None, Migration())
    lines = collect(connection, loaded, prepared(connection), Direction.UP, batch=True)
    assert lines[:5] == ["--", "-- Add field first to thing", "-- Remove field noted from thing", "--", "BEGIN;"]
    assert lines[-1] == "COMMIT;"
    alone = collect(connection, replace(loaded, operations=(ADD,)), prepared_state(), Direction.UP, batch=False)
    assert "BEGIN;" not in alone


def prepared_state() -> ProjectState:
    return states_along(ProjectState(), base())[-1]


MAKE = """
("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField(null=True))])),
"""
CHANGE = """
("shop", migrations.AddField("item", "one", models.TextField(default="1"))),
("shop", migrations.AddField("item", "two", models.TextField(default="2"))),
("shop", migrations.RunSQL("{sql}", migrations.RunSQL.noop)),
("shop", migrations.AddField("item", "three", models.TextField(default="3"))),
("shop", migrations.AlterField("item", "n", models.IntegerField({null}))),
"""
A, B = "20260101000000_item", "20260102000000_change"


def test_a_batch_is_recorded_operation_by_operation_where_a_migration_is_not_atomic(sqlite_project: Project) -> None:
    sqlite_project.migration(A, MAKE + '("shop", migrations.RunSQL("INSERT INTO shop_item (n) VALUES (NULL)", "")),')
    sqlite_project.migration(B, CHANGE.format(sql="SELECT 1", null=""), body="atomic = False")
    failed = sqlite_project.chronomig("migrate")
    assert failed.code == 1
    assert "Add field three to item; Alter field n on item:" in failed.err
    assert "NOT NULL constraint failed: shop_item.n" in failed.err
    assert "Operations before it are done and recorded; the next run goes on there." in failed.err
    events = [line["operation"] for line in sqlite_project.ok("history", "--json").json["databases"][0]["events"] if line["event"] == "progress"]  # fmt: skip
    assert sorted(events) == [1, 2, 3]
    assert [column[0] for column in sqlite_project.schema()["shop_item"]["columns"]] == ["id", "n", "one", "two"]
    sqlite_project.migration(B, CHANGE.format(sql="SELECT 1", null="null=True"), body="atomic = False")
    sqlite_project.ok("migrate")
    assert sqlite_project.rows("SELECT * FROM shop_item") == [["1", "None", "1", "2", "3"]]
    sqlite_project.ok("migrate", "--to", A, "--yes")
    assert sqlite_project.rows("SELECT * FROM shop_item") == [["1", "None"]]


TABLES = """
("shop", migrations.CreateModel("{name}", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField(null=True))])),
"""


@pytest.mark.parametrize(
    ("between", "mode", "order"),
    [
        ("", None, ["asks"] * 3 + ["drops"] * 3),
        ('("shop", migrations.RunSQL("SELECT 1", "")),', None, ["asks", "drops"] * 3),
        ("", "DEFERRED", ["asks", "drops"] * 3),
    ],
    ids=["nothing between", "SQL between", "a transaction that reads first"],
)
def test_tables_are_remade_in_a_row(
    sqlite_project: Project, between: str, mode: str | None, order: Sequence[str]
) -> None:
    sqlite_project.databases["default"].setdefault("OPTIONS", {})["transaction_mode"] = mode
    sqlite_project.configure()
    names = ("Box", "Item", "Shelf")
    sqlite_project.migration(A, "".join(TABLES.format(name=name) for name in names))
    sqlite_project.ok("migrate")
    added = (f'("shop", migrations.AddField("{name}", "m", models.IntegerField(default=1))),' for name in names)
    sqlite_project.migration(B, between.join(added))
    sent = [sql for sql in sqlite_project.sent() if sql.startswith(("PRAGMA table_info", 'DROP TABLE "shop_'))]
    assert ["asks" if sql.startswith("PRAGMA") else "drops" for sql in sent] == order


INSERTING = """
from django.db import migrations, models
from django.db.models.signals import pre_migrate
def insert(plan=(), **options):
    for migration, _ in plan:
        if migration.name == "20260102000000_change":
            migration.operations.insert(1, migrations.AlterField("Item", "n", models.IntegerField()))
pre_migrate.connect(insert)
"""


def test_a_table_is_remade_in_a_transaction_also_where_nothing_else_is_in_one(sqlite_project: Project) -> None:
    """What a receiver inserted belongs to the operation before it, which may have no transaction."""
    rows = '("shop", migrations.RunSQL("INSERT INTO shop_item (n) VALUES (1), (NULL)", "")),'
    sqlite_project.migration(A, TABLES.format(name="Item") + rows)
    sqlite_project.ok("migrate")
    sqlite_project.write("shop/receivers.py", INSERTING)
    sqlite_project.write("shop/models.py", "import shop.receivers")
    noop = "migrations.RunPython.noop"
    sqlite_project.migration(B, f'("shop", migrations.RunPython({noop}, {noop})),', body="atomic = False")
    failed = sqlite_project.chronomig("migrate")
    assert failed.code == 1
    assert "NOT NULL constraint failed: shop_item.n" in failed.err
    assert sqlite_project.rows("SELECT n FROM shop_item ORDER BY id") == [["1"], ["None"]]


def test_foreign_keys_that_point_nowhere_are_recorded_as_the_failure(sqlite_project: Project) -> None:
    refers = (
        '("shop", migrations.AlterField("Item", "n", models.ForeignKey("shop.Box", models.CASCADE, db_column="n"))),'
    )
    rows = '("shop", migrations.RunSQL("INSERT INTO shop_item (n) VALUES (7)", "")),'
    sqlite_project.migration(A, TABLES.format(name="Item") + TABLES.format(name="Box") + rows)
    sqlite_project.ok("migrate")
    sqlite_project.migration(B, refers)
    failed = sqlite_project.chronomig("migrate", "--allow-data-loss")
    assert failed.code == 1
    assert "At the commit:\n" in failed.err
    assert "foreign key" in failed.err
    (event,) = sqlite_project.ok("history", "--json").json["databases"][0]["events"][-1:]
    assert (event["event"], event["name"]) == ("failed", B)


def test_of_tables_remade_in_a_row_the_one_that_fails_is_named(sqlite_project: Project) -> None:
    names = ("Box", "Item", "Shelf")
    sqlite_project.migration(
        A,
        "".join(TABLES.format(name=name) for name in names)
        + '("shop", migrations.RunSQL("INSERT INTO shop_item (n) VALUES (NULL)", "")),',
    )
    sqlite_project.ok("migrate")
    before = sqlite_project.schema()
    sqlite_project.migration(
        B, "".join(f'("shop", migrations.AlterField("{name}", "n", models.IntegerField())),' for name in names)
    )
    failed = sqlite_project.chronomig("migrate")
    assert failed.code == 1
    assert "Alter field n on Item:\n" in failed.err
    assert "NOT NULL constraint failed: shop_item.n" in failed.err
    assert "Box" not in failed.err
    assert "Shelf" not in failed.err
    assert sqlite_project.schema() == before


def test_batching_can_be_turned_off(sqlite_project: Project) -> None:
    sqlite_project.migration(A, MAKE + CHANGE.format(sql="SELECT 1", null="null=True"))
    assert sqlite_project.ok("sql").out.count('CREATE TABLE "new__shop_item"') == 0
    sqlite_project.configure(extra="CHRONOMIG = {'sets': {'default': {'databases': ['default'], 'batch': False}}}")
    assert sqlite_project.ok("sql").out.count('CREATE TABLE "new__shop_item"') == 3
    sqlite_project.ok("migrate")
    assert [column[0] for column in sqlite_project.schema()["shop_item"]["columns"]] == ["id", "n", "one", "two", "three"]  # fmt: skip
