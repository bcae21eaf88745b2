"""The autodetector's result in one list: cases that went wrong, and random pairs of model sets on real databases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from django.apps.registry import Apps
from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations import AddIndex
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState
from django.db.migrations.state import ProjectState as DjangoProjectState
from django.test.utils import override_settings

from chronomig.authoring.detect import COMPARING, detect, share_fields
from chronomig.errors import Refused
from chronomig.state import ProjectState
from tests.databases import TestDatabase
from tests.inprocess import apply, connected, set_up_django, undo
from tests.modelsets import APPS, USER, Draw
from tests.schema import dump

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.code.loading import Labelled

set_up_django()

BATCHES = int(os.environ.get("CHRONOMIG_TEST_BATCHES", "4"))
PAIRS = 6
"""How many random pairs in a batch; the seeds count from 0."""


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[BaseDatabaseWrapper]:
    with connected(database.settings()) as one:
        yield one


def state_of(text: str) -> DjangoProjectState:
    """Return the state of the models in *text*, whose bases ``alpha``, ``beta`` and ``gamma`` say their app."""
    registry = Apps(())
    space = {"models": models, "__name__": "tests.written", **{app: base(app, registry) for app in APPS}}
    exec(dedent(text), space)
    made = [one for models_of in registry.all_models.values() for one in models_of.values()]
    states = [ModelState.from_model(one) for one in made if not one._meta.auto_created]
    return DjangoProjectState({(one.app_label, one.name_lower): one for one in states})


def base(app: str, registry: Apps) -> type[models.Model]:
    meta = type("Meta", (), {"app_label": app, "apps": registry, "abstract": True})
    return type(app, (models.Model,), {"__module__": "tests.written", "Meta": meta})


def found(
    head: ProjectState, wanted: DjangoProjectState, asking: MigrationQuestioner | None = None
) -> list[Labelled]:
    """Return what leads from *head* to *wanted*, which shares its fields as that of makemigrations does."""
    asking = asking or MigrationQuestioner()
    apart = detect(ProjectState(copied(head)), DjangoProjectState(copied(wanted)), asking)
    sharing = wanted.clone()
    for key in head.models.keys() & sharing.models.keys():
        share_fields(sharing.models[key], head.models[key])
    operations = detect(head, sharing, asking)
    assert compared(operations) == compared(apart)
    return operations


def copied(state: DjangoProjectState | ProjectState) -> dict[tuple[str, str], ModelState]:
    """Return the models of *state* with fields of their own: the autodetector assigns to those that it is given."""
    models_of = {key: one.clone() for key, one in state.models.items()}
    for one in models_of.values():
        one.fields = {name: field.clone() for name, field in one.fields.items()}
    return models_of


def compared(operations: list[Labelled]) -> list[Any]:
    return [(label, COMPARING.deep_deconstruct(operation)) for label, operation in operations]


def told(operations: list[Labelled]) -> list[str]:
    return [f"{label}: {operation.describe()}" for label, operation in operations]


def schema(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return what can be compared after an undo, which puts columns last and may name a constraint anew."""
    return {
        table: (sorted(one["columns"]), sorted(filter(None, map(described(connection), one["constraints"].values()))))
        for table, one in dump(connection).items()
    }


def described(connection: BaseDatabaseWrapper) -> Callable[[dict[str, str]], str]:
    """MariaDB makes an index for a foreign key when no other index serves, and keeps it when one comes later."""
    if connection.vendor != "mysql":
        return str
    return lambda one: (
        f"{one['columns']} -> {one['foreign_key']}"
        if one["foreign_key"] != "None"
        else str(one)
        if "True" in (one["unique"], one["check"])
        else ""
    )


