"""
Model states -> classes, one by one.

What a class refers to, and what refers to it, is rendered when it is read. No class is in two registries;
those for schema editors also refer to classes that they share, see :mod:`~chronomig.state.lending`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from django.core.checks import model_checks
from django.db.migrations.exceptions import InvalidBasesError
from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation
from django.db.models import ManyToOneRel, Model, OneToOneRel

from chronomig.state.copies import copied_cheaply
from chronomig.state.lazy import LazyAccessor, known_targets, names_in
from chronomig.state.operations import Reader
from chronomig.state.references import (
    AnyField,
    Key,
    Kind,
    base_keys,
    grouped,
    is_proxy,
    key_of,
    references_of,
)
from chronomig.state.version import Version

if TYPE_CHECKING:
    from chronomig.state.registry import LazyApps


class Renderer:
    """Render the models of one version into one registry."""

    def __init__(
        self, registry: LazyApps, version: Version, reader: Reader, added: Iterable[ModelState] = ()
    ) -> None:
        self.registry = registry
        self.version = version
        self.reader = reader
        self.added = {key_of(model): model for model in added}
        """Models that are no part of the version: of apps without migrations."""
        self._rendered: set[Key] = set()
        self._with_ends: set[Key] = set()
        self._at_work: list[Key] = []

    def with_added(self, models: Iterable[ModelState]) -> Renderer:
        """Return a renderer that begins anew, with *models* besides."""
        return Renderer(self.registry, self.version, self.reader, [*self.added.values(), *models])

    @property
    def is_busy(self) -> bool:
        """Whether a class is being made."""
        return bool(self._at_work)

    @cached_property
    def names_by_label(self) -> Mapping[str, list[str]]:
        return grouped({**self.version.models, **self.added}) if self.added else self.version.names_by_label

    def forget(self, key: Key) -> None:
        self._rendered.discard(key)
        self._with_ends.discard(key)

    # What the states say

    def _state(self, key: Key) -> ModelState | None:
        return self.added.get(key) or self.version.models.get(key)

    def _state_or_last(self, key: Key) -> ModelState | None:
        """Return the model state of *key*, or the last one of a model that was deleted."""
        return self._state(key) or self.version.tombstones.get(key)

    def _sources(self, key: Key) -> dict[Key, None]:
        """Return the models that refer to *key*, or to a proxy of it."""
        found: dict[Key, None] = {}
        todo = [key]
        while todo:
            target = todo.pop()
            for source in self._direct_sources(target):
                if source not in found and target in self._proxied_by(source):
                    todo.append(source)
                found[source] = None
        return found

    def _direct_sources(self, target: Key) -> Iterator[Key]:
        yield from self.version.reverse.sources(target)
        for key, model in self.added.items():
            if any(reference.target == target for reference in references_of(model)):
                yield key

    def _proxied_by(self, key: Key) -> Sequence[Key]:
        model = self._state(key)
        return base_keys(model) if model is not None and is_proxy(model) else ()

    # Classes

    def ensure_named(self, key: Key) -> None:
        """Render *key*; if no state has it, the models that may own an auto-created through model."""
        if self._state(key) is not None:
            self.ensure_with_ends(key)
            return
        label, name = key
        if name in self.registry.all_models.get(label, {}):
            return
        for place in [place for place, letter in enumerate(name) if letter == "_"]:
            if self._state((label, name[:place])) is not None:  # its name is <owner>_<field>
                self.ensure_with_ends((label, name[:place]))

    def ensure_with_ends(self, key: Key) -> None:
        """Render *key*, and both ends of its ManyToManyFields; raise ValueError for a relation that leads nowhere."""
        self.ensure(key)
        if key not in self._with_ends:
            self._with_ends.add(key)
            self._raise_dangling(key)
            for reference in references_of(self._known(key)):
                if reference.many_to_many or reference.kind is Kind.THROUGH:
                    self.ensure(reference.target)

    def ensure(self, key: Key) -> None:
        """Render *key*, unless it is; raise ValueError, InvalidBasesError."""
        if key in self._rendered:
            return
        self._render(key)
        if self.reader is Reader.CODE:
            self._raise_dangling(key)
            self._place_accessors(key)

    def resolve(self, owner: Key, relation: Any) -> bool:
        """Render what *relation* of *owner* leads to; return whether all of it is there."""
        if self.is_busy:
            return False
        keys = [resolve_relation(name, *owner) for name in names_in(relation)]
        known = [key for key in keys if self._seen(key) is not None]
        for key in known:
            if not self._borrow(key, relation):
                self.ensure(key)
        return len(known) == len(keys)

    def _borrow(self, key: Key, relation: Any) -> bool:
        """Let a foreign key lead to a class that others share, where that is as good; return whether it does."""
        model, lent = self._seen(key), self.version.lent
        foreign_key = relation.plain in (ManyToOneRel, OneToOneRel) and self.reader is Reader.SCHEMA
        if not foreign_key or lent is None or model is None or key in self._rendered:
            return False
        target = lent.find(key, model, relation.field_name)
        if target is not None:
            relation.model = target
            relation.set_field_name()
        return target is not None

    def _seen(self, key: Key) -> ModelState | None:
        # A foreign key may outlive its target for a few operations: the autodetector deletes proxies without looking
        # who refers to them. Schema editors then see the model as it was.
        return self._state_or_last(key) if self.reader is Reader.SCHEMA else self._state(key)

    def _known(self, key: Key) -> ModelState:
        model = self._state_or_last(key)
        assert model is not None
        return model

    def _render(self, key: Key) -> None:
        model = self._known(key)
        self._render_bases(key, model)
        self._at_work.append(key)
        try:
            with self.version.counting_fields():
                copied_cheaply(model).render(self.registry)
        finally:
            self._at_work.pop()
        self._rendered.add(key)

    def _render_bases(self, key: Key, model: ModelState) -> None:
        for base in base_keys(model):
            if base in (*self._at_work, key) or self._state_or_last(base) is None:
                raise InvalidBasesError(f"Cannot resolve bases for {[model]}: {'.'.join(base)} is not there.")
            self._at_work.append(key)
            try:
                self.ensure(base)
            finally:
                self._at_work.pop()

    def _raise_dangling(self, key: Key) -> None:
        """Raise Django's error for a relation of *key* to a model that does not exist."""
        references = references_of(self._known(key))
        missing = {reference.target for reference in references if self._seen(reference.target) is None}
        if not missing:
            return
        present = set(self.registry._pending_operations) - missing
        check: Any = model_checks._check_lazy_references  # type: ignore[attr-defined]
        if errors := check(self.registry, ignore=present):
            raise ValueError("\n".join(error.msg for error in errors))

    # Who refers to a class

    def relations_to(
        self, model: type[Model], foreign: Sequence[type[Model]], *, one_to_one: bool = False
    ) -> list[AnyField]:
        """
        Return the fields that relate to *model* or to a proxy of it; their models are rendered, or *foreign*.

        With *one_to_one*, only such fields; no other model is rendered for them.
        """
        concrete = model._meta.concrete_model
        if concrete is None:
            return []
        key = concrete._meta.app_label, str(concrete._meta.model_name)
        sources = self._in_order(self._sources(key))
        if one_to_one:
            sources = [source for source in sources if self._has_one_to_one(source)]
        for source in sources:
            self.ensure(source)
        holders = [*(self.registry.all_models[label][name] for label, name in sources), *foreign]
        return [
            field
            for holder in holders
            if not holder._meta.swapped
            for owner in (*auto_created_throughs(holder), holder)
            for field, target in relations_of(owner)
            if target._meta.concrete_model is concrete
            if field.one_to_one or not one_to_one
        ]

    def _in_order(self, keys: Iterable[Key]) -> list[Key]:
        """Sort *keys* as Django finds relations, which is the order in which rows are deleted with others."""
        keys = list(keys)
        places = self.version.places if len(keys) > 1 else {}
        return sorted(keys, key=lambda key: (key[0], places.get(key, -1)))

    def _has_one_to_one(self, key: Key) -> bool:
        model = self._state(key)
        return model is not None and any(reference.one_to_one for reference in references_of(model))

    def _place_accessors(self, key: Key) -> None:
        """Place a LazyAccessor for every relation to the model whose source is not rendered yet."""
        model = self.registry.all_models[key[0]][key[1]]
        if model._meta.swapped:
            return
        proxy = bool(model._meta.proxy)
        for source in self._direct_sources(key) if proxy else self._sources(key):
            if source not in self._rendered:
                render: Callable[[], object] = partial(self.ensure, source)
                for name in self._accessors(source, key, on_proxy=proxy):
                    if name not in model.__dict__:
                        setattr(model, name, LazyAccessor(name, render))

    def _accessors(self, source: Key, key: Key, *, on_proxy: bool) -> Iterator[str]:
        """Yield what *source* sets on *key*: a ManyToManyField on its very target, others on its concrete model."""
        model = self._state(source)
        for reference in references_of(model) if model is not None else ():
            if reference.accessor is not None and (reference.many_to_many or not on_proxy):
                exactly = reference.target == key
                if exactly or (not reference.many_to_many and self._is_proxy_of(reference.target, key)):
                    yield reference.accessor

    def _is_proxy_of(self, key: Key, concrete: Key) -> bool:
        bases = self._proxied_by(key)
        return concrete in bases or any(self._is_proxy_of(base, concrete) for base in bases)


def auto_created_throughs(model: type[Model]) -> list[type[Model]]:
    """Return the through models that Django made for the ManyToManyFields of *model*."""
    throughs = [target for field in model._meta.local_many_to_many for target in known_targets(field.remote_field)]
    return [one for one in throughs if isinstance(one, type) and one._meta.auto_created is model]  # type: ignore[attr-defined]


def relations_of(model: type[Model]) -> Iterator[tuple[AnyField, type[Model]]]:
    """Yield the fields of *model* itself that relate to a rendered class, and that class."""
    fields: Any = model._meta._get_fields(reverse=False, include_parents=False)
    for field in fields:
        if field.is_relation and field.remote_field is not None:
            target = field.remote_field.__dict__.get("model")
            if isinstance(target, type):
                yield field, target
