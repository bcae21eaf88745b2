"""What stands in rendered classes for what is not rendered yet: their targets, and who refers to them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

from django.db.models import ForeignObjectRel, ManyToManyRel, Model
from django.db.models.options import Options, make_immutable_fields_list
from django.utils.functional import SimpleLazyObject

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
        own: list[Any] = [one.remote_field for one in registry.relations_to(self.model, one_to_one=True)]
        for parent in self.get_parent_list():
            relations: list[Any] = [one.remote_field for one in registry.relations_to(parent, one_to_one=True)]
            own += [one for one in relations if not one.parent_link]
        return frozenset(one.name for one in own if not one.hidden)

    def get_field(self, field_name: str) -> Any:
        return rendered(super().get_field(field_name))

    def get_fields(self, *args: Any, **options: Any) -> Any:
        """What Django itself asks for goes through ``_get_fields()``: whoever asks here gets no stand-ins."""
        return make_immutable_fields_list("get_fields()", map(rendered, super().get_fields(*args, **options)))


class Unrendered(SimpleLazyObject):  # type: ignore[type-arg]
    """Stands for a part of a model that is rendered when more is asked than is known here."""

    _mask_wrapped = True  # which LazyObject asks of what an attribute holds

    def __copy__(self) -> Any:
        return copy.copy(rendered(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(rendered(self), memo)


def rendered(one: Any) -> Any:
    """Return what *one* stands for, if it does."""
    return one._setupfunc() if issubclass(type(one), Unrendered) else one


class UnrenderedKey(Unrendered):
    """
    A plain foreign key.

    Django asks the relations to a model for their names, and for what they are, until it finds those that it needs.
    """

    many_to_many = one_to_one = unique = False
    to_fields: Sequence[str | None]
    remote_field: UnrenderedRelation

    def __init__(self, render: Callable[[], AnyField], to_fields: Sequence[str | None], name: str, *, hidden: bool):
        super().__init__(render)
        way_back = UnrenderedRelation(self, name, hidden=hidden)
        self.__dict__.update(to_fields=to_fields, remote_field=way_back)  # an assignment would go to the real one


class UnrenderedRelation(Unrendered):
    """The way back along an :class:`UnrenderedKey`."""

    field: UnrenderedKey
    name: str
    hidden: bool

    def __init__(self, field: UnrenderedKey, name: str, *, hidden: bool) -> None:
        super().__init__(lambda: field._setupfunc().remote_field)
        self.__dict__.update(field=field, name=name, hidden=hidden)

    def __getattr__(self, name: str) -> Any:
        if name == "attname":  # no relation has one; Options.fields_map asks each
            raise AttributeError(name)
        return super().__getattr__(name)


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
        """Render; another thread that asks meanwhile finds this accessor still, and waits for it."""
        self.render()
        for klass in owner.__mro__:
            if klass.__dict__.get(self.name) is self:
                delattr(klass, self.name)


class LazyRelation:
    """A relation of a rendered class whose target is still a name; reading the target renders it."""

    plain: type[ForeignObjectRel]
    """What it becomes once the target is there."""

    def __copy__(self) -> Any:
        # The copy belongs to another class, in a registry that may not know the target: SQLite's remade tables.
        resolve(self)
        known = cast("ForeignObjectRel", self)  # by now perhaps of its plain class
        made: Any = object.__new__(getattr(self, "plain", type(self)))
        made.__dict__.update(known.__getstate__())
        return made


class LazyTarget:
    """``remote_field.model`` and ``remote_field.through`` of a LazyRelation."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, relation: Any, owner: type[Any]) -> Any:
        if relation is None:
            return self
        if self.name in relation.__dict__:
            resolve(relation)
            return relation.__dict__[self.name]
        raise AttributeError(self.name)

    def __set__(self, relation: Any, value: Any) -> None:
        relation.__dict__[self.name] = value


def resolve(relation: Any) -> None:
    """Render what *relation* leads to, where that is possible now."""
    if isinstance(relation, LazyRelation):
        model = getattr(relation.field, "model", None)  # type: ignore[attr-defined]
        render = getattr(model._meta.apps, "resolve", None) if model is not None else None
        # Rendering a target may read, and so resolve, this very relation.
        if render is not None and render(model, relation) and isinstance(relation, LazyRelation):
            kind: Any = relation.plain
            relation.__class__ = kind


def known_targets(relation: Any) -> list[Any]:
    """Return what *relation* leads to, as far as it is rendered; names for the rest."""
    found = (relation.__dict__.get(name) for name in ("model", "through"))
    return [target for target in found if target is not None]


def names_in(relation: Any) -> list[str]:
    """Return the targets of *relation* that are not rendered."""
    return [target for target in known_targets(relation) if isinstance(target, str)]


def make_lazy(model: type[Model]) -> None:
    """Let the relations of *model* whose targets are not rendered render them when they are read."""
    for field in (*model._meta.local_fields, *model._meta.local_many_to_many):
        relation: Any = field.remote_field
        if relation is not None and names_in(relation):
            kind: Any = type(relation)
            relation.__class__ = lazy_kind(kind)


@cache
def lazy_kind(kind: Any) -> Any:
    """Return the class of relations of this *kind* whose targets are not there yet."""
    names = ("model", "through") if issubclass(kind, ManyToManyRel) else ("model",)
    body = {name: LazyTarget(name) for name in names}
    return type(kind.__name__, (LazyRelation, kind), {**body, "plain": kind, "__module__": kind.__module__})
