"""What one database says of itself: its history, folded. Plain values; no I/O, no Django."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class Applied:
    """One migration that a database has, as its history tells."""

    name: str
    sha256: str = ""
    how: str = "applied"
    """The event that counts: applied, faked or adopted."""
    at: datetime | None = None
    duration_ms: int | None = None
    origin: tuple[str, str] | None = None
    """(app label, upstream name) of a vendored migration."""
    blob: str = ""
    """What git calls its bytes."""
    branch: str = ""
    commit: str = ""
    """What was checked out when it was applied."""

    @property
    def whence(self) -> str:
        """Branch and commit that it came with, as far as they are known."""
        return " ".join(filter(None, [self.branch, self.commit[:12]]))


@dataclass(frozen=True)
class HalfDone:
    """A migration that began where DDL is not transactional, and did not finish."""

    name: str
    direction: Direction
    done: int
    """How many of its operations, from the first, are in effect."""
    sha256: str = ""
    described: tuple[str, ...] = ()
    """What those operations said of themselves, to notice a file that was edited since."""
    at: datetime | None = None
    blob: str = ""
    """What git calls its bytes."""
    together: tuple[str, ...] = ()
    """All that ran as one with it (``migrate --collapse``), it included: *done* counts their reduced operations."""

    @property
    def names(self) -> tuple[str, ...]:
        return self.together or (self.name,)


@dataclass(frozen=True)
class Renamed:
    """A migration whose file has another name than the history knows."""

    was: str
    name: str


@dataclass(frozen=True)
class Record:
    """What one database says of itself: the history, folded."""

    applied: tuple[Applied, ...] = ()
    """In the order in which they were applied."""
    half_done: HalfDone | None = None
    settled: bool = True
    """Whether the last run came to its end, its post_migrate receivers included."""
    undone: tuple[Applied, ...] = field(default=(), compare=False)
    """What was applied once, and is not any more; the stash may hold rows of it."""
    renamed: tuple[Renamed, ...] = ()
    """What the other parts call by the names of the files, and the history does not yet."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.applied)
