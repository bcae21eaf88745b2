"""``python -m tests.conformance --help``"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django

from tests.conformance import databases, report
from tests.conformance.comparing import compare
from tests.conformance.expected import read_expected
from tests.conformance.records import Record
from tests.conformance.running import ROOT, Run
from tests.conformance.source import fetch
from tests.conformance.suites import suites_for

FAILED = 1
DIFFERENT = 3
"""The exit code when the engine does not behave as expected."""
SIDES = ("stock", "engine")


def main() -> int:
    arguments = parse()
    server, reason = databases.find_server(arguments.database)
    if reason:
        print(f"{arguments.database}: {reason}", file=sys.stderr)
        return FAILED
    try:
        return run(arguments)
    finally:
        if server is not None:
            server.stop()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description="Compare the engine with Django."
    )
    parser.add_argument("--database", choices=sorted(databases.ENGINES), default="sqlite")
    parser.add_argument("--suite", nargs="+", metavar="NAME", help="suites, or tests by their dotted names")
    parser.add_argument("--quick", action="store_true", help="only the suites in which most can differ")
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="processes at once (%(default)s)")
    parser.add_argument("--cache", type=Path, default=ROOT / ".nox" / "django", help="where Django's source is kept")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> int:
    """Run Django's suites on both sides; print what differs, and return the exit code."""
    tests = fetch(arguments.cache)
    suites = arguments.suite or suites_for(arguments.database, quick=arguments.quick)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            Run(side, suite, arguments.database, tests, Path(folder) / side / suite)
            for suite in suites
            for side in SIDES
        ]
        with ThreadPoolExecutor(arguments.parallel) as pool:
            found = list(pool.map(Run.records, runs))
        for one, recorded in zip(runs, found, strict=True):
            if not recorded:
                print(f"{one.suite} did not run:\n{one.log.read_text(encoding='utf-8')[-5000:]}", file=sys.stderr)
                return FAILED
    series = ".".join(map(str, django.VERSION[:2]))
    comparison = compare(*_by_side(runs, found), read_expected(series, arguments.database, suites))
    print(f"Django {django.get_version()}, {arguments.database}, {round(time.monotonic() - began)} s\n")
    print("\n".join(report.lines(comparison)))
    return 0 if comparison.is_conforming else DIFFERENT


def _by_side(runs: list[Run], found: list[dict[str, Record]]) -> list[dict[str, Record]]:
    """Return what all suites recorded on each side."""
    return [
        {
            test: record
            for one, part in zip(runs, found, strict=True)
            if one.which == side
            for test, record in part.items()
        }
        for side in SIDES
    ]


if __name__ == "__main__":
    sys.exit(main())
