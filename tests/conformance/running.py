"""Run one of Django's suites in a process of its own: on stock Django, or on the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conformance import databases, records
from tests.conformance.records import Record

ROOT = Path(__file__).parents[2]
LIMIT = 3600
"""Seconds that one suite may take."""


@dataclass(frozen=True)
class Run:
    """
    One suite on one side.

    A suite has a process for itself, and its tests run one after another: some define models, which later tests of
    the same process find in the registry.
    """

    which: str
    """``stock`` or ``engine``."""
    suite: str
    database: str
    tests: Path
    """Django's folder ``tests``."""
    folder: Path

    def records(self) -> dict[str, Record]:
        """Run the suite, and return {test: what was recorded}."""
        self.folder.mkdir(parents=True)
        try:
            with self.log.open("w") as log:
                subprocess.run(
                    self._command(), env=self._environment(), cwd=self.folder, stdout=log, stderr=log, timeout=LIMIT
                )
        finally:
            databases.drop(self.database, self._name)
        return records.read(self.folder, without=self._name)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def _name(self) -> str:
        """The database: no other process uses it."""
        return f"cm_conformance_{os.getpid()}_{self.which}_{self.suite.replace('.', '_').lower()}"[:50]

    def _command(self) -> list[str]:
        options = ["--settings=tests.conformance.settings", "--noinput", "--parallel=1"]
        inside = [sys.executable, "-m", "tests.conformance.inside", self.which, str(self.folder)]
        return [*inside, str(self.tests / "runtests.py"), *options, self.suite]

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",  # the order of a set is part of some statements
            "CHRONOMIG_CONFORMANCE_DATABASES": json.dumps(databases.settings(self.database, self._name)),
        }
