"""Snapshots: the same state without the files, or the files."""

from __future__ import annotations

import gzip
import json
from copy import copy
from pathlib import Path

import pytest

from chronomig.errors import LoadError
from tests.inprocess import set_up_django
from tests.projects import Project

set_up_django()

from django.conf import settings  # noqa: E402
from django.core.validators import MaxValueValidator, RegexValidator  # noqa: E402
from django.db import migrations, models  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.translation import gettext_lazy  # noqa: E402

from chronomig.state import NotEncodable, ProjectState, Unusable, dump_state, load_state  # noqa: E402
from chronomig.state.cache import Snapshots, places, prefixes  # noqa: E402
from chronomig.state.encoding import decode, encode  # noqa: E402

COUNT = 6


class Colour(models.TextChoices):
    RED = "r"


class PriceQuerySet(models.QuerySet):
    def cheap(self) -> PriceQuerySet:
        return self


class PriceManager(models.Manager.from_queryset(PriceQuerySet)):  # type: ignore[misc]
    use_in_migrations = True


class Whole(models.IntegerField):
    """A field whose class may change its mind on what it takes."""

    def __init__(self, *, unit: str = "", **others: object) -> None:
        if unit in GONE:
            raise AttributeError(f"nothing measures in {unit}")
        self.unit = unit
        super().__init__(**others)

    def deconstruct(self):  # type: ignore[no-untyped-def]
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "unit": self.unit}


GONE: set[str] = set()


def rich_state() -> ProjectState:
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        (
            "code",
            models.CharField(
                max_length=9, validators=[RegexValidator("^[a-z]+$", flags=2)], verbose_name=gettext_lazy("code")
            ),
        ),
        ("made", models.DateTimeField(default=timezone.now)),
        ("price", models.DecimalField(max_digits=9, decimal_places=2, validators=[MaxValueValidator(5)])),
        ("colour", models.CharField(max_length=1, choices=[("r", "Red")], default=Colour.RED)),
        ("owner", models.ForeignKey(settings.AUTH_USER_MODEL, models.SET(0), null=True, related_name="+")),
        ("file", models.FileField(upload_to="files")),
        ("extra", models.JSONField(default=dict)),
        ("others", models.ManyToManyField("self", symmetrical=False, related_name="back")),
        (
            "total",
            models.GeneratedField(
                expression=models.F("price") * 2, output_field=models.IntegerField(), db_persist=True
            ),
        ),
    ]
    options = {
        "unique_together": {("code", "price")},
        "ordering": ["-made", models.F("price").desc()],
        "indexes": [models.Index(models.F("code"), name="i", condition=models.Q(price__gt=1))],
        "constraints": [models.CheckConstraint(condition=models.Q(price__gte=0) | ~models.Q(code=""), name="c")],
        "permissions": [("look", "Can look")],
    }
    user = migrations.CreateModel(
        "User", [("id", models.BigAutoField(primary_key=True))], {"swappable": "AUTH_USER_MODEL"}
    )
    item = migrations.CreateModel(
        "Item", fields, options, managers=[("prices", PriceManager()), ("objects", models.Manager())]
    )
    proxy = migrations.CreateModel("Shown", [], {"proxy": True}, bases=("shop.item",))
    return ProjectState().after("auth", user).after("shop", item).after("shop", proxy)


def test_a_state_comes_back_as_it_was() -> None:
    state = rich_state()
    again = load_state(dump_state(state))
    assert dump_state(again) == dump_state(state)
    for key, model in state.models.items():
        for name, field in model.fields.items():
            assert encode(again.models[key].fields[name]) == encode(field)
        assert again.models[key].options == model.options
        assert again.models[key].bases == model.bases
    item = again.apps.get_model("shop", "Item")
    assert hasattr(item.prices, "cheap")
    assert list(dict(again.models["shop", "item"].managers)) == ["prices", "objects"]


