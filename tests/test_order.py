"""What is out of order: judged by what operations do, and the ways out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from chronomig import Migration
from chronomig.code.folding import States
from chronomig.code.loading import Loaded
from chronomig.config import Order
from chronomig.effects.order import OrderJudge
from chronomig.planning.plan import Clash, OutOfOrderRefused, Plan, explain, plan
from chronomig.planning.record import Applied, Direction, Record
from tests.gitting import Git
from tests.projects import Project
from tests.test_effects import AUTHOR, CLASHES, TAG
from tests.test_effects import BOOK as BOOK_OF_MANY
from tests.test_terminal import on_a_terminal

A, B, C, D = (f"2026010{day}000000_{letter}" for day, letter in enumerate("abcd", 1))
BOOK = migrations.CreateModel(
    "Book", [("id", models.BigAutoField(primary_key=True)), ("title", models.CharField(max_length=9))]
)
RENAME = migrations.RenameField("book", "title", "name")
WIDEN = migrations.AlterField("book", "title", models.CharField(max_length=20))
ADD = migrations.AddField("book", "pages", models.IntegerField(default=0))
CODE = migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop)


def loaded(name: str, *operations: Operation, touches: tuple[str, ...] | None = None) -> Loaded:
    labelled = tuple(("shop", one) for one in operations)
    return Loaded(name, "", labelled, True, None, Migration(), touches=touches)


def planned(
    files: Sequence[Loaded],
    applied: Sequence[str],
    wanted: Sequence[str] | None = None,
    order: Order = Order.COMMUTING,
) -> Plan:
    """Plan the way to *wanted*, or to all of *files*."""
    by_name = {one.name: one for one in files}

    def states(names: Sequence[str]) -> States:
        return States(names, by_name.__getitem__)

    judge = OrderJudge(by_name.__getitem__, states, by_name, "{}.py".format)
    record = Record(tuple(map(Applied, applied)))
    names = sorted(by_name)
    return plan(names, record, {*applied, *names} if wanted is None else wanted, order=order, judge=judge)


def moves(found: Plan) -> list[str]:
    return [f"{'+' if step.direction is Direction.UP else '-'}{step.name[15:]}" for step in found]


# -- judging --------------------------------------------------------------------------------------------------------


def test_what_commutes_with_all_that_was_applied_later_runs_where_it_stands() -> None:
    files = [loaded(A, BOOK), loaded(B, WIDEN), loaded(C, ADD)]
    assert moves(planned(files, [A, C])) == ["+b"]


def test_what_clashes_is_refused_with_both_operations_files_and_the_reason() -> None:
    with pytest.raises(OutOfOrderRefused) as caught:
        planned([loaded(A, BOOK), loaded(B, WIDEN), loaded(C, ADD, RENAME)], [A, C])
    assert caught.value.exit_code == 4
    assert caught.value.cause.splitlines() == [
        f"  {B} is pending, but older than {C}, which is applied",
        f"    {B}  shop: Alter field title on book  ({B}.py)",
        f"    {C}  shop: Rename field title on book to name  ({C}.py)",
        "    both have to do with the field shop.book.title",
    ]
    assert [line.split("  #")[0].rstrip() for line in caught.value.next_step.splitlines()] == [
        "chronomig migrate --order apply",
        "chronomig migrate --order rewind",
        f"chronomig restamp {B}",
    ]


@pytest.mark.parametrize("clash", CLASHES)
def test_a_person_reads_of_every_clash_which_files_and_operations_and_why(clash: str) -> None:
    one, other, reason = CLASHES[clash]
    library = loaded(A, AUTHOR, TAG, BOOK_OF_MANY)
    with pytest.raises(OutOfOrderRefused) as caught:
        planned([library, loaded(B, *one), loaded(C, *other)], [A, C])
    told = caught.value.cause.splitlines()
    assert told[0] == f"  {B} is pending, but older than {C}, which is applied"
    assert told[1] in [f"    {B}  shop: {operation.describe()}  ({B}.py)" for operation in one]
    assert told[2] in [f"    {C}  shop: {operation.describe()}  ({C}.py)" for operation in other]
    assert told[3:] == [f"    {reason}"]


def test_only_what_stands_in_the_way_is_named() -> None:
    files = [loaded(A, BOOK), loaded(B, WIDEN), loaded(C, ADD), loaded(D, RENAME)]
    with pytest.raises(OutOfOrderRefused) as caught:
        planned(files, [A, C, D])
    assert [(clash.name, clash.over) for clash in caught.value.clashes] == [(B, (D,))]
    both = Clash(B, Direction.UP, (C, D)), Clash(B, Direction.DOWN, (C, D))
    assert [explain(one) for one in both] == [
        f"{B} is pending, but older than {C} and 1 more, which are applied",
        f"{B} would go down, but {C} and 1 more were applied after it and stay",
    ]


def test_code_is_refused_unless_it_says_what_it_touches() -> None:
    with pytest.raises(OutOfOrderRefused) as caught:
        planned([loaded(A, BOOK), loaded(B, CODE), loaded(C, ADD)], [A, C])
    assert "'shop: Raw Python operation' may do anything to the data; 'touches' in its file" in caught.value.cause
    files = [loaded(A, BOOK), loaded(B, CODE, touches=("shop.Book.title",)), loaded(C, ADD)]
    assert moves(planned(files, [A, C])) == ["+b"]


def test_a_pending_migration_that_builds_on_another_pending_one_is_judged_behind_it() -> None:
    create = migrations.CreateModel("Shelf", [("id", models.BigAutoField(primary_key=True))])
    files = [
        loaded(A, BOOK),
        loaded(B, create),
        loaded(C, migrations.AddField("shelf", "n", models.IntegerField(default=0))),
        loaded(D, RENAME),
    ]
    assert moves(planned(files, [A, D])) == ["+b", "+c"]


def test_what_was_written_for_something_that_is_gone_by_now_clashes() -> None:
    files = [loaded(A, BOOK), loaded(B, WIDEN), loaded(C, migrations.DeleteModel("book"))]
    with pytest.raises(OutOfOrderRefused, match="1 migration is out of order"):
        planned(files, [A, C])


def test_what_has_no_file_cannot_be_judged() -> None:
    with pytest.raises(OutOfOrderRefused) as caught:
        planned([loaded(A, BOOK), loaded(B, ADD)], [A, C])
    assert f"the file of {C} is not here" in caught.value.cause


def test_a_file_with_an_apply_of_its_own_may_do_anything() -> None:
    class Own(migrations.Migration):
        def apply(self, state, editor, collect_sql=False):  # type: ignore[no-untyped-def]
            return state

    own = Loaded(C, "", (("shop", ADD),), True, None, Own("c", "shop"))
    with pytest.raises(OutOfOrderRefused, match="out of order"):
        planned([loaded(A, BOOK), loaded(B, WIDEN), own], [A, C])


def test_going_down_under_what_was_applied_later_is_judged_too() -> None:
    files = [loaded(A, BOOK), loaded(B, ADD), loaded(C, WIDEN), loaded(D, RENAME)]
    assert moves(planned(files, [A, B, C], [A, C])) == ["-b"]
    with pytest.raises(OutOfOrderRefused) as caught:
        planned(files, [A, C, D], [A, D])
    assert f"{C} would go down, but {D} was applied after it and stays" in caught.value.cause
    assert "restamp" not in caught.value.next_step


def test_nothing_is_loaded_and_judged_where_nothing_is_out_of_order() -> None:
    def judge(*_: object) -> list[object]:
        raise AssertionError

    assert moves(plan([A, B], Record((Applied(A),)), [A, B], order=Order.COMMUTING, judge=judge)) == ["+b"]  # type: ignore[arg-type]


# -- rewinding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("applied", "wanted", "expected"),
    [
        ([A, C, D], [A, B, C, D], ["-d", "-c", "+b", "+c", "+d"]),
        ([A, D, C], [A, B, C, D], ["-c", "-d", "+b", "+c", "+d"]),
        ([A, D, B], [A, B, C, D], ["-b", "-d", "+b", "+c", "+d"]),
        ([A, B, C, D], [A, C, D], ["-d", "-c", "-b", "+c", "+d"]),
        ([A, B], [A, B, C], ["+c"]),
    ],
)
def test_rewinding_undoes_what_came_later_and_runs_all_in_the_order_of_the_files(
    applied: list[str], wanted: list[str], expected: list[str]
) -> None:
    files = [loaded(name) for name in (A, B, C, D)]
    assert moves(planned(files, applied, wanted, Order.REWIND)) == expected


# -- as a user ------------------------------------------------------------------------------------------------------


def branches_met(project: Project) -> Project:
    """Two migrations of another branch are applied; one of ours comes in below them, and clashes with the last."""
    project.migration(A, """
        ("shop", migrations.CreateModel("Book", [
            ("id", models.BigAutoField(primary_key=True)), ("title", models.CharField(max_length=9))])),
    """)  # fmt: skip
    project.migration(C, '("shop", migrations.AddField("book", "pages", models.IntegerField(default=0))),')
    project.migration(D, '("shop", migrations.RenameField("book", "title", "name")),')
    project.ok("migrate")
    project.migration(B, '("shop", migrations.AlterField("book", "title", models.CharField(max_length=20))),')
    return project


def test_rewinding_ends_where_the_files_end(project: Project) -> None:
    branches_met(project)
    refused = project.chronomig("migrate", "--to", "latest")
    assert refused.code == 4
    assert "both have to do with the field shop.book.title" in refused.err
    assert "-> chronomig migrate --to latest --order apply   # run it where it stands" in refused.err
    done = project.ok("migrate", "--order", "rewind", "--yes")
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [
        ["reverted", D], ["reverted", C], ["applied", B], ["applied", C], ["applied", D]
    ]  # fmt: skip
    assert {column[0] for column in project.schema()["shop_book"]["columns"]} == {"id", "name", "pages"}


ADD_IN_FILE = '("shop", migrations.AddField("book", "pages", models.IntegerField(default=0))),'
CODE_IN_FILE = '("shop", migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: None)),'
"""It may do anything to the data, and does nothing."""


def met(project: Project, last: str) -> Project:
    """Another branch is applied, with *last* at its end; one of ours comes in below it."""
    project.migration(A, """
        ("shop", migrations.CreateModel("Book", [
            ("id", models.BigAutoField(primary_key=True)), ("title", models.CharField(max_length=9))])),
    """)  # fmt: skip
    project.migration(C, last)
    project.ok("migrate")
    project.migration(B, '("shop", migrations.AlterField("book", "title", models.CharField(max_length=20))),')
    return project


def moved(project: Project) -> list[str]:
    """Return what the history says of the last run, in the order in which it happened."""
    (one,) = project.ok("history", "--json").json["databases"]
    done = [
        f"{event['event']} {event['name'][15:]}"
        for event in one["events"]
        if event["event"] in ("applied", "reverted")
    ]
    return done[2:]


@pytest.mark.parametrize(
    ("order", "where_they_clash", "where_they_commute"),
    [
        ("ask", None, ["applied b"]),
        ("commuting", None, ["applied b"]),
        ("apply", ["applied b"], ["applied b"]),
        ("rewind", ["reverted c", "applied b", "applied c"], ["reverted c", "applied b", "applied c"]),
        ("fail", None, None),
    ],
)
def test_each_policy_on_the_command_line_does_what_it_says(
    project: Project, order: str, where_they_clash: list[str] | None, where_they_commute: list[str] | None
) -> None:
    for last, expected in ((CODE_IN_FILE, where_they_clash), (ADD_IN_FILE, where_they_commute)):
        met(project, last)
        done = project.chronomig("migrate", "--order", order, "--yes")
        assert done.code == (4 if expected is None else 0), done
        assert moved(project) == (expected or [])
        if expected is None:
            assert f"{B} is pending, but older than {C}, which is applied" in done.err
        start_over(project)


def start_over(project: Project) -> None:
    """Bring the database back to where it was, and its history with it."""
    project.ok("migrate", "--to", "zero", "--order", "apply", "--yes")
    project.rows("DELETE FROM chronomig_history")
    (project.root / f"project_migrations/default/{B}.py").unlink()


@pytest.mark.parametrize(
    ("typed", "code", "expected"),
    [
        ("\n", 4, []),
        ("yes\n", 4, []),
        ("a\n", 0, ["applied b"]),
        ("rewind\n", 0, ["reverted c", "applied b", "applied c"]),
    ],
)
def test_on_a_terminal_the_ways_out_are_asked_for(
    project: Project, typed: str, code: int, expected: list[str]
) -> None:
    met(project, CODE_IN_FILE)
    ended, shown = on_a_terminal(project, "migrate", typed=typed)
    assert "[a]pply where it stands, [r]ewind and run all in order, or stop?" in shown
    assert f"{C}  shop: Raw Python operation" in shown
    assert (ended, moved(project)) == (code, expected), shown


@pytest.mark.parametrize("arguments", [["plan"], ["migrate", "--no-input"], ["migrate", "--order", "commuting"]])
def test_nobody_is_asked_who_only_looks_or_said_what_shall_be(sqlite_project: Project, arguments: list[str]) -> None:
    met(sqlite_project, CODE_IN_FILE)
    code, shown = on_a_terminal(sqlite_project, *arguments)
    assert (code, "stop?" in shown) == (4, False)


def test_a_refusal_names_who_committed_each_file(sqlite_project: Project) -> None:
    git = Git.init(sqlite_project.root)
    branches_met(sqlite_project)
    commit = git.commit("both branches")
    refused = sqlite_project.chronomig("migrate")
    assert f"(project_migrations/default/{B}.py, A Person, {commit[:10]})" in refused.err
    assert f"(project_migrations/default/{D}.py, A Person, {commit[:10]})" in refused.err
