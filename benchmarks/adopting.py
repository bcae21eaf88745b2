"""
``python -m benchmarks.adopting [MIGRATIONS…]``: what ``chronomig adopt`` costs beyond the start of Django.

The project grew as real ones do: each migration came with a commit of its own. Its database has recorded all of them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.history import History
from benchmarks.running import Ran, Site
from benchmarks.workloads import deep
from benchmarks.writing import write_stock

SIZES = (300, 1500)
FIRST_COMMIT = datetime(2020, 1, 1, tzinfo=UTC)
RECORD = """
import django; django.setup()
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
recorder = MigrationRecorder(connection)
recorder.ensure_schema()
rows = [recorder.Migration(app=app, name=name) for app, name in MigrationLoader(None).disk_migrations]
recorder.migration_qs.bulk_create(rows)
"""


@dataclass(frozen=True)
class Adopted:
    """One adoption, and the start of Django in the same project."""

    files: int
    start: Ran
    adopt: Ran

    @property
    def cpu(self) -> float:
        """Seconds of processor time beyond Django's start."""
        return self.adopt.cpu - self.start.cpu

    def __str__(self) -> str:
        return (
            f"{self.files} migrations: {self.adopt.seconds - self.start.seconds:.1f} s, {self.cpu:.1f} s of it CPU "
            f"({1000 * self.cpu / self.files:.1f} ms each), beyond Django's {self.start.seconds:.1f} s"
        )


def adopt(folder: Path, migrations: int) -> Adopted:
    """Make a project in *folder* that has *migrations* migrations and some of Django's own, and adopt it."""
    workload = deep(apps=min(30, migrations // 5), models=migrations // 10, migrations=migrations)
    write_stock(folder, workload.history)
    commit_each(folder, workload.history)
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}
    site = Site(folder, {"BENCH_MORE_APPS": '["chronomig"]'})
    start = ["-c", "import django; django.setup(); from django.db import connection; connection.cursor()"]
    ran = [site.measured(command, database, 600) for command in (["-c", RECORD], start, ["-m", "chronomig", "adopt"])]
    for one in ran:
        if not one.succeeded:
            sys.exit(one.output)
    return Adopted(len(list(folder.glob("project_migrations/default/*.py"))), *ran[1:])


def commit_each(folder: Path, history: History) -> None:
    """Give every migration a commit of its own, an hour after the one before it."""
    for command, told in (
        (["init", "-q", "-b", "main"], None),
        (["fast-import", "--quiet"], b"".join(commits(folder, history))),
    ):
        subprocess.run(["git", *command], cwd=folder, input=told, check=True)


def commits(folder: Path, history: History) -> Iterator[bytes]:
    """Yield what ``git fast-import`` reads."""
    for number, one in enumerate(history.migrations):
        path = f"{one.app}/migrations/{one.name}.py"
        text = (folder / path).read_bytes()
        when = int((FIRST_COMMIT + timedelta(hours=number)).timestamp())
        yield f"commit refs/heads/main\ncommitter A Person <person@example.org> {when} +0000\ndata 4\nwork".encode()
        yield f"\nM 644 inline {path}\ndata {len(text)}\n".encode() + text + b"\n"


def main(sizes: list[int]) -> None:
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="chronomig-adopting-") as folder:
            print(adopt(Path(folder) / "site", size), flush=True)


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or list(SIZES))
