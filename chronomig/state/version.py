"""The models at one point, frozen: what a registry is bound to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from django.db.migrations.state import ModelState
from django.db.models import Field

from chronomig.state.operations import Reader
from chronomig.state.references import Key, ReverseIndex, base_keys, grouped

if TYPE_CHECKING:
    from chronomig.state.lending import Lent
    from chronomig.state.registry import LazyApps

FIELDS_PER_VERSION = 1 << 24


class Version:
    """
    Models that will not change any more.

    Schema editors put fields of two states into one class, and Django orders columns by the counters that fields get
    when they are made (sqlite3/schema.py, _remake_table). Rendering on demand would give them out in any order, so
    that each version has a range of its own: an older one below a newer one, whenever they are rendered.
    """

    def __init__(
        self,
        models: Mapping[Key, ModelState],
        tombstones: Mapping[Key, ModelState],
        sequence: int,
        reverse: ReverseIndex | None,
        lent: Lent | None = None,
    ) -> None:
        self.models = models
        self.tombstones = tombstones
        """Deleted models, as they last were."""
        self.sequence = sequence
        self.known_reverse = reverse
        self.lent = lent
        self.registries: dict[Reader, LazyApps] = {}
        """What is rendered of these models, for each reader."""
        self._counter = sequence * FIELDS_PER_VERSION
        self._auto_counter = -sequence * FIELDS_PER_VERSION

    @property
    def reverse(self) -> ReverseIndex:
        if self.known_reverse is None:
            self.known_reverse = ReverseIndex.of(self.models)
        return self.known_reverse

    @cached_property
    def names_by_label(self) -> Mapping[str, list[str]]:
        return grouped(self.places)

    @cached_property
    def places(self) -> Mapping[Key, int]:
        """Where each model stands when Django renders all: in the order of the state, but after its bases."""
        found: dict[Key, int] = {}
        waiting = list(self.models)
        while waiting:
            later = []
            for key in waiting:
                if all(base in found or base not in self.models for base in base_keys(self.models[key])):
                    found[key] = len(found)
                else:
                    later.append(key)
            if len(later) == len(waiting):  # bases in a circle: rendering says so
                return {**found, **{key: len(found) for key in later}}
            waiting = later
        return found

    @contextmanager
    def counting_fields(self) -> Iterator[None]:
        """Give fields made inside counters of this version; afterwards Django's counters are beyond all of them."""
        counter, auto_counter = Field.creation_counter, Field.auto_creation_counter
        Field.creation_counter, Field.auto_creation_counter = self._counter, self._auto_counter
        try:
            yield
        finally:
            self._counter, self._auto_counter = Field.creation_counter, Field.auto_creation_counter
            Field.creation_counter = max(counter, self._counter)
            Field.auto_creation_counter = min(auto_counter, self._auto_counter)
