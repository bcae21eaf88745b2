"""What operations on fields do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.migrations import operations as ops
from django.db.models import Field
from django.db.models.fields import AutoFieldMixin

from chronomig.effects.indexes import fields_of
from chronomig.effects.looking import Key, View, column_of, model_thing, option_thing
from chronomig.effects.narrowing import between, kind, longest, narrows
from chronomig.effects.sketch import Sketch
from chronomig.effects.things import Loss


def add(view: View, operation: ops.AddField, sketch: Sketch) -> None:
    key, name, one = view.key(operation.model_name), operation.name, operation.field
    reads_of(view, key, name, one, sketch)
    writes_key(view, key, name, one, sketch)
    sketch.writes_field(view, key, name, one)
    if sketch.changes_table(view, key):
        sketch.losses_backwards += sketch.loss_of(name, one, view.table(key))


def remove(view: View, operation: ops.RemoveField, sketch: Sketch) -> None:
    key, name = view.key(operation.model_name), operation.name
    one = view.fields(key).get(name)
    if one is not None:
        reads_of(view, key, name, one, sketch)
        writes_key(view, key, name, one, sketch)
        writes_what_is_left(view, key, name, sketch)
        writes_dependents(view, key, name, one, sketch)
    sketch.writes_field(view, key, name, one)
    if sketch.changes_table(view, key) and one is not None:
        sketch.losses += sketch.loss_of(name, one, view.table(key))


def alter(view: View, operation: ops.AlterField, sketch: Sketch) -> None:
    key, name, new = view.key(operation.model_name), operation.name, operation.field
    old = view.fields(key).get(name)
    for one in filter(None, (old, new)):
        reads_of(view, key, name, one, sketch)
        sketch.writes_field(view, key, name, one)
        if not (old and is_still_counted(old, new)):
            writes_key(view, key, name, one, sketch)
    if old is None:
        sketch.changes_table(view, key)
        return
    writes_dependents(view, key, name, old, sketch)
    if sketch.changes_table(view, key):
        sketch.losses += cut(view, key, name, old, new)
        sketch.losses_backwards += cut(view, key, name, new, old)


def cut(view: View, key: Key, name: str, old: Field[Any, Any], new: Field[Any, Any]) -> list[Loss]:
    """Return what a change of type can lose."""
    column = None if old.many_to_many else column_of(name, old)
    if column is None or not narrows(old, new):
        return []
    table, what = view.table(key), f"column {column} of {view.table(key)}, from {kind(old)} to {kind(new)}"
    return [Loss(what, table, column, longest(old, new), between(old, new), narrows=True)]


def rename(view: View, operation: ops.RenameField, sketch: Sketch) -> None:
    key, old, new = view.key(operation.model_name), operation.old_name, operation.new_name
    one = view.fields(key).get(old)
    for name in (old, new):
        sketch.writes_field(view, key, name, one)
    if one is not None:
        reads_of(view, key, new, one, sketch)
        writes_key(view, key, old, one, sketch)
        writes_what_is_left(view, key, old, sketch)
        writes_dependents(view, key, old, one, sketch)
    sketch.writes |= {option_thing(key, option) for option in ("unique_together", "index_together")}
    sketch.reads.add(option_thing(key, "order_with_respect_to"))
    sketch.changes_table(view, key)


def reads_of(view: View, key: Key, name: str, one: Field[Any, Any], sketch: Sketch) -> None:
    """What a field needs: what it refers to, and that no parent or child of its model has the name."""
    sketch.reads_targets(view, key, one)
    sketch.reads_type(one)
    for other in view.ancestors(view.bases(key)) | view.descendants(key):
        sketch.reads_fields(other, [name])
    if getattr(one, "generated", False):
        sketch.reads_fields(key, fields_of(view, key, one))


def writes_key(view: View, key: Key, name: str, one: Field[Any, Any], sketch: Sketch) -> None:
    """What is on a model stands on its primary key."""
    if one.primary_key or name in view.key_parts(key):
        sketch.writes.add(model_thing(key))


def writes_what_is_left(view: View, key: Key, name: str, sketch: Sketch) -> None:
    """What stands on a field names it when it is gone, too; SQLite cannot make such a table anew."""
    options = view.options(key)
    computed = [one for one in view.fields(key).values() if getattr(one, "generated", False)]
    parts = [*options.get("indexes", ()), *options.get("constraints", ()), *computed]
    if any(name in fields_of(view, key, one) for one in parts):
        sketch.writes.add(model_thing(key))


def is_still_counted(old: Field[Any, Any], new: Field[Any, Any]) -> bool:
    """Whether a primary key stays a number that the database counts, of whatever width."""
    return all(one.primary_key and isinstance(one, AutoFieldMixin) for one in (old, new))


def writes_dependents(view: View, key: Key, name: str, one: Field[Any, Any], sketch: Sketch) -> None:
    """
    The type of a foreign key is that of the field that it refers to.

    On SQLite, where Django sees no difference, they follow when their table is next made anew.
    """
    for other, field_name, field in dependents(view, key, name, one, set()):
        sketch.reads_table(view, other)
        sketch.writes_field(view, other, field_name, field)
        if view.is_in_database(other):
            sketch.writes.add(("table", view.table(other)))
    if one.primary_key:
        for own_name, own in view.fields(key).items():
            if own.many_to_many:
                sketch.writes_field(view, key, own_name, own)


def dependents(
    view: View, key: Key, name: str, one: Field[Any, Any], seen: set[tuple[Key, str]]
) -> Iterator[tuple[Key, str, Field[Any, Any]]]:
    """Yield the relations whose columns hold values of a field, over primary keys that are relations themselves."""
    for model in {key} | view.descendants(key):
        for other, field_name, field in view.references(model):
            refers = name in view.to_fields(field) or one.primary_key
            if refers and (other, field_name) not in seen:
                seen.add((other, field_name))
                yield other, field_name, field
                if field.primary_key or field.unique:
                    yield from dependents(view, other, field_name, field, seen)
    if one.primary_key:
        for child in view.descendants(key):
            for child_name, child_field in view.fields(child).items():
                if child_field.primary_key and (child, child_name) not in seen:
                    seen.add((child, child_name))
                    yield child, child_name, child_field
