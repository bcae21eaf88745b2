"""What may stand in a timeline, and what a person reads when something else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronomig.errors import TimelineError
from chronomig.timeline import format_stamp, name_problem, next_stamp, parse_stamp, read_timeline

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def read(folder: Path, *names: str) -> tuple[str, ...]:
    for name in names:
        (folder / name).write_text("")
    return read_timeline(folder, "default", now=NOW).names


def refusal(folder: Path, *names: str) -> str:
    with pytest.raises(TimelineError) as caught:
        read(folder, *names)
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_the_order_is_the_ascii_order_of_the_names(tmp_path: Path) -> None:
    names = ["20260101000001_b.py", "20260101000000_z.py", "20260101000001_a.py"]
    assert read(tmp_path, *names) == ("20260101000000_z", "20260101000001_a", "20260101000001_b")


def test_what_is_no_python_file_is_no_migration(tmp_path: Path) -> None:
    assert read(tmp_path, "__init__.py", ".hidden.py", "notes.txt", "20260101000000_a.py") == ("20260101000000_a",)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("0001_initial.py", "0001_initial.py: is not named YYYYMMDDHHMMSS_slug.py"),
        ("20260101000000.py", "is not named YYYYMMDDHHMMSS_slug.py"),
        ("20260101000000_Add.py", "lower-case ASCII letters"),
        ("20260101000000_é.py", "lower-case ASCII letters"),
        ("20260230000000_a.py", "20260230000000 is not a second that exists"),
        ("20260101006000_a.py", "20260101006000 is not a second that exists"),
        ("20261121120001_a.py", "is more than a day ahead of this clock"),
        (f"20260101000000_{'a' * 190}.py", "200 fit into the history"),
    ],
)
def test_a_wrong_name_is_named_with_what_is_wrong(tmp_path: Path, name: str, told: str) -> None:
    assert told in refusal(tmp_path, name)


def test_all_wrong_names_are_told_at_once(tmp_path: Path) -> None:
    told = refusal(tmp_path, "a.py", "20260101000000_ok.py", "b.py")
    assert "a.py" in told
    assert "b.py" in told
    assert "_ok" not in told
    assert "Rename or remove what is listed; nothing was run." in told


def test_names_that_differ_by_case_only_are_refused(tmp_path: Path) -> None:
    assert "differs from 20260101000000_ADD.py by case only" in refusal(
        tmp_path, "20260101000000_add.py", "20260101000000_ADD.py"
    )


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        TimelineError, match=r"The directory of the set 'default' is not there: .*nowhere\."
    ) as caught:
        read_timeline(tmp_path / "nowhere", "default", now=NOW)
    assert "chronomig init" in caught.value.next_step


def test_a_file_in_the_place_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TimelineError, match="Cannot read the directory of the set"):
        read_timeline(tmp_path / "file", "default", now=NOW)


def test_a_stamp_exactly_a_day_ahead_is_allowed() -> None:
    latest = format_stamp(NOW + timedelta(days=1))
    assert name_problem(f"{latest}_a", latest) == ""


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1)), st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1))
)
def test_a_new_stamp_is_a_valid_second_behind_the_newest(newest: datetime, now: datetime) -> None:
    stamp = next_stamp(format_stamp(newest.replace(tzinfo=UTC)), now.replace(tzinfo=UTC))
    assert parse_stamp(stamp) > newest.replace(tzinfo=UTC, microsecond=0)
    assert stamp >= format_stamp(now.replace(tzinfo=UTC))


@given(st.text(max_size=20))
def test_parsing_never_accepts_what_it_would_not_write(text: str) -> None:
    try:
        moment = parse_stamp(text)
    except ValueError:
        return
    assert moment.year < 1000 or format_stamp(moment) == text
