"""Whether migrations come back: applied, undone and applied again on a scratch database with rows in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from chronomig.drift.actual import names_of_tables, read_tables
from chronomig.drift.dialects import VENDORS
from chronomig.drift.schema import Kind, Table
from chronomig.effects import placed
from chronomig.errors import UsageError
from chronomig.history.table import History
from chronomig.planning.plan import Step
from chronomig.planning.record import Direction
from chronomig.project import Database
from chronomig.proof.scratch import scratch_database
from chronomig.proof.seeding import rows_of, seed
from chronomig.running.executor import Executor
from chronomig.running.preparing import Prepared
from chronomig.running.results import Failed, Watcher

OWN_TABLES = frozenset({"chronomig_history", "django_migrations"})


class Verdict(StrEnum):
    PROVEN = "proven"
    LOSSY = "lossy"
    """It comes back, but not everything does."""
    IRREVERSIBLE = "not reversible"
    """It has no way back, or none while there are rows."""
    BROKEN = "broken"
    """It cannot be applied, or fails half-way."""


@dataclass(frozen=True)
class Proof:
    """What came of one migration."""

    name: str
    verdict: Verdict
    details: tuple[str, ...] = ()
    """What was lost, or why it failed."""
    empty: tuple[str, ...] = ()
    """Tables that no rows could be made for: what happens to theirs is not known."""


@dataclass(frozen=True)
class Picture:
    """A database at one moment."""

    tables: Mapping[str, Table]
    rows: Mapping[str, Mapping[str, list[object]]]


def prove(database: Database, names: Collection[str], watcher: Watcher) -> Iterator[Proof]:
    """
    Yield a proof for each of *names*, in file order, on a scratch database of the same vendor.

    What stands before a migration is applied first. After one that fails there is nothing more to say. Raise
    DatabaseError when there can be no scratch database, UsageError for a vendor that is not known, LoadError.
    """
    connection = database.connection
    if connection.vendor not in VENDORS:
        raise UsageError(
            f"Migrations of {database.alias!r} cannot be proven.",
            cause=f"Known are {', '.join(VENDORS)}, not {connection.vendor}.",
        )
    wanted = set(names)
    with scratch_database(connection):
        ground = Ground(database, watcher)
        for name in database.set.timeline.names:
            if name > max(wanted):
                return
            if name not in wanted:
                ground.move(name, Direction.UP)
                continue
            proof = ground.prove(name)
            yield proof
            if proof.verdict is Verdict.BROKEN:
                return


class Ground:
    """The scratch database, and where it stands."""

    def __init__(self, database: Database, watcher: Watcher) -> None:
        self.database = database
        self.connection = database.connection
        self.watcher = watcher
        self.applied: list[str] = []
        self._begin()

    def _begin(self) -> None:
        """Stand at what is applied; a failure leaves the states in the middle of a move."""
        one = self.database.set
        self.states = one.states(self.applied)
        history = History(self.connection, one.name)
        self.executor = Executor(self.connection, history, self.states, self.watcher, batch=one.config.batch)

    def move(self, name: str, direction: Direction) -> None:
        """Move one migration; raise Failed."""
        list(self.executor.execute([Prepared(Step(name, direction), self.database.set.load(name))]))
        self.applied.append(name) if direction is Direction.UP else self.applied.remove(name)

    def prove(self, name: str) -> Proof:
        """Apply, undo and re-apply *name* with rows in every table, and compare."""
        empty, cut = tuple(seed(self.connection, self.states.current)), list(self.narrowed(name))
        before = self.picture()
        try:
            self.move(name, Direction.UP)
        except Failed as failed:
            return Proof(name, Verdict.BROKEN, told(failed), empty)
        if irreversible := self.database.set.load(name).irreversible:
            what = tuple(f"{one.describe()} has no reverse" for one in irreversible)
            return Proof(name, Verdict.IRREVERSIBLE, what, empty)
        after = self.picture()
        try:
            self.move(name, Direction.DOWN)
        except Failed as failed:
            stands = self.connection.features.can_rollback_ddl and failed.failed.name not in self._half_done()
            self._begin()
            return Proof(name, Verdict.IRREVERSIBLE if stands else Verdict.BROKEN, told(failed), empty)
        lost = [*differences(before, self.picture()), *cut]
        try:
            self.move(name, Direction.UP)
        except Failed as failed:
            return Proof(name, Verdict.BROKEN, ("It cannot be applied again.", *told(failed)), empty)
        lost += [f"{line}, once it is applied again" for line in schema_differences(after, self.picture())]
        return Proof(name, Verdict.LOSSY if lost else Verdict.PROVEN, tuple(lost), empty)

    def narrowed(self, name: str) -> Iterator[str]:
        """Yield what may not fit any more; rows that are made up fit everywhere, and would not show it."""
        loaded = self.database.set.load(name)
        for one in placed(self.states.current, loaded.operations, loaded.touches)[0]:
            yield from (f"{loss.what}: what does not fit" for loss in one.effects.destroys if loss.narrows)

    def _half_done(self) -> tuple[str, ...]:
        half = self.executor.history.read().half_done
        return half.names if half else ()

    def picture(self) -> Picture:
        names = names_of_tables(self.connection) - OWN_TABLES
        dialect = VENDORS[self.connection.vendor](self.connection)
        tables = {table.name: table for table in read_tables(self.connection, dialect, names)}
        rows = {name: rows_of(self.connection, name, primary_key(table)) for name, table in tables.items()}
        return Picture(tables, rows)


def told(failed: Failed) -> tuple[str, ...]:
    """Return the operation and the error; where the scratch database stands concerns nobody."""
    return tuple(failed.cause.splitlines()[:2])


def differences(before: Picture, after: Picture) -> Iterator[str]:
    """Yield what is not as it was: tables, columns, keys, and the values of columns."""
    yield from schema_differences(before, after)
    for table, columns in before.rows.items():
        for column, values in columns.items():
            now = after.rows.get(table, {}).get(column)
            if now is not None and now != values:
                yield f"column {column} of {table}: {changed(values, now)}"


def changed(before: list[object], now: list[object]) -> str:
    if len(before) != len(now):
        return f"{len(before)} rows before, {len(now)} after"
    count = sum(one != other for one, other in zip(before, now, strict=True))
    return f"{count} value{'s' * (count != 1)} lost or changed"


def schema_differences(before: Picture, after: Picture) -> Iterator[str]:
    for name, table in before.tables.items():
        now = after.tables.get(name)
        if now is None:
            yield f"table {name} is gone"
            continue
        for column in table.columns.values():
            if column != now.columns.get(column.name):
                yield f"column {column.name} of {name} is another one"
        if sorted(map(str, anonymous(table))) != sorted(map(str, anonymous(now))):
            yield f"the indexes and constraints of {name} are others"
    yield from (f"table {name} is left" for name in after.tables if name not in before.tables)
    for name, table in after.tables.items():
        there = before.tables[name].columns if name in before.tables else table.columns
        yield from (f"column {column} of {name} is left" for column in table.columns if column not in there)


def primary_key(table: Table) -> tuple[str, ...]:
    return next((key.columns for key in table.keys if key.kind is Kind.PRIMARY_KEY), ())


def anonymous(table: Table) -> list[tuple[object, ...]]:
    """Return the keys without their names: what Django makes up may differ the second time."""
    return [(key.kind, key.columns, key.target) for key in table.keys]
