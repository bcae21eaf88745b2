"""The stash in a run: what it can take is looked at before, what lies too long goes behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from chronomig.batches.batching import Move
from chronomig.code.folding import States, fold
from chronomig.planning.record import Direction
from chronomig.project import Database
from chronomig.running.losses import may_destroy
from chronomig.running.preparing import Prepared
from chronomig.running.resuming import in_effect
from chronomig.running.way import Way
from chronomig.stash import Keeper, Limits, NothingKept, fills_again


def keeper_for(
    database: Database,
    prepared: Sequence[Prepared],
    applied: Collection[str],
    states: Callable[[], States],
    limits: Limits | None,
) -> NothingKept:
    """
    Return what puts rows aside and brings them back; raise TooMuch when the stash cannot take what would go.

    *states* gives those of the database, to be changed.
    """
    if limits is None or not database.stashes:
        return NothingKept()
    seen = [one for one in prepared if not one.loaded.overrides_execution]
    downs = [one for one in seen if not one.is_up]
    has_rows = applied or database.stash.all()  # what comes back is the timeline's, too
    ups = [one for one in seen if one.is_up and may_destroy(one)] if has_rows else []
    if (downs or ups) and limits.puts_aside:
        database.stash.ensure_table()
    filling = [
        one.loaded.name for one in prepared if one.is_up and any(fills_again(op) for _, op in one.loaded.operations)
    ]
    came_back = [
        one
        for one in database.stash.came_back()
        if filling and one.direction is Direction.DOWN and one.migration in applied
    ]
    database.stash.sweep(but=came_back)
    ways = [Direction.DOWN] * bool(downs) + [Direction.UP] * bool(ups)
    keeper = Keeper(
        database.connection, database.stash, limits,
        applied=applied, filling=filling, puts_aside=ways, came_back=came_back,
    )  # fmt: skip
    if downs:
        keeper.weigh_all(moves_down(downs, states()), Direction.DOWN)
    if ups and limits.both_ways:
        keeper.weigh_all(moves_up(prepared, states()), Direction.UP)
    return keeper


def moves_down(downs: Sequence[Prepared], states: States) -> Iterator[Move]:
    """Yield the operations that will be undone, in that order, without one that did not finish."""
    for one in downs:
        way = Way(one.loaded, states.without(one.step.name))
        yield from map(way.move, way.places(in_effect(one), up=False))


def moves_up(prepared: Sequence[Prepared], states: States) -> Iterator[Move]:
    """Yield the operations that will run, as far as they are seen, without those that did already."""
    for one in prepared:
        base = states.without(one.step.name)
        if one.is_up:
            way = Way(one.loaded, base)
            if not one.loaded.overrides_execution:
                yield from map(way.move, way.places(in_effect(one), up=True))
            states.add(one.step.name, fold(base, one.loaded))


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
