"""Rendered classes learn on demand who refers to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django.db.models import Model
from django.db.models.options import Options

from chronomig.state.references import AnyField

if TYPE_CHECKING:
    from chronomig.state.registry import LazyApps


class LazyOptions(Options):  # type: ignore[type-arg]
    """``_meta`` of a rendered class: Django walks all models to find the relations to one; this asks the state."""

    def _populate_directed_relation_graph(self) -> list[AnyField]:
        tree = self.__dict__["_relation_tree"] = cast("LazyApps", self.apps).relations_to(self.model)
        return tree

    @cached_property
    def _reverse_one_to_one_field_names(self) -> frozenset[str]:
        """Every ``objects.create()`` asks for it: only the models with a one-to-one relation are rendered."""
        registry = cast("LazyApps", self.apps)
        relations = [
            one
            for model in (self.model, *self.get_parent_list())
            for one in registry.relations_to(model, one_to_one=True)
        ]
        return frozenset(one.remote_field.name for one in relations)  # type: ignore[union-attr]


class LazyAccessor:
    """Stands where the reverse accessor of a relation will be, until the model that has the relation is rendered."""

    def __init__(self, name: str, render: Callable[[], object]) -> None:
        self.name = name
        self.render = render

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        self._give_way(owner)
        return getattr(owner if instance is None else instance, self.name)

    def __set__(self, instance: Model, value: object) -> None:
        self._give_way(type(instance))
        setattr(instance, self.name, value)

    def _give_way(self, owner: type[Model]) -> None:
        for klass in owner.__mro__:
            if klass.__dict__.get(self.name) is self:
                delattr(klass, self.name)
        self.render()
