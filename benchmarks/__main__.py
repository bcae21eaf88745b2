"""
``python -m benchmarks``: chronomig, stock Django, the bare SQL and django-fastmig, side by side in one run.

Read the ratios: the seconds are those of one machine. docs/performance.md says what is measured, and how.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import django

from benchmarks.contenders import Contender, fastmig
from benchmarks.databases import VENDORS, stores
from benchmarks.docs import write_docs
from benchmarks.generated import Generated
from benchmarks.measuring import Choices, Course
from benchmarks.operations import measured_in_turns
from benchmarks.report import in_one_line, report, seconds, title
from benchmarks.results import CHRONOMIG, STOCK, Row, load, save, together
from benchmarks.sizes import DEFAULT, FULL, QUICK, Scale
from benchmarks.workloads import MAKERS, Workload


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", dest="scale", action="store_const", const=QUICK, help="small projects, under a minute"
    )
    size.add_argument("--full", dest="scale", action="store_const", const=FULL, help="the biggest projects, hours")
    parser.set_defaults(scale=DEFAULT)
    parser.add_argument("--only", help=f"some of {','.join(MAKERS)}")
    parser.add_argument(
        "--databases", help=f"some of {','.join(VENDORS)}; a PostgreSQL is found as the tests find it"
    )
    parser.add_argument("--sizes", help="only these: numbers of tables for hub, of migrations for the others")
    parser.add_argument("--rounds", type=int, help="how many counted runs of each command")
    parser.add_argument("--limit", type=float, help="seconds that one command may take")
    parser.add_argument(
        "--enough", type=float, metavar="SECONDS", help="who took so long in a task sits out its other rounds"
    )
    parser.add_argument(
        "--operations",
        action="store_true",
        help="only what each operation of hub costs in one process, sizes in turns",
    )
    parser.add_argument("--without-stock", action="store_true", help="leave stock Django out")
    parser.add_argument("--fastmig", action="store_true", help="install django-fastmig into a temporary folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    parser.add_argument("--docs", type=Path, metavar="DIR", help="write the tables as results.txt, and plots as SVG")
    parser.add_argument(
        "--from", dest="sources", type=Path, nargs="+", metavar="FILE", help="measure nothing: show such FILEs as one"
    )
    chosen = parser.parse_args()
    for given, known in ((chosen.only, [*MAKERS]), (chosen.databases, VENDORS)):
        if unknown := set(filter(None, (given or "").split(","))) - set(known):
            parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    if chosen.operations and (chosen.only or chosen.without_stock or chosen.fastmig):
        parser.error("--operations measures chronomig alone, on hub: without --only, --without-stock and --fastmig")
    return chosen


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that databases and folders are removed
    chosen = arguments()
    about, rows = together([load(one) for one in chosen.sources]) if chosen.sources else measure(chosen)
    print(f"\n{in_one_line(about)}\n\n{report(rows)}")
    if chosen.json:
        save(chosen.json, about, rows)
    if chosen.docs:
        for path in write_docs(chosen.docs, about, rows):
            tell(f"wrote {path}")


def measure(chosen: argparse.Namespace) -> tuple[dict[str, str], list[Row]]:
    """Measure everything that was chosen, in a folder that is removed at the end."""
    scale: Scale = chosen.scale
    folder = Path(tempfile.mkdtemp(prefix="chronomig-bench-"))
    began = time.perf_counter()
    try:
        limit = chosen.limit or scale.limit
        choices = Choices(
            contenders(chosen, folder), chosen.rounds or scale.rounds, limit, chosen.enough or limit / 2
        )
        vendors = chosen.databases.split(",") if chosen.databases else list(scale.databases)
        only = ["hub"] if chosen.operations else chosen.only.split(",") if chosen.only else []
        sizes = {int(size) for size in chosen.sizes.split(",")} if chosen.sizes else set()
        measuring = measured_in_turns if chosen.operations else measured
        rows: list[Row] = []
        for row in measuring(folder, scale.make(only, sizes), vendors, choices, tell):
            rows.append(row)
            if chosen.json:  # hours may follow, and something may stop them
                save(chosen.json, about(choices, time.perf_counter() - began), rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return about(choices, time.perf_counter() - began), rows


def contenders(chosen: argparse.Namespace, folder: Path) -> list[Contender]:
    """Return who takes part; stock Django first, because the bare SQL is its."""
    found = [] if chosen.without_stock else [Contender(STOCK)]
    found.append(Contender(CHRONOMIG, project=CHRONOMIG))
    return [*found, fastmig(folder / "fastmig")] if chosen.fastmig else found


def measured(
    folder: Path, workloads: Iterable[Workload], vendors: Sequence[str], choices: Choices, tell: Callable[[str], None]
) -> Iterator[Row]:
    """Yield a row of each task of each of *workloads* on each database."""
    with stores(vendors, folder) as (found, missing):
        for sentence in missing:
            tell(sentence)
        for workload in workloads:
            tell(str(workload))
            generated = Generated(folder / workload.folder, workload)
            for store in found:
                for row in Course(generated, store, choices).rows():
                    cells = ", ".join(f"{name} {seconds(cell)}" for name, cell in row.cells.items())
                    tell(f"  {store.vendor}, {title(row)}: {cells}")
                    yield row
            shutil.rmtree(generated.folder)


def about(choices: Choices, took: float) -> dict[str, str]:
    return {
        "on": datetime.now(UTC).strftime("%Y-%m-%d"),
        "Python": platform.python_version(),
        "Django": django.get_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "rounds": str(choices.rounds),
        "minutes": f"{took / 60:.1f}",
    }


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
