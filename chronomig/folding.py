"""Migrations -> the states after them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.migrations import Migration as DjangoMigration

from chronomig.loading import Loaded
from chronomig.state import ProjectState


class States:
    """The states of one database: after each applied migration, in the order of application."""

    def __init__(self, migrations: Sequence[Loaded]) -> None:
        self.order = list(migrations)
        self._after: list[ProjectState] = [ProjectState()]

    @property
    def current(self) -> ProjectState:
        return self._at(len(self.order))

    def _at(self, count: int) -> ProjectState:
        """Return the state after the first *count* migrations."""
        while len(self._after) <= count:
            self._after.append(fold(self._after[-1], self.order[len(self._after) - 1]))
        return self._after[count]

    def without(self, name: str) -> ProjectState:
        """Return the state of all but *name*, and keep it so: *name* is what moves now."""
        index = next((i for i, one in enumerate(self.order) if one.name == name), None)
        if index is not None:
            del self.order[index]
            del self._after[index + 1 :]
        return self.current

    def add(self, loaded: Loaded, state: ProjectState) -> None:
        self.current.release()
        self.order.append(loaded)
        self._after.append(state)


def fold(state: ProjectState, loaded: Loaded) -> ProjectState:
    """Return the state after *loaded*."""
    if loaded.overrides_execution and isinstance(loaded.source, DjangoMigration):
        return loaded.source.mutate_state(state, preserve=True)  # type: ignore[return-value]
    for app_label, operation in loaded.operations:
        state = state.after(app_label, operation)
    return state
