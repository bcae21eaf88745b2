"""A comparison -> text."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.comparing import Comparison
from tests.conformance.records import OUTCOMES


def lines(comparison: Comparison) -> Iterator[str]:
    """Yield the table, the expected differences with their reasons, and what should not be."""
    yield from _table(comparison)
    yield ""
    yield (
        f"{comparison.tests} tests, {comparison.statements} statements that change a schema: "
        f"{len(comparison.expected)} expected differences, {len(comparison.unexpected)} unexpected."
    )
    for test, outcome in comparison.failing:
        yield f"  {outcome} on both sides: {test}"
    for difference, expected in comparison.expected:
        yield f"  expected: {difference.test}: {difference.summary}. {expected.reason}"
    for stale in comparison.stale:
        yield f"NOT DIFFERENT ANY MORE: {stale.test} ({stale.what}); take it out of expected.toml"
    for difference in comparison.unexpected:
        yield f"\nUNEXPECTED: {difference.test}: {difference.summary}"
        yield difference.detail


def _table(comparison: Comparison) -> Iterator[str]:
    used = [outcome for outcome in OUTCOMES if any(counts.get(outcome) for counts in comparison.outcomes.values())]
    width = max(len(suite) for suite in (*comparison.outcomes, "suite"))
    yield "  ".join((f"{'suite':{width}}", *(f"{f'same: {outcome}':>16}" for outcome in used), f"{'different':>10}"))
    for suite, counts in comparison.outcomes.items():
        cells = (f"{counts.get(outcome, 0):>{max(16, len(outcome) + 6)}}" for outcome in used)
        yield "  ".join((f"{suite:{width}}", *cells, f"{comparison.differing.get(suite, 0):>10}"))
