"""A mapping derived from another one by copying what is different, not what is the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

SMALL = 100
"""Below so many entries a copy of all of them is as quick, and what is read from it quicker."""
MANY = 50
"""So many changes are copied each time, before all entries are once."""


class Overlay(MutableMapping[K, V]):
    """The entries of *before*, which nobody changes any more, and changes to them, in the order of a dict of all."""

    __slots__ = ("_before", "_changes")

    def __init__(self, before: Mapping[K, V], changes: Mapping[K, V]) -> None:
        self._before = before
        self._changes = dict(changes)

    def fork(self) -> Overlay[K, V]:
        """Return another one, which can be changed while this one stays as it is."""
        if len(self._changes) < MANY:
            return Overlay(self._before, self._changes)
        return Overlay({**self._before, **self._changes}, {})

    def __getitem__(self, key: K) -> V:
        return self._changes[key] if key in self._changes else self._before[key]

    def __contains__(self, key: object) -> bool:
        return key in self._changes or key in self._before

    def __iter__(self) -> Iterator[K]:
        yield from self._before
        yield from (key for key in self._changes if key not in self._before)

    def __len__(self) -> int:
        return len(self._before) + sum(key not in self._before for key in self._changes)

    def __setitem__(self, key: K, value: V) -> None:
        self._changes[key] = value

    def __delitem__(self, key: K) -> None:
        every = {**self._before, **self._changes}
        del every[key]
        self._before, self._changes = every, {}


def forked(entries: Mapping[K, V]) -> MutableMapping[K, V]:
    """Return a mapping with *entries* that can be changed while they stay as they are."""
    if isinstance(entries, Overlay):
        return entries.fork()
    return dict(entries) if len(entries) < SMALL else Overlay(entries, {})
