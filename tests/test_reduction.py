"""Reduced operations lead to the same tables as those that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests import schema
from tests.databases import TestDatabase
from tests.inprocess import apply, connected, drop_everything, set_up_django

set_up_django()

from django.db import migrations, models  # noqa: E402

from chronomig.batches.editing import run_deferred  # noqa: E402
from chronomig.code.loading import Labelled  # noqa: E402
from chronomig.reduction import Change, Reduction  # noqa: E402
from chronomig.state import ProjectState, run_forwards  # noqa: E402
from tests.histories import HistoryDraw  # noqa: E402
from tests.schema import definitions  # noqa: E402

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

ID = ("id", models.BigAutoField(primary_key=True))


def create(name: str, *fields: tuple[str, Any], **options: Any) -> Labelled:
    return "shop", migrations.CreateModel(name, [ID, *fields], options)


def link(model: str, name: str, target: str) -> Labelled:
    return "shop", migrations.AddField(model, name, models.ForeignKey(target, models.CASCADE, null=True))


def add(model: str, name: str, **options: Any) -> Labelled:
    return "shop", migrations.AddField(model, name, models.IntegerField(default=0, **options))


def alter(model: str, name: str, field: models.Field[Any, Any]) -> Labelled:
    return "shop", migrations.AlterField(model, name, field)


def reduced(operations: Sequence[Labelled]) -> list[Change]:
    reduction = Reduction(ProjectState())
    found = [change for label, operation in operations for change in reduction.take(label, operation)]
    return [*found, *reduction.rest()]


def left(*operations: Labelled) -> list[str]:
    return [change.operation.describe() for change in reduced(operations)]


def run_reduced(connection: BaseDatabaseWrapper, operations: Sequence[Labelled]) -> None:
    reduction = Reduction(ProjectState())
    with connection.schema_editor(atomic=True) as editor:
        for label, operation in operations:
            for change in reduction.take(label, operation):
                run(editor, change)
        for change in reduction.rest():
            run(editor, change)


def run(editor: Any, change: Change) -> None:
    run_forwards(change.operation, change.app_label, editor, change.before, change.after)
    run_deferred(editor)


def run_one_by_one(connection: BaseDatabaseWrapper, operations: Sequence[Labelled]) -> None:
    state = ProjectState()
    for labelled in operations:
        state = apply(connection, state, [labelled])


def comparable(connection: BaseDatabaseWrapper) -> Any:
    return definitions(connection) if connection.vendor == "sqlite" else schema.dump(connection)


@pytest.mark.parametrize("seed", range(8))
def test_a_random_history_makes_the_same_tables_when_it_is_reduced(database: TestDatabase, seed: int) -> None:
    operations = HistoryDraw(seed).draw(40)
    with connected(database.settings()) as connection:
        run_one_by_one(connection, operations)
        expected = comparable(connection)
        drop_everything(connection)
        run_reduced(connection, operations)
        assert comparable(connection) == expected
        drop_everything(connection)


def test_what_follows_a_creation_is_folded_into_it() -> None:
    operations = [
        create("Item", ("n", models.IntegerField())),
        add("item", "m"),
        alter("item", "n", models.BigIntegerField(default=1)),
        ("shop", migrations.RenameField("item", "n", "number")),
        ("shop", migrations.AddIndex("item", models.Index(fields=["m"], name="m_idx"))),
        ("shop", migrations.AlterUniqueTogether("item", {("m", "number")})),
        ("shop", migrations.AlterModelOptions("item", {"ordering": ["m"]})),
        add("item", "gone"),
        ("shop", migrations.RemoveField("item", "gone")),
    ]
    (change,) = reduced(operations)
    assert [name for name, _ in change.operation.fields] == ["id", "number", "m"]  # type: ignore[attr-defined]


def test_a_model_that_comes_and_goes_leaves_nothing() -> None:
    assert left(create("Item"), add("item", "n"), ("shop", migrations.DeleteModel("Item"))) == []


def test_tables_are_created_after_those_that_they_need() -> None:
    operations = [create("Item"), create("Box"), link("item", "box", "shop.Box"), link("box", "self", "shop.Box")]
    assert left(*operations) == ["Create model Box", "Create model Item"]


def test_a_circle_of_relations_is_closed_by_the_operation_that_closes_it() -> None:
    operations = [create("Item"), create("Box"), link("item", "box", "shop.Box"), link("box", "item", "shop.Item")]
    assert left(*operations) == ["Create model Box", "Create model Item", "Add field item to box"]


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: None),
        migrations.RunSQL("SELECT 1"),
        migrations.RenameModel("Box", "Crate"),
        migrations.AlterModelTable("Box", "crates"),
        migrations.SeparateDatabaseAndState(),
        migrations.AlterField("box", "id", models.BigAutoField(primary_key=True, db_column="key")),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_may_look_at_more_than_one_table_finds_all_of_them(operation: Any) -> None:
    found = left(create("Item"), create("Box"), ("shop", operation), add("item", "n"))
    assert found == ["Create model Item", "Create model Box", operation.describe(), "Add field n to item"]


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AlterField("item", "n", models.IntegerField(unique=True)),
        migrations.AlterField("item", "n", models.PositiveIntegerField()),
        migrations.AlterField("item", "n", models.IntegerField(db_index=True)),
        migrations.AlterField("item", "n", models.IntegerField(db_column="m")),
        migrations.AlterOrderWithRespectTo("item", "box"),
        migrations.AlterModelOptions("item", {"managed": False}),
        migrations.RenameField("item", "box", "crate"),
        migrations.AddConstraint("item", models.UniqueConstraint(fields=["u"], name="again")),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_leaves_a_trace_in_its_table_stays(operation: Any) -> None:
    item = create("Item", ("n", models.IntegerField()), ("u", models.IntegerField(unique=True)))
    found = left(create("Box"), item, link("item", "box", "shop.Box"), ("shop", operation), create("Last"))
    assert found[-2:] == [operation.describe(), "Create model Last"]


def test_an_operation_on_one_table_leaves_others_to_wait() -> None:
    rename = "shop", migrations.AlterField("item", "id", models.UUIDField(primary_key=True))
    found = left(create("Item"), rename, create("Box"), add("item", "n"), add("box", "n"))
    assert found == ["Create model Item", "Alter field id on item", "Add field n to item", "Create model Box"]


def test_a_subclass_of_an_operation_may_do_anything() -> None:
    class Own(migrations.AddField):
        pass

    own = Own("item", "n", models.IntegerField(default=0))
    assert left(create("Item"), create("Box"), ("shop", own)) == [
        "Create model Item",
        "Create model Box",
        "Add field n to item",
    ]


def test_a_field_with_code_of_its_own_for_the_model_stays() -> None:
    class Money(models.IntegerField):  # type: ignore[type-arg]
        def contribute_to_class(self, *args: Any, **kwargs: Any) -> None:
            super().contribute_to_class(*args, **kwargs)

    own = migrations.AddField("item", "price", Money(default=0))
    assert left(create("Item"), ("shop", own)) == ["Create model Item", "Add field price to item"]
