"""Model states, copied and compared: what keeps the changes of one state out of another."""

from __future__ import annotations

import copy
import operator
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, NamedTuple

from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation
from django.db.models import Field
from django.utils.functional import cached_property as django_cached_property

from chronomig.state.references import AnyField, Key


def private_copy(model: ModelState) -> ModelState:
    """Return a copy of *model* that may be changed in place, down to the lists in its options; not its fields."""
    made = model.clone()
    made.options = {
        name: copy.copy(value) if type(value) in CHANGEABLE else value for name, value in made.options.items()
    }
    return made


CHANGEABLE = (list, dict, set)


class Cheaply(NamedTuple):
    """A field of a model state, for a model that is being rendered: Django calls clone() on it."""

    field: AnyField

    def clone(self) -> AnyField:
        """
        Return an unbound copy.

        Django takes fields apart and makes them anew, which is most of the price of a class. The plain fields of a
        model state are unbound and hold nothing that a model changes, so that the copy with which Django hands the
        fields of abstract models down does as well.
        """
        kind: Any = type(self.field)
        if kind.__module__ not in PLAIN_FIELDS:
            return self.field.clone()
        made: AnyField = copied_plainly(self.field)
        if self.field.remote_field is not None:
            made.remote_field = copied_plainly(self.field.remote_field)
            made.remote_field.field = made
        made.name = None  # type: ignore[assignment]  # the class that it becomes part of says what it is called
        if made.auto_created:  # before all fields that were written (Field.__init__)
            made.creation_counter = Field.auto_creation_counter
            Field.auto_creation_counter -= 1
        else:
            made.creation_counter = Field.creation_counter
            Field.creation_counter += 1
        return made


def copied_plainly(one: Any) -> Any:
    """Return a copy of a field or of its relation, without what it computed, with lists of its own."""
    kind: Any = type(one)
    made = object.__new__(kind)
    kept = made.__dict__
    kept.update(one.__dict__)
    computed = computed_names(kind)
    if not kept.keys().isdisjoint(computed):
        for name in computed & kept.keys():
            del kept[name]
    for name in LISTS:
        if type(kept.get(name)) is list and kept[name]:
            kept[name] = list(kept[name])
    return made


LISTS = ("validators", "_validators", "_choices")
"""What code may append to. ``validators`` is computed, and some fields add to it when they are made."""


PLAIN_FIELDS = frozenset({"django.db.models.fields", "django.db.models.fields.related"})
"""Where classes are defined whose fields can be copied; not so fields that hold others, or a storage."""


@cache
def computed_names(kind: Any) -> frozenset[str]:
    """Return the names under which fields or relations of this *kind* keep what they compute once they are bound."""
    attributes = {name: value for klass in reversed(kind.__mro__) for name, value in vars(klass).items()}
    cached = {
        name for name, value in attributes.items() if isinstance(value, (cached_property, django_cached_property))
    }
    return frozenset(cached - {*LISTS})


def copied_cheaply(model: ModelState) -> ModelState:
    """Return a shallow copy of *model* to be rendered once, at less cost."""
    made = copy.copy(model)
    cheap: dict[str, Any] = {name: Cheaply(field) for name, field in model.fields.items()}
    made.fields = cheap
    shown = f"{model.name}({', '.join(model.fields)})"  # else Django looks for all fields, to throw them away again
    # Managers are the last that ModelState.render() puts into the body of a class.
    made.__dict__["construct_managers"] = lambda: [*model.construct_managers(), ("__doc__", shown)]
    return made


def is_same(one: ModelState, other: ModelState) -> bool:
    """Whether *other*, which began as a copy of *one*, was left as it was."""
    return (
        one.name == other.name
        and one.bases == other.bases
        and _same_items(one.fields, other.fields)
        and _same_items(one.options, other.options)
        and _same_items(dict(one.managers), dict(other.managers))
    )


def _same_items(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return list(one) == list(other) and all(_is_same_value(one[name], other[name]) for name in one)


def _is_same_value(one: Any, other: Any) -> bool:
    """Whether both are one, or hold the same: what code may append to is copied."""
    if one is other:
        return True
    if type(one) is not type(other) or type(one) not in CHANGEABLE or len(one) != len(other):
        return False
    if type(one) is dict:
        return list(one) == list(other) and all(one[key] is other[key] for key in one)
    return bool(one == other) if type(one) is set else all(map(operator.is_, one, other))


def with_fields_copied(model: ModelState) -> ModelState:
    """Return a copy of *model* whose relations and composite keys are copies as well."""
    copy = model.clone()
    for name, field in model.fields.items():
        if field.remote_field or hasattr(field, "field_names"):
            copy.fields[name] = field.clone()
            copy.fields[name].name = field.name
    return copy


def take_unchanged_fields(original: ModelState, copy: ModelState, renamed: Mapping[str, str]) -> None:
    """Put the fields of *original* back into *copy* where renaming, {new name: old}, changed nothing in them."""
    for name, field in copy.fields.items():
        before = original.fields.get(renamed.get(name, name))
        if before is not None and _names_in(before) == _names_in(field):
            copy.fields[name] = before


def _names_in(field: AnyField) -> tuple[object, ...]:
    """Return the names of other fields that *field* holds."""
    own = (getattr(field, name, None) for name in ("from_fields", "to_fields", "field_names"))
    return (*map(tuple, (one or () for one in own)), getattr(field.remote_field, "field_name", None))


def with_base_renamed(model: ModelState, key: Key, new: str) -> tuple[Any, ...]:
    """Return the bases of *model*, those that name *key* naming *new*."""
    return tuple(
        new if isinstance(base, str) and resolve_relation(base, model.app_label) == key else base
        for base in model.bases
    )
