"""
Rounds of faults: break a migrate on its way up or down, look, and let the next one finish.

What has to hold after each fault: ``status`` ends with 0 and tells what the schema shows; the next ``migrate`` finishes;
schema, rows, history and ``django_migrations`` are those of a run that nobody disturbed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django

from tests import schema
from tests.databases import Server, TestDatabase
from tests.faults.injecting import KILL, Ended, in_child
from tests.faults.site import make
from tests.inprocess import connected, drop_everything

UP, DOWN = "up", "down"
WAYS = {UP: ["migrate", "--yes"], DOWN: ["migrate", "--to", "zero", "--yes"]}


@dataclass
class Picture:
    """What a database holds, as far as it has to be the same."""

    schema: dict[str, Any]
    rows: dict[str, list[str]]
    recorded: list[str]
    """django_migrations."""


@dataclass
class Reference:
    """What an undisturbed run leaves after each number of migrations, and how many points it passes."""

    names: list[str]
    pictures: dict[str, list[Picture]] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Lost(AssertionError):
    """A promise that was not kept."""


class Driver:
    """One project on one database, moved up and down under fault."""

    def __init__(self, database: TestDatabase, folder: Path, server: Server | None = None) -> None:
        self.vendor = database.vendor
        self.server = server
        """One that may be crashed: of our own."""
        self.settings = database.settings()
        if database.vendor == "sqlite":  # a process is killed here, not the machine
            self.settings["OPTIONS"] = {"init_command": "PRAGMA synchronous = OFF;"}
        self.project = make(folder / "site", self.settings, database.vendor)
        self.root = self.project.root
        set_up(self.root)
        self.figures: Counter[tuple[str, str, str]] = Counter()
        self.reference = Reference(self.project.files())

    def learn(self) -> None:
        """Run undisturbed, a migration at a time and all at once, both ways."""
        count = len(self.reference.names)
        self.reference.pictures = {UP: [self.picture()], DOWN: []}
        for steps, way in ((1, UP), (-1, DOWN)):
            for _ in range(count):
                self.finish(["migrate", "--steps", str(steps), "--yes"])
                self.reference.pictures[way].append(self.picture())
        self.reference.pictures[DOWN].insert(0, self.reference.pictures[UP][-1])
        for way in (UP, DOWN):
            began = time.monotonic()
            ended = in_child(self.root, WAYS[way])
            self.reference.seconds[way] = time.monotonic() - began
            self.insist(ended.code == 0, f"an undisturbed run {way} ends with {ended.code}\n{ended.err}")
            self.reference.points[way] = ended.points

    def rounds(self, points: Iterator[tuple[str, str, float]]) -> Iterator[str]:
        """Yield what was lost; go on after it on an empty database."""
        stands = DOWN
        for way, fault, at in points:
            try:
                if stands == way:
                    self.finish(WAYS[DOWN if way == UP else UP])
                self.round(way, fault, at)
                self.figures[way, fault, "survived"] += 1
                stands = way
            except Lost as lost:
                self.figures[way, fault, "lost"] += 1
                yield f"{self.vendor}, {fault}, {at} of {self.reference.points[way]}, on the way {way}: {lost}"
                self.start_over()
                stands = DOWN

    def round(self, way: str, fault: str, at: float) -> None:
        """Break a run at a point, and insist on what has to hold."""
        broken = in_child(self.root, WAYS[way], fault, at, self.server)
        if fault == KILL and at <= self.reference.points[way]:
            self.insist(broken.code == -9, f"it was to be killed, and ended with {broken.code}\n{broken.err}")
        self.insist("Traceback" not in broken.err, f"an expected error has a traceback:\n{broken.err}")
        self.check_status(way)
        again = self.run(WAYS[way])
        self.insist(again.code == 0, f"the next run ends with {again.code}\n{again.out}\n{again.err}")
        self.check_end(way)

    # What has to hold

    def check_status(self, way: str) -> None:
        """Insist that status tells the truth: what it calls applied is what the schema and the rows show."""
        states = self.states()
        applied = [name for name in self.reference.names if states.get(name) == "applied"]
        self.insist(applied == self.reference.names[: len(applied)], f"status has gaps: {states}")
        if "half done" in states.values():
            return
        places = self.reference.pictures[UP], self.reference.pictures[DOWN]
        expected = [places[0][len(applied)], places[1][len(self.reference.names) - len(applied)]]
        now = self.picture()
        tables = "django_content_type"  # written when the run ends
        self.insist(
            any(without(now, tables) == without(one, tables) for one in expected),
            f"status calls {len(applied)} migrations applied, and the database shows something else: "
            + unlike(without(now, tables), without(expected[0 if way == UP else 1], tables)),
        )

    def check_end(self, way: str) -> None:
        expected, now = self.reference.pictures[way][-1], self.picture()
        self.insist(now == expected, f"another result than that of an undisturbed run: {unlike(now, expected)}")
        states = self.states()
        wanted = "applied" if way == UP else "pending"
        self.insist(set(states.values()) == {wanted}, f"not all are {wanted}: {states}")

    def states(self) -> dict[str, str]:
        ended = self.run(["status", "--json"])
        self.insist(ended.code in (0, 3), f"status ends with {ended.code}\n{ended.err}")
        (one,) = json.loads(ended.out)["databases"]
        return {line["name"]: line["state"] for line in one["migrations"]}

    def insist(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Lost(otherwise)

    # Means

    def run(self, arguments: list[str]) -> Ended:
        return in_child(self.root, arguments)

    def finish(self, arguments: list[str]) -> None:
        ended = self.run(arguments)
        self.insist(ended.code == 0, f"{' '.join(arguments)} ends with {ended.code}\n{ended.out}\n{ended.err}")

    def picture(self) -> Picture:
        with connected(self.settings, alias="looking") as connection:
            tables = schema.dump(connection)
            with connection.cursor() as cursor:
                rows = {table: rows_of(cursor, connection, table) for table in tables}
                recorded: list[str] = []
                if "django_migrations" in connection.introspection.table_names(cursor):
                    cursor.execute("SELECT app, name FROM django_migrations")
                    recorded = sorted(".".join(row) for row in cursor.fetchall())
            return Picture(in_any_order(tables), rows, recorded)

    def start_over(self) -> None:
        """Empty the database."""
        with connected(self.settings, alias="looking") as connection:
            drop_everything(connection)


def set_up(root: Path) -> None:
    """Set Django up with the settings of the project, once for all processes that are forked."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
    sys.path.insert(0, str(root))
    django.setup()


