"""
Persistent project states: deriving one copies what the operation changes, and shares the rest.

Django's operations change a state through its mutators. Each of them runs Django's own code on a small state that
holds private copies of the model states concerned; what came out replaces them here. A model state that two states
share is never changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState
from django.db.migrations.state import ProjectState as DjangoProjectState

from chronomig.state.copies import (
    is_same,
    private_copy,
    take_unchanged_fields,
    with_base_renamed,
    with_fields_copied,
)
from chronomig.state.lending import Lent
from chronomig.state.operations import current_reader, uses_mutators_only
from chronomig.state.overlay import forked
from chronomig.state.private import Changes, PrivateModels, is_as
from chronomig.state.references import Key, ReverseIndex
from chronomig.state.registry import LazyApps
from chronomig.state.rendering import RENDERING
from chronomig.state.version import Version

_derived = itertools.count(1)
"""Orders states: one that is derived from another comes after it."""


class ProjectState(DjangoProjectState):
    """A state that others can be derived from; see :meth:`after`."""

    models: MutableMapping[Key, ModelState]  # type: ignore[assignment]

    def __init__(self, models: dict[Key, ModelState] | None = None, real_apps: set[str] | None = None) -> None:
        super().__init__(models, real_apps)
        self._order = next(_derived)
        self._tombstones: Mapping[Key, ModelState] = {}
        self._reverse: ReverseIndex | None = None
        self._lent = Lent()
        self._version: Version | None = None
        """What these models are frozen as, once they are shared or rendered."""

    # Deriving

    def after(self, app_label: str, operation: Operation) -> ProjectState:
        """Return the state after *operation*; this one stays as it is."""
        if uses_mutators_only(operation):
            state = self.clone()
            operation.state_forwards(app_label, state)
            return state
        return self.after_code(lambda state: operation.state_forwards(app_label, state))

    def after_code(self, change: Callable[[ProjectState], DjangoProjectState | None]) -> ProjectState:
        """Return what *change*, code that we do not know, makes of this state, in place or as another one."""
        state = self.guarded()
        made = change(state) or state
        if not isinstance(made, ProjectState):
            return ProjectState(dict(made.models), made.real_apps)
        return made.settled()

    def clone(self) -> ProjectState:
        """Return a state that shares every model state, and what is rendered, with this one."""
        version = self._freeze()
        state = ProjectState(None, set(self.real_apps))
        state.models = self.models
        state._order, state._tombstones, state._reverse = self._order, self._tombstones, self._reverse
        state._lent, state._version = self._lent, version
        return state

    def guarded(self) -> ProjectState:
        """Return a clone whose model states can be changed in place: each is copied when it is first asked for."""
        return GuardedState(self.clone())

    def settled(self) -> ProjectState:
        """Return the state that nobody changes in place."""
        return self

    def with_changes(self, changes: Changes) -> ProjectState:
        """Return a state in which *changes* were made."""
        state = self.clone()
        for key, model in changes.items():
            state._replace(key, model)
        return state

    def plain(self) -> DjangoProjectState:
        """Return a Django state of private copies, for code that changes what it is given."""
        return DjangoProjectState(
            {key: model.clone() for key, model in self.models.items()}, set(self.real_apps)
        )  # fmt: skip

    def sources(self, key: Key) -> Iterable[Key]:
        """Return the models that name the model *key*, in a relation or as their base; it may do so itself."""
        return self._freeze().reverse.sources(key)

    def is_referred_to(self, key: Key) -> bool:
        return any(True for _ in self.sources(key))

    # Rendering

    @property
    def apps(self) -> LazyApps:
        """The registry of this version of the models, for who reads now; renders on demand."""
        reader = current_reader()
        with RENDERING:
            version = self._freeze()
            if reader not in version.registries:
                version.registries[reader] = LazyApps(version, reader, self.real_apps)
            return version.registries[reader]

    def forget_rendered(self) -> None:
        """Let go of the classes of this version; they are rendered again when they are asked for."""
        if self._version is not None:
            self._version.registries.clear()

    def validate(self) -> None:
        """Render everything; raise ValueError, InvalidBasesError, or what a field raises."""
        self.apps.get_models(include_auto_created=True, include_swapped=True)

    def _freeze(self) -> Version:
        if self._version is not None and self._version.models is not self.models:  # code put others in their place
            self._version = self._reverse = None
            self._order = next(_derived)
        if self._version is None:
            self._version = Version(self.models, self._tombstones, self._order, self._reverse, self._lent)
        return self._version

    # Changing

    def _replace(self, key: Key, new: ModelState | None) -> None:
        """Put *new* in the place of the model state *key*; None takes it away."""
        old = self.models.get(key)
        reverse = self._version.known_reverse if self._version else self._reverse
        self._reverse = reverse.after(key, old, new) if reverse is not None else None
        if self._version is not None:
            self.models = forked(self.models)
        self._version = self._relations = None
        self._order = next(_derived)
        if new is not None:
            self.models[key] = new
        elif old is not None:
            self._tombstones = {**self._tombstones, key: old}
            del self.models[key]

    def _delegate(self, mutator: str, keys: Iterable[Key], *args: Any, **kwargs: Any) -> None:
        """Run Django's *mutator* on private copies of the model states *keys*."""
        originals = {key: self.models[key] for key in keys if key in self.models}
        part = DjangoProjectState({key: model.clone() for key, model in originals.items()}, set(self.real_apps))
        getattr(part, mutator)(*args, **kwargs)
        self._merge(originals, part.models)

    def _merge(self, originals: Mapping[Key, ModelState], changed: Mapping[Key, ModelState]) -> None:
        for key in originals:
            if key not in changed:
                self._replace(key, None)
        for key, model in changed.items():
            if key not in originals or not is_same(originals[key], model):
                self._replace(key, model)

    def _with_sources(self, key: Key) -> list[Key]:
        """Return *key* and the models that refer to it."""
        return list(dict.fromkeys([key, *self.sources(key)]))

    def add_model(self, model_state: ModelState) -> None:
        self._replace((model_state.app_label, model_state.name_lower), model_state)

    def remove_model(self, app_label: str, model_name: str) -> None:
        if (app_label, model_name) not in self.models:
            raise KeyError((app_label, model_name))
        self._replace((app_label, model_name), None)

    def rename_model(self, app_label: str, old_name: str, new_name: str) -> None:
        key = app_label, old_name.lower()
        sources = self._with_sources(key)
        self._delegate("rename_model", sources, app_label, old_name, new_name)
        # Django leaves the bases of children and proxies as they were, and then cannot render them.
        for source in sources:
            model = self.models.get(source)
            if (
                model is not None
                and (bases := with_base_renamed(model, key, f"{app_label}.{new_name}")) != model.bases
            ):
                renamed = model.clone()
                renamed.bases = bases
                self._replace(source, renamed)

    def rename_field(self, app_label: str, model_name: str, old_name: str, new_name: str) -> None:
        # Django changes Field instances in place, also those of the models that refer to the field.
        key = app_label, model_name.lower()
        originals = {source: self.models[source] for source in self._with_sources(key) if source in self.models}
        copies = {source: with_fields_copied(model) for source, model in originals.items()}
        part = DjangoProjectState(dict(copies), set(self.real_apps))
        part.rename_field(app_label, model_name, old_name, new_name)
        for source, original in originals.items():
            take_unchanged_fields(original, part.models[source], {new_name: old_name} if source == key else {})
        self._merge(originals, part.models)


