"""
What a baseline stands for: the migrations that ``chronomig squash`` put into one file.

The file ends in one literal, ``REPLACES``. A database that has all of them has the baseline; one that has some of
them stands in between, and has to be brought forward with the files as they were.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from chronomig.errors import LoadError, Refused
from chronomig.planning.record import Applied, Record
from chronomig.timeline import Entry, Timeline

Key = tuple[str, str]
"""(app label, upstream name)"""
SQUASHED = "squashed"
"""The event that puts a baseline in the place of what it stands for."""
PATTERN = re.compile(rb"^REPLACES\b.*?=\s*(\{.*\})", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Replaced:
    """One migration that a baseline stands for."""

    name: str
    origins: tuple[str, ...] = ()
    """What it was upstream, as "app.name"; what it replaced there too."""
    stands_for: tuple[str, ...] = ()
    """The names that it stood for in turn, when it was a baseline."""

    def is_in(self, names: Collection[str]) -> bool:
        return self.name in names or (bool(self.stands_for) and all(name in names for name in self.stands_for))


@dataclass(frozen=True)
class Baseline:
    """All that a file stands for."""

    migrations: tuple[Replaced, ...]
    commit: str = ""
    """What was checked out when it was written: there the files were."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for one in self.migrations for name in (one.name, *one.stands_for))

    @property
    def detail(self) -> str:
        """The names, as an event holds them."""
        return "\n".join(sorted(self.names))

    @property
    def keys(self) -> frozenset[Key]:
        """(app label, upstream name) of all that was vendored."""
        pairs = (text.partition(".") for one in self.migrations for text in one.origins)
        return frozenset((app, name) for app, _, name in pairs)


def read_baseline(entry: Entry) -> Baseline | None:
    """Return what a file stands for, without executing it; None for a common file. Raise LoadError."""
    match = PATTERN.search(entry.source)
    if match is None:
        return None
    try:
        values = ast.literal_eval(match[1].decode())
        found = tuple(Replaced(name, tuple(origins), tuple(names)) for name, origins, names in values["migrations"])
        return Baseline(found, str(values["commit"]))
    except (ValueError, SyntaxError, TypeError, KeyError) as error:
        raise LoadError(
            f"{entry.path}: its REPLACES cannot be read.",
            cause=str(error),
            next_step="Restore it as chronomig squash wrote it.",
        ) from error


def baselines_in(entries: Iterable[Entry]) -> dict[str, Baseline]:
    """Return name -> baseline for those among *entries*."""
    found = ((entry.name, read_baseline(entry)) for entry in entries)
    return {name: one for name, one in found if one is not None}


def standing(entries: Iterable[Entry], names: Collection[str]) -> dict[str, Baseline]:
    """Return the baselines that a database with *names* has, though its history does not say so yet."""
    names = frozenset(names)
    found = baselines_in(entry for entry in entries if entry.name not in names)
    return {name: one for name, one in found.items() if all(part.is_in(names) for part in one.migrations)}


def as_applied(entry: Entry) -> Applied:
    return Applied(entry.name, entry.sha256, SQUASHED)


def with_standing(record: Record, timeline: Timeline) -> Record:
    """Return *record* with baselines in the place of what they stand for."""
    for name, baseline in standing(timeline, record.names).items():
        one = as_applied(timeline.by_name[name])
        record = replace(record, applied=with_baseline(record.applied, one, baseline.names))
    return record


def between(
    entries: Iterable[Entry], have: Collection[str], rows: Callable[[], Collection[Key]]
) -> dict[str, Baseline]:
    """Return the baselines of which a database has a part; *rows* gives what ``django_migrations`` records."""
    have = frozenset(have)
    found = baselines_in(entry for entry in entries if entry.name not in have)
    recorded = set(rows()) if any(one.keys for one in found.values()) else set()
    return {name: one for name, one in found.items() if one.names & have or one.keys & recorded}


def with_baseline(applied: Sequence[Applied], standing: Applied, names: Collection[str]) -> tuple[Applied, ...]:
    """Return *applied* with *standing* in the place of the first of *names*, and without the others."""
    first = next(index for index, one in enumerate(applied) if one.name in names)
    before, after = applied[:first], [one for one in applied[first:] if one.name not in names]
    return (*before, standing, *after)


class BetweenRefused(Refused):
    """A database has some, but not all, of what a baseline stands for."""

    def __init__(self, alias: str, name: str, baseline: Baseline, have: Collection[str]) -> None:
        missing = [one.name for one in baseline.migrations if not one.is_in(have)]
        count = len(baseline.migrations)
        where = f"--to ref:{baseline.commit}" if baseline.commit else "with the files from before the squash"
        super().__init__(
            f"The database {alias!r} has {count - len(missing)} of the {count} migrations that {name} stands for; "
            "nothing was run.",
            cause=f"{missing[0]} is the first that it lacks.",
            next_step=f"Bring it forward: chronomig migrate {where}, then run chronomig migrate.",
        )


class BeforeBaselineRefused(Refused):
    """A target has the files that were squashed, and the database has the squash."""

    def __init__(self, alias: str, name: str) -> None:
        super().__init__(
            f"The target does not have {name}, which the database {alias!r} has; nothing was run.",
            cause="It is from before the squash. Going there would undo everything that the baseline stands for.",
            next_step="Choose a target after the squash, or chronomig migrate --to zero.",
        )
