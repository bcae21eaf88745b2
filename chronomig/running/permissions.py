"""
Content types and permissions: which apps have to be looked at after a run.

Django looks at every model of every app. What was complete before a run still is, for apps whose models the run did
not change; code that may have deleted rows (RunPython, RunSQL) is answered with two queries over all apps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from django.apps import apps
from django.db import router
from django.db.models.options import Options

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
    return frozenset(
        {*_without(state, alias, "contenttypes", "ContentType"), *_without(state, alias, "auth", "Permission")}
    )


def _without(state: ProjectState, alias: str, label: str, name: str) -> Iterator[str]:
    if (label, name.lower()) not in state.models:
        return
    model = state.apps.get_model(label, name)
    if not router.allow_migrate_model(alias, model):
        return
    rows = model._base_manager.using(alias)
    if label == "contenttypes":
        there = set(rows.values_list("app_label", "model"))
        yield from (label for label, name in state.models if (label, name) not in there)
        return
    there = set(rows.values_list("content_type__app_label", "content_type__model", "codename"))
    for (app_label, model_name), codenames in _codenames(state):
        if any((app_label, model_name, codename) not in there for codename in codenames):
            yield app_label


def _codenames(state: ProjectState) -> Iterator[tuple[tuple[str, str], Collection[str]]]:
    """Yield (model, the codenames of its permissions); django.contrib.auth.get_permission_codename has the form."""
    default = Options(None).default_permissions
    for key, model in state.models.items():
        actions = model.options.get("default_permissions", default)
        own = [codename for codename, _ in model.options.get("permissions", ())]
        yield key, [*(f"{action}_{key[1]}" for action in actions), *own]
