"""
Timelines -> one chain of Django's migrations, in the order of the files.

Each migration that is made depends on all that came before: on the one before it in its app, on the one that was made
before it, and on the ends of what was vendored between. Vendored migrations keep what upstream says of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations.base import Operation

from chronomig.authoring.copying import reason_for_reference
from chronomig.code.loading import Loaded, place_in_graph
from chronomig.code.origins import Key
from chronomig.eject.homes import Homes
from chronomig.sets import MigrationSet
from chronomig.timeline import NAME_PATTERN, Entry


class How(StrEnum):
    """How a migration of the chain comes to be there."""

    INSTALLED = "installed"
    """It is in its package, and stays there."""
    COPIED = "copied"
    """The text that the timeline has of it goes back to its app."""
    MADE = "made"
    """It is made of a file of the timeline."""


@dataclass
class Link:
    """One migration of Django's."""

    key: Key
    how: How
    file: Loaded
    entry: Entry
    places: tuple[int, ...] = ()
    """Which operations of the file it has."""
    needs: list[Key] = field(default_factory=list)
    before: list[Key] = field(default_factory=list)
    """What has to come after it, of others."""
    initial: bool = False

    @property
    def operations(self) -> list[Operation]:
        every = [operation for _, operation in self.file.operations]
        return [every[place] for place in self.places] if self.how is How.MADE else every


@dataclass
class Ground:
    """What the chain stands on."""

    installed: frozenset[str]
    """The labels of the apps that are installed."""
    own: frozenset[str]
    """Those whose migrations package is the project's own."""
    kept: dict[str, str]
    """{app of others whose migrations have to move into the project: why}"""
    homes: Homes

    @property
    def written(self) -> frozenset[str]:
        """The labels of the apps whose migrations are written."""
        return self.own | self.kept.keys()


Step = tuple[MigrationSet, Loaded]


class Chain:
    """The chain, growing file by file."""

    def __init__(self, ground: Ground, names: Mapping[str, set[str]]) -> None:
        self.ground = ground
        self.links: list[Link] = []
        self.gone: dict[str, None] = {}
        """The labels of apps that are not installed any more, which the chain leaves out."""
        self._last: dict[str, Key] = {}
        self._made: Key | None = None
        """What was made last."""
        self._since: dict[Key, list[Key]] = {}
        """{what was vendored since then: what it stands on itself}"""
        self._numbers = {label: highest(found) for label, found in names.items()}
        self._seen: set[Key] = set()

    def take(self, step: Step) -> None:
        """Add what one file has."""
        migration_set, loaded = step
        entry = migration_set.timeline.by_name[loaded.name]
        if loaded.origin is not None and loaded.is_djangos:
            self._take_vendored(loaded, entry, loaded.origin.key)
        else:
            for label, places in runs(loaded, self._kinds(migration_set, loaded)):
                if label in self.ground.written:
                    self._take_made(loaded, entry, label, places)
                else:
                    self._stand_on_upstream(loaded, label)

    def _kinds(self, migration_set: MigrationSet, loaded: Loaded) -> list[str]:
        """Return, for each operation of a file, the label under which it goes on; an empty one leaves it out."""
        labels = []
        for label, operation in loaded.operations:
            if label not in self.ground.installed:
                self.gone[label] = None
            here = label in self.ground.installed and self.ground.homes.is_home(migration_set.name, label, operation)
            labels.append(label if here else "")
        return labels

    def _stand_on_upstream(self, loaded: Loaded, label: str) -> None:
        """A baseline has operations that upstream's own migrations do: what follows depends on the last of these."""
        keys = [key for key in ordered_keys(loaded) if key[0] == label]
        if keys:
            self._since[keys[-1]] = []
            self._last[label] = keys[-1]

    def _take_vendored(self, loaded: Loaded, entry: Entry, key: Key) -> None:
        if key in self._seen:  # another set has it, too
            return
        if key[0] not in self.ground.installed:
            self.gone[key[0]] = None
            return
        self._seen.add(key)
        copied = key[0] in self.ground.written and not (key[0] in self.ground.own and reason_for_reference(entry))
        link = Link(key, How.COPIED if copied else How.INSTALLED, loaded, entry)
        last = self._made_last(key[0])
        if copied and last:  # Django refuses two ends of one app
            link.needs = [last.key]
        self._hold_back(loaded, key)
        self._since[key] = place_in_graph(loaded)[0]
        self._add(link)

    def _hold_back(self, loaded: Loaded, key: Key) -> None:
        """What depends on the first migration of an own app (its swappable model, say) comes after its last one."""
        for label, name in place_in_graph(loaded)[0]:
            last = self._made_last(label) if name == "__first__" else None
            if last and not last.initial:
                last.before.append(key)

    def _made_last(self, label: str) -> Link | None:
        """Return the last migration of an app, if it was made of a file of ours."""
        key = self._last.get(label)
        return next((one for one in self.links if one.key == key and one.how is How.MADE), None)

    def _take_made(self, loaded: Loaded, entry: Entry, label: str, places: tuple[int, ...]) -> None:
        number = self._numbers[label] = self._numbers.get(label, 0) + 1
        key = label, f"{number:04}_{loaded.name[15:]}"
        initial = label not in self._last
        self._add(Link(key, How.MADE, loaded, entry, places, list(self._needs(label)), initial=initial))
        self._made = key
        self._since.clear()

    def _needs(self, label: str) -> dict[Key, None]:
        """Return what a migration of an app has to depend on to come after all that there is."""
        stood_on = {key for keys in self._since.values() for key in keys}
        ends = [key for key in self._since if key not in stood_on]
        return dict.fromkeys(key for key in (self._last.get(label), self._made, *sorted(ends)) if key)

    def _add(self, link: Link) -> None:
        self.links.append(link)
        self._last[link.key[0]] = link.key


def runs(loaded: Loaded, labels: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield (label, places of operations) for each run of operations of one app."""
    there = [(label, place) for place, label in enumerate(labels) if label]
    for label, found in groupby(there, key=lambda pair: pair[0]):
        yield label, tuple(place for _, place in found)


def ordered_keys(loaded: Loaded) -> Iterator[Key]:
    """Yield what a baseline stands for, in the order of the files that it replaced."""
    for one in loaded.baseline.migrations if loaded.baseline else ():
        for text in one.origins:
            app, _, name = text.partition(".")
            yield app, name


def highest(names: set[str]) -> int:
    """Return the highest number that names begin with; a stamp is none."""
    numbered = [name for name in names if not NAME_PATTERN.fullmatch(name)]
    return max((MigrationAutodetector.parse_number(name) or 0 for name in numbered), default=0)