def rows_of(cursor: Any, connection: Any, table: str) -> list[str]:
    """Return the rows, without numbers that a sequence gave out: a transaction that was rolled back uses some up."""
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
    names = [one[0] for one in cursor.description]
    return sorted(
        str(sorted((name, str(value)) for name, value in zip(names, row, strict=True) if name != "id"))
        for row in cursor.fetchall()
    )


def in_any_order(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with columns in one order: undoing puts them last."""
    return {name: {**one, "columns": sorted(one["columns"])} for name, one in tables.items()}


def without(picture: Picture, table: str) -> Picture:
    return Picture(
        picture.schema, {key: rows for key, rows in picture.rows.items() if key != table}, picture.recorded
    )


def unlike(one: Picture, other: Picture) -> str:
    """Name the first thing that is not the same."""
    for part in ("schema", "rows"):
        mine, theirs = getattr(one, part), getattr(other, part)
        for key in sorted({*mine, *theirs}):
            if mine.get(key) != theirs.get(key):
                if part == "schema" and mine.get(key) and theirs.get(key):
                    for kind in ("columns", "constraints"):
                        if mine[key][kind] != theirs[key][kind]:
                            return f"{key}, {kind}: {mine[key][kind]} instead of {theirs[key][kind]}"
                return f"{part} of {key}: {mine.get(key)} instead of {theirs.get(key)}"
    return f"django_migrations: {one.recorded} instead of {other.recorded}"
