"""An operation, run on a database between two states."""

from __future__ import annotations

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

from chronomig.state.operations import read_by, reader_of, uses_mutators_only
from chronomig.state.project import ProjectState


def run_forwards(
    operation: Operation, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
) -> None:
    """Run *operation* on the database, from the state *before* it to the state *after* it."""
    with read_by(reader_of(operation)):
        operation.database_forwards(app_label, editor, _handed(operation, before), _handed(operation, after))


def run_backwards(
    operation: Operation, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
) -> None:
    """Undo *operation* on the database; the states are named as for :func:`run_forwards`."""
    with read_by(reader_of(operation)):
        operation.database_backwards(app_label, editor, _handed(operation, after), _handed(operation, before))


def _handed(operation: Operation, state: ProjectState) -> ProjectState:
    return state if uses_mutators_only(operation) else state.guarded()
