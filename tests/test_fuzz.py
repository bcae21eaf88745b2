"""A fixed set of random histories, run by stock Django and by chronomig; ``python -m tests.fuzz`` runs others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection as default_connection

from tests.databases import TestDatabase
from tests.fuzz.comparing import STALE, Bench, Difference, bench, unlike
from tests.fuzz.drawing import Draw
from tests.fuzz.histories import History, Written
from tests.fuzz.shrinking import shrunk
from tests.fuzz.views import in_one_order

SEEDS = {"sqlite": range(6), "postgresql": range(3), "mysql": range(1)}
"""A table costs MariaDB thirty times what it costs SQLite."""


@pytest.fixture
def made(database: TestDatabase) -> Iterator[Bench]:
    with bench(database) as one:
        yield one


def test_a_random_history_runs_as_in_django(made: Bench) -> None:
    for seed in SEEDS[made.stock.vendor]:
        outcome = made.compare(Draw(seed, made.stock, size=7).history())
        assert not outcome.failed, f"{outcome}\n\n{outcome.history.source(made.stock.vendor)}"


BOX = "migrations.CreateModel('Box', [('id', models.AutoField(primary_key=True)), ('f1', models.IntegerField(default=3))])"
TAG = "migrations.CreateModel('Tag', [('id', models.AutoField(primary_key=True)), ('box', models.ForeignKey('alpha.Box', models.CASCADE))])"


def test_a_difference_is_found_and_told(made: Bench) -> None:
    history = History(1, (Written("alpha", (BOX, TAG)),))
    stock, ours = made.run_stock(history), made.run_ours(history)
    assert [one.place for one in stock.pictures] == ["after migration 0", "after undoing migration 0"] * 2
    assert (
        unlike(stock.pictures[0].models, {**ours.pictures[0].models, "alpha.Box": {}})[1]
        == "alpha.Box: accessors: None"
    )
    assert str(Difference("here", "rows", "1", "2")) == "here, rows:\n  stock: 1\n  ours:  2"


def test_what_neither_side_can_run_is_cut_off(made: Bench) -> None:
    wrong = Written("alpha", ("migrations.RunSQL('UPDATE nothing SET a = 1', '')",))
    outcome = made.compare(History(1, (Written("alpha", (BOX,)), wrong, Written("alpha", (TAG,))), turn=1))
    assert outcome.difference is None
    assert len(outcome.history) == 1
    assert outcome.figures["cut off"] == 2


def test_where_django_uses_stale_classes_a_run_without_them_decides(made: Bench) -> None:
    """Code that runs backwards gets what Django rendered before the later operations."""
    operations = ("migrations.RunPython(support.looking('alpha.Box', 1), support.looking('alpha.Box', 1))",)
    history = History(
        1,
        (
            Written("alpha", (BOX, TAG)),
            Written("alpha", ("migrations.RemoveField('Tag', 'box')", *operations, "migrations.DeleteModel('Tag')")),
        ),
    )
    outcome = made.compare(history)
    assert outcome.difference is None or outcome.classed == STALE


def test_a_history_is_drawn_the_same_from_the_same_seed() -> None:
    assert Draw(5, default_connection).history() == Draw(5, default_connection).history()


def test_a_failing_history_is_shrunk_to_what_still_fails() -> None:
    written = tuple(
        Written("alpha", (f"migrations.RunSQL('{number}')", "migrations.RunSQL('')")) for number in range(9)
    )
    found = shrunk(History(1, written, turn=3), lambda one: "'7'" in str(one.migrations))
    assert [one.operations for one in found.migrations] == [("migrations.RunSQL('7')",)]
    assert found.turn == 0


def test_remakes_that_django_makes_in_the_order_of_a_set_are_compared_in_one_order() -> None:
    one = [*remake("a"), 'CREATE INDEX "i" ON "a" ("x")']
    other = remake("b")
    assert in_one_order(["X", *other, *one, "Y", *other]) == ["X", *one, *other, "Y", *other]


def test_an_index_after_the_remakes_that_is_on_none_of_their_tables_stays_behind_them() -> None:
    one, other, index = remake("a"), remake("b"), 'CREATE UNIQUE INDEX "i" ON "c" ("x")'
    assert in_one_order([*other, *one, index]) == in_one_order([*one, *other, index]) == [*one, *other, index]


def remake(table: str) -> list[str]:
    return [
        f'CREATE TABLE "new__{table}" ("x")',
        f'INSERT INTO "new__{table}" ("x") SELECT "x" FROM "{table}"',
        f'DROP TABLE "{table}"',
        f'ALTER TABLE "new__{table}" RENAME TO "{table}"',
    ]
