"""What was measured, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

STOCK, CHRONOMIG, BARE, OWN, FASTMIG = "stock", "chronomig", "bare", "own", "fastmig"
CONTENDERS = (STOCK, CHRONOMIG, BARE, OWN, FASTMIG)
SCHEMA = 1


@dataclass
class Cell:
    """The runs of one contender; a run that was not counted left no trace but a note."""

    seconds: dict[int, float] = field(default_factory=dict)
    """By the number of the round, because ratios are taken within a round."""
    cpu: list[float] = field(default_factory=list)
    peak_mb: float = 0
    operation_ms: list[float] = field(default_factory=list)
    """CPU beyond the SQL for each operation, in one process, without its start."""
    unsent_ms: list[float] = field(default_factory=list)
    """The same where no change of the schema is sent to the server."""
    statements: int | None = None
    """How many it sent on the connection that it migrates."""
    note: str = ""
    """Why there is no figure, or what to know of it."""

    @property
    def median(self) -> float | None:
        return median(self.seconds.values()) if self.seconds else None


@dataclass
class Row:
    """One task of one workload on one database, with all contenders."""

    workload: str
    size: int
    database: str
    task: str
    operations: int
    cells: dict[str, Cell]

    def cell(self, name: str) -> Cell:
        return self.cells.get(name) or Cell()

    @property
    def only_operations(self) -> bool:
        """Whether nothing was measured but what an operation costs in one process."""
        return not any(cell.seconds or cell.note for cell in self.cells.values())

    def ratio(self, name: str, other: str) -> float | None:
        """Return the median of the ratios of each round in which both ran."""
        one, two = self.cell(name).seconds, self.cell(other).seconds
        pairs = [one[number] / two[number] for number in one.keys() & two.keys()]
        return median(pairs) if pairs else None

    def beyond_sql(self, name: str) -> float | None:
        """Return the seconds that a contender takes beyond the bare SQL; chronomig beyond its own, which is another."""
        floor = OWN if name == CHRONOMIG and self.cell(OWN).seconds else BARE
        one, two = self.cell(name).seconds, self.cell(floor).seconds
        pairs = [one[number] - two[number] for number in one.keys() & two.keys()]
        return median(pairs) if pairs else None

    def per_operation(self, name: str) -> float | None:
        """Return the seconds beyond the bare SQL over the number of operations: start-up and all."""
        seconds = self.beyond_sql(name)
        return seconds / self.operations if seconds is not None and self.operations else None

    def operation_ms(self, name: str) -> float | None:
        """Return the median of what each operation cost in one process."""
        found = self.cell(name).operation_ms
        return median(found) if found else None

    def unsent_ms(self, name: str) -> float | None:
        """Return the median of what each operation cost where no change of the schema was sent."""
        found = self.cell(name).unsent_ms
        return median(found) if found else None

    def marginal_ms(self, other: Row, name: str) -> float | None:
        """Return what each further operation cost in one process, from a row of the same size with fewer of them."""
        many, few = self.operation_ms(name), other.operation_ms(name)
        if many is None or few is None or self.operations <= other.operations:
            return None
        return (many * self.operations - few * other.operations) / (self.operations - other.operations)

    def marginal(self, other: Row, name: str) -> float | None:
        """Return what each further operation costs beyond its SQL, from a row of the same size with fewer of them."""
        many, few = self.beyond_sql(name), other.beyond_sql(name)
        if many is None or few is None or self.operations <= other.operations:
            return None
        return (many - few) / (self.operations - other.operations)


def pairs_by_size(rows: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Return (the row with the most operations, the one with the fewest) of every size that has both."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row.size, []).append(row)
    ordered = [sorted(many, key=lambda row: row.operations) for _, many in sorted(found.items())]
    return [(many[-1], many[0]) for many in ordered if len(many) > 1]


def most_operations(rows: Iterable[Row]) -> list[Row]:
    """Return the row with the most operations of each size, by size."""
    found = {row.size: row for row in sorted(rows, key=lambda row: row.operations)}
    return [found[size] for size in sorted(found)]


def save(path: Path, about: Mapping[str, Any], rows: Iterable[Row]) -> None:
    content = {"schema": SCHEMA, "about": about, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """Return what :func:`save` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["about"], [row_from(one) for one in content["rows"]]


def together(results: Sequence[tuple[Mapping[str, str], list[Row]]]) -> tuple[dict[str, str], list[Row]]:
    """Return several results as one; where two measured the same, the later one counts, as far as it goes."""
    keys = dict.fromkeys(key for about, _ in results for key in about)
    found = {key: dict.fromkeys(about[key] for about, _ in results if key in about) for key in keys}
    rows: dict[tuple[str, int, int, str, str], Row] = {}
    for row in (row for _, many in results for row in many):
        key = (row.workload, row.size, row.operations, row.database, row.task)
        rows[key] = with_operations(rows[key], row) if key in rows and row.only_operations else row
    return {key: " / ".join(values) for key, values in found.items()}, list(rows.values())


def with_operations(row: Row, other: Row) -> Row:
    """Return *row* with what an operation costs from *other*."""
    costs = {
        name: replace(row.cell(name), operation_ms=cell.operation_ms, unsent_ms=cell.unsent_ms)
        for name, cell in other.cells.items()
    }
    return replace(row, cells=row.cells | costs)


def row_from(one: Mapping[str, Any]) -> Row:
    """JSON knows no numbers as keys."""
    cells = {
        name: Cell(**{**cell, "seconds": {int(number): took for number, took in cell["seconds"].items()}})
        for name, cell in one["cells"].items()
    }
    return Row(**{**one, "cells": cells})
