"""Whether operations can change places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import ModelOperation

from chronomig.effects.analysis import effects_of
from chronomig.effects.things import EVERYTHING, Effects, Thing, in_words
from chronomig.state import ProjectState

Labelled = tuple[str, Operation]
"""(app label, operation)"""
WITHOUT_FIELDS = (ops.AlterModelOptions, ops.AlterModelManagers, ops.AlterModelTableComment)
ORDER_TOLD_BY_DJANGO: Thing = ("order",)


@dataclass(frozen=True)
class Placed:
    """An operation where it stands, and what it does there."""

    app_label: str
    operation: Operation
    effects: Effects

    def __str__(self) -> str:
        return f"{self.app_label}: {self.operation.describe()}"


@dataclass(frozen=True)
class Meeting:
    """Two operations that cannot change places."""

    one: Placed
    other: Placed
    things: tuple[Thing, ...]
    """What they meet over, the most exact first."""

    @property
    def reason(self) -> str:
        """Say for a person why the two cannot change places."""
        for each in (self.one, self.other):
            if each.effects.opaque:
                return f"'{each}' may do anything to the data; 'touches' in its file can say what it does"
        for each in (self.one, self.other):
            if each.effects.slips:
                what = f"'touches' of '{each}' names {each.effects.slips[0]!r}"
                return f"{what}, which is not there, so it may do anything to the data"
        if self.things[0] == ORDER_TOLD_BY_DJANGO:
            return "Django's optimizer would not move one through the other"
        return f"both have to do with {in_words(self.things[0])}"


def placed(
    before: ProjectState, operations: Iterable[Labelled], touches: Sequence[str] | None = None
) -> tuple[list[Placed], ProjectState]:
    """
    Return *operations* with their effects, one after the other from *before* on, and the state after them.

    From an operation on that the state has no place for, they may do anything: it is not known what comes of it.
    """
    found: list[Placed] = []
    state, lost = before, False
    for label, operation in operations:
        try:
            effects = Effects(writes=frozenset({EVERYTHING}), opaque=True)
            if not lost:
                effects = effects_of(operation, label, state, touches)
                state = state.after(label, operation)
        except Exception:  # the operations of others raise what they like
            lost = True
        found.append(Placed(label, operation, effects))
    return found, state


def meetings(some: Iterable[Placed], others: Sequence[Placed]) -> Iterator[Meeting]:
    """Yield each pair of *some* and *others* that cannot change places."""
    for one in some:
        for other in others:
            if things := met(one, other):
                yield Meeting(one, other, tuple(things))


def met(one: Placed, other: Placed) -> list[Thing]:
    """Return the things over which two operations meet, the most exact one first; nothing where they commute."""
    found = set(one.effects.meetings(other.effects))
    if not found and not django_agrees(one, other):
        found = {ORDER_TOLD_BY_DJANGO}
    return sorted(found, key=lambda thing: (-len(thing), thing))


def commute(before: ProjectState, first: Sequence[Labelled], last: Sequence[Labelled]) -> bool:
    """Whether *last* can come after *first*, and as well before it, where it was written for."""
    ran, state = placed(before, first)
    moving = [*placed(before, last)[0], *placed(state, last)[0]]
    return not any(True for _ in meetings(ran, moving))


def django_agrees(one: Placed, other: Placed) -> bool:
    """
    Ask Django's optimizer whether one of them can be moved through the other.

    It has an opinion only on models and fields of one app: on indexes, constraints and code, and on options that no
    field is named in, its operations say no to everything (operations/base.py, references_model, references_field).
    """
    informed = all(
        isinstance(each.operation, FieldOperation | ModelOperation) and not isinstance(each.operation, WITHOUT_FIELDS)
        for each in (one, other)
    )
    if one.app_label != other.app_label or not informed:
        return True
    first, second, label = one.operation, other.operation, one.app_label
    return first.reduce(second, label) is True or second.reduce(first, label) is True
