"""Two runs -> the differences between them, and which of them are expected. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.conformance.records import FAILURES, Record

NOT_RUN = "not run"
OUTCOME, STATEMENTS = "outcome", "statements"


class Difference(NamedTuple):
    """One test that is not the same in both runs."""

    test: str
    what: str
    """OUTCOME or STATEMENTS."""
    summary: str
    detail: str


@dataclass(frozen=True)
class Expected:
    """A difference that is as it should be."""

    test: str
    reason: str
    what: str = OUTCOME
    django: tuple[str, ...] = ()
    """Only with these versions; none means all."""
    databases: tuple[str, ...] = ()

    def applies_to(self, django: str, database: str) -> bool:
        return (not self.django or django in self.django) and (not self.databases or database in self.databases)


@dataclass(frozen=True)
class Comparison:
    """What two runs on one database came to."""

    tests: int
    statements: int
    """Statements of stock Django that change a schema."""
    outcomes: Mapping[str, Mapping[str, int]]
    """{suite: {outcome in both runs: how many}}"""
    differing: Mapping[str, int]
    """{suite: how many tests differ}"""
    failing: tuple[tuple[str, str], ...]
    """(test, outcome) of those that fail on both sides: stock Django does not pass them here either."""
    expected: tuple[tuple[Difference, Expected], ...]
    unexpected: tuple[Difference, ...]
    stale: tuple[Expected, ...]
    """Expected differences that are none any more."""

    @property
    def is_conforming(self) -> bool:
        return not self.unexpected and not self.stale


def compare(
    stock: Mapping[str, Record], engine: Mapping[str, Record], expected: Iterable[Expected] = ()
) -> Comparison:
    """Compare two runs of the same tests; *expected* are those that apply to this Django and database."""
    tests = sorted(stock.keys() | engine.keys())
    found = [one for test in tests for one in _differences(test, stock.get(test), engine.get(test))]
    listed = {(one.test, one.what): one for one in expected}
    seen = {(one.test, one.what) for one in found}
    suites = {suite_of(test) for test in tests}
    differing = {one.test for one in found}
    same = [test for test in tests if test not in differing]
    return Comparison(
        tests=len(tests),
        statements=sum(len(record.statements) for record in stock.values()),
        outcomes={
            suite: Counter(stock[test].outcome for test in same if suite_of(test) == suite)
            for suite in sorted(suites)
        },
        differing=Counter(map(suite_of, differing)),
        failing=tuple((test, stock[test].outcome) for test in same if stock[test].outcome in FAILURES),
        expected=tuple((one, listed[one[:2]]) for one in found if one[:2] in listed),
        unexpected=tuple(one for one in found if one[:2] not in listed),
        stale=tuple(one for key, one in listed.items() if key not in seen),
    )


def suite_of(test: str) -> str:
    return test.partition(".")[0]


def _differences(test: str, stock: Record | None, engine: Record | None) -> Iterable[Difference]:
    before, after = (one.outcome if one else NOT_RUN for one in (stock, engine))
    if before != after:
        detail = engine.detail if engine and engine.detail else stock.detail if stock else ""
        yield Difference(test, OUTCOME, f"{before} on stock Django, {after} on the engine", detail)
    elif stock and engine and stock.statements != engine.statements:
        diff = list(
            difflib.unified_diff(stock.statements, engine.statements, "stock Django", "engine", "", "", 2, "")
        )
        yield Difference(test, STATEMENTS, "other statements", "\n".join(diff))
