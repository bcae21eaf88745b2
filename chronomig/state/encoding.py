"""
Model states <-> JSON, without executable content.

Objects are written as what their ``deconstruct()`` gives, and made again by calling the class that it names: only
classes that can be deconstructed are ever called. Functions and classes are written by name and looked up.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import re
import types
import uuid
from collections.abc import Callable
from enum import Enum
from importlib import import_module
from typing import Any

from django.db.migrations.state import ModelState
from django.db.models import SET, Field, ManyToManyField
from django.db.models.manager import BaseManager
from django.utils.functional import Promise

Json = Any


class NotEncodable(ValueError):
    """A value that cannot be written so that it comes back the same."""


def encode_model(model: ModelState) -> Json:
    """Return the JSON form of *model*; raise NotEncodable, which names the part."""
    parts = {
        "fields": model.fields,
        "options": model.options,
        "bases": list(model.bases),
        "managers": [list(pair) for pair in sorted(model.managers, key=lambda pair: pair[1].creation_counter)],
    }
    found: dict[str, Json] = {"app_label": model.app_label, "name": model.name}
    for name, part in parts.items():
        try:
            found[name] = encode(part)
        except NotEncodable as error:
            raise NotEncodable(f"{model.app_label}.{model.name}, {name}: {error}") from None
    return found


def encode(value: Any) -> Json:
    """Return the JSON form of *value*; raise NotEncodable."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [encode(one) for one in value]
    if tag := _TAGS.get(kind):
        return {tag: _TO_JSON[tag](value)}
    if isinstance(value, Enum):
        return {"enum": [name_of(kind), value.name]}
    if isinstance(value, str | Promise):  # safe strings, references to settings, translations: as in a migration file
        return str(value)
    if isinstance(value, BaseManager):
        return {"manager": encode(list(value.deconstruct()))}
    if isinstance(value, Field):
        _, path, args, kwargs = value.deconstruct()
        return {"new": [path, encode(list(args)), encode(left_out(value) | kwargs)]}
    if hasattr(value, "deconstruct") and not isinstance(value, type):
        path, args, kwargs = value.deconstruct()
        return {"new": [path, encode(list(args)), encode(kwargs)]}
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return {"name": name_of(value)}
    raise NotEncodable(f"{kind.__name__} {value!r:.80}")


def left_out(field: Field[Any, Any]) -> dict[str, bool]:
    """Return the ``symmetrical`` of a ManyToManyField where it is not the default: its ``deconstruct()`` drops it."""
    remote: Any = field.remote_field
    if not isinstance(field, ManyToManyField) or remote.symmetrical == (remote.model == "self"):
        return {}
    return {"symmetrical": remote.symmetrical}


def decode(form: Json) -> Any:
    """Return the value of a JSON form."""
    if isinstance(form, list):
        return [decode(one) for one in form]
    if not isinstance(form, dict):
        return form
    ((tag, content),) = form.items()
    return _FROM_JSON[tag](content)


def name_of(value: Any) -> str:
    """Return ``module:qualified name``; raise NotEncodable when that does not lead back to *value*."""
    name = f"{getattr(value, '__module__', None)}:{getattr(value, '__qualname__', None)}"
    try:
        found = named(name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if found != value:
        raise NotEncodable(f"{name} cannot be imported")
    return name


def named(name: str) -> Any:
    """Return what ``module:qualified name`` names."""
    module, _, attributes = name.partition(":")
    return functools.reduce(getattr, attributes.split("."), import_module(module))


def _construct(content: Json) -> Any:
    path, args, kwargs = content
    return deconstructible(path)(*decode(args), **decode(kwargs))


def deconstructible(path: str) -> Callable[..., Any]:
    """Return what makes objects that can be deconstructed; nothing else may be called by a snapshot."""
    module, _, attribute = path.rpartition(".")
    found: Any = getattr(import_module(module), attribute)
    if found is SET or (isinstance(found, type) and callable(getattr(found, "deconstruct", None))):
        return found
    raise ValueError(f"{path} makes nothing that can be deconstructed")


def _manager(content: Json) -> Any:
    as_manager, manager_path, queryset_path, args, kwargs = decode(content)
    if as_manager:
        module, _, attribute = queryset_path.rpartition(".")
        return getattr(import_module(module), attribute).as_manager()
    return deconstructible(manager_path)(*(args or ()), **(kwargs or {}))


def _sorted(values: Any) -> list[Json]:
    return sorted((encode(one) for one in values), key=repr)


_TAGS: dict[type, str] = {
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    dict: "dict",
    bytes: "bytes",
    decimal.Decimal: "decimal",
    uuid.UUID: "uuid",
    datetime.datetime: "datetime",
    datetime.date: "date",
    datetime.time: "time",
    datetime.timedelta: "timedelta",
    re.Pattern: "regex",
    functools.partial: "partial",
}
_TO_JSON: dict[str, Callable[[Any], Json]] = {
    "tuple": lambda value: [encode(one) for one in value],
    "set": _sorted,
    "frozenset": _sorted,
    "dict": lambda value: [[encode(key), encode(one)] for key, one in value.items()],
    "bytes": bytes.hex,
    "decimal": str,
    "uuid": str,
    "datetime": lambda value: value.isoformat() if value.tzinfo in (None, datetime.UTC) else _refuse_zone(value),
    "date": datetime.date.isoformat,
    "time": datetime.time.isoformat,
    "timedelta": lambda value: [value.days, value.seconds, value.microseconds],
    "regex": lambda value: [value.pattern, value.flags],
    "partial": lambda value: [encode(value.func), encode(list(value.args)), encode(value.keywords)],
}
_FROM_JSON: dict[str, Callable[[Json], Any]] = {
    "tuple": lambda content: tuple(decode(content)),
    "set": lambda content: set(decode(content)),
    "frozenset": lambda content: frozenset(decode(content)),
    "dict": lambda content: {decode(key): decode(one) for key, one in content},
    "bytes": bytes.fromhex,
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda content: datetime.timedelta(*content),
    "regex": lambda content: re.compile(*content),
    "partial": lambda content: functools.partial(decode(content[0]), *decode(content[1]), **decode(content[2])),
    "enum": lambda content: named(content[0])[content[1]],
    "manager": _manager,
    "new": _construct,
    "name": named,
}


def _refuse_zone(value: datetime.datetime) -> Json:
    raise NotEncodable(f"a datetime with the zone {value.tzinfo}")
