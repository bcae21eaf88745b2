"""The pure parts of the comparison with Django's own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import records, report
from tests.conformance.comparing import STATEMENTS, Expected, compare
from tests.conformance.engine import _outermost
from tests.conformance.expected import read_expected
from tests.conformance.records import Record
from tests.conformance.running import ROOT
from tests.conformance.suites import QUICK, SUITES, suites_for

Side = dict[str, Record]


def side(*found: Record) -> Side:
    return {record.test: record for record in found}


PASSED = Record("schema.tests.Tests.test_one", statements=["CREATE TABLE a", "DROP TABLE a"])
FAILED = Record(PASSED.test, records.FAILED, "Traceback: it was wrong", PASSED.statements)
REORDERED = Record(PASSED.test, statements=list(reversed(PASSED.statements)))


def test_equal_runs_conform() -> None:
    found = compare(side(PASSED), side(PASSED))
    assert found.is_conforming and (found.tests, found.statements) == (1, 2)
    assert found.outcomes == {"schema": {"ok": 1}}


def test_a_failure_of_both_sides_is_the_same_outcome_and_is_shown() -> None:
    found = compare(side(FAILED), side(FAILED))
    assert found.is_conforming
    assert "  failed on both sides: schema.tests.Tests.test_one" in report.lines(found)


def test_another_outcome_is_shown_with_its_traceback() -> None:
    (found,) = compare(side(PASSED), side(FAILED)).unexpected
    assert found.summary == "ok on stock Django, failed on the engine"
    assert found.detail == "Traceback: it was wrong"


def test_other_statements_are_shown_as_a_diff() -> None:
    (found,) = compare(side(PASSED), side(REORDERED)).unexpected
    assert found.what == STATEMENTS
    assert found.detail.splitlines() == [
        "--- stock Django",
        "+++ engine",
        "@@ -1,2 +1,2 @@",
        "+DROP TABLE a",
        " CREATE TABLE a",
        "-DROP TABLE a",
    ]


@pytest.mark.parametrize(
    ("sides", "summary"),
    [
        ((side(PASSED), side()), "ok on stock Django, not run on the engine"),
        ((side(), side(PASSED)), "not run on stock Django, ok on the engine"),
    ],
)
def test_a_test_that_ran_on_one_side_only_differs(sides: tuple[Side, Side], summary: str) -> None:
    (found,) = compare(*sides).unexpected
    assert found.summary == summary


def test_an_expected_difference_conforms_and_is_shown_with_its_reason() -> None:
    found = compare(side(PASSED), side(FAILED), [Expected(PASSED.test, "It has to.")])
    assert found.is_conforming
    assert (
        "  expected: schema.tests.Tests.test_one: ok on stock Django, failed on the engine. It has to."
        in report.lines(found)
    )


def test_an_expected_difference_of_another_kind_does_not_count() -> None:
    found = compare(side(PASSED), side(FAILED), [Expected(PASSED.test, "It has to.", what=STATEMENTS)])
    assert len(found.unexpected) == len(found.stale) == 1


def test_a_difference_that_is_expected_and_not_there_does_not_conform() -> None:
    found = compare(side(PASSED), side(PASSED), [Expected(PASSED.test, "It has to.")])
    assert not found.is_conforming
    assert (
        "NOT DIFFERENT ANY MORE: schema.tests.Tests.test_one (outcome); take it out of expected.toml"
        in report.lines(found)
    )


def test_the_table_counts_by_suite_and_outcome() -> None:
    skipped = Record("auth_tests.T.test", records.SKIPPED, "no need")
    table = list(report.lines(compare(side(PASSED, skipped), side(FAILED, skipped))))[:3]
    assert [line.split() for line in table] == [
        ["suite", "same:", "skipped", "different"],
        ["auth_tests", "1", "0"],
        ["schema", "0", "1"],
    ]


def test_a_test_with_subtests_has_the_worst_of_their_outcomes() -> None:
    record = Record("test")
    for outcome in (records.SKIPPED, records.ERROR, records.FAILED):
        record.ended(outcome, f"because {outcome}")
    assert (record.outcome, record.detail) == (records.ERROR, "because error")


def test_records_of_several_processes_are_read_back_without_the_name_of_the_database(tmp_path: Path) -> None:
    records.write(PASSED, tmp_path, 1)
    records.write(Record("other", records.SKIPPED, "so", ["CREATE TABLE cm_7_other.a"]), tmp_path, 2)
    other = Record("other", records.SKIPPED, "so", ["CREATE TABLE database_other.a"])
    assert records.read(tmp_path, without="cm_7") == side(PASSED, other)


ENTRIES = """
[[difference]]
test = "schema.tests.Tests.test_one"
django = ["6.1"]
databases = ["sqlite"]
reason = "It has to,\\n and more."

[[difference]]
test = "migrations.tests.Tests.test_two"
what = "statements"
reason = "So it is."
"""


@pytest.mark.parametrize(
    ("django", "vendor", "labels", "tests"),
    [
        ("6.1", "sqlite", ["schema", "migrations"], ["test_one", "test_two"]),
        ("5.2", "sqlite", ["schema", "migrations"], ["test_two"]),
        ("6.1", "mariadb", ["schema", "migrations"], ["test_two"]),
        ("6.1", "sqlite", ["schema"], ["test_one"]),
        ("6.1", "sqlite", ["schema.tests.Tests.test_one"], ["test_one"]),
        ("6.1", "sqlite", ["schema.tests.Tests.test_on"], []),
    ],
)
def test_expected_differences_are_those_of_the_django_the_database_and_the_suites(
    django: str, vendor: str, labels: list[str], tests: list[str]
) -> None:
    found = read_expected(django, vendor, labels, ENTRIES)
    assert [one.test.rpartition(".")[2] for one in found] == tests


def test_an_expected_difference_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="an expected difference needs a test and a reason"):
        read_expected("6.1", "sqlite", ["a"], '[[difference]]\ntest = "a.b"')


def test_the_list_of_expected_differences_is_readable_and_names_each_once() -> None:
    found = [(one.test, one.what) for one in read_expected("6.1", "sqlite", SUITES)]
    assert found and len(found) == len(set(found))


def test_the_documentation_names_every_suite_and_every_expected_difference() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    for suite in suites_for("postgresql", quick=False):
        assert f"`{suite}`" in page
    for text in {".".join(one.test.split(".")[2:]) for one in read_expected("6.1", "sqlite", SUITES)}:
        assert f"`{text}`" in page


def test_the_quick_suites_are_some_of_all() -> None:
    assert set(QUICK) < set(SUITES)
    assert set(suites_for("postgresql", quick=False)) == {*SUITES, "postgres_tests"}


def test_the_longest_suites_begin_first() -> None:
    assert suites_for("sqlite", quick=True)[:2] == ["migrations", "schema"]


def test_the_engine_takes_what_django_calls_and_lets_its_own_calls_through() -> None:
    calls: list[str] = []

    def stock(operation: object, app_label: str) -> None:
        calls.append("Django's")

    def engine(operation: object, app_label: str) -> None:
        calls.append("the engine's")
        method(operation, app_label)

    method = _outermost(stock, engine)
    method(object(), "shop")
    assert calls == ["the engine's", "Django's"]
