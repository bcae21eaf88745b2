"""Rows for every table of a state, so that something can be lost."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from django.db import Error as DatabaseFault
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.state import ProjectState

ROWS = 2
MIDDAY = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
VALUES: dict[type[models.Field[Any, Any]], Callable[[int], object]] = {
    models.BooleanField: lambda number: number % 2 == 0,
    models.DateTimeField: lambda number: MIDDAY + dt.timedelta(days=number),
    models.DateField: lambda number: (MIDDAY + dt.timedelta(days=number)).date(),
    models.TimeField: lambda number: dt.time(number),
    models.DurationField: lambda number: dt.timedelta(hours=number),
    models.DecimalField: lambda number: Decimal(number) / 10,
    models.IntegerField: lambda number: number,
    models.FloatField: lambda number: number + 0.5,
    models.UUIDField: lambda number: uuid.UUID(int=number),
    models.JSONField: lambda number: {"row": number},
    models.BinaryField: lambda number: bytes([number]),
    models.GenericIPAddressField: lambda number: f"10.0.0.{number}",
    models.EmailField: lambda number: f"row{number}@example.org",
    models.URLField: lambda number: f"https://example.org/{number}",
    models.CharField: lambda number: f"row{number}",
    models.TextField: lambda number: f"row {number}",
    models.FileField: lambda number: f"row{number}.txt",
    models.FilePathField: lambda number: f"row{number}",
}
"""By class, the more special before the more general."""


class Unknown(Exception):
    """A field of a kind that nobody can make up a value for."""


def seed(connection: BaseDatabaseWrapper, state: ProjectState) -> list[str]:
    """Put rows into every empty table of *state*; return the tables that stayed empty."""
    waiting = [
        model
        for model in state.apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]
    while waiting:
        left = [model for model in waiting if not filled(connection, model)]
        if len(left) == len(waiting):
            break
        waiting = left
    return sorted(model._meta.db_table for model in waiting)


def filled(connection: BaseDatabaseWrapper, model: type[models.Model]) -> bool:
    """Whether the table of *model* has rows, or gets some; it waits for those that it refers to."""
    first, *_ = model._meta.local_concrete_fields  # a primary key of several fields has no column of its own
    if values_of(connection, model._meta.db_table, str(first.column)):
        return True
    try:
        with transaction.atomic(connection.alias):
            for number in range(1, ROWS + 1):
                insert(connection, model, number)
            if connection.vendor == "postgresql":
                connection.check_constraints()
    except (DatabaseFault, Unknown):
        return False
    return True


def insert(connection: BaseDatabaseWrapper, model: type[models.Model], number: int) -> None:
    fields: list[Any] = [
        field for field in model._meta.local_concrete_fields if not getattr(field, "generated", False)
    ]
    quote = connection.ops.quote_name
    names = ", ".join(quote(field.column) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    values: list[Any] = [value_of(connection, field, number) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({marks})", values)


def value_of(connection: BaseDatabaseWrapper, field: Any, number: int) -> object:
    """Return what row *number* has in *field*, as the database takes it; raise Unknown."""
    if field.remote_field:
        return reference(connection, field, number)
    if field.choices:
        value = [value for value, _ in field.flatchoices][number % len(field.flatchoices)]
    else:
        make = next((make for kind, make in VALUES.items() if isinstance(field, kind)), None)
        if make is None:
            return field.get_db_prep_save(fallback(field), connection)
        value = make(number)
        if isinstance(value, str) and field.max_length:
            value = value[-field.max_length :]
    return field.get_db_prep_save(value, connection)


def fallback(field: Any) -> object:
    if field.has_default():
        return field.get_default()
    if field.null:
        return None
    raise Unknown


def reference(connection: BaseDatabaseWrapper, field: Any, number: int) -> object:
    """Return a value of what *field* refers to; a row may refer to itself."""
    target = field.target_field
    there = values_of(connection, target.model._meta.db_table, target.column)
    if len(there) >= number:
        return there[number - 1]
    if field.remote_field.model is field.model and not field.null:
        return number
    if field.null:
        return None
    raise Unknown


def values_of(connection: BaseDatabaseWrapper, table: str, column: str) -> list[object]:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {quote(column)} FROM {quote(table)} ORDER BY 1 LIMIT {ROWS}")
        return [row[0] for row in cursor.fetchall()]


def rows_of(connection: BaseDatabaseWrapper, table: str, key: Sequence[str]) -> dict[str, list[object]]:
    """Return {column: values} of a table, the rows in the order of their *key*, without one of all they hold."""
    quote = connection.ops.quote_name
    order = f" ORDER BY {', '.join(map(quote, key))}" if key else ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {quote(table)}{order}")
        names = [one[0] for one in cursor.description]
        rows = cursor.fetchall() if key else sorted(cursor.fetchall(), key=repr)
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
