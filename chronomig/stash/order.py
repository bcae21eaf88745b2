"""In which order what lies in the stash comes back."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from chronomig.stash.entries import Entry


def place_in(entry: Entry) -> tuple[str, str]:
    return entry.table.name.lower(), (entry.column or "").lower()


def in_order_of_places(entries: Iterable[Entry]) -> list[Entry]:
    """Return tables behind those that they refer to, then columns, what was dropped last first."""
    newest_first = sorted(entries, key=lambda one: -one.id)
    waiting = [one for one in newest_first if one.column is None]
    referred = {one.table.name: {to.table for to in one.table.relations} - {one.table.name} for one in waiting}
    try:
        names = list(TopologicalSorter(referred).static_order())
    except CycleError:
        names = list(referred)
    waiting.sort(key=lambda one: names.index(one.table.name))
    return waiting + [one for one in newest_first if one.column is not None]


def last_of_each_place(came_back: Iterable[Entry]) -> list[Entry]:
    """Return what *came_back*, in the order in which places were made; code may have taken some out again since."""
    places = {(one.table.name, one.column): one for one in came_back}
    return [*reversed(places.values())]
