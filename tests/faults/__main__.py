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

from tests.databases import MARIADB_VARIABLE, POSTGRES_VARIABLE, VENDORS, Unserved, served
from tests.faults.driver import DOWN, UP, Driver
from tests.faults.injecting import AT_A_POINT, CRASH, CRASH_AT, CUT, KILL, LATE
from tests.faults.site import Mode
from tests.servers import MariaServer, PostgresServer, Server, mariadb_binaries, postgres_binaries

FOUND_SOMETHING = 3
Fault = tuple[str, str, float]
SHORT = {"kill": KILL, "cut": CUT, "crash": CRASH_AT}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=VENDORS, default="sqlite")
    parser.add_argument(
        "--faults", type=int, default=100, help="how many; 0 is every point of each migration, both ways, in turn"
    )
    parser.add_argument(
        "--at",
        type=exact,
        nargs="+",
        metavar="WAY:FAULT:POINT",
        help="these in place of random ones: up:cut:746 down:kill:12",
    )
    parser.add_argument("--seconds", type=float, default=3600, help="how long at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--part", default="1/1", help="which of how many parts of the faults: 2/3 is the second third"
    )
    parser.add_argument("--mode", choices=[one.name.lower() for one in Mode], default="plain", help="what is broken")
    parser.add_argument(
        "--crash", action="store_true", help="crash the server, one that is started for it, at random"
    )
    return parser.parse_args()


def exact(text: str) -> Fault:
    """Return (way, fault, point) that a person typed."""
    way, fault, point = text.split(":")
    if way not in (UP, DOWN):
        raise ValueError(way)
    return way, SHORT[fault], int(point)


def main() -> int:
    chosen = arguments()
    try:
        with (
            own_server(chosen.database, needed=chosen.crash) as server,
            served(chosen.database) as database,
            tempfile.TemporaryDirectory() as folder,
        ):
            database.folder = Path(folder)
            driver = Driver(database, Path(folder), server, Mode[chosen.mode.upper()])
            driver.learn()
            lost = list(told(under_fault(driver, chosen)))
    except Unserved as error:
        print(error, file=sys.stderr)
        return 1
    print(table(driver))
    if driver.own_crashes:
        print(f"\nBesides, the server crashed by itself {driver.own_crashes} times; that was survived, too.")
    return FOUND_SOMETHING if lost else 0


@contextmanager
def own_server(vendor: str, *, needed: bool) -> Iterator[Server | None]:
    """Start a server that may be crashed and need not wait for a disk; raise Unserved when it is *needed*."""
    server = None
    if vendor == "postgresql" and (binaries := postgres_binaries()):
        server = PostgresServer(binaries)
        os.environ[POSTGRES_VARIABLE] = server.url
    elif vendor == "mariadb" and (program := mariadb_binaries()):
        server = MariaServer(program)
        os.environ[MARIADB_VARIABLE] = server.url
    elif needed:
        raise Unserved(f"--crash: there is no server of {vendor}, or not its programs.")
    try:
        yield server
    finally:
        if server is not None:
            server.stop()


def under_fault(driver: Driver, chosen: argparse.Namespace) -> Iterator[str]:
    """Yield what was lost."""
    part, parts = map(int, chosen.part.split("/"))
    if chosen.at:
        yield from driver.rounds(iter(chosen.at))
    elif chosen.faults:
        yield from driver.rounds(until(chosen.seconds, faults(driver, chosen)))
    else:
        yield from driver.every_point(lambda at: at % parts == part - 1, time.monotonic() + chosen.seconds)


def faults(driver: Driver, chosen: argparse.Namespace) -> Iterator[Fault]:
    """Yield (way, fault, where), at random."""
    kinds = [KILL, LATE] if driver.vendor == "sqlite" else [KILL, CUT, LATE]
    kinds = [CRASH, CRASH_AT] if chosen.crash else kinds
    random = Random(chosen.seed)
    for way, _ in zip(chain.from_iterable(repeat((UP, DOWN))), range(chosen.faults), strict=False):
        fault = random.choice(kinds)
        if fault in AT_A_POINT:
            yield way, fault, random.randint(1, driver.reference.points[way])
        else:
            yield way, fault, random.random() * driver.reference.seconds[way]


def until(seconds: float, given: Iterator[Fault]) -> Iterator[Fault]:
    began = time.monotonic()
    for number, one in enumerate(given):
        if time.monotonic() - began > seconds:
            return
        if number % 50 == 0:
            print(f"{number} faults after {time.monotonic() - began:.0f} seconds", file=sys.stderr, flush=True)
        yield one


def told(lost: Iterator[str]) -> Iterator[str]:
    for one in lost:
        print(f"LOST: {one}\n", flush=True)
        yield one


def table(driver: Driver) -> str:
    """Return the figures: a line for each kind of fault and each way."""
    lines = [
        "| database | command | fault | way | injected | survived | lost |",
        "|---|---|---|---|---:|---:|---:|",
    ]
    found: dict[tuple[str, str], Counter[str]] = {}
    for (way, fault, outcome), count in driver.figures.items():
        found.setdefault((fault, way), Counter())[outcome] += count
    for (fault, way), counts in sorted(found.items()):
        injected, survived, lost = counts.total(), counts["survived"], counts["lost"]
        lines.append(f"| {driver.vendor} | {driver.mode} | {fault} | {way} | {injected} | {survived} | {lost} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
