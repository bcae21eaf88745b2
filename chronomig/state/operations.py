"""What is known of operations: how they change a state, and how much of the models they look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation

from chronomig.state.references import is_of_django


class Reader(Enum):
    """Who reads the models of a state."""

    SCHEMA = "schema editor"
    """Looks at a model and at what it refers to. Sees deleted models while something refers to them still."""
    CODE = "code"
    """May follow any relation, in either direction."""


_SCHEMA_ONLY = frozenset(
    {
        ops.AddConstraint,
        ops.AddField,
        ops.AddIndex,
        ops.AlterField,
        ops.AlterIndexTogether,
        ops.AlterModelManagers,
        ops.AlterModelOptions,
        ops.AlterModelTable,
        ops.AlterModelTableComment,
        ops.AlterOrderWithRespectTo,
        ops.AlterUniqueTogether,
        ops.CreateModel,
        ops.DeleteModel,
        ops.RemoveConstraint,
        ops.RemoveField,
        ops.RemoveIndex,
        ops.RenameField,
        ops.RenameIndex,
        ops.RenameModel,
        ops.RunSQL,
    }
    # AlterConstraint came with Django 6.0.
    | {getattr(ops, name) for name in ("AlterConstraint",) if hasattr(ops, name)}
)
"""They hand models to the schema editor, and change a state through its mutators."""

_POSTGRES = "django.contrib.postgres.operations"
_POSTGRES_SCHEMA_ONLY = frozenset(
    {
        "AddConstraintNotValid",
        "AddIndexConcurrently",
        "BloomExtension",
        "BtreeGinExtension",
        "BtreeGistExtension",
        "CITextExtension",
        "CreateCollation",
        "CreateExtension",
        "CryptoExtension",
        "HStoreExtension",
        "RemoveCollation",
        "RemoveIndexConcurrently",
        "TrigramExtension",
        "UnaccentExtension",
        "ValidateConstraint",
    }
)
"""By name: importing the module needs psycopg."""


def is_schema_only(operation: Operation) -> bool:
    """Whether *operation* hands models to the schema editor, and does nothing else with them."""
    return all(_is_known(one) and not _carries_other_code(one) for one in parts_of(operation))


def parts_of(operation: Operation) -> Iterator[Operation]:
    """Yield *operation*, or what it holds for the database."""
    if type(operation) is ops.SeparateDatabaseAndState:  # by exact type: a subclass may do anything
        for one in operation.database_operations:
            yield from parts_of(one)
    else:
        yield operation


def _carries_other_code(operation: Operation) -> bool:
    """Whether the index or the constraint of *operation* is of a class that Django does not have."""
    return not all(is_of_django(one) for name in ("index", "constraint") if (one := getattr(operation, name, None)))


def uses_mutators_only(operation: Operation) -> bool:
    """Whether *operation* changes a state through its mutators alone, never a model state that it finds there."""
    if type(operation) is ops.SeparateDatabaseAndState:
        return all(map(uses_mutators_only, (*operation.database_operations, *operation.state_operations)))
    if type(operation) is ops.RunSQL:
        return all(map(uses_mutators_only, operation.state_operations))
    return type(operation) is ops.RunPython or _is_known(operation)


def is_opaque(operation: Operation) -> bool:
    """Whether *operation* may do to the database what nobody can tell from it."""
    if type(operation) is ops.SeparateDatabaseAndState:
        return any(map(is_opaque, operation.database_operations))
    return type(operation) is ops.RunSQL or not _is_known(operation)


def _is_known(operation: Operation) -> bool:
    kind = type(operation)
    return kind in _SCHEMA_ONLY or (kind.__module__ == _POSTGRES and kind.__name__ in _POSTGRES_SCHEMA_ONLY)


def reader_of(operation: Operation) -> Reader:
    """Return who looks at the models that *operation* is handed."""
    return Reader.SCHEMA if is_schema_only(operation) else Reader.CODE


_reader: ContextVar[Reader] = ContextVar("reader", default=Reader.CODE)


def current_reader() -> Reader:
    return _reader.get()


@contextmanager
def read_by(reader: Reader) -> Iterator[None]:
    """Hand out models for *reader* inside."""
    token = _reader.set(reader)
    try:
        yield
    finally:
        _reader.reset(token)
