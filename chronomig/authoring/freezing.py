"""What is recorded of migration files while what they import is there, so that they outlive it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from enum import Enum
from typing import Any, NoReturn

from django.db import OperationalError, connections, models
from django.db.migrations.operations import AddField, AlterField, CreateModel
from django.db.migrations.operations.base import Operation
from django.db.models.fields.related import RelatedField

from chronomig.authoring.copying import reason_for_reference
from chronomig.code.frozen import DEFAULT, Frozen, FrozenDefault, Record
from chronomig.code.loading import Loaded, place_in_graph
from chronomig.sets import MigrationSet
from chronomig.state import NotEncodable
from chronomig.state.encoding import encode
from chronomig.timeline import Entry

LASTING = {"django", "chronomig", "builtins", *sys.stdlib_module_names}
"""The packages that are there as long as the timeline can be used at all."""


def freeze(migration_set: MigrationSet, found: Iterable[tuple[Entry, Loaded]]) -> Entry | None:
    """Return the file of records with those of *found* in it, None when nothing of it changes."""
    frozen = migration_set.frozen
    before = frozen.text()
    found = list(found)
    files = {**frozen.files, **as_recorded(records_of(migration_set, found), frozen.files)}
    operations = {**frozen.operations, **as_recorded(operations_of(migration_set, found), frozen.operations)}
    after = Frozen(frozen.path, files, operations, frozen.without_code).text()
    return Entry("frozen", frozen.path, after.encode()) if after != before else None


def as_recorded(form: Any, before: Any) -> Any:
    """Return the records *form* with what defaults gave *before*: a second call may give something else."""
    if default := default_in(form):
        return before if default_in(before) == default else form
    if isinstance(form, dict) and isinstance(before, dict):
        return {key: as_recorded(value, before.get(key)) for key, value in form.items()}
    if isinstance(form, list) and isinstance(before, list) and len(form) == len(before):
        return list(map(as_recorded, form, before))
    return form


def default_in(form: Any) -> str:
    """Return the function that the JSON form of a default names, an empty text for any other form."""
    match form:
        case {"new": [path, [str(original), _], _]} if path == DEFAULT:
            return original
    return ""


def records_of(
    migration_set: MigrationSet, found: Iterable[tuple[Entry, Loaded]]
) -> dict[str, dict[str, list[Record]]]:
    """Return the records of those files that import something that may go."""
    return {
        entry.name: fields_of(loaded, migration_set.aliases)
        for entry, loaded in found
        if not loaded.stood_in and imports_what_may_go(entry.source)
    }


def operations_of(migration_set: MigrationSet, found: Iterable[tuple[Entry, Loaded]]) -> dict[str, Record]:
    """Return the records of those files that refer to their originals."""
    return {
        entry.name: operations_in(loaded, migration_set.aliases)
        for entry, loaded in found
        if not loaded.stood_in and reason_for_reference(entry)
    }


def imports_what_may_go(source: bytes) -> bool:
    """Whether a file imports anything but Django, the standard library and chronomig."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            if node.level or (node.module or "").partition(".")[0] not in LASTING:
                return True
        elif isinstance(node, ast.Import) and any(
            alias.name.partition(".")[0] not in LASTING for alias in node.names
        ):
            return True
    return False


def fields_of(loaded: Loaded, aliases: Iterable[str]) -> dict[str, list[Record]]:
    """Return {"app.model.field": its records, in the order of the operations}."""
    found: dict[str, list[Record]] = {}
    for key, one in named_fields(loaded):
        found.setdefault(key, []).append(record_of(one, aliases))
    return found


def named_fields(loaded: Loaded) -> Iterator[tuple[str, models.Field[Any, Any]]]:
    for label, operation in loaded.operations:
        if isinstance(operation, CreateModel):
            for name, one in operation.fields:
                yield f"{label}.{operation.name_lower}.{name}", one
        elif isinstance(operation, AddField | AlterField):
            yield f"{label}.{operation.model_name_lower}.{operation.name}", operation.field


def record_of(one: models.Field[Any, Any], aliases: Iterable[str]) -> Record:
    """Return what makes a field again without its class, and without anything that is not Django's."""
    if type(one).__module__.partition(".")[0] == "django":
        _, path, _, kwargs = one.deconstruct()
        return {"base": path, "kwargs": lasting(kwargs)}
    base: Any = next(kind for kind in type(one).__mro__ if is_concrete(kind))
    _, _, _, kwargs = base.deconstruct(one)
    own = type(one)
    return {
        "original": f"{own.__module__}.{own.__qualname__}",
        "base": f"{base.__module__}.{base.__qualname__}",
        "kwargs": lasting(kwargs),
        "internal": one.get_internal_type() or own.__name__,
        "types": {} if issubclass(base, RelatedField) else types_on(one, aliases),
    }


