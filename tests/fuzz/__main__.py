"""
``python -m tests.fuzz``: random histories, run by stock Django and by chronomig, compared after every migration.

docs/reliability.md says what is compared, and how. Ends with 3 when something differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from tests.databases import VENDORS, Unserved, served
from tests.fuzz.comparing import Bench, Outcome, bench
from tests.fuzz.drawing import Draw
from tests.fuzz.shrinking import shrunk

FOUND_SOMETHING = 3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=VENDORS, default="sqlite")
    parser.add_argument("--seconds", type=float, default=60, help="how long to draw histories")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first history; the others count on")
    parser.add_argument("--histories", type=int, help="how many at most")
    parser.add_argument("--size", type=int, default=12, help="how many migrations a history has at most")
    parser.add_argument("--shrink", type=float, default=120, metavar="SECONDS", help="how long to shrink a failure")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write reproducers there")
    parser.add_argument("--batch", action="store_true", help="do operations on one table together; compare no SQL")
    parser.add_argument("--more", action="store_true", help="go on after a failure")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    try:
        with served(chosen.database) as database, bench(database, batch=chosen.batch) as made:
            figures = fuzz(made, chosen)
    except Unserved as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{chosen.database}: {', '.join(f'{count} {name}' for name, count in sorted(figures.items()))}")
    return FOUND_SOMETHING if figures["differences"] else 0


def fuzz(made: Bench, chosen: argparse.Namespace) -> Counter[str]:
    """Draw and compare until the time is over, or something differs."""
    figures: Counter[str] = Counter(differences=0)
    end = time.monotonic() + chosen.seconds
    seed = chosen.seed
    while time.monotonic() < end and figures["histories"] != chosen.histories:
        outcome = made.compare(Draw(seed, made.stock, size=chosen.size).history())
        figures.update(outcome.figures)
        if outcome.failed:
            show(made, outcome, chosen)
            if not chosen.more:
                break
        seed += 1
    return figures


def show(made: Bench, outcome: Outcome, chosen: argparse.Namespace) -> None:
    """Shrink what failed, and print how to run it again."""
    history = shrunk(outcome.history, lambda one: made.compare(one).failed, seconds=chosen.shrink)
    program = history.source(chosen.database, batch=chosen.batch)
    print(f"seed {history.seed} on {chosen.database}: {made.compare(history)}\n\n{program}", flush=True)
    if chosen.keep:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        (chosen.keep / f"{chosen.database}_{history.seed}.py").write_text(program)


if __name__ == "__main__":
    sys.exit(main())
