"""What operations on indexes and constraints do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import F, Q, Value

from chronomig.effects.looking import Key, View, model_thing, option_thing
from chronomig.effects.sketch import Sketch


def names_in(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a model's indexes and constraints."""
    for one in (*options.get("indexes", ()), *options.get("constraints", ())):
        yield one.name


def named(view: View, key: Key, name: str) -> Any:
    """Return the index or constraint of that name, None where the state has none."""
    options = view.options(key)
    every = (*options.get("indexes", ()), *options.get("constraints", ()))
    return next((one for one in every if one.name == name), None)


def changes(view: View, operation: Any, sketch: Sketch, name: str, *ones: Any) -> Key:
    """An index or constraint of a name is made, changed or removed; *ones* are what it was and what it will be."""
    key = view.key(operation.model_name)
    sketch.changes_table(view, key)
    sketch.writes |= {model_thing(key, "index", name), ("index", name)}
    for one in ones:
        if one is not None:
            sketch.reads_type(one)
            sketch.reads_fields(key, fields_of(view, key, one))
    return key


def fields_of(view: View, key: Key, one: Any) -> set[str]:
    """
    Return the fields that an index, a constraint or a computed field stands on.

    With an expression in it that is not known, any that is there.
    """
    names = {str(name).lstrip("-") for name in (*getattr(one, "fields", ()), *getattr(one, "include", ()))}
    parts = [*getattr(one, "expressions", ()), getattr(one, "condition", None), getattr(one, "expression", None)]
    for name in (name for part in parts for name in referred(part)):
        names |= view.fields(key).keys() if name is None else {view.primary_key(key) if name == "pk" else name}
    return {view.field_called(key, name) for name in names}


def referred(part: Any) -> Iterator[str | None]:
    """Yield the names of the fields in an expression or a condition, None where they cannot be told."""
    if isinstance(part, F):
        yield part.name.partition("__")[0]  # type: ignore[attr-defined]
    elif isinstance(part, tuple):  # a lookup of a condition, or an expression of an ExclusionConstraint
        first, *rest = part
        yield from (first.partition("__")[0],) if isinstance(first, str) else referred(first)
        for one in rest:
            yield from referred(one)
    elif isinstance(part, Q):
        for child in part.children:
            yield from referred(child)
    elif hasattr(part, "get_source_expressions") and not isinstance(part, Value):
        inner = part.get_source_expressions()
        yield from (name for one in inner for name in referred(one)) if inner else (None,)


def add_index(view: View, operation: Any, sketch: Sketch) -> None:
    changes(view, operation, sketch, operation.index.name, operation.index)


def remove_index(view: View, operation: Any, sketch: Sketch) -> None:
    changes(view, operation, sketch, operation.name, named(view, view.key(operation.model_name), operation.name))


def rename_index(view: View, operation: Any, sketch: Sketch) -> None:
    key = changes(view, operation, sketch, operation.new_name)
    if operation.old_name:
        changes(view, operation, sketch, operation.old_name, named(view, key, operation.old_name))
    else:
        sketch.writes.add(option_thing(key, "index_together"))
        sketch.reads_fields(key, operation.old_fields)


def add_constraint(view: View, operation: Any, sketch: Sketch) -> None:
    changes(view, operation, sketch, operation.constraint.name, operation.constraint)


def remove_constraint(view: View, operation: Any, sketch: Sketch) -> None:
    remove_index(view, operation, sketch)


def alter_constraint(view: View, operation: Any, sketch: Sketch) -> None:
    old = named(view, view.key(operation.model_name), operation.name)
    changes(view, operation, sketch, operation.name, old, operation.constraint)


def validate_constraint(view: View, operation: Any, sketch: Sketch) -> None:
    remove_index(view, operation, sketch)
