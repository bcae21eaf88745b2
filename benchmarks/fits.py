"""How a cost grows: least squares, for powers and for lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Power:
    """``y = factor * x ** exponent``: a line where both axes are logarithmic."""

    factor: float
    exponent: float

    def at(self, x: float) -> float:
        return self.factor * math.pow(x, self.exponent)

    def __str__(self) -> str:
        return f"~ N^{self.exponent:.2f}"


@dataclass(frozen=True)
class Line:
    """``y = start + slope * x``."""

    start: float
    slope: float

    def at(self, x: float) -> float:
        return self.start + self.slope * x

    def __str__(self) -> str:
        return f"= {round(self.start, 2) + 0:.2f} s {'+' if self.slope >= 0 else '-'} {abs(self.slope) * 1000:.2f} s per thousand"


def fit_power(points: Sequence[Point]) -> Power | None:
    """Fit in logarithms, over the points above zero; None where fewer than two sizes are left."""
    line = fit_line([(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0])
    return Power(math.exp(line.start), line.slope) if line else None


def fit_line(points: Sequence[Point]) -> Line | None:
    """Return the line of least squares; None where fewer than two different x are given."""
    if len({x for x, _ in points}) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return Line(mean_y - slope * mean_x, slope)