def test_the_fields_of_a_model_are_made_when_somebody_reads_them() -> None:
    again = load_state(dump_state(rich_state()))
    after = again.after("auth", migrations.AddField("User", "name", models.TextField(default="")))
    assert list(after.models["auth", "user"].fields) == ["id", "name"]
    assert after.is_referred_to(("shop", "item"))
    assert after.apps.app_configs.keys() == {"auth", "shop"}
    item = vars(after.models["shop", "item"])
    assert "fields" not in item
    assert list(copy(after.models["shop", "item"]).fields) == list(rich_state().models["shop", "item"].fields)
    assert "fields" in item


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda head, body: ({**head, "django": "1.4"}, body), "it was made with Django 1.4"),
        (lambda head, body: ({**head, "format": 0}, body), "it has another format"),
        (lambda head, body: ({**head, "settings": {"AUTH_USER_MODEL": "a.B"}}, body), "AUTH_USER_MODEL was 'a.B'"),
        (
            lambda head, body: ({**head, "modules": {"tests.test_snapshots": "0"}}, body),
            "the module tests.test_snapshots changed",
        ),
        (
            lambda head, body: ({**head, "makers": ["os.system"]}, body),
            "os.system makes nothing that can be deconstr",
        ),
        (lambda head, body: ({**head, "names": ["os:gone"]}, body), "has no attribute 'gone'"),
        (lambda head, body: (head, body.replace("shop", "shep")), "it is damaged"),
    ],
)
def test_a_snapshot_made_under_other_conditions_is_of_no_use(change, why: str) -> None:  # type: ignore[no-untyped-def]
    head, body = dump_state(rich_state()).split("\n", 1)
    changed, body = change(json.loads(head), body)
    with pytest.raises(Unusable, match=why):
        load_state(f"{json.dumps(changed)}\n{body}")


@pytest.mark.parametrize(
    ("to", "symmetrical"), [("self", False), ("self", True), ("shop.P", True), ("shop.P", False)]
)
def test_a_relation_is_as_symmetrical_as_in_the_file(to: str, symmetrical: bool) -> None:
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("follows", models.ManyToManyField(to, symmetrical=symmetrical)),
    ]
    state = ProjectState().after("shop", migrations.CreateModel("P", fields))
    again = load_state(dump_state(state))
    assert again.models["shop", "p"].fields["follows"].remote_field.symmetrical is symmetrical
    assert dump_state(again) == dump_state(state)


def test_a_field_that_cannot_be_made_any_more_is_an_error_that_names_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = ProjectState().after("shop", migrations.CreateModel("Item", [("long", Whole(unit="mile"))]))
    item = load_state(dump_state(state)).models["shop", "item"]
    monkeypatch.setattr(f"{__name__}.GONE", {"mile"})
    for read in (lambda: item.fields, lambda: item.options, lambda: copy(item)):
        with pytest.raises(LoadError) as caught:
            read()
        assert caught.value.fact == "A snapshot does not fit the code any more: shop.Item cannot be made from it."
        assert caught.value.cause == "AttributeError: nothing measures in mile"
        assert caught.value.next_step == "Delete project_migrations/.snapshots, and run the same command again."
    with pytest.raises(NotEncodable, match=r"shop\.item does not come back as it was: .* nothing measures in mile"):
        dump_state(state)
    assert not hasattr(item, "other")
    monkeypatch.undo()
    assert list(copy(item).fields) == ["long"]
    assert not hasattr(item, "_text")


def test_neither_djangos_modules_nor_pythons_own_are_watched() -> None:
    head = json.loads(dump_state(rich_state()).partition("\n")[0])
    assert list(head["modules"]) == ["tests.test_snapshots"]


def test_nothing_is_called_but_what_can_be_deconstructed() -> None:
    for path in ("os.system", "subprocess.Popen", "builtins.exec", "pathlib.Path"):
        with pytest.raises(ValueError, match="makes nothing that can be deconstructed"):
            decode({"new": [path, ["true"], {"dict": []}]})


