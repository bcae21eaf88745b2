"""What model states refer to, and who refers to a model: read off the states, without rendering anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from django.db import models
from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation
from django.db.models import Field, ForeignObject

from chronomig.state.overlay import forked

Key = tuple[str, str]
"""(app label, lower-case model name)"""

AnyField: TypeAlias = "Field[Any, Any]"


class Kind(Enum):
    """How one model state refers to another."""

    FIELD = "field"
    THROUGH = "through"
    """The model between the two ends of a ManyToManyField, named in its ``through``."""
    AUTO_THROUGH = "auto-created through model"
    """It points back at the model that holds the field: its target is that model."""
    BASE = "base class"


class Reference(NamedTuple):
    """One model state naming another."""

    target: Key
    kind: Kind
    field_name: str | None = None
    accessor: str | None = None
    """The attribute that the relation sets on the class of its target."""
    many_to_many: bool = False
    one_to_one: bool = False
    at_once: bool = False
    """Whether the field does something of its own to the class of its target."""


def references_of(model: ModelState) -> tuple[Reference, ...]:
    """Return what *model* refers to. Kept on the model state, which never changes once it is part of a state."""
    known: tuple[Reference, ...] | None = model.__dict__.get("_chronomig_references")
    if known is None:
        known = model.__dict__["_chronomig_references"] = tuple(_read_references(model))
    return known


def key_of(model: ModelState) -> Key:
    return model.app_label, model.name_lower


def grouped(keys: Iterable[Key]) -> dict[str, list[str]]:
    """Return {app label: names}, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for label, name in keys:
        found[label].append(name)
    return found


def fields_of(model: ModelState) -> dict[str, AnyField]:
    """Return the fields of *model*, those of its abstract bases included."""
    return {**{field.name: field for base in _abstract_bases(model) for field in _fields(base)}, **model.fields}


def _abstract_bases(model: ModelState) -> list[type[models.Model]]:
    classes = [base for base in model.bases if isinstance(base, type) and issubclass(base, models.Model)]
    return [base for base in classes if base is not models.Model and base._meta.abstract]


def _fields(base: type[models.Model]) -> list[AnyField]:
    return [*base._meta.local_fields, *base._meta.local_many_to_many]


def base_keys(model: ModelState) -> list[Key]:
    return [resolve_relation(base, model.app_label) for base in model.bases if isinstance(base, str)]


def is_proxy(model: ModelState) -> bool:
    return bool(model.options.get("proxy"))


def _read_references(model: ModelState) -> Iterator[Reference]:
    key = key_of(model)
    parent_links = set()
    for name, field in fields_of(model).items():
        remote = field.remote_field
        if not remote or not getattr(remote, "model", None):
            continue
        target = resolve_relation(remote.model, *key)
        if getattr(remote, "parent_link", False):
            parent_links.add(target)
        accessor = _accessor(model, field, target)
        many, one = bool(field.many_to_many), bool(field.one_to_one)
        yield Reference(target, Kind.FIELD, name, accessor, many, one, not has_djangos_way_back(field))
        if through := getattr(remote, "through", None):
            yield Reference(resolve_relation(through, *key), Kind.THROUGH, name)
        elif field.many_to_many:
            yield Reference(key, Kind.AUTO_THROUGH, name)
    for target in base_keys(model):
        implicit_link = not is_proxy(model) and target not in parent_links
        accessor = model.name_lower if implicit_link else None
        yield Reference(target, Kind.BASE, accessor=accessor, one_to_one=implicit_link)


def has_djangos_way_back(field: AnyField) -> bool:
    """Whether Django's own code makes all that *field* sets on the class of its target."""
    made_by = getattr(type(field), "contribute_to_related_class", None)
    return made_by is None or made_by.__module__ == ForeignObject.__module__


def is_of_django(one: object) -> bool:
    return type(one).__module__.partition(".")[0] == "django"


def carries_other_code(model: ModelState) -> bool:
    """Whether *model* has indexes or constraints of other classes than Django's, which may look at anything."""
    return not all(map(is_of_django, (*model.options.get("indexes", ()), *model.options.get("constraints", ()))))


def _accessor(model: ModelState, field: AnyField, target: Key) -> str | None:
    """Return the name of the reverse accessor (ForeignObjectRel.get_accessor_name, before the class exists)."""
    if given := related_name(model, field):
        return None if given.endswith("+") else given
    if getattr(field.remote_field, "symmetrical", False) and target == key_of(model):
        return None
    return model.name_lower if field.one_to_one else f"{model.name_lower}_set"


def related_name(model: ModelState, field: AnyField) -> str | None:
    """Return the ``related_name`` of a relation, as it will be once *model* is a class."""
    remote: Any = field.remote_field
    given = remote.related_name or model.options.get("default_related_name")
    words = {"class": model.name_lower, "model_name": model.name_lower, "app_label": model.app_label.lower()}
    return given % words if given else None


def related_query_name(model: ModelState, field: AnyField) -> str:
    """Return what queries from its other end call a relation (RelatedField.related_query_name)."""
    remote: Any = field.remote_field
    words = {"class": model.name_lower, "app_label": model.app_label.lower()}
    given = remote.related_query_name
    return given % words if given else related_name(model, field) or model.name_lower


class ReverseIndex:
    """Who refers to each model. Never changes: :meth:`after` returns another, which shares what stays."""

    def __init__(self, sources: Mapping[Key, Mapping[Key, None]]) -> None:
        self._sources = sources

    @classmethod
    def of(cls, models: Mapping[Key, ModelState]) -> ReverseIndex:
        sources: dict[Key, dict[Key, None]] = {}
        for key, model in models.items():
            for reference in references_of(model):
                sources.setdefault(reference.target, {})[key] = None
        return cls(sources)

    def sources(self, target: Key) -> Iterable[Key]:
        """Return the models that name *target* itself."""
        return self._sources.get(target, {})

    def after(self, key: Key, old: ModelState | None, new: ModelState | None) -> ReverseIndex:
        """Return the index after the model state of *key* was replaced."""
        gone = {reference.target for reference in references_of(old)} if old is not None else set()
        here = {reference.target for reference in references_of(new)} if new is not None else set()
        if gone == here:
            return self
        sources = forked(self._sources)
        for target in gone - here:
            sources[target] = {source: None for source in sources[target] if source != key}
        for target in here - gone:
            sources[target] = {**sources.get(target, {}), key: None}
        return ReverseIndex(sources)
