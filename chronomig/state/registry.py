"""
One version of the models -> classes, each rendered when it is first asked for.

Operations and schema editors reach models only through an app registry. This one renders a model when it is asked
for, and the target of a relation when the relation is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from django.apps.registry import apps as real_registry
from django.db.migrations.state import AppConfigStub, ModelState, StateApps
from django.db.models import Model

from chronomig.state.lazy import LazyOptions, make_lazy
from chronomig.state.operations import Reader
from chronomig.state.references import AnyField, Key
from chronomig.state.relations import Relations, auto_created_throughs
from chronomig.state.rendering import RENDERING, Renderer
from chronomig.state.version import Version


class LazyAppConfig(AppConfigStub):
    """The share of one app in a lazy registry."""

    apps: LazyApps

    def __init__(self, label: str, registry: LazyApps) -> None:
        self.apps = registry
        self.label = self.name = label

    @property
    def models(self) -> dict[str, type[Model]]:  # type: ignore[override]
        return self.apps.models_of_app(self.label)

    def get_model(self, model_name: str, require_ready: bool = True) -> type[Model]:
        return self.apps.get_model(self.label, model_name)


class LazyAppConfigs(Mapping[str, LazyAppConfig]):
    """
    The apps of a lazy registry, in the order of their labels.

    Every through model that is made asks for the one of its own: the labels of all models are not read for that.
    """

    def __init__(self, registry: LazyApps) -> None:
        self.registry = registry

    def __getitem__(self, label: str) -> LazyAppConfig:
        if not self.registry.has_app(label):
            raise KeyError(label)
        return LazyAppConfig(label, self.registry)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.registry.app_labels))

    def __len__(self) -> int:
        return len(self.registry.app_labels)


class AllModels(Mapping[str, "dict[str, type[Model]]"]):
    """``all_models`` for code that looks there: an app's models are rendered when it is asked for."""

    def __init__(self, registry: LazyApps) -> None:
        self.registry = registry

    def __getitem__(self, label: str) -> dict[str, type[Model]]:
        self.registry.models_of_app(label)
        return self.registry.rendered[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self.registry.app_labels | self.registry.rendered.keys())

    def __len__(self) -> int:
        return len(self.registry.app_labels | self.registry.rendered.keys())


