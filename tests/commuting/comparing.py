"""What a database and a state are, in a form in which two orders of the same operations must be equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.schema import dump

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.state import ProjectState


@dataclass(frozen=True)
class Outcome:
    """What a database and a state are after operations."""

    state: Any
    schema: Any
    rows: Any


def outcome_of(connection: BaseDatabaseWrapper, state: ProjectState) -> Outcome:
    return Outcome(comparable(state), comparable_schema(connection), rows(connection))


def comparable(state: ProjectState) -> Any:
    """Return a state without the order of its fields, indexes and constraints, which is that of the operations."""
    return {key: model_as_data(model) for key, model in state.models.items()}


def model_as_data(model: Any) -> Any:
    options = {name: value for name, value in model.options.items() if name not in ("indexes", "constraints")}
    parts = [*model.options.get("indexes", ()), *model.options.get("constraints", ())]
    return {
        "name": model.name,
        "fields": {name: repr(one.deconstruct()[1:]) for name, one in model.fields.items()},
        "options": {name: repr(value) for name, value in options.items() if value},
        "parts": sorted(repr(one.deconstruct()) for one in parts),
        "bases": repr(model.bases),
        "managers": repr([(name, type(manager)) for name, manager in model.managers]),
    }


def comparable_schema(connection: BaseDatabaseWrapper) -> Any:
    """Return the schema without the order of columns, and without names that Django makes up."""
    return {
        table: {"columns": sorted(one["columns"]), "constraints": sorted(map(repr, one["constraints"].values()))}
        for table, one in dump(connection).items()
    }


def rows(connection: BaseDatabaseWrapper) -> Any:
    found = {}
    with connection.cursor() as cursor:
        for table in dump(connection):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            names = [one[0] for one in cursor.description]
            found[table] = sorted(repr(sorted(zip(names, row, strict=True))) for row in cursor.fetchall())
    return found


def difference(one: Outcome | str, other: Outcome | str) -> str:
    """Say for a person in what the two ends differ; an end is an error, or what is there."""
    if isinstance(one, str) or isinstance(other, str):
        return f"{one if isinstance(one, str) else 'done'} / {other if isinstance(other, str) else 'done'}"
    for part in ("state", "schema", "rows"):
        mine, theirs = getattr(one, part), getattr(other, part)
        if mine != theirs:
            keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
            return f"{part} of {keys[0]}: {different(mine.get(keys[0]), theirs.get(keys[0]))}"
    return "nothing"


def different(one: Any, other: Any) -> str:
    """Name only the parts that differ."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return f"{one} != {other}"
    return str({key: (one.get(key), other.get(key)) for key in {**one, **other} if one.get(key) != other.get(key)})
