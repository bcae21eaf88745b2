"""Whether two operations can change places."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import ModelOperation

from chronomig.effects.analysis import effects_of
from chronomig.effects.things import Effects, Thing
from chronomig.state import ProjectState

Labelled = tuple[str, Operation]
ORDER_TOLD_BY_DJANGO: Thing = ("order",)


def commute(one: Labelled, other: Labelled, state: ProjectState) -> bool:
    """Whether two operations that both start from *state* lead to the same place in either order."""
    mine, theirs = (effects_of(operation, label, state) for label, operation in (one, other))
    return not meetings(one, mine, other, theirs)


def meetings(one: Labelled, effects: Effects, other: Labelled, other_effects: Effects) -> Sequence[Thing]:
    """Return the things over which two operations meet, the most exact one first; nothing where they commute."""
    found = set(effects.meetings(other_effects))
    if not found and not django_agrees(one, other):
        found = {ORDER_TOLD_BY_DJANGO}
    return sorted(found, key=lambda thing: (-len(thing), thing))


def django_agrees(one: Labelled, other: Labelled) -> bool:
    """
    Ask Django's optimizer whether one of them can be moved through the other.

    It has an opinion only on models and fields of one app: on indexes, constraints and code its operations say no to
    everything (operations/base.py, references_model).
    """
    (label, first), (other_label, second) = one, other
    informed = all(isinstance(operation, FieldOperation | ModelOperation) for operation in (first, second))
    if label != other_label or not informed:
        return True
    return first.reduce(second, label) is True or second.reduce(first, label) is True
