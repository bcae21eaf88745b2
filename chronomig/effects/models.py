"""What operations on models do."""

from __future__ import annotations

from typing import Any

from django.db.migrations import operations as ops

from chronomig.effects.indexes import names_in
from chronomig.effects.looking import (
    Key,
    View,
    base_keys,
    field_thing,
    model_thing,
    option_thing,
    own_table_of,
    table_of,
)
from chronomig.effects.sketch import Sketch
from chronomig.effects.things import Loss


def create(view: View, operation: ops.CreateModel, sketch: Sketch) -> None:
    key, options = view.key(operation.name), operation.options
    fields = dict(operation.fields)
    sketch.writes.add(model_thing(key))
    for base in view.ancestors(base_keys(operation.bases or (), view.app_label)):
        # A child cannot have a field that its parent has; it refers to the parent's primary key.
        sketch.reads_table(view, base)
        sketch.reads_fields(base, {view.primary_key(base), *fields})
        sketch.reads.add(option_thing(base, "order_with_respect_to"))
    for one in fields.values():
        sketch.reads_targets(view, key, one)
        sketch.reads_type(one)
    if options.get("managed", True) and not options.get("proxy"):
        table = table_of(key, options)
        sketch.to_database = True
        sketch.writes.add(("table", table))
        for name, one in fields.items():
            sketch.writes_field(view, key, name, one, table)
            if own := own_table_of(name, one, table):
                sketch.losses_backwards.append(Loss(f"table {own}", own))
        sketch.losses_backwards.append(Loss(f"table {table}", table))
        for one in (*options.get("indexes", ()), *options.get("constraints", ())):
            sketch.writes.add(("index", one.name))
            sketch.reads_type(one)


def delete(view: View, operation: ops.DeleteModel, sketch: Sketch) -> None:
    key = view.key(operation.name)
    sketch.writes.add(model_thing(key))
    for base in view.ancestors(view.bases(key)):
        sketch.reads.add(model_thing(base))
        sketch.reads_fields(base, view.fields(key))
    for one in view.fields(key).values():
        sketch.reads_targets(view, key, one)
    for other, name, _ in view.references(key):
        sketch.reads_fields(other, [name])
    for child in view.descendants(key):
        sketch.reads_all.add(model_thing(child))
    if view.is_in_database(key):
        table = view.table(key)
        sketch.to_database = True
        for own in own_tables(view, key):
            sketch.writes.add(("table", own))
            sketch.losses.append(Loss(f"table {own}", own))
        sketch.writes |= {("table", table), *(("index", name) for name in names_in(view.options(key)))}
        sketch.losses.append(Loss(f"table {table}", table))


def own_tables(view: View, key: Key) -> list[str]:
    """Return the tables of a model's many-to-many fields."""
    found = (own_table_of(name, one, view.table(key)) for name, one in view.fields(key).items())
    return [table for table in found if table]


def rename(view: View, operation: ops.RenameModel, sketch: Sketch) -> None:
    old, new = view.key(operation.old_name), view.key(operation.new_name)
    sketch.writes |= {model_thing(old), model_thing(new)}
    sketch.writes |= {model_thing(child) for child in view.descendants(old)}
    for one in view.fields(old).values():
        sketch.reads_targets(view, old, one)
    for other, name, one in view.references(old):
        sketch.reads_table(view, other)
        sketch.writes_field(view, other, name, one)
    if view.is_in_database(old):
        renamed = table_of(new, view.options(old))
        sketch.to_database = True
        sketch.writes |= {("table", view.table(old)), ("table", renamed)}
        for name, one in view.fields(old).items():
            tables = {own_table_of(name, one, view.table(old)), own_table_of(name, one, renamed)}
            sketch.writes |= {("table", table) for table in tables if table}


def alter_table(view: View, operation: ops.AlterModelTable, sketch: Sketch) -> None:
    key = view.key(operation.name)
    sketch.reads.add(model_thing(key))
    sketch.writes.add(option_thing(key, "db_table"))
    if view.is_in_database(key):
        after = {**view.options(key), "db_table": operation.table}
        sketch.to_database = True
        for table in (view.table(key), table_of(key, after)):
            sketch.writes.add(("table", table))
            for name, one in view.fields(key).items():
                if own := own_table_of(name, one, table):
                    sketch.writes.add(("table", own))


def alter_comment(view: View, operation: ops.AlterModelTableComment, sketch: Sketch) -> None:
    key = view.key(operation.name)
    sketch.changes_table(view, key)
    sketch.writes.add(option_thing(key, "db_table_comment"))


def alter_options(view: View, operation: ops.AlterModelOptions, sketch: Sketch) -> None:
    """All of them are set, those that are not named to nothing; ``managed`` decides what others do."""
    key = view.key(operation.name)
    sketch.reads.add(model_thing(key))
    options = {*operation.ALTER_OPTION_KEYS, *operation.options} - {"managed"}
    sketch.writes |= {option_thing(key, name) for name in options}
    if operation.options.get("managed", True) != view.options(key).get("managed", True):
        sketch.writes.add(model_thing(key))


def alter_managers(view: View, operation: ops.AlterModelManagers, sketch: Sketch) -> None:
    key = view.key(operation.name)
    sketch.reads.add(model_thing(key))
    sketch.writes.add(option_thing(key, "managers"))


def alter_together(view: View, operation: Any, sketch: Sketch) -> None:
    key, option = view.key(operation.name), operation.option_name
    sketch.changes_table(view, key)
    sketch.writes.add(option_thing(key, option))
    for names in (*(view.options(key).get(option) or ()), *(operation.option_value or ())):
        sketch.reads_fields(key, (view.field_called(key, name) for name in names))


def alter_order(view: View, operation: ops.AlterOrderWithRespectTo, sketch: Sketch) -> None:
    key, now = view.key(operation.name), operation.order_with_respect_to
    before = view.options(key).get("order_with_respect_to")
    sketch.writes |= {option_thing(key, "order_with_respect_to"), field_thing(key, "_order")}
    sketch.reads_fields(key, filter(None, (before, now)))
    for other in view.ancestors(view.bases(key)) | view.descendants(key):
        sketch.reads.add(option_thing(other, "order_with_respect_to"))
    if sketch.changes_table(view, key):
        table = view.table(key)
        sketch.writes.add(("table", table, "column", "_order"))
        loss = Loss(f"column _order of {table}", table, "_order")
        if before and not now:
            sketch.losses.append(loss)
        if now and not before:
            sketch.losses_backwards.append(loss)
