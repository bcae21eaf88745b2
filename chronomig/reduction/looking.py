"""What a model state says of its table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from django.db import models
from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation
from django.db.models import Field

Key = tuple[str, str]
"""(app label, lower-case model name)"""
AnyField: TypeAlias = "Field[Any, Any]"

PLAIN: frozenset[type] = frozenset(
    {
        models.BigIntegerField,
        models.BinaryField,
        models.BooleanField,
        models.CharField,
        models.DateField,
        models.DateTimeField,
        models.DecimalField,
        models.DurationField,
        models.EmailField,
        models.FileField,
        models.FilePathField,
        models.FloatField,
        models.GenericIPAddressField,
        models.ImageField,
        models.IntegerField,
        models.SlugField,
        models.SmallIntegerField,
        models.TextField,
        models.TimeField,
        models.URLField,
        models.UUIDField,
    }
)
"""
A column and nothing besides: no foreign key, no sequence, no check (whose name depends on how it came, and which
MariaDB forgets when the column is altered). By exact type.
"""
FOREIGN: frozenset[type] = frozenset({models.ForeignKey, models.OneToOneField})
AUTO: frozenset[type] = frozenset({models.AutoField, models.BigAutoField, models.SmallAutoField})


def needs(model: ModelState) -> frozenset[Key]:
    """Return the models whose tables have to be there before that of *model*; itself is not among them."""
    return frozenset(_needs(model)) - {(model.app_label, model.name_lower)}


def _needs(model: ModelState) -> Iterator[Key]:
    for base in model.bases:
        if isinstance(base, str):
            yield resolve_relation(base, model.app_label)
        elif issubclass(base, models.Model) and base is not models.Model and not base._meta.abstract:
            yield base._meta.app_label, str(base._meta.model_name)
    for field in every_field(model):
        remote: Any = field.remote_field
        # A many-to-many relation through a model has no table of its own.
        if remote and getattr(remote, "model", None) and not getattr(remote, "through", None):
            yield resolve_relation(remote.model, model.app_label, model.name_lower)


def every_field(model: ModelState) -> list[AnyField]:
    """Return the fields of *model*, those of its abstract bases included."""
    bases = [base for base in model.bases if isinstance(base, type) and issubclass(base, models.Model)]
    abstract = [base._meta for base in bases if base is not models.Model and base._meta.abstract]
    return [
        *model.fields.values(),
        *(one for meta in abstract for one in (*meta.local_fields, *meta.local_many_to_many)),
    ]


def options_of(model: ModelState, name: str) -> list[Any]:
    return list(model.options.get(name) or ())


def together(model: ModelState) -> set[tuple[str, ...]]:
    return {tuple(names) for names in options_of(model, "unique_together")}


def members(model: ModelState) -> set[str]:
    """Return the names of the fields that indexes, constraints and other options stand on."""
    found = {name for names in (*together(model), *options_of(model, "index_together")) for name in names}
    for one in (*options_of(model, "indexes"), *options_of(model, "constraints")):
        found |= {name.lstrip("-") for name in (*getattr(one, "fields", ()), *(getattr(one, "include", None) or ()))}
    return found | {str(model.options.get("order_with_respect_to") or "")}


def has_expressions(model: ModelState) -> bool:
    """Whether something of the table stands on fields that cannot be read off."""
    named = (*options_of(model, "indexes"), *options_of(model, "constraints"))
    return any(map(_is_expressive, named)) or any(
        getattr(field, "generated", False) or hasattr(field, "field_names") for field in every_field(model)
    )


def _is_expressive(one: Any) -> bool:
    simple = type(one) in (models.Index, models.UniqueConstraint)
    return not simple or bool(one.expressions) or one.condition is not None


def is_indexed(field: Any) -> bool:
    return bool(field.db_index or field.unique)


def is_bare(field: AnyField) -> bool:
    """Whether a column has nothing that is named after it."""
    return type(field) in PLAIN and not is_indexed(field)


def is_ordinary(field: AnyField) -> bool:
    """Whether a field adds nothing but itself to its model, and nothing but a column to its table."""
    kind = type(field)
    spatial = any(base.__module__.startswith("django.contrib.gis") for base in kind.__mro__)
    own_code = not kind.contribute_to_class.__module__.startswith("django.")
    return not (spatial or own_code or getattr(field, "generated", False) or hasattr(field, "field_names"))


def named(model: ModelState, option: str, name: str) -> Any:
    """Return the index or constraint of that name, None where there is none."""
    return next((one for one in options_of(model, option) if one.name == name), None)
