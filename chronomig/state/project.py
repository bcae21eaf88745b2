"""
Persistent project states: deriving one copies what the operation changes, and shares the rest.

Django's operations change a state through its mutators. Each of them first takes private copies of the model states
that Django's own code is about to change; a model state that two states share is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState
from django.db.migrations.state import ProjectState as DjangoProjectState

Key = tuple[str, str]

WELL_BEHAVED = frozenset(
    {
        ops.AddConstraint,
        ops.AddField,
        ops.AddIndex,
        ops.AlterField,
        ops.AlterIndexTogether,
        ops.AlterModelManagers,
        ops.AlterModelOptions,
        ops.AlterModelTable,
        ops.AlterModelTableComment,
        ops.AlterOrderWithRespectTo,
        ops.AlterUniqueTogether,
        ops.CreateModel,
        ops.DeleteModel,
        ops.RemoveConstraint,
        ops.RemoveField,
        ops.RemoveIndex,
        ops.RenameField,
        ops.RenameIndex,
        ops.RenameModel,
        ops.RunPython,
        ops.RunSQL,
    }
)
"""Operations that change a state through its mutators only. By exact type: a subclass may do anything."""


class ProjectState(DjangoProjectState):
    """A state that others can be derived from; see :meth:`after`."""

    models: dict[Key, ModelState]

    def after(self, app_label: str, operation: Operation) -> ProjectState:
        """Return the state after *operation*; this one stays as it is."""
        state = self.clone()
        if type(operation) not in WELL_BEHAVED:
            state._own(*state.models)
        operation.state_forwards(app_label, state)
        return state

    def clone(self) -> ProjectState:
        """Return a state that shares every model state with this one."""
        state = type(self)(dict(self.models), set(self.real_apps))
        if "apps" in self.__dict__:
            state.apps = self.apps.clone()
        state.is_delayed = self.is_delayed
        return state

    def plain(self) -> DjangoProjectState:
        """Return a Django state of private copies, for code that changes what it is given."""
        return DjangoProjectState(
            {key: model.clone() for key, model in self.models.items()}, set(self.real_apps)
        )  # fmt: skip

    def render(self) -> None:
        """Render now: states derived from this one share what they do not change."""
        self.apps  # noqa: B018  a cached property

    def _own(self, *keys: Key) -> None:
        """Put private copies in the place of the model states *keys*."""
        for key in keys:
            if key in self.models:
                self.models[key] = self.models[key].clone()

    def _own_with_fields(self) -> None:
        """rename_field() changes Field instances in place, also in the models that refer to it."""
        for key, model in self.models.items():
            model = self.models[key] = model.clone()
            for name, field in model.fields.items():
                if field.remote_field or hasattr(field, "field_names"):
                    model.fields[name] = field.clone()

    def rename_model(self, app_label: str, old_name: str, new_name: str) -> None:
        self._own(*self.models)
        super().rename_model(app_label, old_name, new_name)

    def rename_field(self, app_label: str, model_name: str, old_name: str, new_name: str) -> None:
        self._own_with_fields()
        super().rename_field(app_label, model_name, old_name, new_name)


def _owning(name: str) -> Callable[..., None]:
    """Return Django's mutator *name*, which then changes a private copy of its model state."""
    django_mutator = getattr(DjangoProjectState, name)

    def mutator(self: ProjectState, app_label: str, model_name: str, *args: Any, **kwargs: Any) -> None:
        self._own((app_label, model_name.lower()))
        django_mutator(self, app_label, model_name, *args, **kwargs)

    mutator.__name__ = name
    mutator.__doc__ = django_mutator.__doc__
    return mutator


# add_model() and remove_model() replace entries of the state's own dict. _append_option() and its kin are what
# add_index(), add_constraint() and the like end in.
for _name in (
    "add_field",
    "alter_field",
    "alter_model_managers",
    "alter_model_options",
    "remove_field",
    "remove_model_options",
    "rename_index",
    "_append_option",
    "_remove_option",
    "_alter_option",
):
    if hasattr(DjangoProjectState, _name):
        setattr(ProjectState, _name, _owning(_name))


def run_forwards(
    operation: Operation, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
) -> None:
    """Run *operation* on the database, from the state *before* it to the state *after* it."""
    _render_in_order(before, after)
    operation.database_forwards(app_label, editor, before, after)


def run_backwards(
    operation: Operation, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
) -> None:
    """Undo *operation* on the database; the states are named as for :func:`run_forwards`."""
    _render_in_order(before, after)
    operation.database_backwards(app_label, editor, after, before)


def _render_in_order(before: ProjectState, after: ProjectState) -> None:
    """
    Render the older state first.

    SQLite's ``_remake_table`` mixes fields of both states, and Django orders columns by the creation counters that
    rendering gives out (sqlite3/schema.py).
    """
    before.render()
    after.render()
