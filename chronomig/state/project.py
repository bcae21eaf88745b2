"""The interface of the engine on Django's own eager states."""

from __future__ import annotations

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState as DjangoProjectState


class ProjectState(DjangoProjectState):
    def clone(self) -> ProjectState:
        return ProjectState({key: model.clone() for key, model in self.models.items()}, set(self.real_apps))

    def after(self, app_label: str, operation: Operation) -> ProjectState:
        """Return the state after *operation*; this one stays as it is."""
        state = self.clone()
        operation.state_forwards(app_label, state)
        return state

    def plain(self) -> DjangoProjectState:
        """Return a Django state of private copies, for code that changes what it is given."""
        return DjangoProjectState({key: model.clone() for key, model in self.models.items()}, set(self.real_apps))


def run_forwards(
    operation: Operation, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
) -> None:
    """Run *operation* on the database, from the state *before* it to the state *after* it."""
    operation.database_forwards(app_label, editor, before, after)


def run_backwards(
    operation: Operation, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
) -> None:
    """Undo *operation* on the database; the states are named as for :func:`run_forwards`."""
    operation.database_backwards(app_label, editor, after, before)
