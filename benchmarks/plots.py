"""Rows -> the plots of the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.fits import Point, fit_line, fit_power
from benchmarks.report import NAMES, VENDOR_NAMES
from benchmarks.results import BARE, CHRONOMIG, CONTENDERS, FASTMIG, OWN, STOCK, Row, most_operations, pairs_by_size
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
    """Yield the cost of an operation against the number of tables: its CPU, its share of the process, no share."""
    hub = [row for row in rows if row.workload == "hub"]
    fewest = {many.size: few for many, few in pairs_by_size(hub)}
    costs: dict[str, tuple[str, str, Value]] = {
        "cpu": ("One operation of 36, beyond its SQL, in one process", "ms of CPU", Row.operation_ms),
        "operation": ("One operation of 36, beyond its SQL", "ms", in_milliseconds(Row.per_operation)),
        "further": (
            "Each further operation, beyond its SQL",
            "ms",
            in_milliseconds(lambda row, name: row.marginal(fewest[row.size], name) if row.size in fewest else None),
        ),
    }
    for file, (what, unit, cost) in costs.items():
        shown, notes = powers(most_operations(hub), cost)
        if shown:
            title = f"{what}, {VENDOR_NAMES[vendor]}"
            yield file, plot(title, "tables that refer to one user table", unit, shown, logarithmic=True, notes=notes)


def history_plots(vendor: str, rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    """Yield the seconds of each task against the length of the history."""
    for task in Task:
        deep = [row for row in rows if row.workload == "deep" and row.task == task]
        if many := lines(deep, lambda row, name: row.cell(name).median):
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


def powers(rows: Sequence[Row], cost: Value) -> tuple[list[Series], list[str]]:
    """
    Return every contender that has two sizes above zero, with its fit, and in notes what that leaves out.

    A cost beyond the SQL is the difference of two processes: its noise can be more than the cost, and has no logarithm.
    """
    shown, unfit, lost = [], [], []
    for name in CONTENDERS:
        points = points_of(rows, cost, name)
        if name in (BARE, OWN) or not points:
            continue  # these two are what the others are compared with
        above = [(size, value) for size, value in points if value > 0]
        if fit := fit_power(above):
            shown.append(Series(NAMES[name], above, fit, COLOURS[name]))
            if len(above) < len(points):
                sizes = ", ".join(f"{size:g}" for size, value in points if value <= 0)
                lost.append(f"{NAMES[name]} at {sizes}")
        else:
            unfit.append(NAMES[name])
    notes = {"Not shown, above zero at fewer than two sizes": unfit, "Left out, not above zero": lost}
    return shown, [f"{reason}: {', '.join(who)}" for reason, who in notes.items() if who]


def lines(rows: Sequence[Row], cost: Value) -> list[Series]:
    """Return the points of every contender, with a fit; nothing where no contender has two sizes."""
    found = []
    for name in CONTENDERS:
        if name != OWN and (points := points_of(rows, cost, name)):
            found.append(Series(NAMES[name], points, fit_line(points), COLOURS[name]))
    return found if any(len(one.points) > 1 for one in found) else []


def points_of(rows: Sequence[Row], cost: Value, name: str) -> list[Point]:
    return [(row.size, value) for row in rows if (value := cost(row, name)) is not None]
