"""Rows of the stash that meet what code made, or refer to what is not there: nothing fails, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, migrations, models, transaction

from chronomig.running.results import Result
from chronomig.stash import Entry, State, bring_back
from chronomig.stash.renumbering import moves
from tests.projects import Project
from tests.test_stash import ITEM, Shop, create, go_on, killed_at, notes, shop  # noqa: F401

NOTHING = migrations.RunPython.noop
CODE = ("code", models.CharField(max_length=9, unique=True))


def warnings(results: list[Result]) -> list[str]:
    return [warning for result in results for warning in result.warnings]


def rows_of(apps: Any, editor: Any, name: str) -> Any:
    return apps.get_model("shop", name)._default_manager.using(editor.connection.alias)


def seeding(name: str, *codes: str) -> Callable[..., None]:
    def seed(apps: Any, editor: Any) -> None:
        for code in codes:
            rows_of(apps, editor, name).create(code=code)

    return seed


def test_what_code_makes_anew_under_another_number_gets_the_one_that_it_had(shop: Shop) -> None:  # noqa: F811
    def seed(apps: Any, editor: Any) -> None:
        seeding("Country", "de", "fr", "it", "nl")(apps, editor)
        for country in rows_of(apps, editor, "Country").order_by("code"):
            rows_of(apps, editor, "Town").create(country_id=country.pk, name="capital")

    shop.migration(
        create("Country", CODE),
        create(
            "Town",
            ("country", models.ForeignKey("shop.Country", models.CASCADE)),
            ("name", models.CharField(max_length=9)),
            unique_together={("country", "name")},
        ),
        migrations.RunPython(seed, NOTHING),
    )
    shop.up()
    shop.model("Country").filter(code__in=["de", "fr", "it"]).delete()
    for code in ("be", "fr", "de"):  # 5, 6, 7
        country = shop.model("Country").create(code=code)
        shop.model("Town").create(country_id=country.pk, name="capital")
        shop.model("Town").create(country_id=country.pk, name="port")
    shop.model("Country").filter(code="nl").update(code="zz")
    before = shop.rows()
    shop.down()
    results = shop.up()
    assert warnings(results) == [], notes(results)
    after = shop.rows()
    assert {table: set(rows) - set(after[table]) for table, rows in before.items()} == {
        table: set() for table in before
    }
    names = dict(shop.model("Country").values_list("pk", "code"))
    assert names == {3: "it", 4: "zz", 5: "be", 6: "fr", 7: "de"}
    capitals = shop.model("Town").filter(name="capital").values_list("country_id", flat=True)
    assert sorted(names[one] for one in capitals) == ["be", "de", "fr", "it", "zz"]


def test_numbers_that_code_gives_in_another_order_are_changed_back(shop: Shop) -> None:  # noqa: F811
    name = shop.migration(create("Country", CODE), migrations.RunPython(seeding("Country", *"abcdef"), NOTHING))
    shop.migration(
        create("Town", ("country", models.ForeignKey("shop.Country", models.CASCADE))),
    )
    shop.up()
    for pk in range(1, 7):
        shop.model("Town").create(country_id=pk)
    before = shop.rows()
    shop.down(2)
    shop.write(name, create("Country", CODE), migrations.RunPython(seeding("Country", *"cabxfe"), NOTHING))
    results = shop.up()
    assert warnings(results) == [], notes(results)
    assert shop.rows() == before
    assert shop.entries.all() == []


def test_whenever_a_run_that_changes_numbers_back_is_killed_every_row_comes_back(shop: Shop) -> None:  # noqa: F811
    towns = create("Town", ("country", models.ForeignKey("shop.Country", models.CASCADE)))
    shop.migration(ITEM)
    name = shop.migration(create("Country", CODE), towns, migrations.RunPython(seeding("Country", *"abc"), NOTHING))
    shop.up()
    for pk in range(1, 4):
        shop.model("Town").create(country_id=pk)
    before, place, killed = shop.rows(), 0, True
    shop.write(name, create("Country", CODE), towns, migrations.RunPython(seeding("Country", *"cab"), NOTHING))
    while killed:
        shop.down()
        killed = killed_at(shop, shop.up, place, "UPDATE", "INSERT INTO")
        if len(go_on(shop)) == 1:
            shop.up()
        assert shop.rows() == before, place
        assert shop.entries.all() == []
        place += 1
    assert place > 10


@pytest.mark.parametrize(
    ("pairs", "taken", "expected"),
    [
        ({}, (), {}),
        ({1: 2, 2: 3}, (), {2: "a", 3: "b"}),
        ({1: 2, 2: 1}, (1, 2), {1: "b", 2: "a"}),
        ({1: 2, 2: 3, 3: 1, 5: 4}, (1, 2, 3), {1: "c", 2: "a", 3: "b", 4: "e"}),
        ({1: 2, 2: 3}, (2, 3), {1: "c", 2: "a", 3: "b"}),
    ],
)
def test_rows_move_to_places_that_are_free(
    pairs: dict[int, int], taken: tuple[int, ...], expected: dict[int, str]
) -> None:
    rows = {place: "abcdefg"[place - 1] for place in {*pairs, *taken}}
    for now, then in moves(pairs, taken, 99):
        assert then not in rows
        rows[then] = rows.pop(now)
    assert rows == expected


def test_places_that_are_no_numbers_have_no_free_one_for_a_circle() -> None:
    assert list(moves({"a": "b", "b": "a", "c": "d"}, {"a", "b"}, None)) == [("c", "d")]


@pytest.mark.parametrize("atomic", [True, False])
def test_code_that_fills_in_again_leaves_alone_what_other_code_made_and_refers_to(
    shop: Shop,  # noqa: F811
    atomic: bool,
) -> None:
    """As packages do it: one migration adds permissions, and takes them away again; others have nothing to undo."""

    def grant(apps: Any, editor: Any) -> None:
        right = rows_of(apps, editor, "Right")
        right.create(code="access")
        for one in right.filter(code__in=["access", "mine"]):
            rows_of(apps, editor, "Grant").create(right_id=one.pk)

    def revoke(apps: Any, editor: Any) -> None:
        rows_of(apps, editor, "Grant").all().delete()
        rows_of(apps, editor, "Right").filter(code="access").delete()

    shop.migration(create("Right", CODE), create("Grant", ("right", models.ForeignKey("shop.Right", models.CASCADE))))
    shop.migration(create("Site", CODE), create("Child", ("right", models.ForeignKey("shop.Right", models.CASCADE))))
    shop.migration(migrations.RunPython(grant, revoke))
    shop.migration(migrations.RunPython(seeding("Site", "first"), NOTHING), atomic=atomic)
    shop.migration(ITEM, migrations.RunPython(seeding("Right", "publish"), NOTHING), atomic=atomic)
    shop.up()
    shop.model("Child").create(right_id=shop.model("Right").create(code="mine").pk)
    shop.model("Child").create(right_id=shop.model("Right").create(code="free").pk)
    shop.model("Site").create(code="mine")
    shop.down(5)
    results = shop.up()
    assert warnings(results) == [], notes(results)
    assert sorted(shop.model("Right").values_list("code", flat=True)) == ["access", "free", "mine", "publish"]
    assert sorted(shop.model("Site").values_list("code", flat=True)) == ["first", "mine"]
    assert shop.model("Child").count() == 2
    granted = set(shop.model("Grant").values_list("right_id", flat=True))
    assert granted >= {shop.model("Right").get(code=code).pk for code in ("access", "mine")}
    assert shop.entries.all() == []


def test_references_that_came_back_are_empty_while_what_they_refer_to_steps_aside(shop: Shop) -> None:  # noqa: F811
    seen: list[Any] = []

    def seed(apps: Any, editor: Any) -> None:
        seen.extend(rows_of(apps, editor, "Item").values_list("country_id", flat=True))
        seeding("Country", "de")(apps, editor)

    shop.migration(ITEM)
    shop.migration(
        create("Country", CODE),
        migrations.AddField("item", "country", models.ForeignKey("shop.Country", models.SET_NULL, null=True)),
    )
    shop.migration(migrations.AddField("country", "size", models.IntegerField(default=0)))
    shop.migration(migrations.RunPython(seed, NOTHING))
    shop.migration(migrations.RunPython(seeding("Country", "fr"), NOTHING))
    shop.up()
    for n, code in enumerate(("de", "fr", "it")):
        country, _ = shop.model("Country").get_or_create(code=code, defaults={"size": n})
        shop.model("Item").create(n=n, country_id=country.pk)
    before = shop.rows()
    shop.down(4)
    results = shop.up()
    assert shop.rows() == before, notes(results)
    assert seen == [None, None, None]
    assert shop.entries.all() == []


def test_only_what_the_database_refuses_stays(shop: Shop) -> None:  # noqa: F811
    if not shop.connection.features.supports_partial_indexes:
        pytest.skip(f"{shop.connection.vendor} has no partial indexes")
    constraint = models.UniqueConstraint(fields=["n"], condition=models.Q(live=True), name="one_live")

    def seed(apps: Any, editor: Any) -> None:
        rows_of(apps, editor, "Page").create(n=1, live=True)

    shop.migration(
        create("Page", ("n", models.IntegerField()), ("live", models.BooleanField()), constraints=[constraint]),
        migrations.RunPython(seed, NOTHING),
    )
    shop.up()
    shop.model("Page").all().delete()
    for n, live in ((1, True), (1, False), (2, True), (3, False)):
        shop.model("Page").create(n=n, live=live)
    shop.down()
    (warning,) = warnings(shop.up())
    assert "1 row of shop_page stays in the stash" in warning
    assert list(shop.model("Page").order_by("pk").values_list("pk", "n", "live")) == [
        (1, 1, True), (3, 1, False), (4, 2, True), (5, 3, False),
    ]  # fmt: skip
    assert shop.sql("SELECT id, n FROM chronomig_stash_1") == [(2, 1)]


@pytest.mark.parametrize("deferrable", [None, models.Deferrable.DEFERRED])
def test_by_hand_what_is_there_stays_and_what_clashes_stays_in_the_stash(
    shop: Shop,  # noqa: F811
    deferrable: models.Deferrable | None,
) -> None:
    if deferrable and not shop.connection.features.supports_deferrable_unique_constraints:
        pytest.skip(f"{shop.connection.vendor} has no such constraint")
    unique = models.UniqueConstraint(fields=["n"], name="once", deferrable=deferrable)
    shop.migration(create("Item", ("n", models.IntegerField()), constraints=[unique]))
    shop.up()
    for n in range(3):
        shop.model("Item").create(n=n)
    shop.down()
    (entry,) = shop.entries.all()
    shop.entries.mark(entry, State.KEPT)
    shop.up()
    shop.model("Item").create(pk=9, n=1)
    with transaction.atomic(shop.connection.alias):
        outcome = bring_back(shop.connection, shop.entries, entry, by_hand=True)
    assert (outcome.back, outcome.left) == (2, 1)
    assert outcome.cause.startswith("1 refused by the database (")
    assert list(shop.model("Item").order_by("pk").values_list("pk", "n")) == [(1, 0), (3, 2), (9, 1)]
    shop.model("Item").filter(pk=9).delete()
    assert bring_back(shop.connection, shop.entries, entry, by_hand=True).left == 0
    assert list(shop.model("Item").order_by("pk").values_list("pk", "n")) == [(1, 0), (2, 1), (3, 2)]


def test_a_value_that_somebody_else_has_by_now_stays_and_the_others_come_back(shop: Shop) -> None:  # noqa: F811
    def take(apps: Any, editor: Any) -> None:
        rows_of(apps, editor, "Item").filter(n=9).update(code="b")

    unique = models.CharField(max_length=9, null=True, unique=True)
    shop.migration(ITEM)
    shop.migration(migrations.AddField("item", "code", unique), migrations.RunPython(take, NOTHING))
    shop.up()
    for n, code in enumerate("abc"):
        shop.model("Item").create(n=n, code=code)
    shop.down()
    shop.model("Item").create(n=9)
    (warning,) = warnings(shop.up())
    assert "1 row of shop_item.code stays in the stash" in warning
    assert list(shop.model("Item").order_by("n").values_list("n", "code")) == [
        (0, "a"), (1, None), (2, "c"), (9, "b"),
    ]  # fmt: skip


def test_a_table_of_which_the_database_takes_nothing_stays_whole(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("chronomig.stash.returning.MOST_REFUSED", 2)
    name = shop.migration(ITEM)
    shop.up()
    for n in range(5):
        shop.model("Item").create(n=n)
    shop.down()
    shop.write(
        name,
        create(
            "Item",
            ("n", models.IntegerField()),
            constraints=[models.CheckConstraint(condition=models.Q(n__gt=9), name="more")],
        ),
    )
    (warning,) = warnings(shop.up())
    assert "5 rows of shop_item stay in the stash, in chronomig_stash_1: " in warning
    assert "more" in warning
    assert shop.rows() == {"shop_item": []}


NOT_NOW = {
    "sqlite": ["CREATE TRIGGER no BEFORE INSERT ON shop_item BEGIN SELECT RAISE(ABORT, 'not for now'); END"],
    "postgresql": [
        "CREATE FUNCTION no() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'not for now'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER no BEFORE INSERT ON shop_item FOR EACH ROW EXECUTE FUNCTION no()",
    ],
    "mysql": [
        "CREATE TRIGGER no BEFORE INSERT ON shop_item FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not for now'"
    ],
}
SOON = {
    "sqlite": "PRAGMA busy_timeout = 100",
    "postgresql": "SET lock_timeout = 100",
    "mysql": "SET innodb_lock_wait_timeout = 1",
}


def stashed_items(shop: Shop) -> Entry:  # noqa: F811
    """Return the entry of two rows, with the empty table there again."""
    shop.migration(ITEM)
    shop.up()
    for n in range(2):
        shop.model("Item").create(n=n)
    shop.down()
    (entry,) = shop.entries.all()
    shop.entries.mark(entry, State.KEPT)
    shop.up()
    return entry


def test_rows_that_a_trigger_refuses_stay_with_what_it_says(shop: Shop) -> None:  # noqa: F811
    entry = stashed_items(shop)
    for statement in NOT_NOW[shop.connection.vendor]:
        shop.sql(statement)
    with transaction.atomic(shop.connection.alias):
        outcome = bring_back(shop.connection, shop.entries, entry, by_hand=True)
    assert (outcome.back, outcome.left) == (0, 2)
    assert "not for now" in outcome.cause
    assert [one.state for one in shop.entries.all()] == [State.KEPT]


def test_a_lock_that_was_not_to_be_had_is_an_error_and_no_reason_to_stay(shop: Shop) -> None:  # noqa: F811
    entry = stashed_items(shop)
    shop.sql(SOON[shop.connection.vendor])
    with closing(shop.connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO shop_item (id, n) VALUES (1, 9)")
        with pytest.raises(OperationalError, match=r"(?i)lock"), transaction.atomic(shop.connection.alias):
            bring_back(shop.connection, shop.entries, entry, by_hand=True)
    (left,) = shop.entries.all()
    assert (left.state, left.rows, left.cause) == (State.KEPT, 2, "")
    assert bring_back(shop.connection, shop.entries, entry, by_hand=True).back == 2


def test_code_that_changes_rows_which_came_back_does_not_stop_an_index_that_is_made_behind_it(shop: Shop) -> None:  # noqa: F811
    shop.migration(
        create("Box", CODE),
        create(
            "Item",
            ("n", models.IntegerField()),
            ("box", models.ForeignKey("shop.Box", models.SET_NULL, null=True)),
        ),
    )
    count = "UPDATE shop_item SET n = n + {}"
    shop.migration(migrations.RunSQL(count.format(1), count.format(-1)), migrations.RemoveField("item", "box"))
    shop.up()
    shop.down()
    box = shop.model("Box").create(code="a")
    shop.model("Item").create(n=1, box_id=box.pk)
    before = shop.rows()
    shop.up()
    shop.down()
    assert shop.rows() == before
    assert shop.entries.all() == []


# -- permissions ----------------------------------------------------------------------------------------------------

RIGHTS = """
def models_of(apps):
    return [apps.get_model("contenttypes", "ContentType"), *(apps.get_model("auth", name) for name in ("Permission", "Group"))]


