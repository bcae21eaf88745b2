"""Migrations -> the states after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isqrt
from typing import Generic, TypeVar

from django.db.migrations import Migration as DjangoMigration
from django.db.migrations.operations.base import Operation

from chronomig.code.loading import Loaded
from chronomig.errors import ChronomigError, LoadError, in_words
from chronomig.state import ProjectState

Change = TypeVar("Change")

Stored = Callable[[], ProjectState | None]
"""Loads a state that is kept elsewhere; None when it is of no use after all."""

WAY_BACK = 8
"""How many changes may be taken back before an earlier state than the checkpoint is needed."""
SHORTEST_STRETCH = 32


class Path(Generic[Change]):
    """
    The states along a sequence of changes: any of them, in either direction, without keeping all.

    A state of thousands of models is a dict of that size. Kept are one at the end of every stretch, and those of the
    stretch that was asked for last: of n states, about twice the root of n.
    """

    def __init__(
        self,
        base: ProjectState,
        changes: Sequence[Change],
        apply: Callable[[ProjectState, Change], ProjectState],
        stored: Mapping[int, Stored] | None = None,
    ) -> None:
        self.changes = list(changes)
        self.applied = 0
        """How many changes had to be applied so far."""
        self._apply = apply
        self._stretch = max(SHORTEST_STRETCH, isqrt(len(changes)))
        self._stored = dict(stored or {})
        self._kept = {0: base}
        """{after how many changes: state}"""
        self._near: dict[int, ProjectState] = {}

    def at(self, count: int) -> ProjectState:
        """Return the state after the first *count* changes."""
        if count in self._near:
            return self._near[count]
        begin, state = self._nearest(count)
        self._near = {place: one for place, one in self._near.items() if place > count - self._stretch} | {
            begin: state
        }
        for place in range(begin, count):
            state = self._apply(state, self.changes[place])
            self.applied += 1
            if (place + 1) % self._stretch == 0:
                self._kept[place + 1] = state
            if place + 1 > count - self._stretch:
                self._near[place + 1] = state
        return state

    def _nearest(self, count: int) -> tuple[int, ProjectState]:
        """Return the last state at or before *count* that is there; what is stored may turn out to be of no use."""
        near = max(place for place in (*self._kept, *self._near) if place <= count)
        for place in sorted((place for place in self._stored if near < place <= count), reverse=True):
            state = self._stored.pop(place)()
            if state is not None:
                self._kept[place] = state
                return place, state
        return near, self._near.get(near) or self._kept[near]

    def remove(self, place: int) -> None:
        """Take a change out; the states after it are others now."""
        del self.changes[place]
        self._forget_after(place)

    def cut(self, count: int) -> None:
        """Take out all but the first *count* changes."""
        del self.changes[count:]
        self._forget_after(count)

    def _forget_after(self, place: int) -> None:
        self._stored = {count: load for count, load in self._stored.items() if count <= place}
        self._kept = {count: state for count, state in self._kept.items() if count <= place}
        self._near = {count: state for count, state in self._near.items() if count <= place}

    def append(self, change: Change, state: ProjectState) -> None:
        """Put *change* at the end; *state* is the one after it. The states of a way down are not needed any more."""
        if behind := self._kept.get(len(self.changes)):
            behind.forget_rendered()
        self.changes.append(change)
        self._near = {len(self.changes): state}
        if len(self.changes) % self._stretch == 0:
            self._kept[len(self.changes)] = state

    def checkpoint(self) -> tuple[int, ProjectState]:
        """Return the last state that is kept some way before the end, and after how many changes it stands."""
        place = max((place for place in self._kept if place <= len(self.changes) - WAY_BACK), default=0)
        return place, self._kept[place]


class States:
    """
    The states of one database: after each applied migration, in the order of application.

    *stored* holds states that need not be made: {after how many migrations: what loads the state}. Only the files
    that are needed are loaded.
    """

    def __init__(
        self, names: Sequence[str], load: Callable[[str], Loaded], stored: Mapping[int, Stored] | None = None
    ) -> None:
        self._path = Path(ProjectState(), names, lambda state, name: fold(state, load(name)), stored)

    @property
    def names(self) -> list[str]:
        return self._path.changes

    @property
    def folded(self) -> int:
        """How many migrations had to be loaded and folded so far."""
        return self._path.applied

    @property
    def checkpoint(self) -> tuple[list[str], ProjectState]:
        """Return a state some way before the current one, and the migrations that it stands after."""
        place, state = self._path.checkpoint()
        return self.names[:place], state

    @property
    def current(self) -> ProjectState:
        return self._path.at(len(self._path.changes))

    def before(self, name: str) -> ProjectState:
        """Return the state in which *name* was applied."""
        return self._path.at(self._path.changes.index(name))

    def without(self, name: str) -> ProjectState:
        """Return the state of all but *name*, and keep it so: *name* is what moves now."""
        if name in self._path.changes:
            self._path.remove(self._path.changes.index(name))
        return self.current

    def cut(self, count: int) -> None:
        """Take back what was added after the first *count* migrations."""
        self._path.cut(count)

    def add(self, name: str, state: ProjectState) -> None:
        """Put *name* on top; *state* is the one after it."""
        self._path.append(name, state)


def fold(state: ProjectState, loaded: Loaded) -> ProjectState:
    """Return the state after *loaded*; raise LoadError for an operation that does not fit."""
    source = loaded.source
    if loaded.overrides_execution and isinstance(source, DjangoMigration):
        return state.after_code(lambda changing: source.mutate_state(changing, preserve=False))
    for number, (app_label, operation) in enumerate(loaded.operations, 1):
        try:
            state = state.after(app_label, operation)
        except ChronomigError:
            raise
        except Exception as error:
            raise misfit(loaded.name, number, operation, error) from error
    return state


def misfit(name: str, number: int, operation: Operation, error: Exception) -> LoadError:
    """Return the error for an operation that has no meaning in the state before it."""
    return LoadError(
        f"{name}: operation {number}, {type(operation).__name__}, does not fit what comes before it.",
        cause=in_words(error),
        next_step="Mend the file, or restore those that it stands on; nothing was run.",
    )
