"""``chronomig drift``: the schemas of databases against what their histories say."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig import output
from chronomig.drift import Drift, drift_of
from chronomig.project import Project

FOUND = 3


def run(project: Project, *, databases: Sequence[str] = (), json: bool = False) -> int:
    """Show what differs in each database; the exit code is 3 when something does."""
    chosen = project.choose_databases(databases)
    found = [(database, drift_of(database)) for database in chosen]
    if json:
        output.say_json("drift", databases=[as_json(drift) for _, drift in found])
    else:
        for database, drift in found:
            output.say(f"{output.heading(database)}: {summary(drift)}")
            for line in lines(drift):
                output.say(f"  {line}")
    return FOUND if any(drift.differences for _, drift in found) else 0


def summary(drift: Drift) -> str:
    if not drift.compared:
        return "its history makes no tables"
    compared = output.plural(drift.compared, "table")
    if not drift.differences:
        return f"{compared} as the history says"
    return f"{output.plural(len(drift.differences), 'difference')} in {compared}"


def lines(drift: Drift) -> list[str]:
    places = [f"{one.table}.{one.column}" if one.column else one.table for one in drift.differences]
    width = max(map(len, places), default=0)
    found = [f"{place:<{width}}  {one.text}" for place, one in zip(places, drift.differences, strict=True)]
    return [*found, *(f"note: {note}" for note in drift.notes)]


def as_json(drift: Drift) -> dict[str, object]:
    differences = [
        {"table": one.table, "column": one.column or None, "difference": one.text} for one in drift.differences
    ]
    return {
        "alias": drift.alias,
        "tables": drift.compared,
        "differences": differences,
        "notes": list(drift.notes),
    }