def give(apps, codename):
    types, permissions, groups = models_of(apps)
    kind, _ = types.objects.get_or_create(app_label="shop", model="panel")
    right, _ = permissions.objects.get_or_create(content_type=kind, codename=codename, defaults={"name": codename})
    for name in ("Editors", "Moderators"):
        groups.objects.get_or_create(name=name)[0].permissions.add(right)


def grant(apps, editor):
    give(apps, "access")


def publish(apps, editor):
    give(apps, "publish")


def lock(apps, editor):
    give(apps, "lock")


def revoke(apps, editor):
    types, permissions, groups = models_of(apps)
    permissions.objects.filter(content_type__model="panel", codename="access").delete()
"""
ROWS = """
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
result = {
    "types": sorted(ContentType.objects.values_list("app_label", "model")),
    "permissions": sorted(Permission.objects.values_list("content_type__app_label", "content_type__model", "codename")),
    "groups": sorted((one.name, sorted(one.permissions.values_list("codename", flat=True))) for one in Group.objects.all()),
    "users": [(one.username, sorted(one.get_all_permissions())) for one in User.objects.all()],
}
"""


@pytest.fixture
def site(project: Project) -> Project:
    """A project whose code makes permissions, once with a way back and twice without one; and a user's own rows."""
    project.ok("makemigrations")
    day = f"{datetime.now(UTC) + timedelta(hours=1):%Y%m%d%H}"
    step = '("shop", migrations.RunPython({})),'
    for number, code in enumerate(
        ("grant, revoke", "publish, migrations.RunPython.noop", "lock, migrations.RunPython.noop")
    ):
        project.migration(f"{day}000{number}_rights", step.format(code), head=RIGHTS)
    project.ok("migrate")
    project.python("""
from django.contrib.auth.models import Group, Permission, User
mine = Group.objects.create(name="Mine")
mine.permissions.set(Permission.objects.filter(codename__in=["add_user", "publish", "lock"]))
User.objects.create(username="eve").groups.add(mine)
User.objects.get().user_permissions.set(Permission.objects.filter(codename="view_group"))
result = None
""")
    return project


