"""
Which operations of a migration can go together in one change of their table: pure.

Found by comparing random batches with the same operations one by one: consecutive field operations on one model go
together when each has a column of its own that nothing but the table itself depends on. What is between them may be
such operations on other models, where all of a migration is rolled back when one fails: no table's columns depend on
those of another. makemigrations writes all removals first, then all additions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddField, AlterField, RemoveField
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState
from django.db.models import CompositePrimaryKey, Field, ForeignKey, UniqueConstraint

from chronomig.effects.looking import column_of
from chronomig.planning.record import Direction
from chronomig.state import ProjectState, read_by, reader_of, run_backwards, run_forwards

FIELD_OPERATIONS = (AddField, RemoveField, AlterField)


@dataclass(frozen=True)
class Move:
    """One operation between the two states around it."""

    app_label: str
    operation: Operation
    before: ProjectState
    after: ProjectState
    number: int
    """How many operations are in effect after it."""

    def run(self, editor: BaseDatabaseSchemaEditor, direction: Direction) -> None:
        """Run the operation on the database, or undo it there."""
        run = run_forwards if direction is Direction.UP else run_backwards
        run(self.operation, self.app_label, editor, self.before, self.after)

    def render(self, alias: str, direction: Direction) -> bool:
        """Render the models that the operation will look at; return whether those are known."""
        if type(self.operation) not in FIELD_OPERATIONS:  # by exact type: a subclass may look at anything
            return False
        is_up = direction is Direction.UP
        begin, end = (self.before, self.after) if is_up else (self.after, self.before)
        removes = type(self.operation) is (RemoveField if is_up else AddField)
        with read_by(reader_of(self.operation)):
            model = (begin if removes else end).apps.get_model(*table_of(self))
            if not removes and self.operation.allow_migrate_model(alias, model):
                begin.apps.get_model(*table_of(self))
        return True


@dataclass(frozen=True)
class Group:
    """Operations, in the order in which they run."""

    moves: tuple[Move, ...]
    table: tuple[str, str] | None = None
    """The key of the model that all of them change; None where nothing is known to go together."""


def groups(moves: Iterable[Move], *, batch: bool, apart: bool = False) -> Iterator[Group]:
    """
    Yield *moves* in their order, those that can go together in one; without *batch*, each alone.

    With *apart*, a group runs where its first operation stands, others on other tables being between them.
    """
    waiting: dict[tuple[str, str], list[Move]] = {}
    taken: set[tuple[tuple[str, str], str]] = set()
    for move in moves:
        column = own_column(move) if batch else None
        table = table_of(move) if column is not None else None
        if table is None or (table, column) in taken or not (apart or table in waiting):
            yield from ended(waiting)
            taken = set()
        if table is None or column is None:
            yield Group((move,))
        else:
            waiting.setdefault(table, []).append(move)
            taken.add((table, column))
    yield from ended(waiting)


def ended(waiting: dict[tuple[str, str], list[Move]]) -> Iterator[Group]:
    """Yield the groups of *waiting*; each is let go of, with what is rendered for it here, before the next one."""
    while waiting:
        table = next(iter(waiting))
        yield Group(tuple(waiting.pop(table)), table)


def table_of(move: Move) -> tuple[str, str]:
    """Return the key of the model of a field operation."""
    operation = move.operation
    assert isinstance(operation, FIELD_OPERATIONS)
    return move.app_label, operation.model_name_lower


def own_column(move: Move) -> str | None:
    """Return the column that *move* is about, as SQLite compares names; None when it has to run alone."""
    operation = move.operation
    # By exact type: a subclass may do anything.
    if type(operation) not in FIELD_OPERATIONS:
        return None
    assert isinstance(operation, FIELD_OPERATIONS)
    name = operation.name
    models = [state.models[table_of(move)] for state in (move.before, move.after) if table_of(move) in state.models]
    fields = [model.fields[name] for model in models if name in model.fields]
    columns = {column_of(name, field) for field in fields if is_plain(field)}
    if len(columns) != 1 or not all(map(is_plain, fields)):
        return None
    if any(asks_for_default(field) for field in (*fields, getattr(operation, "field", None)) if field is not None):
        return None
    comes_or_goes = len(fields) == 1
    return None if any(needs_care(model, name, comes_or_goes) for model in models) else columns.pop()


def is_plain(field: Field[Any, Any]) -> bool:
    """Whether a field is one column that other tables do not refer to, and that nothing computes."""
    if field.primary_key or field.unique or getattr(field, "generated", False):
        return False
    return isinstance(field, ForeignKey) or not field.is_relation


WITHOUT_DATABASE = frozenset({"builtins", "datetime", "uuid", "django.utils.timezone"})
"""Where functions come from that are defaults and read no table."""


def asks_for_default(field: Field[Any, Any]) -> bool:
    """Whether a default is made by code which may read or fill other tables: that has to find them as they are."""
    default: Any = field.default
    owner = getattr(default, "__self__", default)  # datetime.datetime.now has no module of its own
    return field.has_default() and callable(default) and getattr(owner, "__module__", None) not in WITHOUT_DATABASE


def needs_care(model: ModelState, name: str, comes_or_goes: bool) -> bool:
    """Whether a table is more than its fields, or an index of it names a field that is not always there."""
    if model.options.get("order_with_respect_to"):
        return True
    if any(isinstance(field, CompositePrimaryKey) for field in model.fields.values()):
        return True
    if is_unique_alone(model, name):
        return True  # a foreign key may refer to it, whose column is of its type
    named = {one for index in model.options.get("indexes", ()) for one in index.fields}
    for option in ("unique_together", "index_together"):
        named |= {one for together in model.options.get(option) or () for one in together}
    return comes_or_goes and name in named


def is_unique_alone(model: ModelState, name: str) -> bool:
    """Whether an option makes a field unique."""
    constraints = [one for one in model.options.get("constraints", ()) if isinstance(one, UniqueConstraint)]
    return [name] in [
        *(list(one.fields) for one in constraints),
        *map(list, model.options.get("unique_together") or ()),
    ]
