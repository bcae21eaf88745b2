"""What Django makes of an ejected project: its graph, its state, whether anything would be left to migrate."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from django.apps import apps
from django.core.exceptions import FieldError
from django.db.migrations import Migration as DjangoMigration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.exceptions import CircularDependencyError, NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState as DjangoProjectState

from chronomig.authoring.detect import import_commands
from chronomig.authoring.vendor import in_order
from chronomig.code.folding import fold
from chronomig.code.loading import Loaded
from chronomig.code.origins import Key
from chronomig.errors import in_words
from chronomig.state import ProjectState
from chronomig.state.references import references_of


class EjectedLoader(MigrationLoader):
    """Django's loader, with what would be written in the place of what is there."""

    def __init__(self, planned: Mapping[Key, DjangoMigration], kept: Collection[str], stale: Collection[Key]) -> None:
        self.planned, self.kept, self.stale = planned, kept, stale
        super().__init__(None, ignore_no_migrations=True)

    def load_disk(self) -> None:
        super().load_disk()
        for key in [key for key in self.disk_migrations if key[0] in self.kept or key in self.stale]:
            del self.disk_migrations[key]
        self.disk_migrations.update(self.planned)
        labels = {label for label, _ in self.planned}
        self.migrated_apps |= labels
        self.unmigrated_apps -= labels


def loaded_graph(
    planned: Mapping[Key, DjangoMigration], kept: Collection[str], stale: Collection[Key]
) -> tuple[EjectedLoader | None, str]:
    """Return Django's loader of the ejected project, or why Django has none."""
    try:
        return EjectedLoader(planned, kept, stale), ""
    except (NodeNotFoundError, CircularDependencyError) as error:
        return None, str(error)


def problems(loader: EjectedLoader) -> Iterator[str]:
    """Yield what would be wrong with the ejected project."""
    for label, names in loader.detect_conflicts().items():
        yield f"{label}: several migrations that no other one follows: {', '.join(sorted(names))}"
    try:
        yield from lost_references(loader)
        state = loader.project_state()
        import_commands()
        target = DjangoProjectState.from_apps(apps)
        changes = MigrationAutodetector(state, target, MigrationQuestioner()).changes(graph=loader.graph)
    except (LookupError, ValueError, FieldError) as error:
        yield f"Django cannot follow the migrations: {in_words(error)}"
        return
    for label, migrations in changes.items():
        told = "; ".join(operation.describe() for one in migrations for operation in one.operations)
        yield f"{label}: the models and the migrations differ: {told}"


def lost_references(loader: EjectedLoader) -> Iterator[str]:
    """Yield each migration after which a model refers to one that is not there yet, or not any more."""
    state = ProjectState()
    for key in in_order(loader):
        before, state = state, fold(state, as_loaded(loader.graph.nodes[key]))
        for name, model in state.models.items():
            if before.models.get(name) is model:
                continue
            for reference in references_of(model):
                target = reference.target
                if target not in state.models and target[0] not in loader.unmigrated_apps:
                    yield f"{'.'.join(key)}: {'.'.join(name)} refers to {'.'.join(target)}, which is not there then"


def as_loaded(migration: DjangoMigration) -> Loaded:
    """Return a migration of Django's as what chronomig folds."""
    labelled = tuple((migration.app_label, operation) for operation in migration.operations)
    return Loaded(migration.name, "", labelled, migration.atomic, None, migration)
