"""
``python -m tests.badinput``: give chronomig bad input of every kind, drawn at random.

docs/reliability.md says what is drawn, and what has to hold. Ends with 3 when something did not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.badinput.driver import Driver

FOUND_SOMETHING = 3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.badinput", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000, help="how many")
    parser.add_argument("--seconds", type=float, default=3600, help="how long at most")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    return parser.parse_args()


def numbers(chosen: argparse.Namespace) -> Iterator[int]:
    end = time.monotonic() + chosen.seconds
    for number in range(chosen.first, chosen.first + chosen.cases):
        if time.monotonic() > end:
            return
        yield number


def table(driver: Driver) -> str:
    """Return the figures: a line for each kind of input, a column for each exit code."""
    codes = sorted({code for _, code in driver.figures})
    kinds: dict[str, Counter[str]] = {}
    for (kind, code), count in driver.figures.items():
        kinds.setdefault(kind, Counter())[code] += count
    lines = [f"| input | cases | {' | '.join(codes)} |", f"|---|---:|{'---:|' * len(codes)}"]
    lines += [
        f"| {kind} | {counts.total()} | {' | '.join(str(counts[code]) for code in codes)} |"
        for kind, counts in sorted(kinds.items())
    ]
    return "\n".join(lines)


def main() -> int:
    chosen = arguments()
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(Path(folder), chosen.seed)
        for one in driver.rounds(numbers(chosen)):
            print(f"BAD: {one}\n", flush=True)
            found += 1
    print(table(driver))
    return FOUND_SOMETHING if found else 0


if __name__ == "__main__":
    sys.exit(main())
