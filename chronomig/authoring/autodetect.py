"""
Django's autodetector, its result in one list over all apps.

Django cuts what it finds into migrations per app, and orders those. In one list there is more room: an operation
waits for what it needs and for nothing else, and a model that goes takes its fields along.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from heapq import heapify, heappop, heappush
from typing import Any

from django.db.migrations.autodetector import MigrationAutodetector, OperationDependency
from django.db.migrations.operations import (
    AddField,
    AlterIndexTogether,
    AlterOrderWithRespectTo,
    AlterUniqueTogether,
    DeleteModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
    RenameModel,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation

from chronomig.code.loading import Labelled
from chronomig.errors import Refused

ModelKey = tuple[str, str]
"""(app label, lower-case model name)"""
Needs = OperationDependency.Type
ORDER = "_order"
"""The field that order_with_respect_to brings."""


class FlatAutodetector(MigrationAutodetector):
    """Django's autodetector; :meth:`flat` gives one list in place of migrations per app."""

    generated_operations: dict[str, list[Operation]]
    old_field_keys: set[tuple[str, str, str]]
    """{(app label, model name, field name)}; what was renamed has its new name, once that is known"""
    new_field_keys: set[tuple[str, str, str]]

    def flat(self) -> list[Labelled]:
        """Return [(app label, operation), ...] in an order that runs; raise Refused where there is none."""
        self._detect_changes()  # type: ignore[attr-defined]  # changes() needs a graph, and would cut by app
        return [
            (label, operation) for label, run in self._runs for operation in MigrationOptimizer().optimize(run, label)
        ]

    def _sort_migrations(self) -> None:
        """The sorting is part of :class:`Ordering`."""

    def _build_migration_list(self, graph: object = None) -> None:
        self.migrations: dict[str, list[Any]] = {}
        Deletions(self).simplify()
        self._runs = list(Ordering(self).runs())

    def generate_altered_fields(self) -> None:
        """Leave out what is one object on both sides: it is the same, and Django assigns to what it compares."""
        same = {key for key in self.old_field_keys & self.new_field_keys if self._is_one_object(*key)}
        self.old_field_keys -= same  # nobody looks at either set afterwards
        self.new_field_keys -= same
        super().generate_altered_fields()

    def _is_one_object(self, app_label: str, model_name: str, name: str) -> bool:
        """Whether a field that is there before and after is one object; the names are those of after."""
        old_model = self.renamed_models.get((app_label, model_name), model_name)
        old_name = self.renamed_fields.get((app_label, model_name, name), name)
        old = self.from_state.models[app_label, old_model].fields[old_name]
        return old is self.to_state.models[app_label, model_name].fields[name]

    def _get_altered_foo_together_operations(self, option_name: str) -> Iterable[Any]:
        """Django asks for those of index_together once per model, each time for all models."""
        found = super()._get_altered_foo_together_operations  # type: ignore[misc]
        if option_name != AlterIndexTogether.option_name:
            return found(option_name)  # type: ignore[no-any-return]
        if not hasattr(self, "_index_together"):
            self._index_together = list(found(option_name))
        return self._index_together


def is_renaming(operation: Operation) -> bool:
    return isinstance(operation, RenameModel)


def model_of(operation: Operation) -> str:
    """Return the lower-case name of the model that an operation of the autodetector is about."""
    for attribute in ("model_name_lower", "new_name_lower", "name_lower"):
        if found := getattr(operation, attribute, None):
            return str(found)
    raise TypeError(operation)


