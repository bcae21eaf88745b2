"""
Which operations lead from the head of a set to the models: Django's autodetector, its result in one list.

The models of a set are those that a router lets into one of its databases, and those that they refer to: a foreign
key can only be rendered together with its target. Operations on a model that a router keeps away from a database do
nothing there, because Django's operations ask the router when they run.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

from django.apps import apps
from django.core.management.base import OutputWrapper
from django.db import models, router
from django.db.migrations.operations import (
    AlterOrderWithRespectTo,
    AlterUniqueTogether,
    DeleteModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.questioner import (
    InteractiveMigrationQuestioner,
    MigrationQuestioner,
    NonInteractiveMigrationQuestioner,
)
from django.db.migrations.state import ModelState
from django.db.migrations.state import ProjectState as DjangoProjectState
from django.db.models import BaseConstraint, Index

from chronomig.authoring.autodetect import FlatAutodetector, ModelKey, bases_of
from chronomig.code.loading import Labelled
from chronomig.errors import Refused
from chronomig.sets import MigrationSet
from chronomig.state import ProjectState


class Unasked(NonInteractiveMigrationQuestioner):
    """Refuses where Django's would end the process or write a default that nobody gave."""

    def __init__(self) -> None:
        super().__init__(log=lambda message: None)

    def refuse(self, field_name: str, model_name: str, reason: str) -> None:
        raise Refused(
            f"{model_name}.{field_name}: {reason}; nothing was written.",
            cause="The rows that exist need a value, and nobody may be asked.",
            next_step="Give the field a default or null=True, or run it on a terminal, without --no-input.",
        )

    def ask_not_null_addition(self, field_name: str, model_name: str) -> None:
        self.refuse(field_name, model_name, "a field that is not null needs a default to be added")

    def ask_not_null_alteration(self, field_name: str, model_name: str) -> None:
        self.refuse(field_name, model_name, "a nullable field needs a default to be made not null")

    def ask_auto_now_add_addition(self, field_name: str, model_name: str) -> None:
        self.refuse(field_name, model_name, "a field with auto_now_add needs a default to be added")


def questioner(*, interactive: bool) -> MigrationQuestioner:
    """Return Django's questioner, its prompts on stderr, or one that refuses to ask."""
    if interactive:
        return InteractiveMigrationQuestioner(prompt_output=OutputWrapper(sys.stderr))
    return Unasked()


def import_commands() -> None:
    """
    Import the commands of the same names that other apps bring.

    Projects patch ``Field.deconstruct`` from there, to leave help texts out of migrations, say.
    """
    for app in apps.get_app_configs():
        for name in ("makemigrations", "migrate"):
            if app.label != "chronomig" and (Path(app.path) / "management" / "commands" / f"{name}.py").is_file():
                import_module(f"{app.name}.management.commands.{name}")


def detect(head: ProjectState, wanted: DjangoProjectState, asking: MigrationQuestioner) -> list[Labelled]:
    """
    Return the operations from *head* to *wanted*; raise Refused when a question stays unanswered.

    *wanted* is used up: the autodetector pops options out of it (autodetector.py, generate_created_models).
    """
    refuse_lost_bases(head, wanted)
    detector = FlatAutodetector(head.plain(), wanted, asking)
    try:
        with redirect_stdout(sys.stderr):
            return list(without_dangling_constraints(head, detector.flat()))
    except (EOFError, SystemExit) as error:
        raise Refused(
            "makemigrations was left without an answer; nothing was written.",
            next_step="Run it on a terminal, or change the models so that there is nothing to ask.",
        ) from error


def refuse_lost_bases(head: ProjectState, wanted: DjangoProjectState) -> None:
    """Raise Refused for a model that stays while what it is built on goes."""
    for key in head.models.keys() & wanted.models.keys():
        for base in bases_of(head.models[key]):
            if base in head.models and base not in wanted.models:
                model, parent = (f"{one.app_label}.{one.name}" for one in (head.models[key], head.models[base]))
                raise Refused(
                    f"{model} is built on {parent}, which is gone; nothing was written.",
                    cause="Django cannot change what a model is built on.",
                    next_step=(
                        f"Keep {parent}, or delete {model} in one migration and create it in the next; "
                        "rows move with a migration of your own."
                    ),
                )


def without_dangling_constraints(head: ProjectState, operations: Sequence[Labelled]) -> Iterator[Labelled]:
    """
    Yield *operations*, removing what stands on the fields of a model that goes, before its first field goes.

    Models that refer to each other lose a foreign key before they go. With an index or a constraint on it, SQLite
    cannot make the table anew; what the model is ordered by has to be there while it is rendered.
    """
    doomed = doomed_fields(operations)
    state = head
    for label, operation in operations:
        if isinstance(operation, RemoveField):
            model_name = operation.model_name_lower
            first = removals(state, label, model_name, doomed.pop((label, model_name), ()))
        else:
            first = twice(state, label, operation) if isinstance(operation, DeleteModel) else []
        for removal in first:
            yield label, removal
            state = state.after(label, removal)
        yield label, operation
        state = state.after(label, operation)


