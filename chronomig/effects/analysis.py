"""Operation, app label, state before -> Effects; one function for each kind of operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation

from chronomig.effects import fields, indexes, models
from chronomig.effects.looking import View, field_thing, model_thing
from chronomig.effects.sketch import Sketch
from chronomig.effects.things import EVERYTHING, Effects
from chronomig.state import ProjectState

Reader = Callable[[View, Any, Sketch], None]
DESTROYING_UP = (
    ops.DeleteModel,
    ops.RemoveField,
    ops.AlterField,
    ops.AlterOrderWithRespectTo,
    ops.SeparateDatabaseAndState,
)
"""What can destroy something on the way up, as far as anybody can tell."""


def effects_of(
    operation: Operation, app_label: str, before: ProjectState, touches: Sequence[str] | None = None
) -> Effects:
    """
    Return the effects of *operation* on the models and tables of the state *before* it.

    *touches* is what the migration declares of its opaque operations: ``["shop.Order", "shop.Item.price"]``.
    """
    view, sketch = View(before, app_label), Sketch()
    declared = getattr(operation, "touches", touches)
    reader = READERS.get(type(operation)) or postgres_reader(operation)
    if isinstance(operation, ops.SeparateDatabaseAndState):
        return separate(operation, app_label, before, declared)
    if isinstance(operation, ops.RunSQL):
        inner = effects_in_a_row(operation.state_operations, app_label, before, None).state_only()
        return inner | special(view, sketch, operation, declared)
    if reader is None:
        if inherited := next((READERS[kind] for kind in type(operation).__mro__ if kind in READERS), None):
            inherited(view, operation, sketch)  # it may do more than what it is built on, hardly less
        return special(view, sketch, operation, declared)
    reader(view, operation, sketch)
    return sketch.finished(reversible=operation.reversible)


def effects_in_a_row(
    operations: Iterable[Operation], app_label: str, before: ProjectState, touches: Sequence[str] | None
) -> Effects:
    """Return the effects of operations of one app, one after the other."""
    return effects_of_migration(((app_label, one) for one in operations), before, touches)


def effects_of_migration(
    operations: Iterable[tuple[str, Operation]], before: ProjectState, touches: Sequence[str] | None = None
) -> Effects:
    """Return the effects of ``[(app label, operation), ...]``, one after the other."""
    found, state = Effects(), before
    for label, operation in operations:
        found |= effects_of(operation, label, state, touches)
        state = state.after(label, operation)
    return found


def separate(
    operation: ops.SeparateDatabaseAndState, app_label: str, before: ProjectState, touches: Sequence[str] | None
) -> Effects:
    """What happens to the state is what the state is told, what happens to the database is the rest."""
    told = effects_in_a_row(operation.state_operations, app_label, before, touches).state_only()
    return told | effects_in_a_row(operation.database_operations, app_label, before, touches)


def special(view: View, sketch: Sketch, operation: Operation, touches: Sequence[str] | None) -> Effects:
    """Code of the user's own: what it declares, or everything."""
    if does_nothing(operation):
        return sketch.finished(reversible=operation.reversible)
    sketch.to_database = True
    if touches is None:
        sketch.writes.add(EVERYTHING)
        return sketch.finished(reversible=operation.reversible, opaque=True)
    for text in touches:
        touch(view, text, sketch)
    return sketch.finished(reversible=operation.reversible)


def touch(view: View, text: str, sketch: Sketch) -> None:
    """A model whose rows are read or written, or one field of it."""
    label, name, *field = text.split(".")
    key = label, name.lower()
    concerned = {key} | view.ancestors(view.bases(key))
    if view.model(key) is None or (field and not any(field[0] in view.fields(one) for one in concerned)):
        sketch.writes.add(EVERYTHING)
        sketch.slips.append(text)
    for one in concerned:
        sketch.reads_table(view, one)
        if field:
            sketch.reads_all.add(field_thing(one, field[0]))
            sketch.writes.add((*field_thing(one, field[0]), "values"))
        else:
            sketch.reads_all.add(model_thing(one))
            sketch.writes.add(model_thing(one, "rows"))


def does_nothing(operation: Operation) -> bool:
    if type(operation) is ops.RunPython:
        return operation.code is ops.RunPython.noop and operation.reverse_code in (None, ops.RunPython.noop)
    return type(operation) is ops.RunSQL and not operation.sql and not operation.reverse_sql


def postgres_reader(operation: Operation) -> Reader | None:
    """Return how to read an operation of django.contrib.postgres, which is imported only by who uses it."""
    if not type(operation).__module__.startswith("django.contrib.postgres."):
        return None
    return next((POSTGRES[kind.__name__] for kind in type(operation).__mro__ if kind.__name__ in POSTGRES), None)


def extension(view: View, operation: Any, sketch: Sketch) -> None:
    sketch.to_database = True
    sketch.writes.add(("extension", operation.name))


def collation(view: View, operation: Any, sketch: Sketch) -> None:
    sketch.to_database = True
    sketch.writes.add(("collation", operation.name))


READERS: dict[type[Operation], Reader] = {
    ops.CreateModel: models.create,
    ops.DeleteModel: models.delete,
    ops.RenameModel: models.rename,
    ops.AlterModelTable: models.alter_table,
    ops.AlterModelTableComment: models.alter_comment,
    ops.AlterModelOptions: models.alter_options,
    ops.AlterModelManagers: models.alter_managers,
    ops.AlterUniqueTogether: models.alter_together,
    ops.AlterIndexTogether: models.alter_together,
    ops.AlterOrderWithRespectTo: models.alter_order,
    ops.AddField: fields.add,
    ops.RemoveField: fields.remove,
    ops.AlterField: fields.alter,
    ops.RenameField: fields.rename,
    ops.AddIndex: indexes.add_index,
    ops.RemoveIndex: indexes.remove_index,
    ops.RenameIndex: indexes.rename_index,
    ops.AddConstraint: indexes.add_constraint,
    ops.RemoveConstraint: indexes.remove_constraint,
    ops.AlterConstraint: indexes.alter_constraint,
}
"""By exact type: a subclass may do anything."""
POSTGRES: dict[str, Reader] = {
    "CreateExtension": extension,
    "CreateCollation": collation,
    "RemoveCollation": collation,
    "AddIndexConcurrently": indexes.add_index,
    "RemoveIndexConcurrently": indexes.remove_index,
    "AddConstraintNotValid": indexes.add_constraint,
    "ValidateConstraint": indexes.validate_constraint,
}
"""By name; those that set up one extension are subclasses of the first."""
