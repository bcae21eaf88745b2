"""Rows -> the plots of the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.fits import Point, fit_line, fit_power
from benchmarks.report import NAMES, VENDOR_NAMES
from benchmarks.results import BARE, CHRONOMIG, CONTENDERS, FASTMIG, OWN, STOCK, Row, pairs_by_size
from benchmarks.svg import Series, plot
from benchmarks.workloads import Task

COLOURS = {STOCK: "#b3412e", CHRONOMIG: "#1f6f8b", BARE: "#777777", FASTMIG: "#b8860b"}
Value = Callable[[Row, str], float | None]


def write_plots(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Write every plot that has two sizes of at least one contender; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for vendor in dict.fromkeys(row.database for row in rows):
        mine = [row for row in rows if row.database == vendor]
        for name, content in (*operation_plots(vendor, mine), *history_plots(vendor, mine)):
            path = folder / f"{name}-{vendor}.svg"
            path.write_text(content, encoding="utf-8")
            written.append(path)
    return written


def operation_plots(vendor: str, rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    """Yield the cost of an operation against the number of tables: with its share of the process, and without."""
    pairs = pairs_by_size(row for row in rows if row.workload == "hub")
    fewest = {many.size: few for many, few in pairs}
    costs: dict[str, tuple[str, Value]] = {
        "operation": ("One operation of 36", Row.per_operation),
        "further": ("Each further operation", lambda row, name: row.marginal(fewest[row.size], name)),
    }
    for file, (what, cost) in costs.items():
        if many := series([many for many, _ in pairs], in_milliseconds(cost), power=True):
            title = f"{what}, beyond its SQL, {VENDOR_NAMES[vendor]}"
            yield file, plot(title, "tables that refer to one user table", "ms", many, logarithmic=True)


def history_plots(vendor: str, rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    """Yield the seconds of each task against the length of the history."""
    for task in Task:
        deep = [row for row in rows if row.workload == "deep" and row.task == task]
        if many := series(deep, lambda row, name: row.cell(name).median, power=False):
            title = f"{TITLES[task]}, {VENDOR_NAMES[vendor]}"
            yield (
                f"history-{task.name.lower()}",
                plot(title, "migrations in the history", "seconds, whole process", many, logarithmic=False),
            )


TITLES = {
    Task.FORWARD: "One new, unrelated model",
    Task.BACKWARD: "The same model undone",
    Task.NOTHING: "A migrate with nothing to do",
    Task.STATUS: "status (stock: showmigrations)",
    Task.CHECK: "makemigrations --check",
}


def in_milliseconds(cost: Value) -> Value:
    def value(row: Row, name: str) -> float | None:
        seconds = cost(row, name)
        return None if seconds is None else seconds * 1000

    return value


def series(rows: Sequence[Row], value: Value, *, power: bool) -> list[Series]:
    """Return the points of every contender, with a fit; nothing where no contender has two sizes."""
    found = []
    for name in CONTENDERS:
        if name == OWN or (power and name == BARE):
            continue  # they are what the others are compared with
        points: list[Point] = [(row.size, cost) for row in rows if (cost := value(row, name)) is not None]
        if points:
            fit = fit_power(points) if power else fit_line(points)
            found.append(Series(NAMES[name], points, fit, COLOURS[name]))
    return found if any(len(one.points) > 1 for one in found) else []
