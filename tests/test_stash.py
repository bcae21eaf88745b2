"""Rows that a rollback drops come back with their migration."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.databases import TestDatabase
from tests.inprocess import connected, set_up_django
from tests.projects import Project

set_up_django()

from django.db import Error as DatabaseFault  # noqa: E402
from django.db import migrations, models, transaction  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402

from chronomig.code.folding import States  # noqa: E402
from chronomig.code.loading import Labelled, Loaded  # noqa: E402
from chronomig.history.table import History  # noqa: E402
from chronomig.migration import Migration  # noqa: E402
from chronomig.planning.plan import Step  # noqa: E402
from chronomig.planning.record import Direction, HalfDone  # noqa: E402
from chronomig.running.executor import Executor  # noqa: E402
from chronomig.running.preparing import Prepared  # noqa: E402
from chronomig.running.results import Failed, Result  # noqa: E402
from chronomig.stash import Entries, Keeper, Limits, State, TooMuch, fills_again  # noqa: E402

NO_LIMITS = Limits(rows=1_000_000, megabytes=1_000, days=30)


class Quiet:
    """Hears nothing."""

    def migration_begins(self, step: Step, number: int, total: int) -> None: ...
    def operation_begins(self, step: Step, description: str, number: int, total: int) -> None: ...
    def rows_touched(self, count: int) -> None: ...


class Shop:
    """Migrations of the app ``shop`` on one database, moved by the executor with a stash."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.files: dict[str, Loaded] = {}
        self.applied: list[str] = []
        self.history = History(connection, "default")
        self.entries = Entries(connection, "default")

    def migration(self, *operations: Any, atomic: bool = True) -> str:
        """Add a file; return its name."""
        name = f"202601{len(self.files) + 1:02}000000_m"
        return self.write(name, *operations, atomic=atomic)

    def write(self, name: str, *operations: Any, atomic: bool = True) -> str:
        labelled: tuple[Labelled, ...] = tuple(("shop", one) for one in operations)
        self.files[name] = Loaded(name, "", labelled, atomic, None, Migration())
        return name

    def up(self, limits: Limits = NO_LIMITS) -> list[Result]:
        """Apply all that is not applied."""
        return self.move([name for name in self.files if name not in self.applied], Direction.UP, limits)

    def down(self, count: int = 1, limits: Limits = NO_LIMITS) -> list[Result]:
        """Undo the last *count*."""
        return self.move(self.applied[::-1][:count], Direction.DOWN, limits)

    def move(self, names: Sequence[str], direction: Direction, limits: Limits, half: HalfDone | None = None) -> list[Result]:  # fmt: skip
        states = States(self.applied, self.files.__getitem__)
        if limits.puts_aside:
            self.entries.ensure_table()
        self.entries.sweep()
        filling = [
            name
            for name in names
            if direction is Direction.UP
            and any(fills_again(operation) for _, operation in self.files[name].operations)
        ]
        keeper = Keeper(self.connection, self.entries, limits, applied=self.history.read().names, filling=filling)
        executor = Executor(self.connection, self.history, states, Quiet(), keeper, batch=True)
        prepared = [Prepared(Step(name, direction, half), self.files[name]) for name in names]
        results = []
        for result in executor.execute(prepared):
            results.append(result)
            self.applied = [*self.applied, result.name] if direction is Direction.UP else self.applied[:-1]
        self.entries.sweep()
        return results

    def model(self, name: str) -> Any:
        """Return the manager of a model, as the migrations that are applied leave it."""
        state = States(self.applied, self.files.__getitem__).current
        return state.apps.get_model("shop", name)._default_manager.using(self.connection.alias)

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall()) if cursor.description else []

    def rows(self) -> dict[str, list[str]]:
        """Return every row of every table of the app."""
        with self.connection.cursor() as cursor:
            tables = [one for one in self.connection.introspection.table_names(cursor) if one.startswith("shop_")]
        return {table: sorted(map(repr, self.sql(f"SELECT * FROM {table}"))) for table in sorted(tables)}


@pytest.fixture
def shop(database: TestDatabase) -> Iterator[Shop]:
    with connected(database.settings(), "stash") as connection:
        yield Shop(connection)


def notes(results: Sequence[Result]) -> list[str]:
    return [note for result in results for note in result.notes]


def create(name: str, *fields: tuple[str, Any], **options: Any) -> migrations.CreateModel:
    return migrations.CreateModel(name, [("id", models.BigAutoField(primary_key=True)), *fields], options)


ITEM = create("Item", ("n", models.IntegerField()))
NOTES = migrations.AddField("item", "notes", models.CharField(max_length=20, default="new"))


def fill_items(shop: Shop, count: int = 3) -> None:
    shop.model("Item").bulk_create([shop.model("Item").model(n=n) for n in range(count)])


# -- there and back -------------------------------------------------------------------------------------------------


def test_rows_of_a_table_with_capital_letters_come_back(shop: Shop) -> None:
    item = create("Item", ("n", models.IntegerField()), db_table="Shop_Items")
    shop.migration(item)
    shop.migration(NOTES)
    shop.up()
    fill_items(shop, 2)
    shop.model("Item").filter(n=1).update(notes="mine")
    assert len(notes(shop.down())) == 1
    shop.up()
    assert sorted(shop.model("Item").values_list("n", "notes")) == [(0, "new"), (1, "mine")]
    assert len(notes(shop.down(2))) == 2
    shop.up()
    assert sorted(shop.model("Item").values_list("n", "notes")) == [(0, "new"), (1, "mine")]


