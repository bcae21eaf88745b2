"""
Frozen fields: what was recorded of the fields in a file stands in for them once their classes are gone. Of a file
that refers to its original, the operations are recorded, too.

A record holds the field of Django's that a custom one is built on, the arguments that this one takes, and the type of
the column on the databases that the project uses. ``frozen.json`` in the folder of a set holds those of its files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations import AddField, AlterField, CreateModel, RunPython
from django.db.migrations.operations.base import Operation

from chronomig.code.standins import StandIn, contains_stand_in
from chronomig.errors import LoadError, in_words
from chronomig.state.encoding import decode

FILE_NAME = "frozen.json"
SCHEMA = "chronomig.frozen/1"
DEFAULT = f"{__name__}.FrozenDefault"
"""What the record of a default names as its class."""
Record = Mapping[str, Any]


class FrozenField(models.Field):  # type: ignore[type-arg]  # not subscriptable at run time
    """The stand-in for a custom field: a field of Django's, with the column type that was recorded."""

    def __new__(cls, *args: Any, base: str = "", **kwargs: Any) -> FrozenField:
        return super().__new__(frozen_class(base) if cls is FrozenField else cls)

    def __init__(
        self, *args: Any, original: str, base: str, internal: str, types: Mapping[str, str | None], **kwargs: Any
    ) -> None:
        self.original = original
        """The dotted name of the class that it stands in for."""
        self.base, self.internal, self.types = base, internal, dict(types)
        super().__init__(*args, **kwargs)

    def get_internal_type(self) -> str:
        return self.internal

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """The recorded type; on a database that was not recorded, that of the field it is built on."""
        return self.types[connection.vendor] if connection.vendor in self.types else super().db_type(connection)

    def get_attname_column(self) -> Any:
        """A field that has no type anywhere (a manager of tags, say) has no column."""
        attname, column = super().get_attname_column()
        return attname, column if not self.types or any(self.types.values()) else None

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        kept = {"original": self.original, "base": self.base, "internal": self.internal, "types": self.types}
        return name, f"{__name__}.FrozenField", args, {**kwargs, **kept}


@dataclass(frozen=True)
class FrozenDefault:
    """Stands for a default that is a function: gives what that gave, and equals it wherever it was the default."""

    original: str
    """The dotted name of the function."""
    value: Any = field(compare=False)
    """None also for what needs a database, or failed."""

    def __call__(self) -> Any:
        return self.value

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return DEFAULT, [self.original, self.value], {}


@cache
def frozen_class(base: str) -> type[FrozenField]:
    """Return the frozen field that is built on a field of Django's, named by its path."""
    module, _, name = base.rpartition(".")
    kind = getattr(import_module(module), name)
    bases = (FrozenField,) if kind is models.Field else (FrozenField, kind)
    return type(f"Frozen{name}", bases, {"__module__": __name__})


@dataclass
class Frozen:
    """The records of one set."""

    path: Path
    files: dict[str, dict[str, list[Record]]] = field(default_factory=dict)
    """{migration: {"app.model.field": its records, in the order of the operations}}"""
    operations: dict[str, Record] = field(default_factory=dict)
    """{migration that refers to its original: what its operations are}"""
    without_code: set[str] = field(default_factory=set)
    """The migrations whose code may be left out where what it needs is gone, because the user said so."""

    def text(self) -> str:
        """Return what the file holds."""
        content = {"schema": SCHEMA, "without_code": sorted(self.without_code), "files": self.files}
        content |= {"operations": self.operations} if self.operations else {}
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_frozen(directory: Path) -> Frozen:
    """Return the records of the set in *directory*, none where there is no file; raise LoadError."""
    path = directory / FILE_NAME
    try:
        content = json.loads(path.read_bytes())
        operations = dict(content.get("operations", {}))
        return Frozen(path, dict(content["files"]), operations, set(content["without_code"]))
    except (FileNotFoundError, NotADirectoryError):
        return Frozen(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(
            f"{path} cannot be read.",
            cause=in_words(error),
            next_step="Restore it; or delete it, and run chronomig freeze while all packages are there.",
        ) from error


class LeftOut(RunPython):
    """Stands where code stood that nobody can run any more."""

    def __init__(self, described: str) -> None:
        self.described = described
        super().__init__(RunPython.noop, RunPython.noop, elidable=True)

    def describe(self) -> str:
        return f"Left out: {self.described}"


class Thawing:
    """The operations of one file, with fields from their records."""

    def __init__(self, name: str, records: Mapping[str, Sequence[Record]]) -> None:
        self.name = name
        self.records = records
        self.taken: Counter[str] = Counter()

    def thaw(self, app_label: str, operation: Any) -> None:
        """Give an operation, in place, the fields that were recorded, and take from it what only code needs."""
        if isinstance(operation, CreateModel):
            model = f"{app_label}.{operation.name_lower}"
            operation.fields = [(name, self._take(f"{model}.{name}", one)) for name, one in operation.fields]
            operation.bases = tuple(without_stand_ins(operation.bases or ())) or (models.Model,)
            operation.managers = [pair for pair in operation.managers or () if not contains_stand_in(pair)]
        elif isinstance(operation, AddField | AlterField):
            key = f"{app_label}.{operation.model_name_lower}.{operation.name}"
            operation.field = self._take(key, operation.field)

    def _take(self, key: str, there: Any) -> Any:
        records = self.records.get(key, [])
        number = self.taken[key]
        self.taken[key] += 1
        if number < len(records):
            return made_from(records[number])
        if isinstance(there, models.Field) and not contains_stand_in(list(vars(there).values())):
            return there
        raise LoadError(
            f"{self.name}: the field {key} needs a class that is gone, and was not recorded.",
            cause=f"{FILE_NAME} has {len(records)} of its {number + 1} forms.",
            next_step="Install the package again, then run chronomig freeze.",
        )


def without_stand_ins(values: Sequence[Any]) -> Iterator[Any]:
    return (value for value in values if not isinstance(value, StandIn))


def made_from(record: Record) -> models.Field[Any, Any]:
    """Return the field of a record; only fields of Django's are ever made."""
    kwargs = decode(record["kwargs"])
    if "original" in record:
        kept = {key: record[key] for key in ("original", "base", "internal", "types")}
        return FrozenField(**kwargs, **kept)
    module, _, name = record["base"].rpartition(".")
    if module.partition(".")[0] != "django":
        raise LoadError(f"{FILE_NAME} names {record['base']}, which is no field of Django's.")
    made: models.Field[Any, Any] = getattr(import_module(module), name)(**kwargs)
    return made


def operation_from(record: Record) -> Operation:
    """Return the operation of a record; only operations of Django's are ever made."""
    kind = operation_of_django(record["class"])
    kwargs = {name: value_from(form) for name, form in record["kwargs"].items()}
    made: Operation = kind(*map(value_from, record["args"]), **kwargs)
    return made


def operation_of_django(path: str) -> Any:
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name, None) if module.partition(".")[0] == "django" else None
    if not isinstance(found, type) or not issubclass(found, Operation):
        raise LoadError(f"{FILE_NAME} names {path}, which is no operation of Django's.")
    return found


def value_from(form: Record) -> Any:
    """Return an argument of an operation: operations and fields in it have records of their own."""
    ((tag, content),) = form.items()
    match tag:
        case "operation":
            return operation_from(content)
        case "field":
            return made_from(content)
        case "list":
            return [value_from(one) for one in content]
    return decode(content)
