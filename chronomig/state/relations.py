"""Who refers to a rendered class, as Django's ``_meta`` tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.db.models import ForeignKey, Model

from chronomig.state.lazy import UnrenderedKey, known_targets
from chronomig.state.references import AnyField, Key, fields_of, references_of, related_query_name
from chronomig.state.rendering import Renderer


class Relations:
    """The relations to the classes of one registry, *foreign* being those that other code registered there."""

    def __init__(self, renderer: Renderer, foreign: Sequence[type[Model]]) -> None:
        self.renderer = renderer
        self.foreign = foreign

    def to(self, model: type[Model], *, one_to_one: bool = False) -> list[AnyField]:
        """
        Return the fields that relate to *model* or to a proxy of it; with *one_to_one*, only such fields.

        A model is rendered for it if it relates by more than plain foreign keys; for those there are stand-ins.
        """
        concrete = model._meta.concrete_model
        if concrete is None:
            return []
        sources = [one for one in self._sources(concrete) if not one_to_one or self._has_one_to_one(one)]
        plain = {source: self._plain_keys(source, _key(concrete)) for source in sources}
        self._ensure(source for source, keys in plain.items() if keys is None)
        found: list[AnyField] = []
        for source, keys in plain.items():
            if keys is None or self.renderer.is_rendered(source):
                holder = self.renderer.made(source)
                found += fields_to(concrete, holder) if holder and holder not in self.foreign else ()
            else:
                found += keys
        found += [field for holder in self.foreign for field in fields_to(concrete, holder)]
        return [field for field in found if field.one_to_one or not one_to_one]

    def _ensure(self, sources: Iterable[Key]) -> None:
        """Render *sources*; all of them, before any is asked: one may relate to another, a proxy."""
        for source in sources:
            self.renderer.ensure(source)

    def _sources(self, model: type[Model]) -> list[Key]:
        """Return who refers to *model*, in the order in which Django finds them, and deletes rows with others."""
        keys = list(self.renderer.sources(_key(model)))
        places = self.renderer.version.places if len(keys) > 1 else {}
        return sorted(keys, key=lambda key: (key[0], places.get(key, -1)))

    def _has_one_to_one(self, source: Key) -> bool:
        model = self.renderer.state(source)
        return model is not None and any(reference.one_to_one for reference in references_of(model))

    def _plain_keys(self, source: Key, target: Key) -> list[Any] | None:
        """Return stand-ins for the foreign keys from *source* to *target*; None where one is no plain one."""
        model = self.renderer.known(source)
        if "swappable" in model.options:
            return None
        fields, found = fields_of(model), []
        for reference in references_of(model):
            if reference.target == target or self.renderer.is_proxy_of(reference.target, target):
                name = reference.field_name or ""
                field: Any = fields.get(name)
                if type(field) is not ForeignKey or field.unique:
                    return None
                render = partial(self._field, source, name)
                query_name, hidden = related_query_name(model, field), reference.accessor is None
                found.append(UnrenderedKey(render, field.to_fields, query_name, hidden=hidden))
        return found

    def _field(self, source: Key, name: str) -> Any:
        return self.renderer.class_of(source)._meta.get_field(name)


def _key(model: type[Model]) -> Key:
    return model._meta.app_label, str(model._meta.model_name)


def auto_created_throughs(model: type[Model]) -> list[type[Model]]:
    """Return the through models that Django made for the ManyToManyFields of *model*."""
    throughs = [target for field in model._meta.local_many_to_many for target in known_targets(field.remote_field)]
    return [one for one in throughs if isinstance(one, type) and one._meta.auto_created is model]  # type: ignore[attr-defined]


def fields_to(target: type[Model], holder: type[Model]) -> Iterator[AnyField]:
    """Yield the fields of *holder*, and of through models made for it, that relate to *target* or a proxy of it."""
    for owner in (*auto_created_throughs(holder), holder) if not holder._meta.swapped else ():
        for field, model in relations_of(owner):
            if model._meta.concrete_model is target:
                yield field


def relations_of(model: type[Model]) -> Iterator[tuple[AnyField, type[Model]]]:
    """Yield the fields of *model* itself that relate to a rendered class, and that class."""
    fields: Any = model._meta._get_fields(reverse=False, include_parents=False)
    for field in fields:
        if field.is_relation and field.remote_field is not None:
            target = field.remote_field.__dict__.get("model")
            if isinstance(target, type):
                yield field, target