class Ordering:
    """
    Puts operations in one order, in runs of one app.

    As Django does, but for two things. An operation that has to wait holds back only what comes after it on the same
    model, not the rest of its app: two apps with parents for each other's models can then be created at all. And
    where nothing else is said, the operations on a model stay in the order in which they were generated, because
    that is all that puts the removal of an index before that of its field (5.2), or a field before its index.
    """

    def __init__(self, detector: FlatAutodetector) -> None:
        self.detector = detector
        self.left = {label: list(found) for label, found in sorted(detector.generated_operations.items())}
        self.about: dict[ModelKey, list[Operation]] = defaultdict(list)
        for label, found in self.left.items():
            for operation in found:
                self.about[label, model_of(operation)].append(operation)
        self.done: set[Operation] = set()
        self.inheritance = Inheritance(detector.from_state.models)
        self.needs = {one: set(self._needed_by(label, one)) for label, found in self.left.items() for one in found}
        self.left = {label: self._sorted(found) for label, found in self.left.items()}

    def _needed_by(self, label: str, operation: Operation) -> Iterator[Operation]:
        if name := added_name(operation):
            yield from self._making_room(name, (label, model_of(operation)))
        for dependency in operation._auto_deps:  # type: ignore[attr-defined]
            wanted = self.detector._resolve_dependency(dependency)[0]  # type: ignore[attr-defined]
            for other in self.about.get((wanted.app_label, wanted.model_name_lower), ()):
                if other is not operation and self.detector.check_dependency(other, wanted):
                    yield other

    def _making_room(self, name: str, key: ModelKey) -> Iterator[Operation]:
        """A model can only get a field when its parents and children have none of that name any more."""
        for other in self.inheritance.relatives(key):
            if name in names_in(self.inheritance.models[other]):
                yield from (one for one in self.about.get(other, ()) if removes(one, name))

    def _sorted(self, operations: list[Operation]) -> list[Operation]:
        """Return the operations of an app, each behind those of its app that it needs, the first generated first."""
        place = {one: index for index, one in enumerate(operations)}
        sorter = TopologicalSorter({one: self.needs[one] & place.keys() for one in operations})
        sorter.prepare()
        ready, result = [place[one] for one in sorter.get_ready()], []
        heapify(ready)
        while ready:
            result.append(operations[heappop(ready)])
            sorter.done(result[-1])
            for one in sorter.get_ready():
                heappush(ready, place[one])
        return result

    def runs(self) -> Iterator[tuple[str, list[Operation]]]:
        """Yield (app label, operations) until nothing is left; raise Refused when all that is left waits."""
        for label, found in self.left.items():
            # All others use the new names. What Django lets a renaming wait for are models that refer to it.
            if renamings := list(filter(is_renaming, found)):
                yield label, self._take(label, renamings)
        while any(self.left.values()):
            label, run = self._next()
            yield label, self._take(label, run)

    def _take(self, label: str, run: list[Operation]) -> list[Operation]:
        taken = set(run)
        self.done |= taken
        self.left[label] = [one for one in self.left[label] if one not in taken]
        return run

    def _next(self) -> tuple[str, list[Operation]]:
        """Return an app that can be finished, else the first that can go on."""
        ready = {label: self._ready(found) for label, found in self.left.items() if found}
        for label, run in ready.items():
            if len(run) == len(self.left[label]):
                return label, run
        for label, run in ready.items():
            if run:
                return label, run
        waiting = [f"{label}: {one.describe()}" for label, found in self.left.items() for one in found]
        raise Refused(
            "The changes of the models depend on each other in a circle; nothing was written.",
            cause="\n".join(f"  {line}" for line in waiting),
            next_step="Make one of these changes in a migration of its own, before the others.",
        )

    def _ready(self, operations: Iterable[Operation]) -> list[Operation]:
        run: list[Operation] = []
        taken: set[Operation] = set()
        waiting: set[str] = set()
        for operation in operations:
            if model_of(operation) not in waiting and self.needs[operation] <= self.done | taken:
                run.append(operation)
                taken.add(operation)
            else:
                waiting.add(model_of(operation))
        return run


class Inheritance:
    """Which models are built on which, before the change."""

    def __init__(self, models: Mapping[ModelKey, ModelState]) -> None:
        self.models = models
        self.parents = {key: set(bases_of(model)) & models.keys() for key, model in models.items()}
        self.children: dict[ModelKey, set[ModelKey]] = defaultdict(set)
        for key, parents in self.parents.items():
            for parent in parents:
                self.children[parent].add(key)

    def relatives(self, key: ModelKey) -> set[ModelKey]:
        """Return all that a model is built on, and all that is built on it."""
        return reachable(key, self.parents) | reachable(key, self.children)


def reachable(start: ModelKey, edges: Mapping[ModelKey, set[ModelKey]]) -> set[ModelKey]:
    """Return what can be reached from *start*; itself only where there is a circle."""
    seen: set[ModelKey] = set()
    todo = [start]
    while todo:
        more = edges.get(todo.pop(), set()) - seen
        seen |= more
        todo.extend(more)
    return seen


def names_in(model: ModelState) -> set[str]:
    """Return the names of the fields that a model has of its own."""
    return {*model.fields, *([ORDER] if model.options.get("order_with_respect_to") else [])}


