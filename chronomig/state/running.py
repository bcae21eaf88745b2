"""An operation, run on a database between two states."""

from __future__ import annotations

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RemoveConstraint
from django.db.migrations.operations.base import Operation

from chronomig.state.operations import Reader, parts_of, read_by, reader_of, uses_mutators_only
from chronomig.state.project import ProjectState
from chronomig.state.references import carries_other_code


def run_forwards(
    operation: Operation, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
) -> None:
    """Run *operation* on the database, from the state *before* it to the state *after* it."""
    with read_by(_reader(operation, app_label, before)):
        operation.database_forwards(app_label, editor, _handed(operation, before), _handed(operation, after))


def run_backwards(
    operation: Operation, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
) -> None:
    """Undo *operation* on the database; the states are named as for :func:`run_forwards`."""
    with read_by(_reader(operation, app_label, before)):
        operation.database_backwards(app_label, editor, _handed(operation, after), _handed(operation, before))


def _reader(operation: Operation, app_label: str, before: ProjectState) -> Reader:
    """Return who looks: a constraint that is removed is handed the model as it is without it."""
    for one in parts_of(operation):
        if isinstance(one, RemoveConstraint):
            model = before.models.get((app_label, one.model_name_lower))
            if model is not None and carries_other_code(model):
                return Reader.CODE
    return reader_of(operation)


def _handed(operation: Operation, state: ProjectState) -> ProjectState:
    return state if uses_mutators_only(operation) else state.guarded()
