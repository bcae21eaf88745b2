"""
Content types and permissions after a run: which apps may lack some, and what is missing of them.

Django's own receivers of post_migrate have all classes of an app rendered, ask four times and insert twice, for each
app. What was complete before a run still is, for apps whose models the run did not change; code that may have deleted
rows (RunPython, RunSQL) is answered with two queries over all apps. What is missing follows from the model states,
and is made with two inserts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db import router
from django.db.migrations.state import ModelState
from django.db.models.options import Options
from django.utils.text import camel_case_to_spaces

from chronomig.state import ProjectState


def receivers() -> frozenset[Callable[..., object]]:
    """Return Django's own receivers of post_migrate that make content types and permissions."""
    found: list[Callable[..., object]] = []
    if apps.is_installed("django.contrib.contenttypes"):
        from django.contrib.contenttypes.management import create_contenttypes

        found.append(create_contenttypes)
    if apps.is_installed("django.contrib.auth"):
        from django.contrib.auth.management import create_permissions

        found.append(create_permissions)
    return frozenset(found)


def changed_apps(before: ProjectState, after: ProjectState) -> frozenset[str]:
    """Return the labels of the apps whose models are others now; of all apps, when the tables for them are new."""
    keys = before.models.keys() | after.models.keys()
    changed = frozenset(
        label for label, name in keys if before.models.get((label, name)) is not after.models.get((label, name))
    )
    everything = frozenset(label for label, _ in after.models)
    return everything if changed & {"contenttypes", "auth"} else changed


def incomplete_apps(state: ProjectState, alias: str) -> frozenset[str]:
    """Return the labels of the apps that lack a content type or a permission."""
    rows, models = Rows(state, alias), models_of(state, dict.fromkeys(label for label, _ in state.models))
    missing = [*rows.missing_content_types(models), *(one for one, _, _ in rows.missing_permissions(models))]
    return frozenset(options.app_label for options in missing)


def can_be_completed(state: ProjectState, alias: str) -> bool:
    """Whether :func:`complete` does what Django would: not where permissions are here without their content types."""
    rows = Rows(state, alias)
    return rows.types is not None or rows.permissions is None


def complete(state: ProjectState, alias: str, labels: Sequence[str], verbosity: int) -> None:
    """Make what the apps *labels* lack, in this order, as Django's receivers would."""
    if not labels:
        return
    rows, models = Rows(state, alias, labels), models_of(state, labels)
    places = {label: place for place, label in enumerate(labels)}
    by_name = sorted(models, key=lambda one: (places[one.app_label], one.model_name))
    made = [f"content type {one}" for one in rows.make_content_types(by_name)]
    made += [f"permission {one}" for one in rows.make_permissions(models)]
    for one in made if verbosity >= 2 else ():
        sys.stderr.write(f"Adding {one}\n")


def models_of(state: ProjectState, labels: Iterable[str]) -> list[Options[Any]]:
    """Return what has content types in the apps *labels*, in this order: all but models that are swapped out."""
    found: dict[str, list[Options[Any]]] = {label: [] for label in labels}
    for (label, _), model in state.models.items():
        options = options_of(model) if label in found else None
        if options is not None and not options.swapped:
            found[label].append(options)
    return [one for listed in found.values() for one in listed]


def options_of(model: ModelState) -> Options[Any]:
    """Return as much of the ``_meta`` of *model* as its content type and its permissions follow from."""
    options: Options[Any] = Options(None, model.app_label)
    options.object_name, options.model_name = model.name, model.name_lower
    options.verbose_name = model.options.get("verbose_name", camel_case_to_spaces(model.name))
    for name in ("default_permissions", "permissions", "swappable"):
        if name in model.options:
            setattr(options, name, model.options[name])
    return options


class Rows:
    """The content types and permissions of one database; only those of the apps *labels*, if they are given."""

    def __init__(self, state: ProjectState, alias: str, labels: Collection[str] | None = None) -> None:
        self.labels = labels
        self.types: Any = rows_of(state, alias, "contenttypes", "ContentType")
        self.permissions: Any = rows_of(state, alias, "auth", "Permission")

    def missing_content_types(self, wanted: Iterable[Options[Any]]) -> list[Options[Any]]:
        """Return those of *wanted* that lack it."""
        if self.types is None:
            return []
        there = set(self._of_labels(self.types, "app_label").values_list("app_label", "model"))
        return [one for one in wanted if (one.app_label, one.model_name) not in there]

    def missing_permissions(self, wanted: Iterable[Options[Any]]) -> list[tuple[Options[Any], str, str]]:
        """Return what those of *wanted* lack: the model, the codename, the name."""
        if self.types is None or self.permissions is None:
            return []
        from django.contrib.auth.management import _get_all_permissions  # type: ignore[attr-defined]

        model = "content_type__app_label", "content_type__model"
        there = set(self._of_labels(self.permissions, model[0]).values_list(*model, "codename"))
        return [
            (one, codename, name)
            for one in wanted
            for codename, name in _get_all_permissions(one)
            if (one.app_label, one.model_name, codename) not in there
        ]

    def make_content_types(self, wanted: Iterable[Options[Any]]) -> Iterator[str]:
        if missing := self.missing_content_types(wanted):
            make = self.types.model
            self.types.bulk_create([make(app_label=one.app_label, model=one.model_name) for one in missing])
            yield from (f"{one.app_label} | {one.model_name}" for one in missing)

    def make_permissions(self, wanted: Iterable[Options[Any]]) -> Iterator[str]:
        if missing := self.missing_permissions(wanted):
            types = self._of_labels(self.types, "app_label").values_list("app_label", "model", "pk")
            ids = {(label, model): pk for label, model, pk in types}
            make = self.permissions.model
            self.permissions.bulk_create(
                [
                    make(codename=codename, name=name, content_type_id=ids[one.app_label, one.model_name])
                    for one, codename, name in missing
                ]
            )
            yield from (codename for _, codename, _ in missing)

    def _of_labels(self, rows: Any, field: str) -> Any:
        return rows if self.labels is None else rows.filter(**{f"{field}__in": self.labels})


def rows_of(state: ProjectState, alias: str, label: str, name: str) -> Any:
    """Return the rows of a model of Django's; None where its app is not installed or has no table here."""
    if (label, name.lower()) not in state.models or not apps.is_installed(f"django.contrib.{label}"):
        return None
    model = state.apps.get_model(label, name)
    return model._base_manager.using(alias) if router.allow_migrate_model(alias, model) else None