def added_name(operation: Operation) -> str:
    """Return the name of the field that an operation adds to a model, or an empty text."""
    if isinstance(operation, AddField):
        return operation.name
    return ORDER if isinstance(operation, AlterOrderWithRespectTo) and operation.order_with_respect_to else ""


def removes(operation: Operation, name: str) -> bool:
    """Whether a model has no field of that name after an operation on it."""
    if isinstance(operation, RemoveField):
        return operation.name == name
    if isinstance(operation, AlterOrderWithRespectTo):
        return name == ORDER and operation.order_with_respect_to is None
    return isinstance(operation, DeleteModel)


class Deletions:
    """
    Makes the deletion of models as short as it can be, and gives it an order.

    Django removes every relation of a model before it deletes the model, its primary key too, which leaves SQLite
    with a table that has no column. A table takes its columns along, so a field is only removed before where models
    refer to each other in a circle. Only the order of the deletions is left to be told then: what refers goes first.
    """

    def __init__(self, detector: FlatAutodetector) -> None:
        self.detector = detector
        self.models: dict[ModelKey, ModelState] = detector.from_state.models
        self.doomed: dict[ModelKey, DeleteModel] = {
            (label, operation.name_lower): operation
            for label, found in detector.generated_operations.items()
            for operation in found
            if isinstance(operation, DeleteModel)
        }
        self.fields = {key: dict(relations_of(key, self.models[key])) for key in self.doomed}
        self.above = {key: set(self._refers_to(key)) & self.doomed.keys() for key in self.doomed}
        """What each of them refers to, and is built on."""

    def simplify(self) -> None:
        """Leave out what goes with its table, and let deletions wait for each other."""
        if not self.doomed:
            return
        kept = {(key, name) for key, found in self.fields.items() for name in found if self._in_a_circle(key, name)}
        for label, found in self.detector.generated_operations.items():
            self.detector.generated_operations[label] = [one for one in found if self._is_needed(label, one, kept)]
        for key, model in self.models.items():
            for name, targets in relations_of(key, model):
                self._wait_for(key, name, targets, kept)
        for key in self.doomed:
            for base in bases_of(self.models[key]):
                self._let_wait(base, OperationDependency(*key, None, Needs.REMOVE))

    def _refers_to(self, key: ModelKey) -> Iterator[ModelKey]:
        yield from bases_of(self.models[key])
        for targets in self.fields[key].values():
            yield from targets

    def _in_a_circle(self, key: ModelKey, name: str) -> bool:
        """Whether a relation leads to a model that refers back; a primary key cannot be what is cut."""
        field = self.models[key].fields[name]
        return not field.primary_key and any(
            key in reachable(target, self.above) for target in self.fields[key][name] - {key}
        )

    def _is_needed(self, label: str, operation: Operation, kept: Collection[tuple[ModelKey, str]]) -> bool:
        key = label, model_of(operation)
        if key not in self.doomed:
            return True
        if isinstance(operation, RemoveField):
            return (key, operation.name) in kept
        return not isinstance(operation, RemoveIndex | RemoveConstraint | AlterUniqueTogether)

    def _wait_for(
        self, key: ModelKey, name: str, targets: set[ModelKey], kept: Collection[tuple[ModelKey, str]]
    ) -> None:
        """Let the deletion of what a field refers to wait until the field refers to it no more."""
        for target in targets & self.doomed.keys() - {key}:
            if key in self.doomed and (key, name) not in kept:
                self._let_wait(target, OperationDependency(*key, None, Needs.REMOVE))
            else:
                self._let_wait(target, OperationDependency(*key, name, Needs.REMOVE))
                self._let_wait(target, OperationDependency(*key, name, Needs.ALTER))

    def _let_wait(self, key: ModelKey, dependency: OperationDependency) -> None:
        if key in self.doomed:
            self.doomed[key]._auto_deps.append(dependency)  # type: ignore[attr-defined]


def relations_of(key: ModelKey, model: ModelState) -> Iterator[tuple[str, set[ModelKey]]]:
    """Yield (name, the models it refers to) of each relation of a model."""
    for name, field in model.fields.items():
        remote = field.remote_field
        targets = [getattr(remote, "model", None), getattr(remote, "through", None)]
        if any(targets):
            yield name, {resolve_relation(target, *key) for target in targets if target}


def bases_of(model: ModelState) -> Iterator[ModelKey]:
    """Yield the models that a model inherits from, or is a proxy of."""
    for base in model.bases:
        if isinstance(base, str):
            yield resolve_relation(base, model.app_label)