def is_concrete(kind: type) -> bool:
    """Whether a class is a field of Django's that makes a column by itself."""
    return (
        issubclass(kind, models.Field)
        and kind.__module__.partition(".")[0] == "django"
        and kind.__name__ not in ("RelatedField", "ForeignObject")
    )


def types_on(one: models.Field[Any, Any], aliases: Iterable[str]) -> dict[str, str | None]:
    """Return {vendor: type of the column}; a relation takes that of what it refers to."""
    return {connections[alias].vendor: one.db_type(connections[alias]) for alias in aliases}


def lasting(kwargs: dict[str, Any]) -> Any:
    """Return the JSON form of arguments; what names something that may go is left out, a default is called once."""
    kept = {}
    for name, value in kwargs.items():
        value = sample(value) if name == "default" else value
        try:
            form = encode(value)
        except NotEncodable:
            continue
        if lasts(form):
            kept[name] = value
    return encode(kept)


def sample(value: Any) -> Any:
    """Return what stands for a default: for a function, what it gives now; what a member of an enumeration holds."""
    if isinstance(value, Enum):
        return value.value
    if callable(value) and getattr(value, "__module__", "").partition(".")[0] not in LASTING:
        return FrozenDefault(named_in(value), given_by(value))
    return value


def given_by(default: Callable[[], Any]) -> Any:
    """Return what a default gives without a database; None where it needs one, or fails."""
    with suppress(Exception), ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(refuse_query))
        return default()
    return None


def refuse_query(execute: Any, sql: str, params: Any, many: bool, context: Any) -> NoReturn:
    """The table may not be there, which breaks a transaction; and a key of one database says nothing of another."""
    raise OperationalError("A default is recorded without a database.")


def lasts(form: Any) -> bool:
    """Whether a JSON form names nothing but what lasts."""
    if isinstance(form, list):
        return all(map(lasts, form))
    if not isinstance(form, dict):
        return True
    ((tag, content),) = form.items()
    if tag in ("name", "enum", "new"):
        named = content if tag == "name" else content[0]
        return named.replace(":", ".").partition(".")[0] in LASTING and lasts(content)
    return tag != "manager" and lasts(content)


def operations_in(loaded: Loaded, aliases: Sequence[str]) -> Record:
    """Return what makes the operations of a file again, and its place among others."""
    after, before = place_in_graph(loaded)
    overrides = loaded.overrides_execution
    return {
        "atomic": loaded.atomic,
        "dependencies": after,
        "run_before": before,
        "overrides": f"{type(loaded.source).__module__}.Migration" if overrides else "",
        "operations": [operation_record(operation, aliases) for _, operation in loaded.operations],
    }


def operation_record(operation: Operation, aliases: Sequence[str]) -> Record:
    """Return what makes an operation again; of one that needs code that may go, the name of that."""
    kind = type(operation)
    _, args, kwargs = operation.deconstruct()
    if isinstance(operation, CreateModel):
        kwargs = created(operation)
    try:
        if kind.__module__.partition(".")[0] != "django":
            raise NotEncodable(f"{kind.__module__}.{kind.__qualname__}")
        return {
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "args": [argument(one, aliases) for one in args],
            "kwargs": {name: argument(one, aliases) for name, one in kwargs.items()},
        }
    except NotEncodable as error:
        return {"gone": str(error)}


def created(operation: CreateModel) -> dict[str, Any]:
    """Return the arguments of a CreateModel that last; managers make no difference to a schema."""
    options = {name: value for name, value in operation.options.items() if is_lasting(value)}
    bases = [base for base in operation.bases or () if is_lasting(base)]
    fields = [[name, one] for name, one in operation.fields]
    return {"name": operation.name, "fields": fields, "options": options, "bases": tuple(bases) or (models.Model,)}


def argument(value: Any, aliases: Sequence[str]) -> Record:
    """Return the record of an operation's argument; raise NotEncodable, which names what may go."""
    if isinstance(value, Operation):
        record = operation_record(value, aliases)
        if "gone" in record:
            raise NotEncodable(record["gone"])
        return {"operation": record}
    if isinstance(value, models.Field):
        return {"field": record_of(value, aliases)}
    if type(value) is list:
        return {"list": [argument(one, aliases) for one in value]}
    form = encode(value)
    if not lasts(form):
        raise NotEncodable(named_in(value))
    return {"value": form}


def named_in(value: Any) -> str:
    """Return the dotted name of a function or class, or that of a value's class."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def is_lasting(value: Any) -> bool:
    try:
        return lasts(encode(value))
    except NotEncodable:
        return False
