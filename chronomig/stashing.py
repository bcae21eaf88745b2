"""The stash in a run: what it can take is looked at before, what lies too long goes behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from chronomig.batching import Move
from chronomig.folding import States
from chronomig.preparing import Prepared
from chronomig.project import Database
from chronomig.resuming import in_effect
from chronomig.stash import Keeper, Limits, NothingKept, fills_again
from chronomig.way import Way


def keeper_for(
    database: Database, prepared: Sequence[Prepared], states: Callable[[], States], limits: Limits | None
) -> NothingKept:
    """Return what puts rows aside and brings them back; raise TooMuch when the stash cannot take what would go."""
    if limits is None or not database.stashes:
        return NothingKept()
    downs = [one for one in prepared if not one.is_up and not one.loaded.overrides_execution]
    if downs and limits.puts_aside:
        database.stash.ensure_table()
    database.stash.sweep()
    filling = [
        one.loaded.name for one in prepared if one.is_up and any(fills_again(op) for _, op in one.loaded.operations)
    ]
    applied = database.history.read().names
    keeper = Keeper(database.connection, database.stash, limits, applied=applied, filling=filling)
    if downs:
        keeper.weigh_all(moves_down(downs, states()))
    return keeper


def moves_down(downs: Sequence[Prepared], states: States) -> Iterator[Move]:
    """Yield the operations that will be undone, in that order, without one that did not finish."""
    for one in downs:
        way = Way(one.loaded, states.without(one.step.name))
        yield from map(way.move, way.places(in_effect(one, rolls_back=True), up=False))


def tidy(database: Database, limits: Limits | None, tell: Callable[[str], None]) -> None:
    """Drop the tables of what came back, and what has been lying too long, which is told."""
    if limits is None or not database.stashes:
        return
    old = database.stash.older_than(limits.days)
    for entry in old:
        tell(
            f"{database.alias}: dropped from the stash after {limits.days:g} days (stash_days): "
            f"{entry.place}, {entry.rows} rows of {entry.migration}"
        )
    database.stash.drop(old)
