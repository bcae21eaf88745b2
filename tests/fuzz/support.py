"""What the text of an operation may name: managers, bases, and code that works on historical models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.apps.registry import Apps
from django.db import DatabaseError, connections, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

__all__ = ["UUID", "Decimal", "date", "datetime", "time", "timedelta"]

Code = Callable[[Apps, BaseDatabaseSchemaEditor], None]

JOURNAL: list[str] = []
"""What code found; emptied by whoever compares."""


class Shouting(models.QuerySet[Any]):
    def loud(self) -> Shouting:
        return self.order_by("pk")


class Keeper(models.Manager[Any]):
    """A manager that comes along into migrations."""

    use_in_migrations = True

    def __init__(self, limit: int = 5) -> None:
        super().__init__()
        self.limit = limit

    def few(self) -> list[Any]:
        return list(self.order_by("pk")[: self.limit])


class ShoutingKeeper(Keeper.from_queryset(Shouting)):  # type: ignore[misc]
    use_in_migrations = True


class Plain:
    """A base that is no model."""

    def tell(self) -> str:
        return f"{type(self).__name__} {self.pk}"  # type: ignore[attr-defined]


class Marked(models.Model):
    """An abstract base, which brings a field."""

    mark = models.IntegerField(default=7)

    class Meta:
        abstract = True
        app_label = "fuzz"


# Code for RunPython. Every function returns code that writes what it finds into the journal.


def creating(label: str, number: int, *, count: int = 2) -> Code:
    """Create rows of a model, with what they need."""

    def work(model: type[models.Model], alias: str) -> None:
        for index in range(count):
            with told(alias, f"create {label}"):
                make(model, alias, number + index)

    return on(label, work)


def updating(label: str, number: int) -> Code:
    """Save rows one by one, and update all in one statement."""

    def work(model: type[models.Model], alias: str) -> None:
        rows = model._base_manager.using(alias)
        for one in rows.order_by("pk")[:3]:
            with told(alias, f"save {label}"):
                for field in settable(model):
                    if field.null and number % 2:
                        setattr(one, field.attname, None)
                one.save(using=alias)
        plain = [field for field in settable(model) if not field.is_relation and not field.unique]
        if plain:
            field = plain[number % len(plain)]
            with told(alias, f"update {label}.{field.name}"):
                JOURNAL.append(str(rows.update(**{field.name: value_of(field, number)})))

    return on(label, work)


def deleting(label: str, number: int, *, count: int = 1) -> Code:
    """Delete rows, and what goes with them."""

    def work(model: type[models.Model], alias: str) -> None:
        for one in model._base_manager.using(alias).order_by("pk")[:count]:
            with told(alias, f"delete {label}"):
                total, by_model = one.delete(using=alias)
                JOURNAL.append(f"{total} {sorted(by_model.items())}")

    return on(label, work)


def emptying(label: str, number: int) -> Code:
    """Delete every row in one statement of the ORM."""

    def work(model: type[models.Model], alias: str) -> None:
        with told(alias, f"empty {label}"):
            total, by_model = model._base_manager.using(alias).all().delete()
            JOURNAL.append(f"{total} {sorted(by_model.items())}")

    return on(label, work)


def relating(label: str, number: int) -> Code:
    """Add to ManyToManyFields, from both sides."""

    def work(model: type[models.Model], alias: str) -> None:
        one = model._base_manager.using(alias).order_by("pk").first()
        if one is None:
            return
        for field in sorted(model._meta.many_to_many, key=lambda field: field.name):
            if field.remote_field.through._meta.auto_created:
                others = field.related_model._base_manager.using(alias).order_by("pk")[:2]
                with told(alias, f"add to {label}.{field.name}"):
                    getattr(one, field.name).add(*others)
                    JOURNAL.append(str(getattr(one, field.name).count()))

    return on(label, work)


def walking(label: str, number: int) -> Code:
    """Read along every relation there is: forward, backward, joined, prefetched."""

    def work(model: type[models.Model], alias: str) -> None:
        rows = model._base_manager.using(alias).order_by("pk")
        for relation in sorted(
            model._meta.related_objects, key=lambda one: (one.name, one.related_model._meta.label)
        ):
            look_back(model, relation, rows, alias)
        for field in sorted(model._meta.get_fields(), key=lambda one: one.name):
            if field.is_relation and field.concrete and field.related_model is not None:
                with told(alias, f"along {label}.{field.name}"):
                    joined = (
                        rows.prefetch_related(field.name) if field.many_to_many else rows.select_related(field.name)
                    )
                    JOURNAL.append(str([str(getattr(one, f"{field.name}_id", one.pk)) for one in joined]))
        for manager in model._meta.managers:
            JOURNAL.append(f"{manager.name} {type(manager).__name__} {getattr(manager, 'limit', '')}")

    return on(label, work)


def looking(label: str, number: int) -> Code:
    """Describe a model and its neighbours as code sees them."""

    def work(model: type[models.Model], alias: str) -> None:
        from tests.fuzz.views import describe

        JOURNAL.append(str(describe(model)))
        for field in model._meta.get_fields():
            if isinstance(field.related_model, type):
                JOURNAL.append(str(describe(field.related_model)))

    return on(label, work)


def look_back(model: type[models.Model], relation: Any, rows: Any, alias: str) -> None:
    accessor = relation.get_accessor_name()
    with told(alias, f"back {model._meta.label}.{accessor}"):
        if not hasattr(model, accessor or ""):
            JOURNAL.append("hidden")
            return
        JOURNAL.append(
            str(
                rows.filter(
                    **{
                        f"{relation.related_query_name() if callable(getattr(relation, 'related_query_name', None)) else relation.name}__isnull": False
                    }
                )
                .distinct()
                .count()
            )
        )
        for one in rows.prefetch_related(accessor)[:3]:
            found = getattr(one, accessor, None)
            near = sorted(str(other.pk) for other in found.all()) if relation.multiple else str(found and found.pk)
            JOURNAL.append(f"{one.pk}: {near}")


# What the code is made of


def on(label: str, work: Callable[[type[models.Model], str], None]) -> Code:
    """Return code that works on one model, if it is there."""

    def code(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
        try:
            model = apps.get_model(label)
        except LookupError:
            JOURNAL.append(f"no {label}")
            return
        if model._meta.swapped or not model._meta.managed:
            JOURNAL.append(f"no table for {label}")
            return
        work(model, editor.connection.alias)

    return code


@contextmanager
def told(alias: str, what: str) -> Iterator[None]:
    """Write into the journal what is done, and the error that it ends in; the database goes on."""
    JOURNAL.append(what)
    try:
        with transaction.atomic(using=alias):
            yield
            if connections[alias].vendor == "postgresql":  # what is deferred stands in the way of later operations
                connections[alias].check_constraints()
    except (DatabaseError, models.ProtectedError, models.RestrictedError, models.ObjectDoesNotExist) as error:
        JOURNAL.append(f"{type(error).__name__}")


def settable(model: type[models.Model]) -> list[Any]:
    """Return the fields of a row that code gives values to."""
    return [
        field
        for field in model._meta.concrete_fields
        if not field.generated
        and not isinstance(field, models.AutoField)
        and not isinstance(field, models.OrderWrt)
        and not getattr(field.remote_field, "parent_link", False)
        and not hasattr(field, "field_names")
    ]


def make(model: type[models.Model], alias: str, number: int, depth: int = 0) -> models.Model:
    """Create a row whose values follow from *number*."""
    values = {}
    for field in settable(model):
        if field.is_relation:
            values[field.name] = other_end(field, alias, number, depth)
        elif not (field.has_default() and number % 3 == 0 and not field.unique):
            values[field.name] = value_of(field, number)
    return model._base_manager.using(alias).create(**values)


def other_end(field: Any, alias: str, number: int, depth: int) -> models.Model | None:
    """Return a row for a foreign key: one that is there, or a new one."""
    if field.null and (number % 2 or depth > 3):
        return None
    found = None if field.unique else field.related_model._base_manager.using(alias).order_by("pk").first()
    if found is not None or depth > 3:
        return found
    return make(field.related_model, alias, number, depth + 1)


def value_of(field: Any, number: int) -> Any:
    """Return a value for *field*: another one for another *number*."""
    if field.choices:
        return field.choices[number % len(field.choices)][0]
    kind = field.get_internal_type()
    if kind in VALUES:
        return VALUES[kind](number)
    return str(number)[
        : getattr(field, "max_length", None) or 30
    ]  # also a number, for columns that change their type


VALUES: dict[str, Callable[[int], Any]] = {
    **dict.fromkeys(("IntegerField", "BigIntegerField", "SmallIntegerField"), lambda n: n % 30_000),
    **dict.fromkeys(
        ("PositiveIntegerField", "PositiveSmallIntegerField", "PositiveBigIntegerField"), lambda n: n % 30_000
    ),
    "BooleanField": lambda n: n % 2 == 0,
    "DecimalField": lambda n: Decimal(n % 1000) / 4,
    "FloatField": lambda n: n / 4,
    "DateField": lambda n: date(2020, 1, 1) + timedelta(days=n % 5000),
    "DateTimeField": lambda n: datetime.fromisoformat("2020-01-01T00:00:00+00:00") + timedelta(minutes=n),
    "TimeField": lambda n: time(n % 24, n % 60),
    "DurationField": lambda n: timedelta(seconds=n),
    "UUIDField": lambda n: UUID(int=n),
    "JSONField": lambda n: {"n": n, "list": [1, 2]},
    "BinaryField": lambda n: str(n).encode(),
    "GenericIPAddressField": lambda n: f"10.0.{n // 250 % 250}.{n % 250}",
    "EmailField": lambda n: f"a{n}@b.de",
    "URLField": lambda n: f"http://b.de/{n}",
}
