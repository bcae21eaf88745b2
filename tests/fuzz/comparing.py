"""
One history, run twice and compared after every migration.

Where the two differ, a third run decides: Django's executor on states that render their classes anew for every
operation and share no field (:class:`tests.fuzz.stock.Fresh`). If chronomig does what that run does, stock Django
worked with stale classes. Else it is a finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import override_settings

from tests.databases import TestDatabase, served
from tests.fuzz.histories import History
from tests.fuzz.ours import Ours
from tests.fuzz.stock import Stock, Stopped
from tests.fuzz.views import PARTS, Picture
from tests.inprocess import connected, drop_everything

STALE = "stock Django worked with stale classes"
STALE_FAILS = "stock Django failed through stale classes"


@dataclass(frozen=True)
class Difference:
    """The first place where two runs are not the same."""

    place: str
    part: str
    stock: str
    ours: str

    def __str__(self) -> str:
        return f"{self.place}, {self.part}:\n  stock: {self.stock}\n  ours:  {self.ours}"


@dataclass
class Run:
    """What one side made of a history: pictures, and where it stopped."""

    pictures: list[Picture] = field(default_factory=list)
    stopped: Stopped | None = None

    @property
    def end(self) -> str:
        return str(self.stopped) if self.stopped else "at zero"


@dataclass
class Outcome:
    """What came of one history."""

    history: History
    """What was left of it, after what is not valid was cut off."""
    difference: Difference | None = None
    from_fresh: Difference | None = None
    """What differs from a run without stale classes."""
    classed: str = ""
    """Why the difference is not ours."""
    figures: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        if self.difference is None:
            return "no difference"
        if self.classed:
            return f"{self.classed}: {self.difference}"
        return f"{self.difference}\nWithout stale classes: {self.from_fresh}"

    @property
    def failed(self) -> bool:
        return self.difference is not None and not self.classed


class Bench:
    """
    Empty databases on one server, and histories run on them.

    With *batch*, chronomig does operations on one table together where it may; statements are not compared then.
    """

    def __init__(self, stock: BaseDatabaseWrapper, ours: BaseDatabaseWrapper, *, batch: bool = False) -> None:
        self.stock = stock
        self.ours = ours
        self.batch = batch
        self.parts = [part for part in PARTS if part != "statements" or not batch]

    def compare(self, history: History) -> Outcome:
        """Run *history* on both sides; cut off what neither can run."""
        figures: Counter[str] = Counter(histories=1)
        with override_settings(AUTH_USER_MODEL=history.user):
            while True:
                stock, ours = self.run_stock(history), self.run_ours(history)
                fresh = self.run_stock(history, fresh=True) if self.difference(stock, ours) else None
                if ours.stopped and any(one and one.stopped and same_end(one, ours) for one in (stock, fresh)):
                    figures["cut off"] += len(history) - ours.stopped.number
                    history = history.first(ours.stopped.number)
                    continue
                figures.update(counted(history, ours))
                outcome = Outcome(history, self.difference(stock, ours), figures=figures)
                if fresh is not None:
                    outcome.from_fresh = self.difference(fresh, ours)
                    outcome.classed = "" if outcome.from_fresh else STALE_FAILS if stock.stopped else STALE
                    figures[outcome.classed or "differences"] += 1
                return outcome

    def difference(self, stock: Run, ours: Run) -> Difference | None:
        return difference_of(stock, ours, self.parts)

    def run_stock(self, history: History, *, fresh: bool = False) -> Run:
        return run(self.stock, history, Stock(self.stock, history, fresh=fresh).move)

    def run_ours(self, history: History) -> Run:
        return run(self.ours, history, Ours(self.ours, history, batch=self.batch).move)


def run(connection: BaseDatabaseWrapper, history: History, move: Callable[[int, int], Iterator[Picture]]) -> Run:
    """Run all phases on an empty database."""
    empty(connection)
    made = Run()
    try:
        for begin, end in history.phases():
            if begin != end:
                made.pictures.extend(move(begin, end))
    except Stopped as stopped:
        made.stopped = stopped
    return made


def empty(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor == "sqlite":
        connection.close()
        connection.connection = None  # a database in memory goes with its connection
    else:
        connection.in_atomic_block = False  # what failed may have left a transaction open
        connection.close()
        drop_everything(connection)


def same_end(one: Run, other: Run) -> bool:
    """Whether both stopped at the same migration, by the same kind of error, or neither did."""
    if one.stopped is None or other.stopped is None:
        return one.stopped is other.stopped
    return (one.stopped.number, one.stopped.up, type(one.stopped.error)) == (
        other.stopped.number,
        other.stopped.up,
        type(other.stopped.error),
    )


def difference_of(stock: Run, ours: Run, parts: Sequence[str] = PARTS) -> Difference | None:
    """Return the first difference, None if there is none."""
    for one, other in zip(stock.pictures, ours.pictures, strict=False):
        assert (one.number, one.up) == (other.number, other.up)
        for part in parts:
            if getattr(one, part) != getattr(other, part):
                return Difference(one.place, part, *unlike(getattr(one, part), getattr(other, part)))
    return None if same_end(stock, ours) else Difference("at the end", "outcome", stock.end, ours.end)


def unlike(one: Any, other: Any) -> tuple[str, str]:
    """Return the texts of the first parts that are not the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                texts = unlike(one.get(key), other.get(key))
                return f"{key}: {texts[0]}", f"{key}: {texts[1]}"
    if isinstance(one, list) and isinstance(other, list):
        for index in range(max(len(one), len(other))):
            pair = [side[index] if index < len(side) else "(nothing)" for side in (one, other)]
            if pair[0] != pair[1]:
                return unlike(*pair)
    return str(one), str(other)


def counted(history: History, made: Run) -> Counter[str]:
    sizes = [len(history.migrations[one.number].operations) for one in made.pictures]
    return Counter(
        migrations=len(made.pictures),
        operations=sum(sizes),
        statements=sum(len(one.statements) for one in made.pictures),
    )


def reproduce(vendor: str, history: History, *, batch: bool = False) -> None:
    """Run one history and say what came of it; a reproducer calls this."""
    with served(vendor) as database, bench(database, batch=batch) as made:
        outcome = made.compare(history)
    print(outcome)


@contextmanager
def bench(database: TestDatabase, *, batch: bool = False) -> Iterator[Bench]:
    """Give a bench on databases of their own."""
    with ExitStack() as stack:
        sides = [
            stack.enter_context(connected(settings_of(database, name), alias=name)) for name in ("stock", "ours")
        ]
        yield Bench(*sides, batch=batch)


def settings_of(database: TestDatabase, name: str) -> dict[str, Any]:
    if database.vendor == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    return database.settings(f"_{name}")
