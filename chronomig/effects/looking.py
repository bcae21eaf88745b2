"""What the state before an operation says of the models that it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from copy import copy
from typing import Any

from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation
from django.db.models import Field, Model

from chronomig.effects.things import Thing
from chronomig.state import ProjectState

Key = tuple[str, str]
"""(app label, lower-case model name)"""


class View:
    """A state, as an operation of one app sees it. What is not there has no fields, no table, no relatives."""

    def __init__(self, state: ProjectState, app_label: str) -> None:
        self.state = state
        self.app_label = app_label

    def key(self, name: str) -> Key:
        return self.app_label, name.lower()

    def model(self, key: Key) -> ModelState | None:
        return self.state.models.get(key)

    def fields(self, key: Key) -> dict[str, Field[Any, Any]]:
        model = self.model(key)
        return dict(model.fields) if model else {}

    def options(self, key: Key) -> dict[str, Any]:
        model = self.model(key)
        return model.options if model else {}

    def is_in_database(self, key: Key) -> bool:
        """Whether operations on the model reach a table of its own."""
        options = self.options(key)
        return bool(options.get("managed", True)) and not options.get("proxy", False)

    def table(self, key: Key) -> str:
        return table_of(key, self.options(key))

    def primary_key(self, key: Key) -> str:
        """Return the name of the field that is the primary key; of a proxy, that of its model."""
        for name, field in self.fields(key).items():
            if field.primary_key:
                return name
        return "id"

    def key_parts(self, key: Key) -> Collection[str]:
        """Return the names of the fields that a primary key of several consists of."""
        fields = self.fields(key)
        return getattr(fields.get(self.primary_key(key)), "field_names", ())

    def field_called(self, key: Key, name: str) -> str:
        """Return the name of the field that *name* stands for: a relation is known by that of its column, too."""
        fields = self.fields(key)
        relation = name.removesuffix("_id")
        return relation if name not in fields and relation in fields else name

    def bases(self, key: Key) -> list[Key]:
        model = self.model(key)
        return list(base_keys(model.bases, key[0])) if model else []

    def ancestors(self, bases: Iterable[Key]) -> set[Key]:
        """Return *bases*, and all that they are built on."""
        found: set[Key] = set()
        todo = list(bases)
        while todo:
            key = todo.pop()
            if key not in found:
                found.add(key)
                todo.extend(self.bases(key))
        return found

    def descendants(self, key: Key) -> set[Key]:
        """Return all models that are built on this one, proxies too."""
        found: set[Key] = set()
        todo = [key]
        while todo:
            base = todo.pop()
            built = {other for other in self.state.sources(base) if base in self.bases(other)} - found
            found |= built
            todo.extend(built)
        return found - {key}

    def references(self, key: Key) -> Iterator[tuple[Key, str, Field[Any, Any]]]:
        """Yield (model, field name, field) of each relation to a model, or through it."""
        for other in self.state.sources(key):
            for name, field in self.fields(other).items():
                if key in targets(other, field):
                    yield other, name, field

    @staticmethod
    def targets(owner: Key, field: Field[Any, Any]) -> set[Key]:
        return targets(owner, field)

    @staticmethod
    def to_fields(field: Field[Any, Any]) -> set[str]:
        """Return the names of the fields that a foreign key names; a name left out means the primary key."""
        return {name for name in getattr(field, "to_fields", None) or () if name}


def table_of(key: Key, options: dict[str, Any]) -> str:
    return str(options.get("db_table") or f"{key[0]}_{key[1]}").lower()


def base_keys(bases: Iterable[str | type], app_label: str) -> Iterator[Key]:
    for base in bases:
        if isinstance(base, str):
            yield resolve_relation(base, app_label)
        elif isinstance(base, type) and issubclass(base, Model) and base is not Model and not base._meta.abstract:
            yield base._meta.app_label, str(base._meta.model_name)


def targets(owner: Key, field: Field[Any, Any]) -> set[Key]:
    """Return the models that a field refers to, and the one that it goes through."""
    remote = field.remote_field
    found = [getattr(remote, "model", None), getattr(remote, "through", None)]
    return {resolve_relation(one, *owner) for one in found if one}


def column_of(name: str, field: Field[Any, Any]) -> str | None:
    """Return the column of a field that is bound to no model, in small letters; None where it has none."""
    named = copy(field)
    named.name = None  # type: ignore[assignment]  # it may have had another
    named.set_attributes_from_name(name)
    return str(named.column).lower() if named.column else None


def own_table_of(name: str, field: Field[Any, Any], table: str) -> str | None:
    """Return the table that a many-to-many field makes; None for one that goes through a model, and for others."""
    if not field.many_to_many or getattr(field.remote_field, "through", None):
        return None
    return str(getattr(field, "db_table", None) or f"{table}_{name}").lower()


def model_thing(key: Key, *part: str) -> Thing:
    return ("model", *key, *part)


def field_thing(key: Key, name: str) -> Thing:
    return model_thing(key, "field", name.lower())


def option_thing(key: Key, name: str) -> Thing:
    return model_thing(key, "option", name)