def _delegating(name: str) -> Callable[..., None]:
    """Return Django's mutator *name*, which then changes a private copy of its model state."""

    def mutator(self: ProjectState, app_label: str, model_name: str, *args: Any, **kwargs: Any) -> None:
        self._delegate(name, [(app_label, model_name)], app_label, model_name, *args, **kwargs)

    mutator.__name__ = name
    mutator.__doc__ = getattr(DjangoProjectState, name).__doc__
    return mutator


# _append_option() and its kin are what add_index(), add_constraint() and the like end in.
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
        setattr(ProjectState, _name, _delegating(_name))


class GuardedState(ProjectState):
    """A state whose model states can be changed in place, as Django's; :meth:`settled` is the common one."""

    models: MutableMapping[Key, ModelState]

    def __init__(self, before: ProjectState) -> None:
        super().__init__(None, set(before.real_apps))
        self._before = self._settled = before
        self.models = PrivateModels(before.models)
        self._changes: Changes = {}
        """What the settled state has."""

    def clone(self) -> GuardedState:
        made = GuardedState(self._before)
        made.real_apps = set(self.real_apps)
        made.models = self._private_models().fork()
        made._changes, made._settled = self._changes, self._settled
        return made

    def guarded(self) -> GuardedState:
        return self.clone()

    def settled(self) -> ProjectState:
        """Return the common state with what was changed up to now."""
        changes = self._private_models().changes()
        if not is_as(self._changes, changes):
            self._changes = {key: None if model is None else private_copy(model) for key, model in changes.items()}
            self._settled = self._before.with_changes(self._changes)
        return self._settled

    def _private_models(self) -> PrivateModels:
        """Return the models; code may have put a mapping of its own in their place."""
        if isinstance(self.models, PrivateModels):
            return self.models
        given, self.models = self.models, PrivateModels(self._before.models)
        for key in [key for key in self.models if key not in given]:
            del self.models[key]
        self.models.update(given)
        return self.models

    def _freeze(self) -> Version:
        return self.settled()._freeze()

    def _replace(self, key: Key, new: ModelState | None) -> None:
        self._relations = None
        if new is not None:
            self.models[key] = new
        else:
            self.models.pop(key, None)
