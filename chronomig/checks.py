"""System checks: each has an id, a message, a hint with what to type, and a line in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core import checks
from django.db.migrations.loader import MigrationLoader
from django.utils.module_loading import module_has_submodule

from chronomig.errors import ChronomigError, ConfigError, TimelineError
from chronomig.project import Project, current_project


def check_configuration(app_configs: object, **kwargs: Any) -> list[checks.CheckMessage]:
    """chronomig.E001: the configuration is not valid."""
    try:
        current_project().sets  # noqa: B018  a property that validates
    except ConfigError as error:
        return [checks.Error(told(error), hint=error.next_step, id="chronomig.E001")]
    return []


def check_timelines(app_configs: object, **kwargs: Any) -> list[checks.CheckMessage]:
    """chronomig.E002: a timeline cannot be read; chronomig.W001: a set has no directory yet."""
    try:
        sets = current_project().sets.values()
    except ConfigError:
        return []  # E001 tells
    found: list[checks.CheckMessage] = []
    for one in sets:
        if not one.directory.exists():
            found.append(
                checks.Warning(
                    f"The set {one.name!r} has no directory: {one.directory}.",
                    hint="Run chronomig init, or chronomig makemigrations.",
                    id="chronomig.W001",
                )
            )
            continue
        try:
            one.timeline  # noqa: B018  a property that reads
        except TimelineError as error:
            found.append(checks.Error(told(error), hint=error.next_step, id="chronomig.E002"))
    return found


def check_own_migrations(app_configs: object, **kwargs: Any) -> list[checks.CheckMessage]:
    """chronomig.W002: an app of the project's own still has migrations of Django's."""
    try:
        project = current_project()
    except ConfigError:
        return []
    return [
        checks.Warning(
            f"The app {label!r} has migrations of Django's own, which chronomig does not run.",
            hint=f"Delete {module.replace('.', '/')} once its changes are in the timeline.",
            id="chronomig.W002",
        )
        for label, module in own_migration_modules(project)
    ]


def own_migration_modules(project: Project) -> Iterator[tuple[str, str]]:
    """Yield (label, module) of the project's own apps whose migrations package holds files."""
    for label in sorted(project.own_apps()):
        module, _ = MigrationLoader.migrations_module(label)
        if module and has_migration_files(label, module):
            yield label, module


def has_migration_files(label: str, module: str) -> bool:
    from pathlib import Path

    app = apps.get_app_config(label)
    if module != f"{app.name}.migrations" or not module_has_submodule(app.module, "migrations"):
        return False
    return any(file.stem != "__init__" for file in (Path(app.path) / "migrations").glob("*.py"))


def told(error: ChronomigError) -> str:
    return "\n".join(filter(None, [error.fact, error.cause]))
