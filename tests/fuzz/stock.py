"""A history, run by Django's own MigrationExecutor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ModelState, ProjectState

from chronomig.batches.editing import FollowingEditor, run_deferred
from chronomig.state.copies import with_base_renamed
from tests.fuzz.histories import History, name_of
from tests.fuzz.views import Picture, listening, take


class Stopped(Exception):
    """A migration failed."""

    def __init__(self, number: int, up: bool, error: Exception) -> None:
        self.number, self.up, self.error = number, up, error
        text = str(error).strip().splitlines()
        super().__init__(
            f"{'migration' if up else 'undoing migration'} {number}: {type(error).__name__}: {text[0] if text else ''}"
        )


class RunDeferred(Operation):
    """
    Runs what the schema editor keeps for its end.

    Where a migration runs in pieces, chronomig does so after each operation, because what is recorded as done has to
    be done. With this between its operations, Django does the same.
    """

    reversible = True

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        run_deferred(schema_editor)

    database_backwards = database_forwards


class Fresh(ProjectState):
    """
    A state that renders its classes anew for every operation, and shares no field with another.

    What Django would do if it kept no classes: where it does something else with those that it kept, they were stale.
    """

    def clone(self) -> Fresh:
        made = Fresh({key: copied(model) for key, model in self.models.items()}, self.real_apps)
        for older_first in (self, made):  # so are their fields made: columns come in that order
            older_first.apps  # noqa: B018
        return made

    def reload_model(self, app_label: str, model_name: str, delay: bool = False) -> None:
        self.__dict__.pop("apps", None)

    def reload_models(self, models: Any, delay: bool = True) -> None:
        self.__dict__.pop("apps", None)

    def add_model(self, model_state: ModelState) -> None:
        self.__dict__.pop("apps", None)
        super().add_model(model_state)

    def remove_model(self, app_label: str, model_name: str) -> None:
        self.__dict__.pop("apps", None)
        super().remove_model(app_label, model_name)

    def rename_model(self, app_label: str, old_name: str, new_name: str) -> None:
        self.__dict__.pop("apps", None)
        super().rename_model(app_label, old_name, new_name)
        for model in self.models.values():
            model.bases = with_base_renamed(model, (app_label, old_name.lower()), f"{app_label}.{new_name}")

    def rename_field(self, app_label: str, model_name: str, old_name: str, new_name: str) -> None:
        self.models = {key: copied(model) for key, model in self.models.items()}  # operations hold the same fields
        super().rename_field(app_label, model_name, old_name, new_name)


def anew(state: ProjectState) -> ProjectState:
    """Return a state of the same models, with nothing rendered yet."""
    return ProjectState({key: copied(model) for key, model in state.models.items()})


def copied(model: ModelState) -> ModelState:
    copy = model.clone()
    copy.fields = {name: field.clone() for name, field in model.fields.items()}
    return copy


class MemoryLoader(MigrationLoader):
    """A loader whose migrations are given."""

    def __init__(self, connection: BaseDatabaseWrapper, given: list[Migration]) -> None:
        self.given = given
        super().__init__(connection)

    def load_disk(self) -> None:
        self.disk_migrations = {(one.app_label, one.name): one for one in self.given}
        self.unmigrated_apps: set[str] = set()
        self.migrated_apps = {one.app_label for one in self.given}


class WatchedExecutor(MigrationExecutor):
    """Django's executor, which takes a picture after every migration."""

    def __init__(self, connection: BaseDatabaseWrapper, given: list[Migration], *, seed: int, fresh: bool) -> None:
        self.connection = connection
        self.loader = MemoryLoader(connection, given)
        self.recorder = MigrationRecorder(connection)
        self.progress_callback = None
        self.numbers = {one: number for number, one in enumerate(given)}
        self.seed, self.fresh = seed, fresh
        self.pictures: list[Picture] = []

    def _create_project_state(self, with_applied_migrations: bool = False) -> ProjectState:
        if not self.fresh:
            return super()._create_project_state(with_applied_migrations)
        state = Fresh()
        for one in self.numbers if with_applied_migrations else ():
            if (one.app_label, one.name) in self.loader.applied_migrations:
                one.mutate_state(state, preserve=False)
        return state

    def apply_migration(self, state: Any, migration: Any, **options: Any) -> Any:
        return self._watched(super().apply_migration, state, migration, True)

    def unapply_migration(self, state: Any, migration: Any, **options: Any) -> Any:
        return self._watched(super().unapply_migration, state, migration, False)

    def _watched(self, move: Any, state: Any, migration: Any, up: bool) -> Any:
        number = self.numbers[migration]
        if self.connection.SchemaEditorClass is DatabaseSchemaEditor:
            self.connection.SchemaEditorClass = FollowingEditor  # what Django's forgets, ours does not
        with listening(self.connection) as listener:
            try:
                state = move(state, migration)
                # Going back, the model states were changed by later operations; what was rendered was not.
                shown = anew(state).apps if up else state.apps
            except Exception as error:
                raise Stopped(number, up, error) from error
        self.pictures.append(take(self.connection, number, up, shown, listener, self.seed))
        return state


class Stock:
    """Runs the phases of a history, each with operations of its own, as a process of its own would."""

    def __init__(self, connection: BaseDatabaseWrapper, history: History, *, fresh: bool = False) -> None:
        self.connection = connection
        self.history = history
        self.fresh = fresh

    def move(self, begin: int, end: int) -> Iterator[Picture]:
        """Yield a picture after each migration; raise Stopped."""
        given = list(self.built())
        executor = WatchedExecutor(self.connection, given, seed=self.history.seed, fresh=self.fresh)
        plan = [(one, False) for one in given[begin:end]] or [(one, True) for one in reversed(given[end:begin])]
        try:
            executor.migrate([], plan=plan)
        except Stopped:
            raise
        except Exception as error:  # before the first migration ran: a state that cannot be rendered
            raise Stopped(executor.numbers[plan[0][0]], end > begin, error) from error
        finally:
            yield from executor.pictures

    def built(self) -> Iterator[Migration]:
        """Yield the migrations, each depending on the one before it."""
        before: list[tuple[str, str]] = []
        for number, written in enumerate(self.history.migrations):
            made = Migration(name_of(number), written.app)
            made.operations = written.build()
            made.atomic = written.atomic
            made.dependencies = list(before)
            if not (self.connection.features.can_rollback_ddl and written.atomic):
                made.operations = [part for one in made.operations for part in (RunDeferred(), one)] + [RunDeferred()]
            before = [(written.app, name_of(number))]
            yield made
