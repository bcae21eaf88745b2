"""Histories as text: what is drawn, run, shrunk and printed is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from tests.fuzz import support


def namespace() -> dict[str, Any]:
    """Return what the text of an operation may name."""
    found = {"migrations": migrations, "models": models, "settings": settings, "support": support}
    return found | {
        name: getattr(support, name) for name in ("date", "datetime", "time", "timedelta", "Decimal", "UUID")
    }


def operation_of(text: str) -> Operation:
    """Return the operation that *text* makes: another one on every call, because Django changes operations."""
    made: Operation = eval(text, namespace())
    return made


@dataclass(frozen=True)
class Written:
    """One migration of one app, its operations as text."""

    app: str
    operations: tuple[str, ...]
    atomic: bool = True

    def build(self) -> list[Operation]:
        return [operation_of(text) for text in self.operations]


@dataclass(frozen=True)
class History:
    """Migrations in the order in which they run, and how far they are undone before they run again."""

    seed: int
    migrations: tuple[Written, ...]
    turn: int = 0
    """How many migrations stay when it is undone for the first time."""
    user: str = "auth.User"
    """AUTH_USER_MODEL."""

    def __len__(self) -> int:
        return len(self.migrations)

    @property
    def operations(self) -> int:
        return sum(len(one.operations) for one in self.migrations)

    def phases(self) -> Iterator[tuple[int, int]]:
        """Yield (how many are applied, how many shall be) of each phase: forward, back to the turn, forward, to zero."""
        yield from ((0, len(self)), (len(self), self.turn), (self.turn, len(self)), (len(self), 0))

    def first(self, count: int) -> History:
        """Return a history of the first *count* migrations."""
        return self.having(self.migrations[:count])

    def having(self, written: tuple[Written, ...]) -> History:
        return replace(self, migrations=written, turn=min(self.turn, len(written)))

    def source(self, vendor: str, *, batch: bool = False) -> str:
        """Return a program that runs this history again."""
        lines = [
            "from tests.fuzz.comparing import reproduce",
            "from tests.fuzz.histories import History, Written",
            "",
            f"reproduce({vendor!r}, History(seed={self.seed}, turn={self.turn}, user={self.user!r}, migrations=(",
        ]
        for one in self.migrations:
            lines.append(f"    Written({one.app!r}, atomic={one.atomic}, operations=(")
            lines += [f"        {text!r}," for text in one.operations]
            lines.append("    )),")
        return "\n".join([*lines, f")), batch={batch})", ""])


def name_of(number: int) -> str:
    """Return the name of the migration with *number*, counted from 0: its stamp is that second."""
    hours, seconds = divmod(number, 3600)
    return f"20260101{hours:02}{seconds // 60:02}{seconds % 60:02}_step"
