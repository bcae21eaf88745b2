"""How much may lie in a stash, and what it refuses to take."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.errors import Refused
from chronomig.planning.record import Direction
from chronomig.stash.aside import Weight, weigh
from chronomig.stash.tables import Table


@dataclass(frozen=True)
class Limits:
    """How much may lie in a stash."""

    rows: int
    """Of one table or column."""
    megabytes: float
    """Of all that lies there."""
    days: float
    """How long it may; 0 is without end."""
    puts_aside: bool = True
    """Whether anything is put there; what lies there comes back in any case."""
    both_ways: bool = False
    """Whether what it cannot take is refused on the way up, too; else it goes then, as somebody has agreed to."""

    @property
    def ways(self) -> tuple[Direction, ...]:
        """The ways on which nothing is lost."""
        if not self.puts_aside:
            return ()
        return tuple(Direction) if self.both_ways else (Direction.DOWN,)


class TooMuch(Refused):
    """Rows would be dropped that the stash cannot take."""

    def __init__(self, what: str, why: str, mend: str = "raise stash_max_rows or stash_max_mb") -> None:
        super().__init__(
            f"{what} cannot be put into the stash; nothing of it was dropped.",
            cause=why,
            next_step=f"Add --no-stash to let the rows go, or {mend}.",
        )


def weigh_within(
    connection: BaseDatabaseWrapper, limits: Limits, table: Table, column: str | None, *, lying: int
) -> Weight:
    """Return how much would be put aside beside *lying* bytes; raise TooMuch for more, and for what has no key."""
    what = f"The table {table.name}" if column is None else f"The column {column} of {table.name}"
    weight = weigh(connection, table, column, limits.rows)
    if weight.rows > limits.rows:
        raise TooMuch(what, f"It has more than {limits.rows} rows (stash_max_rows).")
    if weight.rows and column is not None and not table.key:
        why = "Its rows could not be matched by primary key when they come back."
        raise TooMuch(what, why, "give the table a primary key")
    if weight.rows and column in table.key:
        why = "Rows come back by the primary key, and the type before cannot hold some of its values."
        raise TooMuch(what, why, "change or delete the rows with values that do not fit")
    if weight.rows and weight.size + lying > limits.megabytes * 1_000_000:
        raise TooMuch(
            what,
            f"It has about {weight.size / 1e6:.1f} MB, {lying / 1e6:.1f} MB lie in the stash, "
            f"and {limits.megabytes:g} MB may (stash_max_mb).",
        )
    return weight
