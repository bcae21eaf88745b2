"""
Rounds of faults: break a command on its way up or down, look, and let the next one finish.

What has to hold after each fault: ``status`` ends with 0 and tells what the schema shows; the next command finishes;
schema, rows, history and ``django_migrations`` are those of a run that nobody disturbed.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import django
from django.conf import settings
from django.db.utils import load_backend

import chronomig
from chronomig.history.table import History
from tests.databases import TestDatabase
from tests.faults.injecting import KILL, Ended, in_child, prepare
from tests.faults.picture import Picture, look, unlike
from tests.faults.site import OTHER, PEOPLE, Mode, make
from tests.gitting import Git
from tests.inprocess import connected, drop_everything
from tests.servers import Server

UP, DOWN = "up", "down"
FRONT = "chronomig.__main__"
"""Runs when it is imported."""
OPPOSITE = {UP: DOWN, DOWN: UP}


@dataclass(frozen=True)
class Way:
    """How the database is moved, and how a move that was broken is finished."""

    run: tuple[str, ...]
    again: tuple[str, ...]


MIGRATE = {
    UP: Way(("migrate", "--yes"), ("migrate", "--yes")),
    DOWN: Way(("migrate", "--to", "zero", "--yes"), ("migrate", "--to", "zero", "--yes")),
}
WAYS = {
    Mode.PLAIN: MIGRATE,
    Mode.STASH: MIGRATE,
    Mode.COLLAPSE: {**MIGRATE, UP: Way(("migrate", "--collapse", "--yes"), ("migrate", "--yes"))},
    Mode.SWITCH: {
        UP: Way(("switch", OTHER, "--yes"), ("switch", OTHER, "--yes")),
        DOWN: Way(("switch", "main", "--yes"), ("switch", "main", "--yes")),
    },
}


def to(names: Sequence[str]) -> Way:
    """Return how exactly *names* are applied."""
    command = ("migrate", "--to", names[-1] if names else "zero", "--yes")
    return Way(command, command)


@dataclass
class Reference:
    """What an undisturbed run leaves, and how many points it passes."""

    between: dict[tuple[str, ...], list[Picture]] = field(default_factory=dict)
    """By the names that are applied: as they look when one gets there going up, and going down."""
    ends: dict[str, Picture] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    steps: dict[tuple[tuple[str, ...], str], int] = field(default_factory=dict)
    """How many points the migration passes that leads there, in that direction."""


class Lost(AssertionError):
    """A promise that was not kept."""


class Driver:
    """One project on one database, moved up and down under fault."""

    def __init__(
        self, database: TestDatabase, folder: Path, server: Server | None = None, mode: Mode = Mode.PLAIN
    ) -> None:
        self.vendor = database.vendor
        self.server = server
        """One that may be crashed: of our own."""
        self.mode = mode
        self.ways = WAYS[mode]
        self.settings = database.settings()
        if database.vendor == "sqlite":  # a process is killed here, not the machine
            self.settings["OPTIONS"] = {"init_command": "PRAGMA synchronous = OFF;"}
        self.project = make(folder / "site", self.settings, database.vendor, mode)
        self.root = self.project.root
        self.git = Git(self.root)
        set_up(self.root)
        self.figures: Counter[tuple[str, str, str]] = Counter()
        self.reference = Reference()

    # Undisturbed

    def learn(self) -> None:
        """Run undisturbed, a migration at a time and all at once, both ways."""
        if self.mode is Mode.SWITCH:
            self.learn_steps(UP)
            self.learn_steps(DOWN)
            self.git("switch", "-q", OTHER)
        self.learn_steps(UP)
        self.learn_steps(DOWN)
        if self.mode is Mode.SWITCH:
            self.git("switch", "-q", "main")
        self.begin()
        for way in (UP, DOWN):
            began = time.monotonic()
            ended = self.finish(self.ways[way].run)
            self.reference.seconds[way] = time.monotonic() - began
            self.reference.points[way] = ended.points
            self.reference.ends[way] = self.picture()
        if self.mode.stashes:  # what was put aside has come back
            self.finish(self.ways[UP].again)
            self.check_end(UP)
            self.finish(self.ways[DOWN].again)
            self.check_end(DOWN)

    def learn_steps(self, way: str) -> None:
        """Look at what is there after each migration."""
        names = tuple(self.project.files())
        counts = range(len(names) + 1)
        for count in counts if way == UP else reversed(counts):
            without = ["--no-stash"] if self.mode.stashes else []
            ended = self.finish([*to(names[:count]).run, *without])
            self.reference.steps[names[:count], way] = ended.points
            self.reference.between.setdefault(names[:count], []).append(self.picture())

    def begin(self) -> None:
        """Go to where the first way up begins."""
        if self.mode.stashes:
            self.finish(["migrate", "--yes"])
            with connected(self.settings, alias="looking") as connection, connection.cursor() as cursor:
                for statement in PEOPLE[self.mode]:
                    cursor.execute(statement)
        if self.mode is Mode.STASH:
            self.finish(self.ways[DOWN].run)

    # Under fault

    def rounds(self, points: Iterator[tuple[str, str, float]]) -> Iterator[str]:
        """Yield what was lost; go on after it on an empty database."""
        stands = DOWN
        for way, fault, at in points:
            try:
                if stands == way:
                    self.finish(self.ways[OPPOSITE[way]].run)
                self.round(way, fault, at)
                self.figures[way, fault, "survived"] += 1
                stands = way
            except Lost as lost:
                self.figures[way, fault, "lost"] += 1
                yield f"{self.vendor}, {self.mode}, {fault}, {at} of {self.reference.points[way]}, {way}: {lost}"
                self.start_over()
                stands = DOWN

    def round(self, way: str, fault: str, at: float) -> None:
        """Break a run at a point, and insist on what has to hold."""
        moved = self.ways[way]
        self.broken(moved, fault, at, expected=fault == KILL and at <= self.reference.points[way])
        self.check_end(way)

    def broken(self, way: Way, fault: str, at: float, *, expected: bool) -> None:
        """Break a run, look, and let the next one finish; *expected* is whether it has to be killed."""
        broken = in_child(self.root, way.run, fault, at, self.server)
        if expected:
            self.insist(broken.code == -9, f"it was to be killed, and ended with {broken.code}\n{broken.err}")
        self.insist("Traceback" not in broken.err, f"an expected error has a traceback:\n{broken.err}")
        self.check_status()
        again = self.run(way.again)
        self.insist(again.code == 0, f"the next run ends with {again.code}\n{again.out}\n{again.err}")

    def every_point(self, chosen: Callable[[int], bool], end: float) -> Iterator[str]:
        """Kill at each of the *chosen* points of each migration, both ways, until *end*; yield what was lost."""
        names = tuple(self.project.files())
        for count in range(len(names)):
            below, above = names[:count], names[: count + 1]
            self.finish(to(below).run)
            for way, there in ((UP, above), (DOWN, below)) * 2:  # names of indexes depend on the way that led there
                self.reference.steps[there, way] = self.finish(to(there).run).points
                self.reference.between[there].append(self.picture())
            points = {way: self.reference.steps[there, way] for way, there in ((UP, above), (DOWN, below))}
            for at in filter(chosen, range(1, max(points.values()) + 1)):
                if time.monotonic() > end:
                    return
                yield from self.step(UP, above, at, points[UP])
                yield from self.step(DOWN, below, at, points[DOWN])

    def step(self, way: str, there: tuple[str, ...], at: int, points: int) -> Iterator[str]:
        """Go a migration further, killed at a point if it has that many; yield what was lost."""
        if at > points:
            self.finish(to(there).run)
            return
        try:
            self.broken(to(there), KILL, at, expected=True)
            self.check_names(there)
            now = self.picture()
            difference = min((unlike(now, one) for one in self.reference.between[there]), key=len)
            self.insist(not difference, f"another result than that of an undisturbed run: {difference}")
            self.figures[way, KILL, "survived"] += 1
        except Lost as lost:
            self.figures[way, KILL, "lost"] += 1
            yield f"{self.vendor}, {self.mode}, {at} of {points}, {way} to {there[-1:]}: {lost}"
            self.start_over()
            self.finish(to(there).run)

    def start_over(self) -> None:
        """Empty the database."""
        with connected(self.settings, alias="looking") as connection:
            drop_everything(connection)
        if self.mode is Mode.SWITCH:
            (self.root / ".git/index.lock").unlink(missing_ok=True)
            self.git("switch", "-q", "--force", "main")
        self.begin()

    # What has to hold

    def check_status(self) -> None:
        """Insist that status tells the truth: what it calls applied is what the schema and the rows show."""
        states = self.states()
        applied = tuple(self.applied(states))
        self.insist(applied in self.reference.between, f"status has gaps: {states}")
        if "half done" in states.values():
            return
        expected, now = self.reference.between[applied], self.picture()
        parts = {"schema"} if self.mode.stashes else {"schema", "rows", "recorded"}
        self.insist(
            any(not unlike(now, one, parts=parts, but="django_content_type") for one in expected),
            f"status calls {len(applied)} migrations applied, and the database shows something else: "
            + unlike(now, expected[0], parts=parts, but="django_content_type"),  # written when a run ends
        )

    def check_end(self, way: str) -> None:
        states = self.states()
        wanted = "pending" if way == DOWN and self.mode is not Mode.SWITCH else "applied"
        self.insist(set(states.values()) == {wanted}, f"not all are {wanted}: {states}")
        if self.mode is Mode.SWITCH:
            branch = self.git("branch", "--show-current")
            self.insist(branch == self.ways[way].run[1], f"the tree is at {branch}")
        difference = unlike(self.picture(), self.reference.ends[way])
        self.insist(not difference, f"another result than that of an undisturbed run: {difference}")

    def check_names(self, expected: tuple[str, ...]) -> None:
        """Insist that the history has these, and that nothing is half done."""
        with connected(self.settings, alias="looking") as connection:
            record = History(connection, "default").read()
        self.insist(record.half_done is None, f"half done: {record.half_done}")
        self.insist(record.names == expected, f"applied are {record.names} instead of {expected}")

    def states(self) -> dict[str, str]:
        ended = self.run(["status", "--json"])
        self.insist(ended.code in (0, 3), f"status ends with {ended.code}\n{ended.err}")
        (one,) = json.loads(ended.out)["databases"]
        return {line["name"]: line["state"] for line in one["migrations"]}

    def applied(self, states: dict[str, str]) -> list[str]:
        """Return the names that are applied, with those that the other branch has."""
        return [name for name, state in states.items() if state in ("applied", "missing", "future")]

    def insist(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Lost(otherwise)

    # Means

    def run(self, arguments: Sequence[str]) -> Ended:
        return in_child(self.root, arguments)

    def finish(self, arguments: Sequence[str]) -> Ended:
        ended = self.run(arguments)
        self.insist(ended.code == 0, f"{' '.join(arguments)} ends with {ended.code}\n{ended.out}\n{ended.err}")
        return ended

    def picture(self) -> Picture:
        with connected(self.settings, alias="looking") as connection:
            return look(connection)


def set_up(root: Path) -> None:
    """Set Django up with the settings of the project, and import everything, once for all processes that are forked."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
    sys.path.insert(0, str(root))
    django.setup()
    for module in walk_packages(chronomig.__path__, "chronomig."):
        if module.name not in (FRONT, "chronomig.pytest_plugin"):
            import_module(module.name)
    load_backend(settings.DATABASES["default"]["ENGINE"])
    prepare()
    gc.freeze()
