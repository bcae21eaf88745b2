"""The text of --to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronomig.errors import TargetError
from chronomig.planning.record import Applied, Record
from chronomig.planning.target import Known, resolve, steps
from chronomig.timeline import format_stamp

NAMES = ("20260101000000_a", "20260101000500_b", "20260102120000_order_notes", "20260301000000_d")
KNOWN = Known(NAMES, {("auth", "0001_initial"): NAMES[0], ("auth", "0002_alter"): NAMES[2]})


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("zero", 0),
        ("latest", 4),
        ("20260101000500", 2),
        ("stamp:20260101000500", 2),
        ("20251231235959", 0),
        ("2026-01-01", 2),
        ("2026-01-01T00:05", 2),
        ("2026-01-01 00:04", 1),
        ("2026-01-01T00", 2),
        ("2026-01-01T00:00:00Z", 1),
        ("2026-01-01T02:00:00+02:00", 1),
        ("stamp:2026-02-28", 3),
        ("20260102120000_order_notes", 3),
        ("20260102120000_order_notes.py", 3),
        ("name:20260102", 3),
        ("202603", 4),
        ("auth 0001", 1),
        ("auth 0002_alter", 3),
        ("auth zero", 0),
    ],
)
def test_a_target_is_everything_up_to_and_including_it(text: str, count: int) -> None:
    assert resolve(text, KNOWN) == frozenset(NAMES[:count])


@pytest.mark.parametrize(
    ("text", "count"), [("20260101000500_b", 1), ("2026-01-01", 0), ("latest", 3), ("auth 0002", 2), ("zero", 0)]
)
def test_before_leaves_the_target_itself_out(text: str, count: int) -> None:
    assert resolve(text, KNOWN, before=True) == frozenset(NAMES[:count])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("20261301000000", "20261301000000 is not a second that exists."),
        ("2026-02-30", "2026-02-30 is not a date or time that exists."),
        ("20260101", "'20260101' is the beginning of 2 names."),
        ("nothing", "There is no migration 'nothing'."),
        ("auth 0", "'0' is the beginning of 2 migrations of 'auth'."),
        ("auth 0009", "There is no migration 'auth 0009'."),
        ("shop 0001", "There is no migration 'shop 0001'."),
        ("name:zero", "There is no migration 'name:zero'."),
    ],
)
def test_a_target_that_names_nothing_or_too_much_is_a_usage_error(text: str, told: str) -> None:
    with pytest.raises(TargetError) as caught:
        resolve(text, KNOWN)
    assert caught.value.exit_code == 2
    assert told in caught.value.fact


def test_an_unknown_target_suggests_the_nearest() -> None:
    with pytest.raises(TargetError) as caught:
        resolve("order_note", KNOWN)
    assert caught.value.cause == "Did you mean 'order_notes'?"
    with pytest.raises(TargetError) as caught:
        resolve("latests", KNOWN)
    assert caught.value.cause == "Did you mean 'latest'?"


def test_two_migrations_of_one_second_go_together_by_stamp_and_apart_by_name() -> None:
    known = Known(("20260101000000_a", "20260101000000_b"), {})
    assert len(resolve("20260101000000", known)) == 2
    assert resolve("20260101000000_a", known) == {"20260101000000_a"}


def test_steps_count_pending_ones_forward_and_applied_ones_back() -> None:
    record = Record((Applied(NAMES[0]), Applied(NAMES[2])))
    assert steps(1, NAMES, record) == {NAMES[0], NAMES[2], NAMES[1]}
    assert steps(-1, NAMES, record) == {NAMES[0]}
    assert steps(-9, NAMES, record) == frozenset()
    assert steps(0, NAMES, record) == {NAMES[0], NAMES[2]}


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0))


@given(st.lists(MOMENTS, unique=True, max_size=8), MOMENTS)
def test_a_moment_and_its_stamp_mean_the_same_cut(moments: list[datetime], at: datetime) -> None:
    names = tuple(sorted(f"{format_stamp(one.replace(tzinfo=UTC))}_x" for one in moments))
    known = Known(names, {})
    stamp = format_stamp(at.replace(tzinfo=UTC))
    expected = {name for name in names if name[:14] <= stamp}
    assert resolve(f"stamp:{stamp}", known) == expected
    assert resolve(f"stamp:{at.isoformat()}Z", known) == expected
    assert resolve(f"stamp:{stamp}", known, before=True) == {name for name in names if name[:14] < stamp}


@given(st.text(max_size=30))
def test_any_text_is_either_a_set_of_names_or_a_target_error(text: str) -> None:
    try:
        assert resolve(text, KNOWN) <= set(NAMES)
    except TargetError as error:
        assert error.fact
        assert error.next_step
