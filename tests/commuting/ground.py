"""Tables with rows for a set of models, for a moment, and what operations on them lead to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.migrations import operations as ops
from django.db.migrations.questioner import MigrationQuestioner

from chronomig.authoring.detect import detect
from chronomig.state import ProjectState
from tests.commuting.comparing import Outcome, outcome_of
from tests.inprocess import apply, states_along

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.code.loading import Labelled

ROWS = (1, 2)


def making(models: ProjectState) -> list[Labelled]:
    """Return the operations that lead to a set of models."""
    return [unbound(one) for one in detect(ProjectState(), models.clone(), MigrationQuestioner())]


def unbound(labelled: Labelled) -> Labelled:
    """Return an operation as a file has it: the autodetector's fields know a name."""
    label, operation = labelled
    if isinstance(operation, ops.CreateModel):
        operation.fields = [(name, field.clone()) for name, field in operation.fields]
    elif isinstance(operation, ops.AddField):
        operation.field = operation.field.clone()
    return label, operation


class Unmade(Exception):
    """Operations did not make the models that they were found for."""


class Ground:
    """Tables with rows, from which operations can be tried and taken back."""

    def __init__(self, connection: BaseDatabaseWrapper, made_by: Sequence[Labelled]) -> None:
        self.connection = connection
        with transaction.atomic(connection.alias):
            apply(connection, ProjectState(), made_by, atomic=False)
        self.state = states_along(ProjectState(), made_by)[-1]
        self.fill()

    def fill(self) -> None:
        """Put rows into every table: in row n every number and every reference is n."""
        with self.connection.cursor() as cursor:
            if self.connection.vendor == "postgresql":
                cursor.execute("SET LOCAL session_replication_role = replica")
            for model in self.state.apps.get_models(include_auto_created=True):
                if model._meta.proxy:
                    continue
                columns = [one.column for one in model._meta.local_concrete_fields]
                for row in ROWS:
                    names = ", ".join(map(self.connection.ops.quote_name, columns))
                    marks = ", ".join(["%s"] * len(columns))
                    table = self.connection.ops.quote_name(model._meta.db_table)
                    cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [row] * len(columns))
            if self.connection.vendor == "postgresql":
                cursor.execute("SET LOCAL session_replication_role = DEFAULT")

    def settle(self) -> None:
        """Check what was deferred, as the end of a migration does; PostgreSQL alters no table before that."""
        if self.connection.vendor == "postgresql":
            self.connection.check_constraints()

    def outcome(self, operations: Sequence[Labelled]) -> Outcome | str:
        """Return what *operations* lead to, or the error that one of them ends in; take them back."""
        with taken_back(self.connection):
            try:
                # Rendered anew: what fails in the middle of a table leaves Django's fields changed (_remake_table).
                state = ProjectState(dict(self.state.models))
                for one in operations:
                    # An editor that fails in its end leaves its own transaction open.
                    with transaction.atomic(self.connection.alias):
                        state = apply(self.connection, state, [one], atomic=False)
                        self.settle()
                state.validate()
                return outcome_of(self.connection, state)
            except Exception as error:
                return f"{type(error).__name__}: {error}"
        raise AssertionError


@contextmanager
def taken_back(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with transaction.atomic(connection.alias):
        yield
        transaction.set_rollback(True, connection.alias)


@contextmanager
def standing_on(connection: BaseDatabaseWrapper, made_by: Sequence[Labelled]) -> Iterator[Ground]:
    """Make the tables, with rows, and take them back at the end."""
    with connection.constraint_checks_disabled(), taken_back(connection):
        try:
            ground = Ground(connection, made_by)
        except Exception as error:
            raise Unmade from error
        yield ground
