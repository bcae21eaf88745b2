"""The planner, as a truth table and under properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronomig.config import Order
from chronomig.planning.plan import MissingCodeRefused, OutOfOrderRefused, Plan, UnknownWanted, plan
from chronomig.planning.record import Applied, Direction, HalfDone, Record

A, B, C, D = (f"2026010{day}000000_{letter}" for day, letter in enumerate("abcd", 1))


def record(*names: str, half: HalfDone | None = None) -> Record:
    return Record(tuple(Applied(name) for name in names), half)


def moves(found: Plan) -> list[str]:
    return [f"{'+' if step.direction is Direction.UP else '-'}{step.name[15:]}" for step in found]


@pytest.mark.parametrize(
    ("applied", "wanted", "expected"),
    [
        ([], [], []),
        ([], [A, B, C], ["+a", "+b", "+c"]),
        ([A], [A, B], ["+b"]),
        ([A, B, C], [A], ["-c", "-b"]),
        ([A, B, C], [], ["-c", "-b", "-a"]),
        ([A, B], [A, B], []),
        ([A, C], [A, B], ["-c", "+b"]),
        ([C], [A, B], ["-c", "+a", "+b"]),
    ],
)
def test_downs_come_first_the_last_applied_first_then_ups_in_file_order(
    applied: list[str], wanted: list[str], expected: list[str]
) -> None:
    assert moves(plan([A, B, C], record(*applied), wanted)) == expected


def test_downs_follow_the_order_of_application_not_of_the_files() -> None:
    assert moves(plan([A, B, C], record(A, C, B), [])) == ["-b", "-c", "-a"]


def test_a_pending_migration_older_than_an_applied_one_is_refused() -> None:
    with pytest.raises(OutOfOrderRefused) as caught:
        plan([A, B, C], record(A, C), [A, B, C])
    assert caught.value.exit_code == 4
    assert f"{B} is pending, but older than {C}, which is applied" in caught.value.cause
    assert "--order apply" in caught.value.next_step


def test_the_policy_apply_runs_it_where_it_stands() -> None:
    assert moves(plan([A, B, C], record(A, C), [A, B, C], order=Order.APPLY)) == ["+b"]


def test_going_down_under_a_migration_that_was_applied_later_is_refused() -> None:
    with pytest.raises(OutOfOrderRefused, match="1 migration is out of order"):
        plan([A, B, C], record(A, C, B), [A, B])
    assert moves(plan([A, B, C], record(A, C, B), [A, B], order=Order.APPLY)) == ["-c"]


def test_a_migration_without_a_file_is_never_stepped_over() -> None:
    with pytest.raises(OutOfOrderRefused, match="out of order"):
        plan([A, C], record(A, C, B), [A, B], order=Order.APPLY)


def test_what_is_applied_without_a_file_stays_and_is_named() -> None:
    found = plan([A, C], record(A, B), [A, B, C])
    assert moves(found) == ["+c"]
    assert found.missing == (B,)


def test_a_newer_release_in_the_database_does_not_stop_an_older_one() -> None:
    assert plan([A, B], record(A, B, D), [A, B, D]) == Plan((), (D,))


def test_going_down_without_the_file_is_refused() -> None:
    with pytest.raises(MissingCodeRefused) as caught:
        plan([A], record(A, B), [A])
    assert f"{B}: it is applied, but has no file" in caught.value.cause


def test_going_down_with_an_edited_file_is_refused() -> None:
    with pytest.raises(MissingCodeRefused) as caught:
        plan([A, B], record(A, B), [A], edited={B})
    assert f"{B}: its file was edited since it was applied" in caught.value.cause


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownWanted, match="There is no migration"):
        plan([A], record(), [A, D])


@pytest.mark.parametrize(
    ("wanted", "expected"), [([A, B, C], ["+b", "+c"]), ([A], ["-b"]), ([], ["-b", "-a"])]
)  # fmt: skip
def test_what_is_half_done_is_finished_or_undone_first(wanted: list[str], expected: list[str]) -> None:
    half = HalfDone(B, Direction.UP, 1)
    found = plan([A, B, C], record(A, half=half), wanted)
    assert moves(found) == expected
    assert found.steps[0].resumed is half


NAMES = st.lists(st.sampled_from([A, B, C, D]), unique=True)


@given(NAMES, st.permutations([A, B, C, D]), st.integers(0, 4), NAMES)
def test_plan_then_apply_makes_applied_equal_to_wanted(
    timeline: list[str], order: list[str], count: int, wanted: list[str]
) -> None:
    timeline.sort()
    applied = [name for name in order[:count] if name in timeline]
    wanted = [name for name in wanted if name in timeline]
    found = plan(timeline, record(*applied), wanted, order=Order.APPLY)
    now = list(applied)
    for step in found:
        now.append(step.name) if step.direction is Direction.UP else now.remove(step.name)
    assert sorted(now) == sorted(wanted)
    assert len({step.name for step in found}) == len(found)


@given(NAMES, st.permutations([A, B, C, D]), st.integers(0, 4), NAMES)
def test_a_plan_that_is_not_refused_never_moves_under_what_stays(
    timeline: list[str], order: list[str], count: int, wanted: list[str]
) -> None:
    applied = order[:count]
    wanted = [name for name in wanted if name in timeline or name in applied]
    try:
        found = plan(sorted(timeline), record(*applied), wanted)
    except (OutOfOrderRefused, MissingCodeRefused):
        return
    stays = [name for name in applied if name in wanted]
    for step in found.ups:
        assert all(step.name > name for name in stays)
    for step in found.downs:
        assert all(applied.index(step.name) > applied.index(name) for name in stays)
