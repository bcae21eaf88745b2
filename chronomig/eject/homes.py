"""
Which set a model's operations are taken from, where several sets have them.

Django has one history per app for all databases, and its router keeps operations away from a database. A timeline has
the models of others that its own refer to, too: these come from the set whose databases have the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.db import router
from django.db.migrations.operations import CreateModel, RenameModel, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import IndexOperation, ModelOperation

from chronomig.code.loading import Loaded
from chronomig.sets import MigrationSet

ModelKey = tuple[str, str]
"""(app label, lower-case model name)"""


class Homes:
    """The set that each model's operations are taken from."""

    def __init__(self, steps: Sequence[tuple[MigrationSet, Loaded]]) -> None:
        self._roots: dict[ModelKey, ModelKey] = {}
        """What a model was called first."""
        ranks: dict[ModelKey, dict[str, tuple[bool, bool]]] = {}
        for migration_set, loaded in steps:
            for label, operation in loaded.operations:
                if name := model_of(operation):
                    found = ranks.setdefault(self._root((label, name)), {})
                    rank = loaded.is_djangos, is_let_in(migration_set, label, name)
                    found[migration_set.name] = max(rank, found.get(migration_set.name, rank))
                if isinstance(operation, RenameModel):
                    self._roots[label, operation.new_name_lower] = self._root((label, operation.old_name_lower))
        self._homes = {key: max(found, key=found.__getitem__) for key, found in ranks.items()}

    def is_home(self, set_name: str, label: str, operation: Operation) -> bool:
        """Whether an operation of a set counts; what is on no single model always does."""
        name = model_of(operation)
        return not name or self._homes.get(self._root((label, name)), set_name) == set_name

    def made_by(self, step: tuple[MigrationSet, Loaded], *, at_home: bool) -> set[ModelKey]:
        """Return the models that a file makes, and that are taken from its set, or from another one."""
        return {
            self._root((label, operation.name_lower))
            for label, operation in step[1].operations
            if isinstance(operation, CreateModel) and self.is_home(step[0].name, label, operation) is at_home
        }

    def _root(self, key: ModelKey) -> ModelKey:
        return self._roots.get(key, key)


def interleaved(steps: Sequence[tuple[MigrationSet, Loaded]], homes: Homes) -> Iterator[tuple[MigrationSet, Loaded]]:
    """
    Yield the files of all sets in one order: that of the stamps, but behind the models that others make for them.

    A set's file makes all models that its own refer to; where these are taken from another set, that one comes first.
    """
    left: dict[str, list[tuple[MigrationSet, Loaded]]] = {}
    for step in reversed(steps):
        left.setdefault(step[0].name, []).append(step)
    made: set[ModelKey] = set()
    while left:
        heads = sorted((waiting[-1] for waiting in left.values()), key=lambda step: step[1].name)
        step = next((one for one in heads if homes.made_by(one, at_home=False) <= made), heads[0])
        made |= homes.made_by(step, at_home=True)
        yield left[step[0].name].pop()
        left = {name: waiting for name, waiting in left.items() if waiting}


def model_of(operation: Operation) -> str:
    """Return the lower-case name of the model that an operation is on; empty for code, SQL and the like."""
    if isinstance(operation, RenameModel):
        return operation.old_name_lower
    if isinstance(operation, FieldOperation | IndexOperation):
        return operation.model_name_lower
    if isinstance(operation, ModelOperation):
        return operation.name_lower
    if isinstance(operation, SeparateDatabaseAndState):
        return next(filter(None, map(model_of, inner(operation))), "")
    return ""


def inner(operation: SeparateDatabaseAndState) -> Iterable[Operation]:
    return [*operation.state_operations, *operation.database_operations]


def is_let_in(migration_set: MigrationSet, label: str, name: str) -> bool:
    """Whether a router lets a model into a database of the set; the model itself may be gone."""
    return any(router.allow_migrate(alias, label, model_name=name) for alias in migration_set.aliases)
