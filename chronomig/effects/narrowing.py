"""Whether the values of a column survive a change of its field."""

from __future__ import annotations

from typing import Any

from django.db.models import Field

WIDTH = {
    "SmallIntegerField": 2,
    "PositiveSmallIntegerField": 2,
    "SmallAutoField": 2,
    "IntegerField": 4,
    "PositiveIntegerField": 4,
    "AutoField": 4,
    "BigIntegerField": 8,
    "PositiveBigIntegerField": 8,
    "BigAutoField": 8,
}
"""Of integers, in bytes."""
TEXT = frozenset({"CharField", "TextField", "SlugField", "EmailField", "URLField", "FileField", "FilePathField"})
RELATIONS = frozenset({"ForeignKey", "OneToOneField"})
KEPT_AS_TEXT = frozenset({*WIDTH, "BooleanField", "DateField", "DecimalField", "UUIDField"})
"""Whose values a text without a limit holds in full, on every database."""
EXACT_IN_A_FLOAT = frozenset(kind for kind, width in WIDTH.items() if width <= 4)
"""A double has 53 bits."""
WIDENINGS = frozenset(
    {("DateField", "DateTimeField"), *(("BooleanField", number) for number in WIDTH)}
    | {(kind, "TextField") for kind in KEPT_AS_TEXT}
    | {(kind, "FloatField") for kind in EXACT_IN_A_FLOAT}
)
DIGITS = {2: 5, 4: 10, 8: 19}
"""How many digits the greatest integer has, by its width."""


def narrows(old: Field[Any, Any], new: Field[Any, Any]) -> bool:
    """Whether a value can be cut, rounded or refused by the change; what is not known to keep all of them narrows."""
    before, after = old.get_internal_type(), new.get_internal_type()
    if before in RELATIONS and after in RELATIONS:
        return False
    if before in WIDTH and after in WIDTH:
        loses_its_sign = after.startswith("Positive") and not before.startswith("Positive")
        return WIDTH[after] < WIDTH[before] or loses_its_sign
    if before in TEXT and after in TEXT:
        return length(new) < length(old)
    if before in WIDTH and after == "DecimalField":
        return whole(new) < DIGITS[WIDTH[before]]
    if before == after == "ArrayField":
        return narrows(old.base_field, new.base_field)  # type: ignore[attr-defined]
    if before == after == "DecimalField":
        return scale(new) < scale(old) or whole(new) < whole(old)
    return (before != after and (before, after) not in WIDENINGS) or length(new) < length(old)


def longest(old: Field[Any, Any], new: Field[Any, Any]) -> int | None:
    """Return how long a text may be that survives; None where that does not decide."""
    limit = length(new)
    return int(limit) if {old.get_internal_type(), new.get_internal_type()} <= TEXT and limit < length(old) else None


def between(old: Field[Any, Any], new: Field[Any, Any]) -> tuple[int, int] | None:
    """Return the least and the greatest number that survives; None where that does not decide."""
    before, after = old.get_internal_type(), new.get_internal_type()
    if before not in WIDTH or after not in WIDTH:
        return None
    half = 2 ** (8 * WIDTH[after] - 1)
    return (0 if after.startswith("Positive") else -half), half - 1


def length(field: Field[Any, Any]) -> float:
    """Return how many characters fit; a TextField's max_length is for forms only."""
    limit = None if field.get_internal_type() == "TextField" else getattr(field, "max_length", None)
    return float("inf") if limit is None else limit


def scale(field: Any) -> float:
    return float("inf") if field.decimal_places is None else field.decimal_places


def whole(field: Any) -> float:
    return float("inf") if field.max_digits is None else field.max_digits - (field.decimal_places or 0)


def kind(field: Field[Any, Any]) -> str:
    """Name a field's type as a person wrote it: ``CharField(20)``, ``ArrayField(FloatField)``."""
    base = getattr(field, "base_field", None)
    limit = kind(base) if base is not None else getattr(field, "max_length", None)
    return type(field).__name__ + (f"({limit})" if limit else "")