def test_permissions_groups_and_users_come_back_around_code_that_makes_permissions(site: Project) -> None:
    before = site.python(ROWS)
    assert before["users"] == [["eve", ["auth.add_user", "auth.view_group", "shop.lock", "shop.publish"]]]
    site.ok("migrate", "--to", "zero", "--yes")
    assert site.tables() == []
    done = site.ok("migrate")
    assert "stay in the stash" not in done.err
    assert site.python(ROWS) == before
    assert_only_what_went_up_is_left(site)


def assert_only_what_went_up_is_left(project: Project) -> None:
    """What a migration drops on its way up, from rows that came back, is put aside again."""
    _, *entries = project.ok("stash").out.splitlines()
    assert all("  stashed  " in entry and "(up)" in entry for entry in entries), entries


def test_what_could_not_come_back_is_told_however_quiet_the_run_is(project: Project) -> None:
    items, notes = "20260101000000_items", "20260102000000_notes"
    field = '("shop", migrations.AddField("item", "notes", models.{}Field(default=1))),'
    project.migration(
        items, '("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True))])),'
    )
    project.migration(notes, field.format("Text"))
    project.ok("migrate")
    project.rows("INSERT INTO shop_item (notes) VALUES ('one'), ('two')")
    project.ok("migrate", "--to", items)
    project.migration(notes, field.format("Integer"))
    done = project.ok("migrate", "--verbosity", "0")
    assert done.out == ""
    assert "default: 2 rows of shop_item.notes stay in the stash, in chronomig_stash_1: the type of " in done.err
    assert "chronomig stash restore 1 tries again, chronomig stash drop 1 lets go." in done.err
