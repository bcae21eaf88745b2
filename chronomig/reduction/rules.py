"""
Whether a table that is created after an operation is the same as one that was there and went through it.

The same to its names: a database names foreign keys, checks and some indexes by itself, and the name tells when they
came. The rules are of Django's schema editors (db/backends/*/schema.py); the tests hold them against real databases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import models
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState

from chronomig.reduction.looking import (
    AUTO,
    FOREIGN,
    PLAIN,
    AnyField,
    Key,
    has_expressions,
    is_bare,
    is_ordinary,
    members,
    named,
    options_of,
    together,
)
from chronomig.state import ProjectState


class Around(NamedTuple):
    """A model before and after an operation on it."""

    before: ModelState
    after: ModelState
    is_referred_to: bool


Rule = Callable[[Any, Around], bool]


def model_of(operation: Operation, app_label: str) -> Key | None:
    """Return the model that *operation* is about; None for one that is about no or several models, or unknown."""
    if type(operation) not in RULES:
        return None
    name = getattr(operation, "model_name", None) or operation.name  # type: ignore[attr-defined]
    return app_label, name.lower()


def folds(operation: Operation, key: Key, before: ProjectState, after: ProjectState) -> bool:
    """Whether the table of *key*, which nobody has looked at yet, can as well be created after *operation*."""
    around = Around(before.models[key], after.models[key], before.is_referred_to(key))
    return RULES[type(operation)](operation, around)


def stays_in_its_table(operation: Operation, key: Key, before: ProjectState) -> bool:
    """Whether *operation* changes no table but that of *key* and those of its own many-to-many fields."""
    if not isinstance(operation, ops.RemoveField | ops.AlterField | ops.RenameField):
        return not (isinstance(operation, ops.AddField) and operation.field.primary_key)
    old = before.models[key].fields.get(operation.name)
    now = getattr(operation, "field", None)
    if old is None or old.unique or (now is not None and now.unique):
        return False
    return isinstance(operation, ops.RemoveField) or not old.many_to_many


# -- fields ---------------------------------------------------------------------------------------------------------


def add_field(operation: ops.AddField, around: Around) -> bool:
    """A column comes last. ``_order`` comes last as well, whenever it came."""
    field, before = operation.field, around.before
    new = operation.name not in before.fields and not field.primary_key
    return new and is_ordinary(field) and not before.options.get("order_with_respect_to")


def remove_field(operation: ops.RemoveField, around: Around) -> bool:
    field = around.before.fields.get(operation.name)
    if field is None or not is_ordinary(field) or (field.unique and (field.primary_key or around.is_referred_to)):
        return False
    return operation.name not in members(around.before) and not has_expressions(around.before)


def rename_field(operation: ops.RenameField, around: Around) -> bool:
    before = around.before
    field = before.fields.get(operation.old_name)
    free = operation.old_name not in members(before) and operation.new_name not in before.fields
    return free and not has_expressions(before) and field is not None and is_bare(field)


def alter_field(operation: ops.AlterField, around: Around) -> bool:
    old, new = (one.fields.get(operation.name) for one in (around.before, around.after))
    if old is None or new is None or old.db_column != new.db_column:
        return False
    changed = changed_in_database(old, new)
    if not changed:
        return True
    if changed & LASTING or has_expressions(around.before):
        return False
    if type(old) in AUTO and type(new) in AUTO:
        return not around.is_referred_to
    if old.primary_key or (old.unique and around.is_referred_to):
        return False
    if type(old) is not type(new):
        return is_bare(old) and is_bare(new) and operation.name not in members(around.before)
    return type(old) in PLAIN or (type(old) in FOREIGN and changed == {"null"})


LASTING = frozenset(
    {"db_collation", "db_column", "db_comment", "db_default", "db_index", "db_tablespace", "primary_key", "unique"}
)
"""Arguments of fields whose change leaves something that tells of it."""
KIND = "kind"


def changed_in_database(old: AnyField, new: AnyField) -> set[str]:
    """Return the names of the arguments that differ, of those that a database sees; KIND for the class."""
    (path, before), (new_path, after) = map(_seen_by_database, (old, new))
    missing = object()
    names = {name for name in before | after if before.get(name, missing) != after.get(name, missing)}
    return names | ({KIND} if path != new_path else set())


def _seen_by_database(field: AnyField) -> tuple[str, dict[str, Any]]:
    _, path, args, kwargs = field.deconstruct()
    seen = {name: value for name, value in kwargs.items() if name not in field.non_db_attrs}
    return path, {**seen, **({"args": args} if args else {})}


# -- indexes and constraints ----------------------------------------------------------------------------------------


def add_index(operation: ops.AddIndex, around: Around) -> bool:
    return type(operation.index).__module__.startswith("django.")


def remove_index(operation: ops.RemoveIndex, around: Around) -> bool:
    return leaves_no_trace(around.before, named(around.before, "indexes", operation.name))


def rename_index(operation: ops.RenameIndex, around: Around) -> bool:
    return bool(operation.old_name)


def add_constraint(operation: ops.AddConstraint, around: Around) -> bool:
    return is_simple(operation.constraint) and not has_double(around.before, operation.constraint)


def remove_constraint(operation: ops.RemoveConstraint, around: Around) -> bool:
    constraint = named(around.before, "constraints", operation.name)
    free = is_simple(constraint) and not has_double(around.before, constraint)
    return free and leaves_no_trace(around.before, constraint)


def alter_constraint(operation: Any, around: Around) -> bool:
    return is_simple(operation.constraint)


def is_simple(constraint: Any) -> bool:
    return type(constraint) in (models.UniqueConstraint, models.CheckConstraint)


def has_double(model: ModelState, constraint: Any) -> bool:
    """PostgreSQL makes one of two equal unique constraints, when both stand in CREATE TABLE."""
    fields = getattr(constraint, "fields", ())
    if not fields:
        return False
    others = (one for one in options_of(model, "constraints") if one.name != constraint.name)
    if any(set(getattr(other, "fields", ())) == set(fields) for other in others):
        return True
    return len(fields) == 1 and fields[0] in model.fields and model.fields[fields[0]].unique


def leaves_no_trace(model: ModelState, one: Any) -> bool:
    """MariaDB and MySQL need an index for a foreign key, and Django makes another when one that served it goes."""
    return one is not None and not begins_with_relation(model, getattr(one, "fields", ()))


def begins_with_relation(model: ModelState, names: Any) -> bool:
    first = next(iter(names), "").lstrip("-")
    return first in model.fields and model.fields[first].is_relation


# -- models ---------------------------------------------------------------------------------------------------------


def alter_unique_together(operation: ops.AlterUniqueTogether, around: Around) -> bool:
    gone = together(around.before) - together(around.after)
    return not any(begins_with_relation(around.before, names) for names in gone)


def alter_options(operation: ops.AlterModelOptions, around: Around) -> bool:
    """``managed`` decides what reaches the database, but changes nothing there by itself."""
    before, after = (one.options.get("managed", True) for one in (around.before, around.after))
    return bool(before == after)


def always(operation: Operation, around: Around) -> bool:
    return True


def never(operation: Operation, around: Around) -> bool:
    return False


RULES: dict[type[Operation], Rule] = {
    ops.AddField: add_field,
    ops.RemoveField: remove_field,
    ops.AlterField: alter_field,
    ops.RenameField: rename_field,
    ops.AddIndex: add_index,
    ops.RemoveIndex: remove_index,
    ops.RenameIndex: rename_index,
    ops.AddConstraint: add_constraint,
    ops.RemoveConstraint: remove_constraint,
    ops.AlterUniqueTogether: alter_unique_together,
    ops.AlterIndexTogether: never,
    ops.AlterOrderWithRespectTo: never,
    ops.AlterModelOptions: alter_options,
    ops.AlterModelManagers: always,
    ops.AlterModelTableComment: always,
    # It came with Django 6.0.
    **({ops.AlterConstraint: alter_constraint} if hasattr(ops, "AlterConstraint") else {}),
}
"""By exact type: a subclass may do anything. What is not here is about more than one table."""
