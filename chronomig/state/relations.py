"""Who refers to a rendered class, as Django's ``_meta`` tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.db.models import ForeignKey, Model

from chronomig.state.lazy import UnrenderedRelation, known_targets
from chronomig.state.operations import Reader
from chronomig.state.references import AnyField, Key, fields_of, references_of
from chronomig.state.rendering import Renderer


class Relations:
    """The relations to the classes of one registry, *foreign* being those that other code registered there."""

    def __init__(self, renderer: Renderer, foreign: Sequence[type[Model]]) -> None:
        self.renderer = renderer
        self.foreign = foreign

    def to(self, model: type[Model], *, one_to_one: bool = False) -> list[AnyField]:
        """
        Return the fields that relate to *model* or to a proxy of it, their models rendered.

        With *one_to_one*, only such fields; no other model is rendered for them.
        """
        concrete = model._meta.concrete_model
        if concrete is None:
            return []
        sources = self._sources(concrete)
        if one_to_one:
            sources = [source for source in sources if self._has_one_to_one(source)]
        self._ensure(sources)
        holders = [*map(self.renderer.class_of, sources), *self.foreign]
        fields = [field for holder in holders for field in fields_to(concrete, holder)]
        return [field for field in fields if field.one_to_one or not one_to_one]

    def objects(self, model: type[Model]) -> list[Any] | None:
        """
        Return the relations to *model* that are not hidden; of models that need not be rendered for it, stand-ins.

        None for schema editors, which get no stand-ins, and for a proxy, to which Django counts none.
        """
        if self.renderer.reader is Reader.SCHEMA or model._meta.proxy:
            return None
        plain = {source: self._plain_keys(source, _key(model)) for source in self._sources(model)}
        self._ensure(source for source, names in plain.items() if names is None)
        found: list[Any] = []
        for source, names in plain.items():
            if names is None or self.renderer.is_rendered(source):
                found += ways_back(model, self.renderer.class_of(source))
            else:
                found += [UnrenderedRelation(partial(self._way_back, source, name)) for name in names]
        return found + [one for holder in self.foreign for one in ways_back(model, holder)]

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

    def _plain_keys(self, source: Key, target: Key) -> list[str] | None:
        """Return the foreign keys from *source* to *target* that are not hidden; None where one is no plain one."""
        model = self.renderer.known(source)
        if "swappable" in model.options:
            return None
        fields, found = fields_of(model), []
        for reference in references_of(model):
            if reference.target == target or self.renderer.is_proxy_of(reference.target, target):
                name = reference.field_name or ""
                field = fields.get(name)
                if type(field) is not ForeignKey or field.unique:
                    return None
                if reference.accessor is not None:
                    found.append(name)
        return found

    def _way_back(self, source: Key, name: str) -> Any:
        field: Any = self.renderer.class_of(source)._meta.get_field(name)
        return field.remote_field


def _key(model: type[Model]) -> Key:
    return model._meta.app_label, str(model._meta.model_name)


def ways_back(target: type[Model], holder: type[Model]) -> Iterable[Any]:
    """Return what Django counts among the ``related_objects`` of *target*, of the fields of *holder*."""
    relations: Any = [field.remote_field for field in fields_to(target, holder)]
    return [one for one in relations if one.field.many_to_many or not one.hidden]


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
