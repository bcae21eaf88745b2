"""What one side says of each test: how it ended, and what it did to the schema. Plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

OK, SKIPPED, EXPECTED_FAILURE, UNEXPECTED_SUCCESS, FAILED, ERROR = OUTCOMES = (
    "ok",
    "skipped",
    "expected failure",
    "unexpected success",
    "failed",
    "error",
)
"""From the best to the worst: a test with subtests has the worst of theirs."""
FAILURES = (UNEXPECTED_SUCCESS, FAILED, ERROR)


@dataclass
class Record:
    """One test in one run."""

    test: str
    outcome: str = OK
    detail: str = ""
    """The traceback, or why it was skipped."""
    statements: list[str] = field(default_factory=list)

    def ended(self, outcome: str, detail: str = "") -> None:
        if OUTCOMES.index(outcome) > OUTCOMES.index(self.outcome):
            self.outcome, self.detail = outcome, detail


def write(record: Record, folder: Path, process: int) -> None:
    """Append *record*; each process has a file of its own."""
    with (folder / f"{process}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")


def read(folder: Path, without: str) -> dict[str, Record]:
    """Return {test: record} of all processes of one run, *without* the name of its database in the statements."""
    return {record.test: record for record in _lines(sorted(folder.glob("*.jsonl")), without)}


def _lines(paths: Iterable[Path], without: str) -> Iterator[Record]:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for record in (Record(**json.loads(line)) for line in file):
                record.statements = [statement.replace(without, "database") for statement in record.statements]
                yield record
