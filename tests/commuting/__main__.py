"""
``python -m tests.commuting``: thousands of random pairs and triples on random models, both ways round.

Prints, as docs/reference/effects.md has it, how often the analysis says no although yes were right, per kind of pair.
Ends with 3 when it says yes and no were right.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.commuting.examples import Tally
from tests.commuting.running import run

FOUND_SOMETHING = 3
VENDORS = ("sqlite", "postgresql")
"""MariaDB cannot take a change of the schema back."""
COUNTS = {2: "pairs", 3: "triples"}
SHOWN = 15
"""Kinds of pairs with a row of their own in the table."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.commuting", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=VENDORS, action="append", help="by default both")
    parser.add_argument("--examples", type=int, default=1000, help="of pairs and of triples, on each database")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("--all", action="store_true", help="a row for every kind of pair")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    tasks = [(vendor, count, chosen.examples) for vendor in chosen.database or VENDORS for count in COUNTS]
    found = {}
    with ProcessPoolExecutor(chosen.processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, task): task for task in tasks}
        for one in as_completed(running):
            vendor, count, _ = task = running[one]
            found[task] = result = one.result()
            print(f"{vendor}, {COUNTS[count]}: {result if isinstance(result, str) else summary(result)}", flush=True)
    pairs = Tally()
    for (_, count, _), result in found.items():
        if count == 2 and not isinstance(result, str):
            pairs += result
    print(*table(pairs, every=chosen.all), sep="\n")
    print(*(text for one in found.values() if not isinstance(one, str) for text in one.unmade), sep="\n")
    return FOUND_SOMETHING if any(isinstance(one, str) or one.unmade for one in found.values()) else 0


def summary(tally: Tally) -> str:
    yes, rightly, needless = tally.right_yes.total(), tally.right_no.total(), tally.needless_no.total()
    return f"{len(tally)} tried, {yes} commute and do, {rightly} do not, {needless} could but are not said to"


def table(tally: Tally, *, every: bool) -> Iterator[str]:
    """Yield the rows of the table in the documentation."""
    rows = list(tally.rows())
    shown = rows if every else rows[:SHOWN]
    for kinds, *figures in shown:
        yield line(", ".join(f"`{kind}`" for kind in kinds.split(" / ")), figures)
    if rest := rows[len(shown) :]:
        yield line(f"{len(rest)} other kinds of pairs", [sum(column) for column in zip(*(row[1:] for row in rest), strict=True)])  # fmt: skip
    totals = [tally.right_yes.total(), tally.right_no.total(), tally.needless_no.total()]
    yield line("**all pairs**", totals)


def line(what: str, figures: list[int]) -> str:
    return f"| {what} | {' | '.join(map(str, figures))} |"


if __name__ == "__main__":
    sys.exit(main())