def test_a_column_that_is_made_and_altered_in_one_migration_comes_back_through_both(shop: Shop) -> None:
    shop.migration(ITEM)
    longer = migrations.AlterField("item", "notes", models.CharField(max_length=40, default="new", null=True))
    shop.migration(NOTES, longer)
    shop.up()
    fill_items(shop, 2)
    shop.model("Item").filter(n=1).update(notes=None)
    before = shop.rows()
    assert len(notes(shop.down())) == 2
    assert len(notes(shop.up())) == 2
    assert shop.rows() == before
    assert shop.entries.all() == []


def test_a_table_comes_back_with_its_rows_and_counts_on_where_it_was(shop: Shop) -> None:
    shop.migration(ITEM)
    shop.up()
    fill_items(shop)
    shop.model("Item").filter(n=2).delete()
    before = shop.rows()
    assert notes(shop.down()) == ["stashed   shop_item: 2 rows"]
    assert shop.rows() == {}
    assert notes(shop.up()) == ["restored  shop_item: 2 rows"]
    assert shop.rows() == before
    assert shop.model("Item").create(n=9).pk == 4
    assert shop.entries.all() == []


def test_rows_made_meanwhile_keep_the_default_and_deleted_ones_stay_deleted(shop: Shop) -> None:
    shop.migration(ITEM)
    shop.migration(NOTES)
    shop.up()
    shop.model("Item").bulk_create([shop.model("Item").model(n=n, notes=f"note {n}") for n in range(3)])
    assert notes(shop.down()) == ["stashed   shop_item.notes: 3 rows"]
    shop.model("Item").filter(n=1).delete()
    shop.model("Item").create(n=7)
    assert notes(shop.up()) == ["restored  shop_item.notes: 2 rows"]
    assert list(shop.model("Item").order_by("n").values_list("n", "notes")) == [
        (0, "note 0"), (2, "note 2"), (7, "new"),
    ]  # fmt: skip
    assert shop.entries.all() == []


def test_an_empty_table_needs_no_stash(shop: Shop) -> None:
    shop.migration(ITEM, NOTES)
    shop.up()
    assert notes(shop.down()) == []
    assert notes(shop.up()) == []


def test_many_to_many_rows_children_and_references_to_the_own_table_come_back(shop: Shop) -> None:
    shop.migration(ITEM)
    link = models.OneToOneField("shop.Item", models.CASCADE, auto_created=True, parent_link=True, primary_key=True)
    shop.migration(
        migrations.CreateModel("Book", [("item_ptr", link), ("title", models.TextField())], bases=("shop.Item",)),
        create(
            "Box",
            ("parent", models.ForeignKey("self", models.CASCADE, null=True)),
            ("items", models.ManyToManyField("shop.Item")),
        ),
        migrations.AddField("item", "boxes", models.ManyToManyField("shop.Box", related_name="+")),
        migrations.AddField(
            "item", "home", models.ForeignKey("shop.Box", models.SET_NULL, null=True, related_name="+")
        ),
    )
    shop.up()
    fill_items(shop)
    shop.model("Book").create(n=5, title="read")
    last = shop.model("Box").create()
    first = shop.model("Box").create(parent_id=last.pk)
    shop.model("Box").filter(pk=last.pk).update(parent_id=first.pk)
    item = shop.model("Item").first()
    first.items.set([1, 2])
    item.boxes.set([first.pk, last.pk])
    shop.model("Item").update(home=last.pk)
    before = shop.rows()
    assert len(notes(shop.down())) == 5
    assert list(shop.rows()) == ["shop_item"]
    shop.up()
    assert shop.rows() == before
    assert shop.entries.all() == []


def test_rows_that_refer_to_what_is_gone_stay_in_the_stash_and_are_named(shop: Shop) -> None:
    shop.migration(ITEM)
    shop.migration(
        create(
            "Box",
            ("item", models.ForeignKey("shop.Item", models.CASCADE)),
            ("spare", models.ForeignKey("shop.Item", models.SET_NULL, null=True, related_name="+")),
        )
    )
    shop.up()
    fill_items(shop)
    for item, spare in ((1, 2), (2, 1), (3, None)):
        shop.model("Box").create(item_id=item, spare_id=spare)
    shop.down()
    shop.model("Item").filter(pk=2).delete()
    (note,) = notes(shop.up())
    assert note == (
        "restored  shop_box: 2 rows; 2 stay in the stash as 1: 1 refer with item_id to what is gone in shop_item; "
        "1 came back without spare_id: what it refers to in shop_item is gone"
    )
    assert list(shop.model("Box").order_by("pk").values_list("item_id", "spare_id")) == [(1, None), (3, None)]
    (entry,) = shop.entries.all()
    assert (entry.state, entry.rows) == (State.KEPT, 2)
    assert shop.sql("SELECT id, spare_id FROM chronomig_stash_1 ORDER BY id") == [(1, 2), (2, 1)]


def test_what_a_narrower_type_cuts_comes_back_unless_somebody_wrote_since(shop: Shop) -> None:
    shop.migration(create("Item", ("price", models.DecimalField(max_digits=9, decimal_places=1))))
    shop.migration(migrations.AlterField("item", "price", models.DecimalField(max_digits=9, decimal_places=3)))
    shop.up()
    for price in ("1.125", "2.250", "3.875"):
        shop.model("Item").create(price=decimal.Decimal(price))
    assert notes(shop.down()) == ["stashed   shop_item.price: 3 rows"]
    shop.model("Item").filter(pk=2).update(price=decimal.Decimal("9.9"))
    shop.model("Item").filter(pk=3).delete()
    shop.model("Item").create(price=decimal.Decimal("4.5"))
    note = notes(shop.up())[-1]
    assert note == "restored  shop_item.price: 1 row; 1 stay in the stash as 1: 1 changed meanwhile"
    assert [str(one) for one in shop.model("Item").order_by("pk").values_list("price", flat=True)] == [
        "1.125", "9.900", "4.500",
    ]  # fmt: skip


