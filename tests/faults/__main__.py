"""
``python -m tests.faults``: break ``chronomig migrate`` on purpose, and count what is lost.

docs/reliability.md says what is broken, and what has to hold. Ends with 3 when something was lost.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from random import Random

from tests.databases import POSTGRES_VARIABLE, VENDORS, Server, Unserved, postgres_binaries, served
from tests.faults.driver import DOWN, UP, Driver
from tests.faults.injecting import CRASH, CUT, KILL, LATE

FOUND_SOMETHING = 3
Fault = tuple[str, str, float]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=VENDORS, default="sqlite")
    parser.add_argument("--faults", type=int, default=100, help="how many; 0 is every point, both ways, in turn")
    parser.add_argument("--seconds", type=float, default=3600, help="how long at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crash", action="store_true", help="crash a PostgreSQL that is started for it, at random")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    try:
        with (
            own_server(chosen) as server,
            served(chosen.database) as database,
            tempfile.TemporaryDirectory() as folder,
        ):
            database.folder = Path(folder)
            driver = Driver(database, Path(folder), server)
            driver.learn()
            lost = list(told(driver.rounds(until(chosen.seconds, faults(driver, chosen)))))
    except Unserved as error:
        print(error, file=sys.stderr)
        return 1
    print(table(driver))
    return FOUND_SOMETHING if lost else 0


@contextmanager
def own_server(chosen: argparse.Namespace) -> Iterator[Server | None]:
    """Start a PostgreSQL that may be crashed; raise Unserved."""
    binaries = postgres_binaries() if chosen.crash else None
    if not chosen.crash:
        yield None
    elif binaries is None or chosen.database != "postgresql":
        raise Unserved("--crash needs --database postgresql, and its binaries.")
    else:
        server = Server(binaries)
        os.environ[POSTGRES_VARIABLE] = server.url
        try:
            yield server
        finally:
            server.stop()


def faults(driver: Driver, chosen: argparse.Namespace) -> Iterator[Fault]:
    """Yield (way, fault, where); at random, or all there are."""
    kinds = [KILL, LATE] if driver.vendor == "sqlite" else [KILL, CUT, LATE]
    kinds = [CRASH] if driver.server else kinds
    random = Random(chosen.seed)
    if not chosen.faults:
        most = max(driver.reference.points.values())
        for at in range(1, most + 1):
            yield from ((way, KILL, at) for way in (UP, DOWN) if at <= driver.reference.points[way])
        return
    for way, _ in zip(chain.from_iterable(repeat((UP, DOWN))), range(chosen.faults), strict=False):
        fault = random.choice(kinds)
        if fault in (LATE, CRASH):
            yield way, fault, random.random() * driver.reference.seconds[way]
        else:
            yield way, fault, random.randint(1, driver.reference.points[way])


def until(seconds: float, given: Iterator[Fault]) -> Iterator[Fault]:
    end = time.monotonic() + seconds
    for one in given:
        if time.monotonic() > end:
            return
        yield one


def told(lost: Iterator[str]) -> Iterator[str]:
    for one in lost:
        print(f"LOST: {one}\n", flush=True)
        yield one


def table(driver: Driver) -> str:
    """Return the figures: a line for each kind of fault and each way."""
    lines = ["| database | fault | way | injected | survived | lost |", "|---|---|---|---:|---:|---:|"]
    found: dict[tuple[str, str], Counter[str]] = {}
    for (way, fault, outcome), count in driver.figures.items():
        found.setdefault((fault, way), Counter())[outcome] += count
    for (fault, way), counts in sorted(found.items()):
        injected, survived, lost = counts.total(), counts["survived"], counts["lost"]
        lines.append(f"| {driver.vendor} | {fault} | {way} | {injected} | {survived} | {lost} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
