"""What was measured, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

STOCK, CHRONOMIG, BARE, FASTMIG = "stock", "chronomig", "bare", "fastmig"
CONTENDERS = (STOCK, CHRONOMIG, BARE, FASTMIG)
SCHEMA = 1


@dataclass
class Cell:
    """The runs of one contender; a run that was not counted left no trace but a note."""

    seconds: dict[int, float] = field(default_factory=dict)
    """By the number of the round, because ratios are taken within a round."""
    cpu: list[float] = field(default_factory=list)
    peak_mb: float = 0
    between: float | None = None
    """Seconds from the first to the last change of the schema that were not spent in the database, in a traced run."""
    statements: int | None = None
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

    def ratio(self, name: str, other: str) -> float | None:
        """Return the median of the ratios of each round in which both ran."""
        one, two = self.cell(name).seconds, self.cell(other).seconds
        pairs = [one[number] / two[number] for number in one.keys() & two.keys()]
        return median(pairs) if pairs else None

    def beyond_sql(self, name: str) -> float | None:
        """Return the seconds that a contender takes beyond the bare SQL, per operation."""
        one, two = self.cell(name).seconds, self.cell(BARE).seconds
        pairs = [one[number] - two[number] for number in one.keys() & two.keys()]
        return median(pairs) / self.operations if pairs and self.operations else None

    def between(self, name: str) -> float | None:
        """Return the seconds between the statements of a migrate, per operation."""
        seconds = self.cell(name).between
        return seconds / self.operations if seconds is not None and self.operations else None


def save(path: Path, about: Mapping[str, Any], rows: Iterable[Row]) -> None:
    content = {"schema": SCHEMA, "about": about, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """Return what :func:`save` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["about"], [row_from(one) for one in content["rows"]]


def row_from(one: Mapping[str, Any]) -> Row:
    """JSON knows no numbers as keys."""
    cells = {
        name: Cell(**{**cell, "seconds": {int(number): took for number, took in cell["seconds"].items()}})
        for name, cell in one["cells"].items()
    }
    return Row(**{**one, "cells": cells})