def test_nulls_that_a_column_could_not_keep_come_back(shop: Shop) -> None:
    shop.migration(create("Item", ("n", models.IntegerField(default=7))))
    shop.migration(migrations.AlterField("item", "n", models.IntegerField(null=True, default=7)))
    shop.up()
    shop.model("Item").create(n=None)
    shop.down()
    assert shop.model("Item").get().n == 7
    shop.up()
    assert shop.model("Item").get().n is None


def leave_it(apps: Any, editor: Any) -> None:
    """Undo nothing."""


@pytest.mark.parametrize("reverse", [migrations.RunPython.noop, leave_it])
def test_what_code_fills_in_again_gives_way_to_what_was_there(shop: Shop, reverse: Callable[..., None]) -> None:
    def seed(apps: Any, editor: Any) -> None:
        country = apps.get_model("shop", "Country")._default_manager.using(editor.connection.alias)
        country.bulk_create([country.model(code=code, name=code) for code in ("de", "fr")])

    shop.migration(
        create("Country", ("code", models.CharField(max_length=2, unique=True)), ("name", models.TextField())),
        migrations.RunPython(seed, reverse),
    )
    shop.up()
    shop.model("Country").filter(code="fr").update(name="France")
    shop.model("Country").create(code="it", name="Italy")
    before = shop.rows()
    shop.down()
    shop.up()
    assert shop.rows() == before
    assert shop.entries.all() == []


def test_code_of_later_migrations_fills_in_again_what_it_did_and_finds_what_it_made(shop: Shop) -> None:
    def seed(apps: Any, editor: Any) -> None:
        country = apps.get_model("shop", "Country")._default_manager.using(editor.connection.alias)
        country.bulk_create([country.model(code=code) for code in ("de", "fr")])

    def link(apps: Any, editor: Any) -> None:
        country = apps.get_model("shop", "Country")._default_manager.using(editor.connection.alias)
        town = apps.get_model("shop", "Town")._default_manager.using(editor.connection.alias)
        town.create(name="Paris", country_id=country.get(code="fr").pk)

    shop.migration(create("Country", ("code", models.CharField(max_length=2, unique=True))))
    shop.migration(
        create("Town", ("name", models.TextField()), ("country", models.ForeignKey("shop.Country", models.CASCADE)))
    )
    shop.migration(migrations.RunPython(seed, migrations.RunPython.noop))
    shop.migration(migrations.AddField("country", "size", models.IntegerField(default=0)))
    shop.migration(migrations.RunPython(link, migrations.RunPython.noop))
    shop.up()
    shop.model("Country").update(size=5)
    italy = shop.model("Country").create(code="it", size=6)
    shop.model("Town").create(name="Rome", country_id=italy.pk)
    before = shop.rows()
    shop.down(5)
    shop.up()
    assert shop.rows() == before
    assert shop.entries.all() == []


def test_code_with_a_reverse_of_its_own_finds_the_rows_in_place(shop: Shop) -> None:
    seen: list[int] = []

    def look(apps: Any, editor: Any) -> None:
        seen.append(apps.get_model("shop", "Item")._default_manager.using(editor.connection.alias).count())

    shop.migration(ITEM, migrations.RunPython(look, look))
    shop.up()
    fill_items(shop)
    shop.down()
    shop.up()
    assert seen == [0, 3, 3]


def test_rows_with_a_composite_primary_key_and_computed_columns_come_back(shop: Shop) -> None:
    double = models.GeneratedField(expression=models.F("n") * 2, output_field=models.IntegerField(), db_persist=True)
    shop.migration(
        migrations.CreateModel(
            "Pair",
            [
                ("pk", models.CompositePrimaryKey("a", "b")),
                ("a", models.IntegerField()),
                ("b", models.CharField(max_length=9)),
                ("n", models.IntegerField(default=0)),
                ("double", double),
            ],
        )
    )
    shop.migration(migrations.AddField("pair", "m", models.TextField(default="new")))
    shop.up()
    for a, b in ((1, "x"), (1, "y"), (2, "x")):
        shop.model("Pair").create(a=a, b=b, n=a * 7, m=b * 3)
    before = shop.rows()
    for count in (1, 2):
        shop.down(count)
        shop.up()
        assert shop.rows() == before
        assert shop.entries.all() == []


def test_a_column_of_a_table_without_a_primary_key_is_not_dropped(shop: Shop) -> None:
    shop.migration(ITEM)
    shop.up()
    shop.sql("CREATE TABLE shop_plain (n integer)")
    shop.migration(
        migrations.SeparateDatabaseAndState(state_operations=[create("Plain", ("n", models.IntegerField()))]),
        migrations.AddField("plain", "m", models.IntegerField(null=True)),
    )
    shop.up()
    shop.sql("INSERT INTO shop_plain (n, m) VALUES (1, 2)")
    with pytest.raises(TooMuch) as raised:
        shop.down()
    assert raised.value.fact == "The column m of shop_plain cannot be put into the stash; nothing of it was dropped."
    assert raised.value.cause == "Its rows could not be matched by primary key when they come back."


@pytest.mark.parametrize(
    ("narrow", "wide", "fits", "does_not"),
    [
        (models.CharField(max_length=4, primary_key=True), models.CharField(max_length=9, primary_key=True), "four", "longer"),
        (models.SmallIntegerField(primary_key=True), models.BigIntegerField(primary_key=True), 4, 40_000),
    ],
)  # fmt: skip
def test_a_wider_primary_key_is_undone_where_every_value_fits(
    shop: Shop, narrow: models.Field[Any, Any], wide: models.Field[Any, Any], fits: object, does_not: object
) -> None:
    shop.migration(migrations.CreateModel("Key", [("code", narrow), ("n", models.IntegerField())]))
    shop.migration(migrations.AlterField("key", "code", wide))
    shop.up()
    shop.sql(f"INSERT INTO shop_key (code, n) VALUES ('{fits}', 1), ('{does_not}', 2)")
    with pytest.raises(TooMuch) as raised:
        shop.down()
    assert str(raised.value).splitlines() == [
        "The column code of shop_key cannot be put into the stash; nothing of it was dropped.",
        "Rows come back by the primary key, and the type before cannot hold some of its values.",
        "Add --no-stash to let the rows go, or change or delete the rows with values that do not fit.",
    ]
    shop.sql("DELETE FROM shop_key WHERE n = 2")
    before = shop.rows()
    shop.down()
    shop.up()
    assert shop.rows() == before
    assert shop.entries.all() == []


