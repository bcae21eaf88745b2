"""What an ejection meets: which apps can be written, what stands in the way, what should be known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from django.apps import apps
from django.db import router
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython, RunSQL

from chronomig.authoring.copying import same_operations
from chronomig.authoring.provenance import Provenance, Standing, provenance
from chronomig.authoring.vendor import Templates
from chronomig.code.loading import Loaded
from chronomig.eject.chain import Ground, Step
from chronomig.eject.folders import folder_of
from chronomig.eject.homes import Homes
from chronomig.project import Project
from chronomig.sets import MigrationSet


def ground_of(project: Project, steps: Sequence[Step]) -> Ground:
    """Return what the chain stands on."""
    installed = frozenset(config.label for config in apps.get_app_configs())
    own = frozenset(label for label in installed if is_own(label, project))
    ground = Ground(installed, own, {}, Homes(steps))
    for migration_set, loaded in steps:
        for label in changed_labels(migration_set, loaded, ground):
            ground.kept.setdefault(label, f"{loaded.name} changes its models")
    for migration_set in project.sets.values():
        for name, label in edited_copies(project, migration_set, ground):
            ground.kept.setdefault(label, f"{name} was edited here")
    return ground


def is_own(label: str, project: Project) -> bool:
    """Whether an app, or at least the package of its migrations, is the project's own."""
    if label in project.own_apps():
        return True
    package, elsewhere = MigrationLoader.migrations_module(label)
    return bool(elsewhere) and package is not None and project.is_own(folder_of(label, package, project))


def changed_labels(migration_set: MigrationSet, loaded: Loaded, ground: Ground) -> Iterator[str]:
    """Yield the apps of others on which a file of the project's own has operations."""
    if loaded.is_djangos:
        return
    upstream = {label for label, _ in loaded.baseline.keys} if loaded.baseline else set()
    for label, operation in loaded.operations:
        theirs = label in ground.installed - ground.own - upstream
        if theirs and ground.homes.is_home(migration_set.name, label, operation):
            yield label


def edited_copies(project: Project, migration_set: MigrationSet, ground: Ground) -> Iterator[tuple[str, str]]:
    """Yield (name, app label) of vendored files that do something else than what is installed."""
    templates = Templates(project, migration_set, ground.own)
    for one in of_others(templates, ground):
        if one.standing is Standing.EDITED_HERE and templates.loader.is_there(one.origin.key):
            original = templates.loader.disk_migrations[one.origin.key]
            copy = migration_set.load(one.name)
            if copy.atomic != original.atomic or not same_operations(copy, original):
                yield one.name, one.origin.app


def of_others(templates: Templates, ground: Ground) -> Iterator[Provenance]:
    """Yield how the vendored files of installed apps of others stand."""
    return (one for one in provenance(templates) if one.origin.app in ground.installed - ground.own)


def obstacles(project: Project, ground: Ground) -> Iterator[str]:
    """Yield what has to be settled before, each with what to do."""
    for migration_set in project.sets.values():
        templates = Templates(project, migration_set, ground.own)
        for template in templates.new():
            yield f"{'.'.join(template.key)} is new in what is installed. Run chronomig makemigrations, then migrate."
        for one in of_others(templates, ground):
            there = templates.loader.is_there(one.origin.key) or one.standing is Standing.SQUASHED
            if not there and one.origin.app not in ground.kept:
                known = f"{one.origin.distribution or one.origin.app} {one.origin.version}".rstrip()
                yield f"{one.name} is not in what is installed. Install {known} again."


def names_of(project: Project) -> Mapping[str, set[str]]:
    """Return {app label: upstream names that timelines know}: what is made is numbered behind them."""
    found: dict[str, set[str]] = {}
    for one in project.sets.values():
        for label, name in one.origins:
            found.setdefault(label, set()).add(name)
    return found


def notes_on(project: Project, steps: Sequence[Step], ground: Ground, gone: Collection[str]) -> Iterator[str]:
    """Yield what is not the same afterwards."""
    for label, reason in ground.kept.items():
        yield f"{label}: its migrations move into the project, because {reason}"
    for label in gone:
        yield f"{label}: not installed any more; what the timeline has of it is left out"
    for one in project.sets.values():
        for edited in of_others(Templates(project, one, ground.own), ground):
            if edited.standing is Standing.EDITED_UPSTREAM and edited.origin.app not in ground.kept:
                yield f"{edited.name}: Django runs the text that is installed, which upstream changed since"
    for migration_set, loaded in steps:
        if not loaded.is_djangos:
            yield from code_that_runs_elsewhere(migration_set, loaded, project)


def code_that_runs_elsewhere(migration_set: MigrationSet, loaded: Loaded, project: Project) -> Iterator[str]:
    """Yield where Django would run code or SQL that only the databases of one set have run."""
    others = [alias for alias in project.databases if alias not in migration_set.aliases]
    for label, operation in loaded.operations:
        if isinstance(operation, RunPython | RunSQL):
            more = [alias for alias in others if router.allow_migrate(alias, label, **operation.hints)]
            if more:
                told = f"{operation.describe()} is let into {', '.join(more)}, too"
                yield f"{loaded.name}: {told}; Django would run it there on an empty database"