class LazyApps(StateApps):
    """An app registry that renders on demand; see the module."""

    def __init__(self, version: Version, reader: Reader = Reader.CODE, real_apps: Iterable[str] = ()) -> None:
        # Not StateApps.__init__, which renders everything, but what Apps.__init__ sets.
        self.rendered: defaultdict[str, dict[str, type[Model]]] = defaultdict(dict)
        """{app label: {lower-case name: class}}, as far as there are classes."""
        self.stored_app_configs: list[object] = []
        self.apps_ready = self.models_ready = self.ready = True
        self.loading = False
        self._lock: Any = None
        self.ready_event: Any = None
        self.real_models = list(_real_model_states(real_apps))
        self.real_apps = frozenset(real_apps)
        self._start_over(Renderer(self, version, reader, self.real_models))

    def _start_over(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._foreign: list[type[Model]] = []
        """Classes that other code registered here."""
        self._relations = Relations(renderer, self._foreign)
        self._pending_operations = defaultdict(list)
        self.rendered.clear()

    @property
    def all_models(self) -> AllModels:  # type: ignore[override]
        return AllModels(self)

    @property
    def app_configs(self) -> LazyAppConfigs:  # type: ignore[override]
        return LazyAppConfigs(self)

    @property
    def app_labels(self) -> AbstractSet[str]:
        return self._renderer.names_by_label.keys() | self.real_apps

    def has_app(self, label: str) -> bool:
        return (
            self._renderer.is_at_work_on(label) or label in self._renderer.names_by_label or label in self.real_apps
        )

    def models_of_app(self, label: str) -> dict[str, type[Model]]:
        """Return {lower-case name: class} of one app, all rendered."""
        found: dict[str, type[Model]] = {}
        for name in self._renderer.names_by_label.get(label, ()):
            with RENDERING:
                if not self._renderer.is_busy:
                    self._renderer.ensure_with_ends((label, name))
            model = self.rendered[label].get(name)
            if model is None:  # code took it away, or it is being made
                continue
            found |= {str(one._meta.model_name): one for one in (*auto_created_throughs(model), model)}
        return found | {str(one._meta.model_name): one for one in self._foreign if one._meta.app_label == label}

    def get_models(self, include_auto_created: bool = False, include_swapped: bool = False) -> list[type[Model]]:
        configs = self.app_configs.values()
        return [model for config in configs for model in config.get_models(include_auto_created, include_swapped)]

    def get_model(self, app_label: str, model_name: str | None = None, require_ready: bool = True) -> type[Model]:
        """Return the class; raise LookupError."""
        if model_name is None:
            app_label, model_name = app_label.split(".")
        found = self._find(app_label, model_name)
        if found is None:
            self.get_app_config(app_label)  # raises its own LookupError for an app that is not there
            raise LookupError(f"App {app_label!r} doesn't have a {model_name!r} model.")
        return found

    def get_registered_model(self, app_label: str, model_name: str) -> type[Model]:
        """Return the class, where Django asks without caring whether apps are ready; raise LookupError."""
        found = self._find(app_label, model_name)
        if found is None:
            raise LookupError(f"Model '{app_label}.{model_name}' not registered.")
        return found

    def lazy_model_operation(self, function: Callable[..., object], *model_keys: Key) -> None:
        """Call *function* with the classes of *model_keys* once they are there: at once, but while one is made."""
        for key in model_keys:
            self._find(*key)
        super().lazy_model_operation(function, *model_keys)

    def _find(self, app_label: str, model_name: str) -> type[Model] | None:
        key = app_label, model_name.lower()
        with RENDERING:
            # While a class is made (its bases, class_prepared) only what is there is there, as in Django.
            if not self._renderer.is_busy:
                self._renderer.ensure_named(key)
            return self._renderer.made(key)

    def get_lone_model(self, key: Key) -> type[Model]:
        """Return the class of *key*, whatever it refers to."""
        return self._renderer.class_of(key)

    def relations_to(self, model: type[Model], *, one_to_one: bool = False) -> list[AnyField]:
        """Return the fields that relate to *model* or to a proxy of it; of models not rendered yet, stand-ins."""
        with RENDERING:
            return self._relations.to(model, one_to_one=one_to_one)

    def resolve(self, model: type[Model], relation: Any) -> bool:
        """Render what *relation* of *model* leads to; return whether all of it is there."""
        with RENDERING:
            return self._renderer.resolve((model._meta.app_label, str(model._meta.model_name)), relation)

    def register_model(self, app_label: str, model: type[Model]) -> None:
        name = str(model._meta.model_name)
        if not self._renderer.is_busy and self._renderer.state((app_label, name)) is not None:
            self._find(app_label, name)  # which the new class takes the place of
        self.rendered[app_label][name] = model
        model._meta.__class__ = LazyOptions
        make_lazy(model)
        if not self._renderer.is_busy:
            self._foreign.append(model)
            self.clear_cache()
        self.do_pending_operations(model)

    def unregister_model(self, app_label: str, model_name: str) -> None:
        self.rendered[app_label].pop(model_name, None)
        self._renderer.forget((app_label, model_name))

    def render_multiple(self, model_states: Sequence[ModelState]) -> None:
        """Take *model_states* in: Django's migrate does so with models of apps without migrations."""
        if model_states:  # what was rendered may have new neighbours now
            self._start_over(self._renderer.with_added(model_states))

    @contextmanager
    def bulk_update(self) -> Iterator[None]:
        """Do not count as ready inside, as in Django; caches are cleared once, afterwards."""
        ready, self.ready = self.ready, False
        try:
            yield
        finally:
            self.ready = ready
            self.clear_cache()

    def clear_cache(self) -> None:
        for models in self.rendered.values():
            for model in models.values():
                model._meta._expire_cache()  # type: ignore[attr-defined]

    def clone(self) -> LazyApps:
        """A registry belongs to one version of the models, so there is nothing to detach."""
        return self


def _real_model_states(real_apps: Iterable[str]) -> Iterator[ModelState]:
    """Yield the models of apps without migrations; without their relations, as in Django."""
    for label in real_apps:
        for model in real_registry.get_app_config(label).get_models():
            yield ModelState.from_model(model, exclude_rels=True)
