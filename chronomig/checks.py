"""System checks: each has an id, a message, a hint with what to type, and a line in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from django.core import checks
from django.db.migrations.loader import MigrationLoader

from chronomig.code.origins import Key, key_of, origins_in
from chronomig.errors import ChronomigError, ConfigError, TimelineError
from chronomig.opening import current_project
from chronomig.planning.baselines import baselines_in
from chronomig.project import Project
from chronomig.sets import MigrationSet


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
        found = list(own_migration_modules(current_project()))
    except ChronomigError:
        return []  # E001 or E002 tells
    return [
        checks.Warning(
            f"The app {label!r} has migrations of Django's own that are not in the timeline.",
            hint=f"Run chronomig adopt, or delete {module.replace('.', '/')} if no database has them.",
            id="chronomig.W002",
        )
        for label, module in found
    ]


CHECKS = (check_configuration, check_timelines, check_own_migrations)


def own_migration_modules(project: Project) -> Iterator[tuple[str, str]]:
    """Yield (label, module) of the project's own apps whose migrations package holds what no timeline has."""
    found = {label: MigrationLoader.migrations_module(label)[0] for label in sorted(project.own_apps())}
    modules = {label: module for label, module in found.items() if module}
    files = {label: list(migration_files(module)) for label, module in modules.items()}
    adopted = adopted_keys(project) if any(files.values()) else set()
    for label, names in files.items():
        if any((label, name) not in adopted for name in names):
            yield label, modules[label]


def adopted_keys(project: Project) -> set[Key]:
    """Return (app label, upstream name) of all that a timeline holds, or that a squash in it stands for."""
    return {key for one in project.sets.values() if one.directory.is_dir() for key in adopted_in(one)}


def adopted_in(migration_set: MigrationSet) -> set[Key]:
    """Return (app label, upstream name) of all that the timeline of one set holds."""
    found: set[Key] = set()
    for origin in origins_in(migration_set.timeline).values():
        found |= {origin.key, *origin.replaced, *map(key_of, origin.squashes)}
    for baseline in baselines_in(migration_set.timeline).values():
        found |= baseline.keys
    return found


def migration_files(module: str) -> Iterator[str]:
    """Yield the names of the migrations in a package, as Django finds them, without importing them."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return
    for _, name, is_package in iter_modules(spec.submodule_search_locations if spec else None or []):
        if not is_package and name[0] not in "_~":
            yield name


def told(error: ChronomigError) -> str:
    return "\n".join(filter(None, [error.fact, error.cause]))
