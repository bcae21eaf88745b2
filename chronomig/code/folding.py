"""Migrations -> the states after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from math import isqrt
from typing import Generic, TypeVar

from django.db.migrations import Migration as DjangoMigration
from django.db.migrations.operations.base import Operation

from chronomig.code.loading import Loaded
from chronomig.errors import ChronomigError, LoadError, in_words
from chronomig.state import ProjectState

Change = TypeVar("Change")
Value = TypeVar("Value")

Stored = Callable[[], ProjectState | None]
"""Loads a state that is kept elsewhere; None when it is of no use after all."""

WAY_BACK = 8
"""How many changes may be taken back before an earlier state than the checkpoint is needed."""
SHORTEST_STRETCH = 32


@dataclass
class Known:
    """What is known of the states along a path."""

    kept: dict[int, ProjectState]
    """{after how many changes: state}"""
    stored: dict[int, Stored]
    near: dict[int, ProjectState] = field(default_factory=dict)
    """The same, of the stretch that was asked for last."""
    applied: int = 0

    def up_to(self, count: int) -> Known:
        """Return what holds whatever comes after the first *count* changes."""
        return Known(until(self.kept, count), until(self.stored, count), until(self.near, count), self.applied)


def until(found: Mapping[int, Value], count: int) -> dict[int, Value]:
    return {place: one for place, one in found.items() if place <= count}


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
        self._apply = apply
        self._stretch = max(SHORTEST_STRETCH, isqrt(len(changes)))
        self._known = Known({0: base}, dict(stored or {}))
        self._shared = False
        """Whether what is known is known to another path as well."""

    @property
    def applied(self) -> int:
        """How many changes had to be applied so far."""
        return self._known.applied

    def at(self, count: int) -> ProjectState:
        """Return the state after the first *count* changes."""
        known = self._known
        if count in known.near:
            return known.near[count]
        begin, state = self._nearest(count)
        known.near = {place: one for place, one in known.near.items() if place > count - self._stretch} | {
            begin: state
        }
        for place in range(begin, count):
            state = self._apply(state, self.changes[place])
            known.applied += 1
            if (place + 1) % self._stretch == 0:
                known.kept[place + 1] = state
            if place + 1 > count - self._stretch:
                known.near[place + 1] = state
        return state

    def _nearest(self, count: int) -> tuple[int, ProjectState]:
        """Return the last state at or before *count* that is there; what is stored may turn out to be of no use."""
        known = self._known
        near = max(place for place in (*known.kept, *known.near) if place <= count)
        for place in sorted((place for place in known.stored if near < place <= count), reverse=True):
            state = known.stored.pop(place)()
            if state is not None:
                known.kept[place] = state
                return place, state
        return near, known.near.get(near) or known.kept[near]

    def fork(self) -> Path[Change]:
        """Return another path along the same changes: what one of them finds, both know until one is changed."""
        self._shared = True
        found = copy(self)
        found.changes = [*self.changes]
        return found

    def remove(self, place: int) -> None:
        """Take a change out; the states after it are others now."""
        self.at(place)  # before the ways part
        self._keep_up_to(place)
        del self.changes[place]

    def cut(self, count: int) -> None:
        """Take out all but the first *count* changes."""
        self._keep_up_to(count)
        del self.changes[count:]

    def _keep_up_to(self, count: int) -> None:
        """Know no more than the states after the first *count* changes, and that for this path alone."""
        self._known = self._known.up_to(count)
        self._shared = False

    def append(self, change: Change, state: ProjectState) -> None:
        """Put *change* at the end; *state* is the one after it. The states of a way down are not needed any more."""
        if self._shared:
            self._keep_up_to(len(self.changes))
        known = self._known
        if behind := known.kept.get(len(self.changes)):
            behind.forget_rendered()
        self.changes.append(change)
        known.near = {len(self.changes): state}
        if len(self.changes) % self._stretch == 0:
            known.kept[len(self.changes)] = state

    def checkpoint(self) -> tuple[int, ProjectState]:
        """Return the last state that is kept some way before the end, and after how many changes it stands."""
        kept = self._known.kept
        place = max((place for place in kept if place <= len(self.changes) - WAY_BACK), default=0)
        return place, kept[place]


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

    def fork(self) -> States:
        """Return the same states, for another who adds to them and takes from them."""
        found = copy(self)
        found._path = self._path.fork()
        return found

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