def test_what_cannot_be_imported_is_named() -> None:
    field = models.IntegerField(default=lambda: 1)
    state = ProjectState().after("shop", migrations.CreateModel("Item", [("n", field)]))
    with pytest.raises(NotEncodable, match=r"shop\.Item, fields: .*<lambda> cannot be imported"):
        dump_state(state)


def test_a_relation_that_dangles_is_named() -> None:
    field = models.ForeignKey("gone.Model", models.CASCADE)
    state = ProjectState().after("shop", migrations.CreateModel("Item", [("to", field)]))
    with pytest.raises(NotEncodable, match=r"shop\.item refers to gone\.model, which is not there"):
        dump_state(state)


def test_a_snapshot_is_named_after_all_that_comes_before() -> None:
    one, two = list(prefixes([("a", "1"), ("b", "2")])), list(prefixes([("a", "1"), ("b", "3")]))
    assert one[0] == two[0]
    assert one[1] != two[1]
    assert places(20) == [20, 19, 18, 16, 12, 4]
    assert places(1) == [1]
    assert places(0) == []


def test_a_snapshot_that_is_there_is_not_written_again_unless_it_was_of_no_use(tmp_path: Path) -> None:
    state = ProjectState().after("a", migrations.CreateModel("B", [("id", models.BigAutoField(primary_key=True))]))
    cache = Snapshots(tmp_path / "cache" / "default")
    cache.write_quietly([("a", "1")], state)
    (path,) = cache.directory.glob("*.json.gz")
    path.write_bytes(b"damaged")
    cache.write_quietly([("a", "1")], state)
    assert path.read_bytes() == b"damaged"
    assert cache.known([("a", "1")])[1]() is None
    cache.write_quietly([("a", "1")], state)
    assert cache.known([("a", "1")])[1]() is not None


@pytest.fixture
def shop(sqlite_project: Project) -> Project:
    for number in range(COUNT):
        sqlite_project.migration(
            f"2026010{number + 1}000000_m{number}",
            f'("shop", migrations.CreateModel("M{number}", [("id", models.BigAutoField(primary_key=True, serialize=False))])),',
        )
    return sqlite_project


def loaded(project: Project, *arguments: str) -> str:
    """Run chronomig; return which of the files were executed, by their numbers."""
    for number in range(COUNT):
        path = project.root / f"project_migrations/default/2026010{number + 1}000000_m{number}.py"
        text = path.read_text()
        if "print" not in text:
            path.write_text(f"print('loads', {number})\n{text}")
    lines = project.ok(*arguments).out.splitlines()
    return "".join(sorted(line.removeprefix("loads ") for line in lines if line.startswith("loads ")))


def snapshots(project: Project) -> list[Path]:
    return sorted((project.root / "project_migrations/.snapshots/default").glob("*.json.gz"))


@pytest.mark.core
def test_only_the_files_after_the_newest_snapshot_are_loaded(shop: Project) -> None:
    assert loaded(shop, "migrate", "--to", "20260104") == "0123"
    assert loaded(shop, "migrate", "--to", "20260105") == "01234"
    done = shop.ok("snapshot")
    assert "default: 4 snapshots" in done.out
    assert (shop.root / "project_migrations/.snapshots/.gitignore").read_text() == "*\n"
    assert loaded(shop, "migrate") == "5"
    assert loaded(shop, "migrate", "--to", "20260104", "--yes") == "45"
    shop.configure(base=["chronomig"])
    models = "".join(
        f"class M{number}(models.Model):\n    id = models.BigAutoField(primary_key=True)\n\n\n"
        for number in range(COUNT)
    )
    shop.models(models)
    assert loaded(shop, "makemigrations", "--check", "--no-input") == ""
    assert shop.tables() == [f"shop_m{number}" for number in range(4)]