def doomed_fields(operations: Sequence[Labelled]) -> dict[ModelKey, list[str]]:
    """Return {model that is deleted: its fields that are removed one by one before}."""
    deleted = {(label, one.name_lower) for label, one in operations if isinstance(one, DeleteModel)}
    found: dict[ModelKey, list[str]] = {}
    for label, one in operations:
        if isinstance(one, RemoveField) and (label, one.model_name_lower) in deleted:
            found.setdefault((label, one.model_name_lower), []).append(one.name)
    return found


def removals(state: ProjectState, label: str, model_name: str, names: Collection[str]) -> list[Operation]:
    """Return the operations that remove every option of a model that may need one of the fields."""
    if not names:
        return []
    options = state.models[label, model_name].options
    indexes = dict.fromkeys(one.name for one in options["indexes"] if stands_on(one, names))
    constraints = dict.fromkeys(one.name for one in options["constraints"] if stands_on(one, names))
    return [
        *(RemoveIndex(model_name, name) for name in indexes),
        *(RemoveConstraint(model_name, name) for name in constraints),
        *([AlterUniqueTogether(model_name, set())] if options.get("unique_together") else []),
        *([AlterOrderWithRespectTo(model_name, None)] if options.get("order_with_respect_to") in names else []),
    ]


def twice(state: ProjectState, label: str, deletion: DeleteModel) -> list[Operation]:
    """Return the removal of each index that a history added twice: undoing the deletion would make it twice too."""
    names = [one.name for one in state.models[label, deletion.name_lower].options["indexes"]]
    return [RemoveIndex(deletion.name_lower, name) for name in dict.fromkeys(names) if names.count(name) > 1]


def stands_on(one: Index | BaseConstraint, names: Collection[str]) -> bool:
    """Whether an index or constraint names a field; one with expressions or a condition may, so it counts."""
    named = {str(name).lstrip("-") for name in (*getattr(one, "fields", ()), *getattr(one, "include", ()))}
    opaque = any(getattr(one, attribute, None) for attribute in ("expressions", "condition", "check"))
    return not named.isdisjoint(names) or opaque or isinstance(one, models.CheckConstraint)


def wanted_state(members: Collection[ModelKey], head: ProjectState) -> DjangoProjectState:
    """
    Return the state of the models as the code has them, of those in *members*; it shares the fields of *head*.

    With 800 models, a second one of each field took 6 MB.
    """
    import_commands()
    wanted = {}
    for model in apps.get_models(include_swapped=True):
        key = key_of(model)
        if key in members:
            wanted[key] = ModelState.from_model(model)
            if key in head.models:
                share_fields(wanted[key], head.models[key])
    return DjangoProjectState(wanted)


def share_fields(state: ModelState, other: ModelState) -> None:
    """Take into *state* the fields of *other* that are the same to the autodetector, in the place of its own."""
    for name, field in state.fields.items():
        if there := other.fields.get(name):
            field.name = there.name = name  # as the autodetector has it when it compares
            if COMPARING.deep_deconstruct(there) == COMPARING.deep_deconstruct(field):
                state.fields[name] = there


COMPARING = FlatAutodetector(DjangoProjectState(), DjangoProjectState())
"""For :meth:`deep_deconstruct`, which asks nothing of the states."""


def members_of(migration_set: MigrationSet, vendored_apps: Collection[str]) -> set[ModelKey]:
    """Return the models of a set: allowed by a router, of a vendored app, or referred to by one of these."""
    every = apps.get_models(include_swapped=True)
    todo = [model for model in every if is_allowed(model, migration_set) or model._meta.app_label in vendored_apps]
    found: set[ModelKey] = set()
    while todo:
        model = todo.pop()
        if key_of(model) not in found:
            found.add(key_of(model))
            todo.extend(referred_to(model))
    return found


def is_allowed(model: type[models.Model], migration_set: MigrationSet) -> bool:
    return any(router.allow_migrate_model(alias, model) for alias in migration_set.aliases)


def key_of(model: type[models.Model]) -> ModelKey:
    return model._meta.app_label, str(model._meta.model_name)


def referred_to(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """Yield the models that *model* cannot be rendered without."""
    for base in model.__mro__[1:]:
        if issubclass(base, models.Model) and base is not models.Model and not base._meta.abstract:
            yield base
    for field in (*model._meta.local_fields, *model._meta.local_many_to_many):
        for target in (getattr(field.remote_field, "model", None), getattr(field.remote_field, "through", None)):
            if isinstance(target, type) and issubclass(target, models.Model) and not target._meta.auto_created:
                yield target


def optimized(operations: list[Labelled]) -> list[Labelled]:
    """Return *operations* with each run of one app reduced by Django's optimizer."""
    result: list[Labelled] = []
    run: list[Labelled] = []
    for labelled in [*operations, ("", None)]:
        if run and labelled[0] != run[0][0]:
            label = run[0][0]
            result += [(label, one) for one in MigrationOptimizer().optimize([op for _, op in run], label)]
            run = []
        run.append(labelled)  # type: ignore[arg-type]
    return result
