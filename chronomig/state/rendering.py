"""
Model states -> classes, one by one.

What a class refers to, and what refers to it, is rendered when it is read. No class is in two registries;
those for schema editors also refer to classes that they share, see :mod:`~chronomig.state.lending`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from django.core.checks import model_checks
from django.db.migrations.exceptions import InvalidBasesError
from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation
from django.db.models import ManyToOneRel, Model, OneToOneRel

from chronomig.state.copies import copied_cheaply
from chronomig.state.lazy import LazyAccessor, names_in
from chronomig.state.operations import Reader
from chronomig.state.references import (
    Key,
    Kind,
    base_keys,
    carries_other_code,
    grouped,
    is_of_django,
    is_proxy,
    key_of,
    references_of,
)
from chronomig.state.version import Version

if TYPE_CHECKING:
    from chronomig.state.registry import LazyApps


RENDERING = threading.RLock()
"""Held by who renders: code may start threads, and Django counts fields for all classes."""


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
        self._at_once: list[Key] = []
        """What is to be rendered as soon as no class is being made: it does more to a class than is known of it."""
        self._ensuring = False

    def with_added(self, models: Iterable[ModelState]) -> Renderer:
        """Return a renderer that begins anew, with *models* besides."""
        return Renderer(self.registry, self.version, self.reader, [*self.added.values(), *models])

    @property
    def is_busy(self) -> bool:
        """Whether a class is being made."""
        return bool(self._at_work)

    def is_at_work_on(self, label: str) -> bool:
        """Whether a class of an app is being made, so that there is that app."""
        return any(at_work == label for at_work, _ in self._at_work)

    @cached_property
    def names_by_label(self) -> Mapping[str, list[str]]:
        return grouped({**self.version.models, **self.added}) if self.added else self.version.names_by_label

    def forget(self, key: Key) -> None:
        self._rendered.discard(key)
        self._with_ends.discard(key)

    # What the states say

    def state(self, key: Key) -> ModelState | None:
        return self.added.get(key) or self.version.models.get(key)

    def _state_or_last(self, key: Key) -> ModelState | None:
        """Return the model state of *key*, or the last one of a model that was deleted."""
        return self.state(key) or self.version.tombstones.get(key)

    def sources(self, key: Key) -> dict[Key, None]:
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
        model = self.state(key)
        return base_keys(model) if model is not None and is_proxy(model) else ()

    # Classes

    def ensure_named(self, key: Key) -> None:
        """Render *key*; if no state has it, the models that may own an auto-created through model."""
        if self.state(key) is not None:
            self.ensure_with_ends(key)
            return
        label, name = key
        if name in self.registry.rendered.get(label, {}):
            return
        for place in [place for place, letter in enumerate(name) if letter == "_"]:
            if self.state((label, name[:place])) is not None:  # its name is <owner>_<field>
                self.ensure_with_ends((label, name[:place]))

    def ensure_with_ends(self, key: Key) -> None:
        """Render *key*, and both ends of its ManyToManyFields; raise ValueError for a relation that leads nowhere."""
        self.ensure(key)
        if key not in self._with_ends:
            self._with_ends.add(key)
            self._raise_dangling(key)
            for reference in references_of(self.known(key)):
                if reference.many_to_many or reference.kind is Kind.THROUGH:
                    self.ensure(reference.target)

    def ensure(self, key: Key) -> None:
        """Render *key*, unless it is rendered or being so; raise ValueError, InvalidBasesError."""
        if key in self._rendered or key in self._at_work:
            return
        self._render(key)
        if self.reader is Reader.CODE:
            self._raise_dangling(key)
            self._place_accessors(key)
            self._ensure_at_once()

    def _ensure_at_once(self) -> None:
        """Render what waits; where one of these makes others wait, they are not within it."""
        if self._at_once and not self.is_busy and not self._ensuring:
            self._ensuring = True
            try:
                while self._at_once:
                    self.ensure(self._at_once.pop(0))
            finally:
                self._ensuring = False

    def ensure_for_all(self, key: Key) -> None:
        """Render *key*, whichever thread asks; what this one is rendering is not there yet."""
        with RENDERING:
            self.ensure(key)

    def is_rendered(self, key: Key) -> bool:
        return key in self._rendered

    def class_of(self, key: Key) -> type[Model]:
        """Return the class of *key*, whatever it refers to."""
        self.ensure_for_all(key)
        return self.registry.rendered[key[0]][key[1]]

    def made(self, key: Key) -> type[Model] | None:
        """Return the class of *key* if there is one: it may be in the making, or taken away by code."""
        return self.registry.rendered.get(key[0], {}).get(key[1])

    def resolve(self, owner: Key, relation: Any) -> bool:
        """Render what *relation* of *owner* leads to; return whether all of it is there."""
        if self.is_busy:
            return False
        keys = [resolve_relation(name, *owner) for name in names_in(relation)]
        known = [key for key in keys if self._seen(key) is not None]
        for key in known:
            if not self._borrow(owner, key, relation):
                self.ensure(key)
        return len(known) == len(keys)

    def _borrow(self, owner: Key, key: Key, relation: Any) -> bool:
        """Let a foreign key lead to a class that others share, where that is as good; return whether it does."""
        model, lent = self._seen(key), self.version.lent
        foreign_key = relation.plain in (ManyToOneRel, OneToOneRel) and self.reader is Reader.SCHEMA
        if not foreign_key or lent is None or model is None or key in self._rendered:
            return False
        if not is_of_django(relation.field) or carries_other_code(self.known(owner)):
            return False  # who knows what it looks at
        target = lent.find(key, model, relation.field_name)
        if target is not None:
            relation.model = target
            relation.set_field_name()
        return target is not None

    def _seen(self, key: Key) -> ModelState | None:
        # A foreign key may outlive its target for a few operations: the autodetector deletes proxies without looking
        # who refers to them. Schema editors then see the model as it was.
        return self._state_or_last(key) if self.reader is Reader.SCHEMA else self.state(key)

    def known(self, key: Key) -> ModelState:
        """Return the same of a model that is there, or was."""
        model = self._state_or_last(key)
        assert model is not None
        return model

    def _render(self, key: Key) -> None:
        model = self.known(key)
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
        references = references_of(self.known(key))
        missing = {reference.target for reference in references if self._seen(reference.target) is None}
        if not missing:
            return
        present = set(self.registry._pending_operations) - missing
        check: Any = model_checks._check_lazy_references  # type: ignore[attr-defined]
        if errors := check(self.registry, ignore=present):
            raise ValueError("\n".join(error.msg for error in errors))

    # Who refers to a class: what stands there until the relation is asked for

    def _place_accessors(self, key: Key) -> None:
        """Place a LazyAccessor for every relation to the model whose source is not rendered yet."""
        model = self.registry.rendered[key[0]][key[1]]
        if model._meta.swapped:
            return
        proxy = bool(model._meta.proxy)
        for source in self._direct_sources(key) if proxy else self.sources(key):
            if source not in self._rendered:
                if any(one.at_once and one.target == key for one in references_of(self.known(source))):
                    self._at_once.append(source)
                render: Callable[[], object] = partial(self.ensure_for_all, source)
                for name in self._accessors(source, key, on_proxy=proxy):
                    if name not in model.__dict__:
                        setattr(model, name, LazyAccessor(name, render))

    def _accessors(self, source: Key, key: Key, *, on_proxy: bool) -> Iterator[str]:
        """Yield what *source* sets on *key*: a ManyToManyField on its very target, others on its concrete model."""
        model = self.state(source)
        for reference in references_of(model) if model is not None else ():
            if reference.accessor is not None and (reference.many_to_many or not on_proxy):
                exactly = reference.target == key
                if exactly or (not reference.many_to_many and self.is_proxy_of(reference.target, key)):
                    yield reference.accessor

    def is_proxy_of(self, key: Key, concrete: Key) -> bool:
        bases = self._proxied_by(key)
        return concrete in bases or any(self.is_proxy_of(base, concrete) for base in bases)
