"""Migrations -> the states after them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.migrations import Migration as DjangoMigration

from chronomig.loading import Loaded
from chronomig.state import ProjectState


class States:
    """
    The states of one database: after each applied migration, in the order of application.

    Of the states on the way only those are kept that going down will need: from before the first of *going_down*.
    """

    def __init__(self, migrations: Sequence[Loaded], going_down: Collection[str] = ()) -> None:
        self.order = list(migrations)
        places = (place for place, one in enumerate(self.order) if one.name in going_down)
        self._keep_from = next(places, len(self.order))
        self._after = {0: ProjectState()}
        """{how many migrations: the state after them}"""

    @property
    def current(self) -> ProjectState:
        return self._at(len(self.order))

    def _at(self, count: int) -> ProjectState:
        """Return the state after the first *count* migrations."""
        begin = max(known for known in self._after if known <= count)
        state = self._after[begin]
        for place in range(begin, count):
            state = fold(state, self.order[place])
            if place + 1 >= self._keep_from or place + 1 == count:
                self._after[place + 1] = state
        return state

    def without(self, name: str) -> ProjectState:
        """Return the state of all but *name*, and keep it so: *name* is what moves now."""
        place = next((place for place, one in enumerate(self.order) if one.name == name), None)
        if place is not None:
            del self.order[place]
            self._after = {count: state for count, state in self._after.items() if count <= place}
        return self.current

    def add(self, loaded: Loaded, state: ProjectState) -> None:
        """Put *loaded* on top; *state* is the one after it. Downs come first: what is below is not needed again."""
        self.order.append(loaded)
        self._after = {0: self._after[0], len(self.order): state}


def fold(state: ProjectState, loaded: Loaded) -> ProjectState:
    """Return the state after *loaded*."""
    if loaded.overrides_execution and isinstance(loaded.source, DjangoMigration):
        return loaded.source.mutate_state(state, preserve=True)  # type: ignore[return-value]
    for app_label, operation in loaded.operations:
        state = state.after(app_label, operation)
    return state
