"""``python -m benchmarks``: ratios, chronomig against stock Django and against bare imports."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.generate import generate

BARE = (
    "import django; django.setup(); import django.db.migrations.executor, django.db.migrations.autodetector; "
    "from django.db import connection; connection.ensure_connection()"
)
Command = list[str]


class Bench:
    """One generated project, and commands run in it."""

    def __init__(self, folder: Path, runs: int) -> None:
        self.folder, self.runs = folder, runs

    def seconds(self, command: Command, database: str) -> float:
        """Run *command* once and return the seconds of the whole process."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.folder / database)}
        environment |= {"DJANGO_SETTINGS_MODULE": "bench_settings", "BENCH_DATABASE": json.dumps(settings)}
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        took = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        return took

    def compare(self, title: str, ours: Command, other: Command, *, fresh: bool = False) -> None:
        """Run both in turn and print the medians and the median ratio."""
        pairs = []
        for number in range(self.runs + 1):
            one = self.seconds(ours, "fresh-ours.sqlite3" if fresh else "ours.sqlite3")
            two = self.seconds(other, "fresh-other.sqlite3" if fresh else "stock.sqlite3")
            if number:  # the first round warms the caches
                pairs.append((one, two))
            for name in ("fresh-ours.sqlite3", "fresh-other.sqlite3"):
                (self.folder / name).unlink(missing_ok=True)
        median: Callable[[list[float]], float] = statistics.median
        mine, theirs = median([one for one, _ in pairs]), median([two for _, two in pairs])
        ratio = median([one / two for one, two in pairs])
        print(
            f"{title:<48} {mine:8.3f} s {theirs:8.3f} s   {ratio:5.2f}   {1000 * (mine - theirs):+8.0f} ms",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small project and few runs")
    parser.add_argument("--apps", type=int, help="how many apps")
    parser.add_argument("--models", type=int, help="how many models in each")
    parser.add_argument("--migrations", type=int, help="how many migrations after the first of each app")
    parser.add_argument("--runs", type=int, help="how many counted runs of each command")
    chosen = parser.parse_args()
    sizes = (
        {"apps": 4, "models": 3, "migrations": 20} if chosen.quick else {"apps": 20, "models": 5, "migrations": 300}
    )
    sizes |= {key: value for key in sizes if (value := getattr(chosen, key)) is not None}
    folder = Path(tempfile.mkdtemp(prefix="chronomig-bench-"))
    try:
        measure(folder / "project", chosen.runs or (3 if chosen.quick else 7), sizes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, runs: int, sizes: dict[str, int]) -> None:
    generate(folder, **sizes)
    bench = Bench(folder, runs)
    print(f"{sizes['apps']} apps, {sizes['apps'] * sizes['models']} models, {sizes['apps'] + sizes['migrations']} migrations; "
          f"SQLite, Python {sys.version.split()[0]}, medians of {runs} runs")  # fmt: skip
    took = bench.seconds(["-m", "chronomig", "makemigrations", "-v", "0"], "ours.sqlite3")
    print(f"vendoring the history once: {took:.1f} s")
    bench.seconds(["-m", "chronomig", "migrate", "-v", "0"], "ours.sqlite3")
    bench.seconds(["manage.py", "migrate", "-v", "0"], "stock.sqlite3")
    print(f"{'':<48} {'chronomig':>10} {'other':>10}   ratio   difference")
    bench.compare("status / bare imports and a connection", ["-m", "chronomig", "status"], ["-c", BARE])
    bench.compare("migrate, nothing to do / bare", ["-m", "chronomig", "migrate"], ["-c", BARE])
    bench.compare("migrate, nothing to do / stock", ["-m", "chronomig", "migrate"], ["manage.py", "migrate"])
    bench.compare("status / stock showmigrations", ["-m", "chronomig", "status"], ["manage.py", "showmigrations"])
    bench.compare("makemigrations --check / stock", ["-m", "chronomig", "makemigrations", "--check"], ["manage.py", "makemigrations", "--check"])  # fmt: skip
    bench.compare("migrate from nothing / stock", ["-m", "chronomig", "migrate", "-v", "0"], ["manage.py", "migrate", "-v", "0"], fresh=True)  # fmt: skip


if __name__ == "__main__":
    main()
