"""Rows -> tables in Markdown, which read well on a terminal too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from benchmarks.fits import fit_power
from benchmarks.results import (
    BARE,
    CHRONOMIG,
    CONTENDERS,
    FASTMIG,
    OWN,
    STOCK,
    Cell,
    Row,
    most_operations,
    pairs_by_size,
)
from benchmarks.workloads import Task

NAMES = {
    STOCK: "stock Django",
    CHRONOMIG: "chronomig",
    BARE: "bare SQL",
    OWN: "chronomig's own SQL",
    FASTMIG: "django-fastmig",
}
VENDOR_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
NO_FIGURE = "–"


def report(rows: Sequence[Row]) -> str:
    """Return all tables, database by database."""
    parts = []
    for vendor in dict.fromkeys(row.database for row in rows):
        mine = [row for row in rows if row.database == vendor]
        who = [name for name in CONTENDERS if any(name in row.cells for row in mine)]
        parts.append(f"## {VENDOR_NAMES[vendor]}")
        if whole := [row for row in mine if not row.only_operations]:
            parts += [seconds_table(whole, who), memory_table(whole, who)]
        parts += [table for table in (operations_table(mine, who), turns_table(mine, who)) if table]
        parts += list(notes(mine))
    return "\n\n".join(parts)


def in_one_line(about: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in about.items())


def seconds_table(rows: Sequence[Row], who: Sequence[str]) -> str:
    """Return the seconds of whole processes, and what they are to one another in one round."""
    ratios = [(CHRONOMIG, other) for other in (STOCK, BARE, FASTMIG) if other in who]
    head = ["task", *(NAMES[name] for name in who), *(f"{NAMES[one]} / {NAMES[two]}" for one, two in ratios)]
    body = [
        [
            title(row),
            *(seconds(row.cell(name)) for name in who),
            *(number(row.ratio(one, two), 2) for one, two in ratios),
        ]
        for row in rows
    ]
    return "Seconds of the whole process, and ratios\n\n" + table(head, body)


def operations_table(rows: Sequence[Row], who: Sequence[str]) -> str:
    """Return milliseconds beyond the SQL per operation: of the process, and of each further operation."""
    able = [name for name in who if name not in (BARE, OWN)]
    whole = [row for row in rows if not row.only_operations]
    body = [
        [title(row), *(number(milliseconds(row.per_operation(name)), 1) for name in able)]
        for row in whole
        if row.operations > 1
    ]
    pairs = pairs_by_size(row for row in whole if row.workload == "hub")
    for many, few in pairs:
        further = (number(milliseconds(many.marginal(few, name)), 2) for name in able)
        body.append([f"hub {many.size}: each further operation", *further])
    body += growth("hub: each operation", [many for many, _ in pairs], Row.per_operation, able)
    fewest = {many.size: few for many, few in pairs}
    body += growth(
        "hub: each further operation",
        [many for many, _ in pairs],
        lambda row, name: row.marginal(fewest[row.size], name),
        able,
    )
    body += operation_lines(rows, able)
    head = ["milliseconds beyond the SQL", *(NAMES[name] for name in able)]
    return "Cost of an operation\n\n" + table(head, body) if body else ""


def operation_lines(rows: Sequence[Row], who: Sequence[str]) -> list[list[str]]:
    """Return what an operation costs in one process, and for hub how that grows."""
    measured = [row for row in rows if row.operations > 1 and row.operation_ms(CHRONOMIG) is not None]
    kinds = {"CPU in one process": Row.operation_ms, "no change of the schema sent": Row.unsent_ms}
    lines = [
        [f"{title(row)}, {kind}", *(number(cost(row, name), 2) for name in who)]
        for row in measured
        for kind, cost in kinds.items()
        if cost(row, CHRONOMIG) is not None
    ]
    hub = [row for row in measured if row.workload == "hub"]
    pairs = pairs_by_size(hub)
    for many, few in pairs:
        further = (number(many.marginal_ms(few, name), 2) for name in who)
        lines.append([f"hub {many.size}: each further operation, CPU in one process", *further])
    lines += growth("hub: CPU of each operation", most_operations(hub), Row.operation_ms, who)
    unsent = most_operations(row for row in hub if row.unsent_ms(CHRONOMIG) is not None)
    lines += growth("hub: CPU of each operation, no change of the schema sent", unsent, Row.unsent_ms, who)
    fewest = {many.size: few for many, few in pairs}
    further_cost = growth(
        "hub: CPU of each further operation",
        [many for many, _ in pairs],
        lambda row, name: row.marginal_ms(fewest[row.size], name),
        who,
    )
    return lines + further_cost


def growth(
    name: str, rows: Sequence[Row], cost: Callable[[Row, str], float | None], who: Sequence[str]
) -> list[list[str]]:
    """Return one line: the power of the size with which a cost grows; none where noise is more than the cost."""
    if len({row.size for row in rows}) < 2:
        return []
    points = {one: [(row.size, value) for row in rows if (value := cost(row, one)) is not None] for one in who}
    fits = {one: fit_power(points[one]) for one in who if all(value > 0 for _, value in points[one])}
    return [[f"{name}, growth", *(str(fits.get(one) or NO_FIGURE) for one in who)]]


def memory_table(rows: Sequence[Row], who: Sequence[str]) -> str:
    body = [[title(row), *(number(row.cell(name).peak_mb or None, 0) for name in who)] for row in rows]
    return "Peak memory in MB\n\n" + table(["task", *(NAMES[name] for name in who)], body)


def turns_table(rows: Sequence[Row], who: Sequence[str]) -> str:
    """Return how many times one migration backward costs of what it costs forward."""
    forward = {(row.workload, row.size): row for row in rows if row.task == Task.FORWARD}
    body = []
    for row in rows:
        there = forward.get((row.workload, row.size))
        if row.task == Task.BACKWARD and there:
            body.append([f"{row.workload} {row.size}", *(number(turn(row, there, name), 2) for name in who)])
    head = ["one migration, backward / forward", *(NAMES[name] for name in who)]
    return "Backward / forward\n\n" + table(head, body) if body else ""


def turn(back: Row, there: Row, name: str) -> float | None:
    one, two = back.cell(name).median, there.cell(name).median
    return one / two if one and two else None


def notes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what a figure does not say itself; a limit stands in its cell."""
    for row in rows:
        for name, cell in row.cells.items():
            if cell.note and not cell.note.startswith(">"):
                yield f"{title(row)}, {NAMES[name]}: {cell.note}."


def title(row: Row) -> str:
    moving = f" ({row.operations} operation{'s' * (row.operations != 1)})" if row.operations else ""
    return f"{row.workload} {row.size}: {row.task}{moving}"


def seconds(cell: Cell) -> str:
    if cell.note.startswith(">"):
        return cell.note
    return number(cell.median, 2)


def milliseconds(value: float | None) -> float | None:
    return None if value is None else value * 1000


def number(value: float | None, digits: int) -> str:
    return NO_FIGURE if value is None else f"{value:.{digits}f}"


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, its columns aligned."""
    lines = [list(head), *map(list, body)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(row_text(line, widths) for line in (lines[0], rule, *lines[1:]))


def row_text(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cells[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
    ]
    return f"| {' | '.join(padded)} |"