def move(connection: BaseDatabaseWrapper, before: DjangoProjectState, after: DjangoProjectState) -> list[str]:
    """Make the tables of *before*, lead them to *after* and back; return what led there."""
    creating = found(ProjectState(), before)
    head = apply(connection, ProjectState(), creating)
    assert told(found(head, before)) == []
    at_first = schema(connection)
    operations = found(head, after)
    there = apply(connection, head, operations)
    assert told(found(there, after)) == []
    undo(connection, head, operations)
    assert schema(connection) == at_first
    undo(connection, ProjectState(), creating)
    assert schema(connection) == {}
    return told(operations)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_any_set_of_models_can_be_left_for_another_and_come_back(connection: BaseDatabaseWrapper, batch: int) -> None:
    fewer = 3 if connection.vendor == "mysql" else 1  # a table costs MariaDB thirty times what it costs SQLite
    for seed in range(batch * PAIRS, batch * PAIRS + PAIRS // fewer):
        print(f"seed {seed}")
        with override_settings(AUTH_USER_MODEL=USER):
            move(connection, *Draw(seed).pair())


CASES = {
    "a model whose only column is a foreign key goes with what it refers to": (
        """
        class Item(alpha): pass
        class Box(beta):
            item = models.OneToOneField(Item, models.CASCADE, primary_key=True)
        class Tag(alpha):
            box = models.ForeignKey(Box, models.CASCADE)
        """,
        "",
        ["alpha: Delete model Tag", "beta: Delete model Box", "alpha: Delete model Item"],
    ),
    "a whole app goes while others refer to it": (
        """
        class Item(alpha): pass
        class Box(alpha):
            item = models.ForeignKey(Item, models.CASCADE)
        class Tag(beta):
            item = models.ForeignKey(Item, models.CASCADE, null=True)
            boxes = models.ManyToManyField(Box)
        """,
        "class Tag(beta): pass",
        [
            "beta: Remove field boxes from tag",
            "beta: Remove field item from tag",
            "alpha: Delete model Box",
            "alpha: Delete model Item",
        ],
    ),
    "models that refer to each other lose what closes the circle": (
        """
        class Item(alpha):
            box = models.ForeignKey("beta.Box", models.CASCADE)
            class Meta(alpha.Meta):
                order_with_respect_to = "box"
                unique_together = [("id", "box")]
                indexes = [models.Index(fields=["box"], name="item_idx")]
        class Box(beta):
            item = models.ForeignKey(Item, models.CASCADE)
            class Meta(beta.Meta):
                constraints = [models.UniqueConstraint(fields=["item"], name="box_uniq")]
        """,
        "",
        [
            "alpha: Remove index item_idx from item",
            "alpha: Alter unique_together for item (0 constraint(s))",
            "alpha: Set order_with_respect_to on item to None",
            "alpha: Remove field box from item",
            "beta: Delete model Box",
            "alpha: Delete model Item",
        ],
    ),
    "a proxy goes before the model that it stands for": (
        """
        class Item(beta): pass
        class Other(Item):
            class Meta(alpha.Meta): proxy = True
        class Third(Other):
            class Meta(gamma.Meta): proxy = True
        class Box(alpha):
            third = models.ForeignKey(Third, models.CASCADE, related_name="+")
        """,
        "",
        [
            "alpha: Delete model Box",
            "gamma: Delete model Third",
            "alpha: Delete model Other",
            "beta: Delete model Item",
        ],
    ),
    "a child goes before its parent": (
        """
        class Item(alpha): pass
        class Part(Item):
            class Meta(gamma.Meta): pass
        """,
        "",
        ["gamma: Delete model Part", "alpha: Delete model Item"],
    ),
    "a foreign key turns away before its target goes": (
        """
        class Item(alpha): pass
        class Box(beta): pass
        class Tag(gamma):
            to = models.ForeignKey(Item, models.CASCADE)
            many = models.ManyToManyField(Item, related_name="+")
        """,
        """
        class Box(beta): pass
        class Tag(gamma):
            to = models.ForeignKey(Box, models.CASCADE)
        """,
        ["gamma: Remove field many from tag", "gamma: Alter field to on tag", "alpha: Delete model Item"],
    ),
    "apps whose new models are each other's parents in turn": (
        "",
        """
        class Note(alpha): pass
        class Box(Note):
            class Meta(beta.Meta): pass
        class Item(alpha):
            box = models.OneToOneField(Box, models.CASCADE, primary_key=True)
        class Tag(Item):
            class Meta(beta.Meta): pass
        """,
        ["alpha: Create model Note", "beta: Create model Box", "alpha: Create model Item", "beta: Create model Tag"],
    ),
    "an index goes before its field though another field waits": (
        """
        class Item(alpha):
            n = models.IntegerField(default=0)
            class Meta(alpha.Meta):
                indexes = [models.Index(fields=["n"], name="item_idx")]
        class Other(beta): pass
        """,
        """
        class Item(alpha):
            other = models.ForeignKey("beta.Late", models.CASCADE, null=True)
        class Late(beta): pass
        """,
        [
            "beta: Create model Late",
            "beta: Delete model Other",
            "alpha: Remove index item_idx from item",
            "alpha: Remove field n from item",
            "alpha: Add field other to item",
        ],
    ),
    "a field moves from a child to its parent": (
        """
        class Item(alpha): pass
        class Part(Item):
            size = models.IntegerField(default=0)
        """,
        """
        class Item(alpha):
            size = models.IntegerField(default=0)
        class Part(Item): pass
        """,
        ["alpha: Remove field size from part", "alpha: Add field size to item"],
    ),
    "the table between two models goes": (
        """
        class Item(alpha):
            boxes = models.ManyToManyField("beta.Box", through="gamma.Pair")
        class Box(beta): pass
        class Pair(gamma):
            item = models.ForeignKey(Item, models.CASCADE)
            box = models.ForeignKey(Box, models.CASCADE)
        """,
        "class Box(beta): pass",
        ["alpha: Remove field boxes from item", "gamma: Delete model Pair", "alpha: Delete model Item"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_deletions_and_creations_come_in_an_order_that_runs(connection: BaseDatabaseWrapper, case: str) -> None:
    before, after, expected = CASES[case]
    assert move(connection, state_of(before), state_of(after)) == expected


def test_an_index_that_a_history_added_twice_goes_before_its_model() -> None:
    head = applied_state(
        """
        class Item(alpha):
            n = models.IntegerField()
            class Meta(alpha.Meta):
                indexes = [models.Index(fields=["n"], name="item_idx")]
        """
    )
    head = head.after("alpha", AddIndex("item", models.Index(fields=["n"], name="item_idx")))
    assert told(found(head, DjangoProjectState())) == [
        "alpha: Remove index item_idx from item",
        "alpha: Delete model Item",
    ]


def test_a_parent_that_goes_while_its_child_stays_is_refused() -> None:
    head = applied_state("class Item(alpha): pass\nclass Part(Item): pass")
    with pytest.raises(Refused) as caught:
        found(head, state_of("class Part(alpha): pass"))
    assert caught.value.fact == "alpha.Part is built on alpha.Item, which is gone; nothing was written."
    assert "Django cannot change what a model is built on." in caught.value.cause


def applied_state(text: str) -> ProjectState:
    """Return the state that the operations for some models lead to."""
    state = ProjectState()
    for label, operation in found(state, state_of(text)):
        state = state.after(label, operation)
    return state


def test_models_that_did_not_change_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    head = applied_state("\n".join(f"class M{number}(alpha): pass" for number in range(30)))
    calls: list[str] = []
    stock = MigrationAutodetector._get_altered_foo_together_operations
    monkeypatch.setattr(
        MigrationAutodetector,
        "_get_altered_foo_together_operations",
        lambda self, name: calls.append(name) or stock(self, name),
    )
    assert detect(head, head.plain(), MigrationQuestioner()) == []
    assert calls.count("index_together") == 1


class Agreeing(MigrationQuestioner):
    def ask_rename_model(self, *_: object) -> bool:
        return True

    def ask_rename(self, *_: object) -> bool:
        return True


def test_shared_fields_are_not_compared_again_and_renaming_finds_its_way_around_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = """
        class Kept(alpha):
            old = models.IntegerField()
            same = models.TextField()
        class Gone(alpha):
            n = models.IntegerField()
            kept = models.ForeignKey("alpha.Kept", models.CASCADE)
    """
    head = applied_state(text)
    after = state_of(text.replace("old =", "new =").replace("Gone", "Come"))
    renaming = ["alpha: Rename model Gone to Come", "alpha: Rename field old on kept to new"]
    assert told(found(head, after, Agreeing())) == renaming
    seen: list[object] = []
    stock = MigrationAutodetector.deep_deconstruct
    monkeypatch.setattr(
        MigrationAutodetector, "deep_deconstruct", lambda self, one: seen.append(one) or stock(self, one)
    )
    detect(head, DjangoProjectState({key: one.clone() for key, one in head.models.items()}), MigrationQuestioner())
    assert [one for one in seen if isinstance(one, models.Field)] == []


class Sloppy:
    """Is equal to every other one, and says what sets it apart when it is taken apart."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __call__(self, value: object) -> None:
        """Everything is valid."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sloppy)

    def deconstruct(self) -> tuple[str, list[int], dict[str, int]]:
        return "tests.test_detect.Sloppy", [self.limit], {}


def test_fields_are_shared_when_nothing_in_them_differs() -> None:
    def thing(limit: int) -> ModelState:
        fields = {"id": models.AutoField(primary_key=True), "n": models.IntegerField(validators=[Sloppy(limit)])}
        return ModelState("alpha", "Thing", list(fields.items()))

    before, same, other = thing(1), thing(1), thing(2)
    share_fields(same, before)
    share_fields(other, before)
    assert [same.fields[name] is before.fields[name] for name in ("id", "n")] == [True, True]
    assert [other.fields[name] is before.fields[name] for name in ("id", "n")] == [True, False]
    head = ProjectState({("alpha", "thing"): before})
    assert told(found(head, DjangoProjectState({("alpha", "thing"): other}))) == ["alpha: Alter field n on thing"]