def test_an_edited_file_is_loaded_and_what_is_damaged_is_passed_over_in_a_line(shop: Project) -> None:
    loaded(shop, "migrate", "--to", "20260105")
    shop.ok("snapshot")
    for path in snapshots(shop):
        path.write_bytes(gzip.compress(b"{}"))
    done = shop.ok("migrate", "-v", "2")
    assert "is not used: it has another format." in done.err
    assert shop.applied()[-1] == "20260106000000_m5"
    assert loaded(shop, "migrate", "--steps", "-1", "--yes") == "012345"
    shop.ok("snapshot")
    first = shop.root / "project_migrations/default/20260101000000_m0.py"
    first.write_text(first.read_text() + "# edited\n")
    assert loaded(shop, "migrate", "--order", "apply") == "012345"


BASE = """
from django.db import models


class Base(models.IntegerField):
    def __init__(self, *args, currency="EUR", **kwargs):
        self.currency = currency
        super().__init__(*args, **kwargs)

    def deconstruct(self):
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "currency": self.currency}
"""
KIND = "class Kind(type(models.Field)):\n    pass\n"


@pytest.mark.parametrize("changed", ["base", "kind"])
def test_a_snapshot_is_not_used_after_what_a_class_inherits_from_changed(shop: Project, changed: str) -> None:
    shop.write("shop/base.py", BASE)
    shop.write("shop/kind.py", f"from django.db import models\n\n\n{KIND}")
    shop.write(
        "shop/fields.py",
        """
        from shop.base import Base
        from shop.kind import Kind

        class Money(Base, metaclass=Kind):
            pass
        """,
    )
    for name, field in (("20260107", "price"), ("20260108", "cost")):
        shop.migration(
            f"{name}000000_{field}",
            f'("shop", migrations.AddField("m0", "{field}", Money(default=0))),',
            head="from shop.fields import Money",
        )
    shop.ok("migrate", "--to", "20260107")
    shop.ok("snapshot")
    if changed == "base":
        shop.write("shop/base.py", "from django.db import models\n\n\nclass Base(models.IntegerField):\n    pass\n")
    else:
        shop.write("shop/kind.py", f"from django.db import models\n\n\n{KIND}\n\nMORE = 1\n")
    assert f"is not used: the module shop.{changed} changed." in shop.ok("migrate", "-v", "2").err
    assert shop.applied()[-1] == "20260108000000_cost"


WITHOUT = "CHRONOMIG = {'sets': {'default': {'databases': ['default'], 'snapshots': False}}}"


def test_a_set_can_do_without(shop: Project) -> None:
    shop.configure(extra=WITHOUT)
    assert shop.ok("snapshot").out == "default: snapshots are turned off (snapshots = false)\n"
    assert not (shop.root / "project_migrations/.snapshots").exists()
    (row,) = shop.ok("snapshot", "--json").json["sets"]
    assert (row["written"], row["bytes"]) == (0, 0)
    assert row["note"] == "snapshots are turned off (snapshots = false)"
    shop.configure(extra="")
    assert shop.ok("snapshot", "--json").json["sets"][0]["note"] is None
    shop.configure(extra=WITHOUT)
    assert loaded(shop, "migrate") == "012345"


def test_a_set_that_does_without_cannot_be_named(shop: Project) -> None:
    shop.configure(extra=WITHOUT)
    done = shop.chronomig("snapshot", "--set", "default")
    assert done.code == 2
    assert "Snapshots are turned off: default." in done.err
    assert "The configuration says snapshots = false; nothing would read what is written." in done.err
    assert "Take that setting away, or name other sets with --set." in done.err
    assert not (shop.root / "project_migrations/.snapshots").exists()


def test_a_state_that_cannot_be_written_is_an_error_with_the_reason(shop: Project) -> None:
    shop.migration(
        "20260107000000_code",
        '("shop", migrations.AddField("m0", "n", models.IntegerField(default=lambda: 1))),',
    )
    done = shop.chronomig("snapshot")
    assert done.code == 1
    assert "The state of the set 'default' cannot be written as a snapshot." in done.err
    assert "shop.M0, fields:" in done.err
    assert "migrate works without" in done.err
    shop.ok("migrate")
