"""Tables as plain values: what should be there and what is there are both told in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class ColumnType:
    """A type as the database tells it apart; two are the same when their keys are."""

    key: object
    text: str = field(compare=False)


@dataclass(frozen=True)
class Column:
    name: str
    type: ColumnType
    null: bool | None
    """None where nobody says: of a generated column."""


class Kind(StrEnum):
    """What a key of a table is for."""

    PRIMARY_KEY = "primary key"
    FOREIGN_KEY = "foreign key"
    UNIQUE = "unique constraint"
    """Or a unique index: databases do not tell them apart reliably."""
    INDEX = "index"
    CHECK = "check constraint"
    OTHER = "constraint"
    """Of a kind that Django does not look into, an exclusion constraint for example."""


@dataclass(frozen=True)
class Key:
    """An index or a constraint."""

    kind: Kind
    columns: tuple[str, ...]
    """Empty where they cannot be told: of an expression."""
    name: str = ""
    """Empty where the name is Django's own invention, which says nothing."""
    target: tuple[str, str] | None = None
    """(table, column) that a foreign key refers to."""

    def __str__(self) -> str:
        parts = [self.kind.value]
        if self.name:
            parts.append(repr(self.name))
        if self.columns:
            parts.append(f"on ({', '.join(self.columns)})")
        if self.target:
            parts.append("to {}.{}".format(*self.target))
        return " ".join(parts)


@dataclass(frozen=True)
class Table:
    name: str
    columns: Mapping[str, Column]
    keys: tuple[Key, ...]