def test_rows_whose_place_is_not_what_it_was_are_kept_and_named(shop: Shop) -> None:
    shop.migration(ITEM)
    name = shop.migration(NOTES)
    shop.up()
    fill_items(shop)
    shop.down()
    shop.write(name, migrations.AddField("item", "notes", models.IntegerField(default=1)))
    (note,) = notes(shop.up())
    assert note.startswith(
        "restored  shop_item.notes: 0 rows; 3 stay in the stash as 1: the type of shop_item.notes was"
    )
    assert [one.state for one in shop.entries.all()] == [State.KEPT]
    shop.down()
    shop.write(name, migrations.AddField("item", "remarks", models.IntegerField(default=1)))
    assert notes(shop.up())[-1].endswith("there is no column shop_item.notes")
    assert len(shop.entries.all()) == 2


# -- random ---------------------------------------------------------------------------------------------------------

FIELDS: dict[str, tuple[Callable[[], models.Field[Any, Any]], Callable[[Random], Any]]] = {
    "blob": (lambda: models.BinaryField(default=b""), lambda random: random.randbytes(random.randint(0, 40))),
    "price": (
        lambda: models.DecimalField(max_digits=20, decimal_places=6, default=0),
        lambda random: decimal.Decimal(random.randint(-(10**12), 10**12)).scaleb(-6),
    ),
    "day": (
        lambda: models.DateField(null=True),
        lambda random: datetime.date.fromordinal(random.randint(700_000, 760_000)),
    ),
    "moment": (
        lambda: models.DateTimeField(null=True),
        lambda random: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=random.randint(0, 10**15)),
    ),
    "span": (lambda: models.DurationField(null=True), lambda random: datetime.timedelta(microseconds=random.randint(-(10**12), 10**12))),
    "data": (
        lambda: models.JSONField(default=dict),
        lambda random: random.choice([1.5, "ä\u2603", [], {"a": [1, {"b": None}], "\U0001f600": "%s"}]),
    ),
    "key": (lambda: models.UUIDField(null=True, unique=True), lambda random: uuid.UUID(int=random.getrandbits(128), version=4)),
    "text": (lambda: models.TextField(default="", db_column="Mixed Case"), lambda random: random.choice(["", "%s", "'\"`\\", "é\n\t\u2603\U0001f600"])),
    "flag": (lambda: models.BooleanField(null=True), lambda random: random.choice([True, False])),
    "ratio": (lambda: models.FloatField(default=0), lambda random: random.uniform(-1e300, 1e300)),
    "big": (lambda: models.BigIntegerField(default=0), lambda random: random.randint(-(2**63), 2**63 - 1)),
}  # fmt: skip


def random_migrations(shop: Shop, random: Random) -> None:
    """A first model, then fields and models of all kinds in random order, a few to a file."""
    shop.migration(ITEM)
    relations = [
        migrations.AddField("item", "twin", models.ForeignKey("self", models.SET_NULL, null=True)),
        migrations.AddField("item", "others", models.ManyToManyField("self")),
        create("Box", ("item", models.ForeignKey("shop.Item", models.CASCADE)), ("items", models.ManyToManyField("shop.Item", related_name="+"))),
        migrations.CreateModel("Named", [("code", models.CharField(max_length=30, primary_key=True)), ("item", models.ForeignKey("shop.Item", models.CASCADE, null=True))]),
        migrations.AlterField("item", "n", models.BigIntegerField(null=True)),
    ]  # fmt: skip
    operations = [*relations, *(migrations.AddField("item", name, make()) for name, (make, _) in FIELDS.items())]
    random.shuffle(operations)
    while operations:
        count = random.randint(1, 4)
        shop.migration(*operations[:count], atomic=random.random() < 0.8)
        del operations[:count]


def fill(shop: Shop, random: Random) -> None:
    """Write a few rows into every table, as the models are now."""
    item = shop.model("Item")
    names = {one.name: one for one in item.model._meta.get_fields()}
    for _ in range(random.randint(1, 6)):
        values = {
            name: None if names[name].null and random.random() < 0.3 else draw(random)
            for name, (_, draw) in FIELDS.items()
            if name in names
        }
        made = item.create(n=random.randint(0, 9), **values)
        if "twin" in names:
            item.filter(pk=made.pk).update(twin=random.choice(item.values_list("pk", flat=True)))
        if "others" in names:
            made.others.set(item.order_by("?")[:2])
    keys = list(item.values_list("pk", flat=True))
    if "shop_box" in shop.rows():
        for _ in range(random.randint(0, 3)):
            shop.model("Box").create(item_id=random.choice(keys)).items.set(random.sample(keys, min(2, len(keys))))
    if "shop_named" in shop.rows():
        shop.model("Named").create(code=f"{random.random()} é%", item_id=random.choice(keys))
    if len(keys) > 2 and random.random() < 0.5:
        shop.model("Item").filter(pk=random.choice(keys)).delete()


@pytest.mark.parametrize("seed", range(6))
def test_random_ways_down_and_up_leave_every_row_as_it_was(shop: Shop, seed: int) -> None:
    random = Random(seed)
    random_migrations(shop, random)
    shop.up()
    for _ in range(3):
        fill(shop, random)
        before = shop.rows()
        shop.down(random.randint(1, len(shop.files)))
        results = shop.up()
        assert shop.rows() == before, notes(results)
        assert shop.entries.all() == []


