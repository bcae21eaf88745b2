"""What an operation can have to do with: things in a tree, and what is done to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Thing = tuple[str, ...]
"""
A path, from the whole to its part. ``("model", app, name)`` with ``("field", name)``, ``("index", name)`` for
constraints too, ``("option", name)`` or ``("rows",)`` behind it; ``("table", name)`` with ``("column", name)``;
``("index", name)``, because a database knows each name once; ``("extension", name)``; ``("collation", name)``.
"""
EVERYTHING: Thing = ()
"""What an opaque operation may write: the root of the tree."""


@dataclass(frozen=True)
class Loss:
    """Data that is gone after an operation."""

    what: str
    """For a person: ``table shop_item``, ``column n of shop_item``."""
    table: str
    column: str | None = None
    """None for the whole table."""
    longest: int | None = None
    """Only texts that are longer go, or are cut; None is every value."""
    between: tuple[int, int] | None = None
    """Only numbers outside of these go, or are refused; None is every value."""
    narrows: bool = False
    """Whether the column stays, with a type that may not hold every value."""


@dataclass(frozen=True)
class Effects:
    """What an operation does; see the fields."""

    reads: frozenset[Thing] = frozenset()
    """Things that have to be there, as they are; what is below them does not matter."""
    reads_all: frozenset[Thing] = frozenset()
    """Things that matter with all that is below them."""
    writes: frozenset[Thing] = frozenset()
    """Things that are made, changed or removed, with all that is below them."""
    destroys: tuple[Loss, ...] = ()
    """What is lost on the way up."""
    destroys_backwards: tuple[Loss, ...] = ()
    """What is lost on the way down."""
    reversible: bool = True
    opaque: bool = False
    """Whether it runs code that nobody declared the effects of."""
    slips: tuple[str, ...] = ()
    """What was declared of it, and is not there: a slip of the pen promises nothing."""
    to_database: bool = field(default=False, compare=False)
    """Whether it does anything to the database, beyond the state of the models."""

    def __or__(self, other: Effects) -> Effects:
        return Effects(
            self.reads | other.reads,
            self.reads_all | other.reads_all,
            self.writes | other.writes,
            (*self.destroys, *other.destroys),
            (*other.destroys_backwards, *self.destroys_backwards),
            self.reversible and other.reversible,
            self.opaque or other.opaque,
            (*self.slips, *other.slips),
            self.to_database or other.to_database,
        )

    def state_only(self) -> Effects:
        """
        Return what is left of it when the database is not touched.

        The whole model counts as written: SQLite makes a table anew from the state, with whatever stands there.
        """
        reads, reads_all, writes = map(of_models, (self.reads, self.reads_all, self.writes))
        models = frozenset(thing[:3] for thing in writes)
        return Effects(reads, reads_all, writes | models, reversible=self.reversible)

    def meetings(self, other: Effects) -> Iterator[Thing]:
        """Yield the things that stand in the way of changing places: written here, and read or written there."""
        for one, two in ((self, other), (other, self)):
            for written in one.writes:
                yield from (written for read in two.reads if holds(written, read))
                for thing in two.reads_all | two.writes:
                    if holds(written, thing) or holds(thing, written):
                        yield max(written, thing, key=len)


def of_models(things: Iterable[Thing]) -> frozenset[Thing]:
    return frozenset(thing for thing in things if thing[:1] in (("model",), EVERYTHING))


def holds(whole: Thing, part: Thing) -> bool:
    """Whether *part* is *whole*, or below it."""
    return part[: len(whole)] == whole


def in_words(thing: Thing) -> str:
    """Name a thing for a person."""
    match thing:
        case ():
            return "anything"
        case ("model", app, name):
            return f"the model {app}.{name}"
        case ("model", app, name, "field", field_name):
            return f"the field {app}.{name}.{field_name}"
        case ("model", app, name, "index", index):
            return f"the index or constraint {index} of {app}.{name}"
        case ("model", app, name, "option", option):
            return f"the option {option} of {app}.{name}"
        case ("model", app, name, *_):
            return f"the rows of {app}.{name}"
        case ("table", name, "column", column):
            return f"the column {column} of the table {name}"
        case (kind, name):
            return f"the {kind} {name}"
        case _:
            return " ".join(thing)