# -- what goes on the way up ----------------------------------------------------------------------------------------


def values(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table of the app by the names of its columns, which may come back in another order."""
    found = {}
    for table in shop.rows():
        with shop.connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table}")
            names = [one[0] for one in cursor.description]
            rows = [dict(sorted(zip(names, row, strict=True))) for row in cursor.fetchall()]
        found[table] = sorted(rows, key=repr)
    return found


def test_a_column_that_a_migration_drops_comes_back_when_it_is_undone(shop: Shop) -> None:
    shop.migration(
        create("Item", ("n", models.IntegerField()), ("notes", models.CharField(max_length=9, default="")))
    )
    shop.migration(migrations.RemoveField("item", "notes"))
    shop.up()
    shop.down()
    for n in range(3):
        shop.model("Item").create(n=n, notes=f"note {n}")
    assert notes(shop.up()) == ["stashed   shop_item.notes: 3 rows"]
    shop.model("Item").filter(n=1).delete()
    shop.model("Item").create(n=7)
    assert notes(shop.down()) == ["restored  shop_item.notes: 2 rows"]
    assert list(shop.model("Item").order_by("n").values_list("n", "notes")) == [
        (0, "note 0"), (2, "note 2"), (7, ""),
    ]  # fmt: skip
    assert shop.entries.all() == []


def test_a_table_that_a_migration_drops_comes_back_when_it_is_undone(shop: Shop) -> None:
    shop.migration(
        ITEM,
        create(
            "Box",
            ("item", models.ForeignKey("shop.Item", models.CASCADE)),
            ("items", models.ManyToManyField("shop.Item", related_name="+")),
        ),
    )
    shop.migration(migrations.DeleteModel("Box"))
    shop.up()
    shop.down()
    fill_items(shop)
    for item in (1, 3):
        shop.model("Box").create(item_id=item).items.set([1, 2, 3])
    before = shop.rows()
    assert notes(shop.up()) == ["stashed   shop_box_items: 6 rows", "stashed   shop_box: 2 rows"]
    assert list(shop.rows()) == ["shop_item"]
    assert notes(shop.down()) == ["restored  shop_box: 2 rows", "restored  shop_box_items: 6 rows"]
    assert shop.rows() == before
    assert shop.model("Box").create(item_id=2).pk == 3
    assert shop.entries.all() == []


def test_columns_that_may_not_be_null_come_back_without_a_default(shop: Shop) -> None:
    """Django alone cannot undo their removal where there are rows."""
    shop.migration(
        create("Owner", ("name", models.TextField())),
        create(
            "Item",
            ("code", models.CharField(max_length=9, unique=True)),
            ("size", models.IntegerField(db_index=True)),
            ("day", models.DateField()),
            ("owner", models.ForeignKey("shop.Owner", models.CASCADE)),
        ),
    )
    names = ("code", "size", "day", "owner")
    shop.migration(*(migrations.RemoveField("item", name) for name in names))
    shop.up()
    shop.down()
    owner = shop.model("Owner").create(name="me")
    for n in range(3):
        shop.model("Item").create(code=f"c{n}", size=n, day=datetime.date(2026, 1, 1 + n), owner_id=owner.pk)
    before = values(shop)
    for _ in range(2):
        shop.up()
        assert len(shop.entries.all()) == 4
        shop.down()
        assert values(shop) == before
        assert shop.entries.all() == []
    with connection_refuses(shop):
        shop.sql("INSERT INTO shop_item (code, day, owner_id) VALUES ('x', '2026-01-01', 1)")


@contextmanager
def connection_refuses(shop: Shop) -> Iterator[None]:
    with pytest.raises(DatabaseFault), transaction.atomic(shop.connection.alias):
        yield


def test_rows_that_were_made_meanwhile_get_empty_values_where_there_are_such(shop: Shop) -> None:
    shop.migration(create("Item", ("code", models.CharField(max_length=9)), ("price", models.DecimalField(max_digits=5, decimal_places=2))))  # fmt: skip
    shop.migration(migrations.RemoveField("item", "code"), migrations.RemoveField("item", "price"))
    shop.up()
    shop.down()
    shop.model("Item").create(code="a", price=3)
    shop.up()
    shop.model("Item").create()
    assert [note for note in notes(shop.down()) if note.startswith("filled")] == [
        "filled in shop_item.price: 1 row without a value got 0",
        "filled in shop_item.code: 1 row without a value got ''",
    ]
    assert list(shop.model("Item").order_by("pk").values_list("code", "price")) == [("a", 3), ("", 0)]


def test_rows_for_which_nobody_can_tell_a_value_stop_the_way_back(shop: Shop) -> None:
    shop.migration(ITEM, create("Box", ("item", models.ForeignKey("shop.Item", models.CASCADE))))
    shop.migration(migrations.RemoveField("box", "item"))
    shop.up()
    shop.down()
    fill_items(shop)
    shop.model("Box").create(item_id=2)
    shop.up()
    made = shop.model("Box").create()
    with pytest.raises(Failed) as raised:
        shop.down()
    assert "NoValue: 1 row has no value for shop_box.item_id" in raised.value.cause
    assert "delete it, or give it one" in raised.value.cause
    half = shop.history.read().half_done
    if half is None:
        made.delete()
    else:
        shop.sql(f"DELETE FROM shop_box WHERE id = {made.pk}")
    shop.move([shop.applied[-1]], Direction.DOWN, NO_LIMITS, half)
    assert list(shop.model("Box").values_list("item_id", flat=True)) == [2]
    assert shop.entries.all() == []


def test_nulls_get_empty_values_where_they_may_not_be_any_more(shop: Shop) -> None:
    shop.migration(create("Item", ("n", models.IntegerField()), ("day", models.DateField())))
    shop.migration(migrations.AlterField("item", "n", models.IntegerField(null=True)))
    shop.up()
    for n in (1, None):
        shop.model("Item").create(n=n, day="2026-01-01")
    assert "filled in shop_item.n: 1 row without a value got 0" in notes(shop.down())
    assert list(shop.model("Item").order_by("pk").values_list("n", flat=True)) == [1, 0]
    shop.up()
    assert list(shop.model("Item").order_by("pk").values_list("n", flat=True)) == [1, None]


def test_what_a_change_of_type_cuts_on_the_way_up_comes_back(shop: Shop) -> None:
    shop.migration(create("Item", ("text", models.CharField(max_length=20, null=True)), ("n", models.IntegerField(null=True))))  # fmt: skip
    shop.migration(
        migrations.AlterField("item", "n", models.IntegerField(default=7)),
        migrations.AlterField("item", "text", models.IntegerField(null=True)),
    )
    shop.up()
    shop.down()
    for text, n in (("007", 1), (None, None)):
        shop.model("Item").create(text=text, n=n)
    before = values(shop)
    for _ in range(2):
        shop.up()
        assert list(shop.model("Item").order_by("pk").values_list("text", "n")) == [(7, 1), (None, 7)]
        shop.down()
        assert values(shop) == before


def test_on_the_way_up_what_is_over_a_limit_goes_or_is_refused_as_was_chosen(shop: Shop) -> None:
    shop.migration(ITEM)
    shop.migration(migrations.DeleteModel("Item"))
    shop.up()
    shop.down()
    fill_items(shop)
    few = Limits(rows=2, megabytes=1, days=30)
    with pytest.raises(TooMuch) as raised:
        shop.up(replace(few, both_ways=True))
    assert raised.value.cause == "It has more than 2 rows (stash_max_rows)."
    assert len(shop.rows()["shop_item"]) == 3
    half = shop.history.read().half_done  # on MariaDB, where nothing is rolled back
    assert notes(shop.move([list(shop.files)[-1]], Direction.UP, few, half)) == [
        "not kept  shop_item: It has more than 2 rows (stash_max_rows)."
    ]
    assert shop.entries.all() == []


@pytest.mark.parametrize("seed", range(4))
def test_random_ways_up_that_drop_things_and_back_leave_every_row_as_it_was(shop: Shop, seed: int) -> None:
    random = Random(seed)
    random_migrations(shop, random)
    shop.up()
    first = len(shop.files)
    operations = [
        *(migrations.RemoveField("item", name) for name in ("twin", "others", *FIELDS)),
        migrations.DeleteModel("Box"),
        migrations.DeleteModel("Named"),
        migrations.AlterField("item", "n", models.SmallIntegerField(default=0)),
    ]
    random.shuffle(operations)
    while operations:
        count = random.randint(1, 4)
        shop.migration(*operations[:count], atomic=random.random() < 0.8)
        del operations[:count]
    for _ in range(2):
        fill(shop, random)
        before = values(shop)
        shop.up()
        results = shop.down(len(shop.files) - first)
        assert values(shop) == before, notes(results)
        assert shop.entries.all() == []


# -- under fault ----------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


def killed_at(shop: Shop, move: Callable[[], object], place: int, *words: str) -> bool:
    """
    Run *move*; lose the connection before a statement of the stash, or one that begins with one of *words*.

    *place* is its number; return whether it came to it.
    """
    left = [place]

    def before(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if ("chronomig_stash" in sql and not sql.startswith("SELECT")) or sql.startswith(words):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        return execute(sql, params, many, context)

    try:
        with shop.connection.execute_wrapper(before):
            move()
    except (Killed, Failed):  # on SQLite Django's schema editor asks one question more, which fails
        shop.connection.close()  # what was not committed is gone
        shop.connection.connect()
        return True
    return False


def go_on(shop: Shop) -> list[str]:
    """Return what the history says is applied, after what is half done was finished in its direction."""
    record = shop.history.read()
    shop.applied = list(record.names)
    if (half := record.half_done) is not None:
        shop.applied += [half.name] if half.direction is Direction.DOWN else []
        shop.move([half.name], half.direction, NO_LIMITS, half)
    return shop.applied


def test_whenever_a_run_is_killed_in_the_stash_every_row_comes_back(shop: Shop) -> None:
    def seed(apps: Any, editor: Any) -> None:
        box = apps.get_model("shop", "Box")._default_manager.using(editor.connection.alias)
        box.create(item_id=1)

    shop.migration(ITEM)
    shop.up()
    fill_items(shop)
    shop.migration(
        create(
            "Box",
            ("item", models.ForeignKey("shop.Item", models.CASCADE)),
            ("items", models.ManyToManyField("shop.Item", related_name="+")),
        ),
        NOTES,
        migrations.RunPython(seed, migrations.RunPython.noop),
    )
    shop.up()
    shop.model("Item").update(notes="kept")
    shop.model("Box").create(item_id=2).items.set([1, 3])
    shop.model("Box").create(item_id=3)
    before, place, killed = shop.rows(), 0, True
    while killed:
        killed = killed_at(shop, shop.down, place)
        if len(go_on(shop)) == 2:
            shop.down()
        killed |= killed_at(shop, shop.up, place)
        if len(go_on(shop)) == 1:
            shop.up()
        if (
            shop.connection.vendor == "mysql"
        ):  # columns that it dropped at once stay in its rows until they are too long
            shop.sql("ALTER TABLE shop_item FORCE")
        assert shop.rows() == before, place
        assert shop.entries.all() == []
        place += 1
    assert place > 20


def test_whenever_a_way_up_that_drops_things_is_killed_every_row_comes_back(shop: Shop) -> None:
    shop.migration(
        ITEM,
        create(
            "Box",
            ("item", models.ForeignKey("shop.Item", models.CASCADE)),
            ("code", models.CharField(max_length=9, unique=True)),
            ("items", models.ManyToManyField("shop.Item", related_name="+")),
        ),
        create("Bag", ("item", models.ForeignKey("shop.Item", models.CASCADE))),
    )
    shop.migration(
        migrations.RemoveField("box", "item"),
        migrations.RemoveField("box", "code"),
        migrations.RemoveField("box", "items"),
        migrations.DeleteModel("Bag"),
    )
    shop.up()
    shop.down()
    fill_items(shop)
    for n in (1, 2, 3):
        shop.model("Box").create(item_id=n, code=f"c{n}").items.set([1, n])
        shop.model("Bag").create(item_id=n)
    before, place, killed = values(shop), 0, True
    while killed:
        killed = killed_at(shop, shop.up, place, "ALTER TABLE")
        if len(go_on(shop)) == 1:
            shop.up()
        killed |= killed_at(shop, shop.down, place, "ALTER TABLE")
        if len(go_on(shop)) == 2:
            shop.down()
        assert values(shop) == before, place
        assert shop.entries.all() == []
        place += 1
    assert place > 10


def test_rows_that_wait_for_code_that_fails_come_back_with_the_run_that_mends_it(shop: Shop) -> None:
    def fail(apps: Any, editor: Any) -> None:
        raise RuntimeError("broken")

    shop.migration(ITEM)
    name = shop.migration(migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop))
    shop.up()
    fill_items(shop)
    before = shop.rows()
    shop.down(2)
    shop.write(name, migrations.RunPython(fail, migrations.RunPython.noop))
    with pytest.raises(Failed):
        shop.up()
    assert [(one.place, one.rows) for one in shop.entries.all()] == [("shop_item", 3)]
    shop.write(name, migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop))
    go_on(shop)
    shop.up()
    assert shop.rows() == before
    assert shop.entries.all() == []


def test_rows_that_stepped_aside_for_code_come_back_though_later_code_fails(shop: Shop) -> None:
    def nothing(apps: Any, editor: Any) -> None:
        pass

    def fail(apps: Any, editor: Any) -> None:
        raise RuntimeError("broken")

    shop.migration(ITEM)
    shop.migration(NOTES)
    shop.migration(migrations.RunPython(nothing, migrations.RunPython.noop))
    last = shop.migration(migrations.RunPython(nothing, migrations.RunPython.noop))
    shop.up()
    fill_items(shop)
    before = shop.rows()
    shop.down(4)
    shop.write(last, migrations.RunPython(fail, migrations.RunPython.noop))
    with pytest.raises(Failed):
        shop.up()
    shop.write(last, migrations.RunPython(nothing, migrations.RunPython.noop))
    go_on(shop)
    shop.up()
    assert shop.rows() == before
    assert shop.entries.all() == []


# -- limits ---------------------------------------------------------------------------------------------------------


def test_what_is_over_a_limit_is_refused_and_nothing_is_dropped(shop: Shop) -> None:
    shop.migration(ITEM)
    shop.up()
    fill_items(shop)
    before = shop.rows()
    with pytest.raises(TooMuch) as raised:
        shop.down(limits=Limits(rows=2, megabytes=1, days=30))
    assert raised.value.exit_code == 4
    assert raised.value.fact == "The table shop_item cannot be put into the stash; nothing of it was dropped."
    assert raised.value.cause == "It has more than 2 rows (stash_max_rows)."
    with pytest.raises(TooMuch) as raised:
        shop.down(limits=Limits(rows=3, megabytes=0.000001, days=30))
    assert raised.value.cause.startswith(
        "It has about 0.0 MB, 0.0 MB lie in the stash, and 1e-06 MB may (stash_max_mb)."
    )
    assert shop.rows() == before
    assert notes(shop.down(limits=Limits(rows=3, megabytes=1, days=30))) == ["stashed   shop_item: 3 rows"]


# -- the command ----------------------------------------------------------------------------------------------------

A, B = "20260101000000_items", "20260102000000_notes"


@pytest.fixture
def site(project: Project) -> Project:
    """A project with three items that have notes."""
    project.migration(
        A,
        '("shop", migrations.CreateModel("Item", ['
        '("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField(unique=True))])),',
    )
    project.migration(B, '("shop", migrations.AddField("item", "notes", models.TextField(default="new"))),')
    project.ok("migrate")
    project.rows("INSERT INTO shop_item (n, notes) VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    return project


def test_the_stash_is_listed_dropped_and_restored_by_hand(site: Project) -> None:
    assert "0 in the stash" in site.ok("stash").out
    site.ok("migrate", "--to", "zero", "--yes")
    assert site.tables() == []
    listed = site.ok("stash").out.splitlines()
    assert listed[0].endswith("2 in the stash, 0.0 MB")
    assert listed[1].split()[:6] == ["1", "stashed", "shop_item.notes", "3", "rows", B]
    refused = site.chronomig("stash", "drop", "1")
    assert (refused.code, refused.err.splitlines()[0]) == (
        4,
        "Error: 1 of the stash would be gone for good; nothing was done.",
    )
    assert "dropped   default: 1  shop_item.notes: 3 rows" in site.ok("stash", "drop", "1", "--yes").out
    assert "There is no 1 in the stash." in site.chronomig("stash", "drop", "1").err
    gone = site.chronomig("stash", "restore", "2")
    assert gone.code == 1
    assert "restored  shop_item: 0 rows; 3 stay in the stash as 2: there is no table shop_item" in gone.out
    site.ok("migrate", "--to", A)
    site.rows("INSERT INTO shop_item (n) VALUES (9)")
    again = site.chronomig("stash", "restore", "2")
    assert "restored  shop_item: 2 rows; 1 stay in the stash as 2: 1 have a primary key that is taken" in again.out
    assert site.rows("SELECT id, n FROM shop_item ORDER BY id") == [["1", "9"], ["2", "2"], ["3", "3"]]
    (entry,) = site.ok("stash", "--json").json["databases"][0]["entries"]
    assert (entry["id"], entry["state"], entry["rows"]) == (2, "kept", 1)
    site.ok("stash", "drop", "--all", "--yes")
    assert site.tables() == ["shop_item"]


def test_rows_go_when_the_stash_is_off(site: Project) -> None:
    site.ok("migrate", "--to", A, "--yes", "--no-stash")
    assert "0 in the stash" in site.ok("stash").out
    site.ok("migrate")
    site.configure(extra="CHRONOMIG = {'sets': {'default': {'databases': ['default'], 'stash': False}}}")
    assert "stashed" not in site.ok("migrate", "--to", A, "--yes").out
    assert "off: rows that are dropped here are gone" in site.ok("stash").out


def test_a_protected_database_has_no_stash_unless_it_is_wanted(site: Project) -> None:
    site.configure(extra="CHRONOMIG = {'databases': {'default': {'protected': True}}}")
    assert "off: rows that are dropped here are gone" in site.ok("stash").out
    down = "migrate", "--to", A, "--allow-data-loss-in", "default"
    assert "stashed" not in site.ok(*down).out
    site.ok("migrate")
    sets = "{'default': {'databases': ['default'], 'stash': True}}"
    site.configure(extra=f"CHRONOMIG = {{'databases': {{'default': {{'protected': True}}}}, 'sets': {sets}}}")
    assert "stashed   shop_item.notes: 3 rows" in site.ok(*down).out


def test_what_is_too_old_goes_with_a_line(site: Project) -> None:
    site.configure(extra="CHRONOMIG = {'stash_days': 1e-9}")
    done = site.ok("migrate", "--to", A, "--yes")
    assert "dropped from the stash after 1e-09 days (stash_days): shop_item.notes, 3 rows" in done.err
    assert "0 in the stash" in site.ok("stash").out


def test_too_many_rows_stop_a_rollback_before_it_begins(site: Project) -> None:
    site.configure(extra="CHRONOMIG = {'stash_max_rows': 2}")
    done = site.chronomig("migrate", "--to", "zero", "--yes")
    assert done.code == 4
    assert "It has more than 2 rows (stash_max_rows)." in done.err
    assert "Add --no-stash to let the rows go" in done.err
    assert site.applied() == [A, B]


FILL = """
def fill(apps, editor):
    item, box = apps.get_model("shop", "Item"), apps.get_model("shop", "Box")
    box.objects.create(code="b", item=item.objects.create(code="i"))
"""
STEPS = {
    "20260101000000_tables": """
        ("shop", migrations.CreateModel("Item", [("code", models.CharField(max_length=9, primary_key=True))])),
        ("shop", migrations.CreateModel("Box", [
            ("code", models.CharField(max_length=9, primary_key=True)),
            ("item", models.ForeignKey("shop.Item", models.CASCADE)),
        ])),
    """,
    "20260102000000_early": '("shop", migrations.RunSQL("SELECT 1", "SELECT 1")),',
    "20260103000000_size": '("shop", migrations.AddField("item", "size", models.IntegerField(default=1))),',
    "20260104000000_late": '("shop", migrations.RunSQL("SELECT 1", "SELECT 1")),',
    "20260105000000_fill": '("shop", migrations.RunPython(fill, migrations.RunPython.noop)),',
}


@pytest.mark.parametrize("failing", ["20260102000000_early", "20260104000000_late"])
def test_code_of_the_run_that_mends_a_broken_one_finds_what_it_would_have_found(
    project: Project, failing: str
) -> None:
    def rows() -> list[list[list[str]]]:
        queries = "SELECT code, size FROM shop_item ORDER BY 1", "SELECT code, item_id FROM shop_box ORDER BY 1"
        return [project.rows(query) for query in queries]

    for name, operations in STEPS.items():
        project.migration(name, operations, head=FILL)
    project.ok("migrate")
    project.rows("INSERT INTO shop_item (code, size) VALUES ('mine', 5)")
    project.rows("INSERT INTO shop_box (code, item_id) VALUES ('mine', 'mine')")
    before = rows()
    project.ok("migrate", "--to", "zero", "--yes")
    path = project.migration(failing, STEPS[failing].replace("SELECT 1", "SELECT * FROM nowhere"), head=FILL)
    assert project.chronomig("migrate").code == 1
    path.write_text(path.read_text().replace("SELECT * FROM nowhere", "SELECT 1"))
    project.ok("migrate")
    assert rows() == before
    assert "0 in the stash" in project.ok("stash").out


def test_a_run_that_fails_on_rows_that_came_back_says_how_to_go_on_without_them(project: Project) -> None:
    head = """
def fill(apps, editor):
    apps.get_model("shop", "Item").objects.create(code="made")


def keep(apps, editor):
    print("kept")
"""
    create = '("shop", migrations.CreateModel("Item", [("code", models.CharField(primary_key=True, max_length=9))])),'
    project.migration("20260101000000_item", create)
    project.migration("20260102000000_fill", '("shop", migrations.RunPython(fill, keep)),', head=head)
    project.ok("migrate")
    project.ok("migrate", "--to", "zero", "--yes")
    failed = project.chronomig("migrate")
    assert failed.code == 1
    assert "Rows came back from the stash before it; without them: chronomig stash drop --all." in failed.err
    project.ok("stash", "drop", "--all", "--yes")
    project.rows("DELETE FROM shop_item")
    project.ok("migrate")
    assert project.rows("SELECT code FROM shop_item") == [["made"]]
