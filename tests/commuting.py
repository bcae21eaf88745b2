"""
Whether operations that the analysis calls commuting do commute: on a real database, with rows, both ways round.

From a random set of models and random operations on it, the last operation is put before all others. ``python -m
tests.commuting sqlite 0 50 2`` tries pairs on 50 sets of models, and counts how often the analysis says no although
yes were right, per kind of pair.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.migrations import operations as ops
from django.db.migrations.questioner import MigrationQuestioner
from django.test.utils import override_settings

from chronomig.detect import detect
from chronomig.effects import commute
from chronomig.state import ProjectState
from tests.changes import Changes
from tests.databases import TestDatabase, unique_names
from tests.inprocess import apply, connected, drop_everything, states_along
from tests.modelsets import Draw, user_is_swapped_in
from tests.schema import dump

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.loading import Labelled

ROWS = (1, 2)


@dataclass(frozen=True)
class Outcome:
    """What a database and a state are after operations."""

    state: Any
    schema: Any
    rows: Any


@dataclass
class Tally:
    """How often the analysis said what, and what was true."""

    right_yes: Counter[str] = field(default_factory=Counter)
    right_no: Counter[str] = field(default_factory=Counter)
    needless_no: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return self.right_yes.total() + self.right_no.total() + self.needless_no.total()


class Ground:
    """A random set of models with rows in a database, from which operations can be tried and taken back."""

    def __init__(self, connection: BaseDatabaseWrapper, seed: int) -> None:
        self.connection = connection
        self.random = Random(seed)
        made = Draw(seed, size=5).valid(Draw(seed, size=5).first)[1]
        with override_settings(**user_is_swapped_in(made)):
            operations = [unbound(one) for one in detect(ProjectState(), made.clone(), MigrationQuestioner())]
            apply(connection, ProjectState(), operations)
            self.state = states_along(ProjectState(), operations)[-1]
            self.settings = user_is_swapped_in(made)
            self.fill()

    def fill(self) -> None:
        """Put rows into every table: in row n every number and every reference is n."""
        with self.connection.constraint_checks_disabled(), self.connection.cursor() as cursor:
            if self.connection.vendor == "postgresql":
                cursor.execute("SET session_replication_role = replica")
            for model in self.state.apps.get_models(include_auto_created=True):
                if model._meta.proxy:
                    continue
                columns = [one.column for one in model._meta.local_concrete_fields]
                for row in ROWS:
                    names = ", ".join(map(self.connection.ops.quote_name, columns))
                    marks = ", ".join(["%s"] * len(columns))
                    table = self.connection.ops.quote_name(model._meta.db_table)
                    cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [row] * len(columns))
            if self.connection.vendor == "postgresql":
                cursor.execute("SET session_replication_role = DEFAULT")

    def draw(self, count: int) -> list[Labelled]:
        """Return operations, each of which could come after those before it; fewer where a state refuses one."""
        found: list[Labelled] = []
        state = self.state
        for _ in range(20):
            if len(found) == count or not state.models:
                break
            one = Changes(self.random, state).operation()
            try:
                if is_taken(state, *one) or leaves_a_hole(state, *one):
                    continue
                after = state.after(*one)
                after.validate()
            except Exception:
                continue
            found.append(one)
            state = after
        return found

    def outcome(self, operations: Sequence[Labelled]) -> Outcome | str:
        """Return what *operations* lead to, or the error that one of them ends in; take them back."""
        with self.taken_back():
            try:
                # Rendered anew: what fails in the middle of a table leaves Django's fields changed (_remake_table).
                state = ProjectState(dict(self.state.models))
                for one in operations:
                    with transaction.atomic(self.connection.alias):
                        state = apply(self.connection, state, [one])
                state.validate()
                return Outcome(comparable(state), comparable_schema(self.connection), rows(self.connection))
            except Exception as error:
                return f"{type(error).__name__}: {error}"
        raise AssertionError

    @contextmanager
    def taken_back(self) -> Iterator[None]:
        with (
            override_settings(**self.settings),
            self.connection.constraint_checks_disabled(),
            transaction.atomic(self.connection.alias),
        ):
            yield
            transaction.set_rollback(True, self.connection.alias)


def unbound(labelled: Labelled) -> Labelled:
    """Return an operation as a file has it: the autodetector's fields know a name."""
    label, operation = labelled
    if isinstance(operation, ops.CreateModel):
        operation.fields = [(name, field.clone()) for name, field in operation.fields]
    elif isinstance(operation, ops.AddField):
        operation.field = operation.field.clone()
    return label, operation


def is_taken(state: ProjectState, label: str, operation: Any) -> bool:
    """Whether an operation makes something under a name that is taken: states take it, databases need not."""
    match operation:
        case ops.SeparateDatabaseAndState():
            return any(is_taken(state, label, inner) for inner in operation.state_operations)
        case ops.CreateModel():
            return (label, operation.name_lower) in state.models
        case ops.RenameModel():
            return (label, operation.new_name_lower) in state.models
        case ops.AddField():
            return operation.name in state.models[label, operation.model_name_lower].fields
        case ops.RenameField():
            return operation.new_name in state.models[label, operation.model_name_lower].fields
        case ops.AddIndex() | ops.AddConstraint():
            added = operation.index if isinstance(operation, ops.AddIndex) else operation.constraint
            options = state.models[label, operation.model_name_lower].options
            return any(one.name == added.name for one in (*options["indexes"], *options["constraints"]))
    return False


def leaves_a_hole(state: ProjectState, label: str, operation: Any) -> bool:
    """Whether an operation removes a field that an option of its model stands on; states let it, SQLite fails later."""
    if isinstance(operation, ops.SeparateDatabaseAndState):
        return any(leaves_a_hole(state, label, inner) for inner in operation.state_operations)
    if not isinstance(operation, ops.RemoveField):
        return False
    options = state.models[label, operation.model_name_lower].options
    parts = [*options["indexes"], *options["constraints"]]
    standing_on = {name for one in parts for name in getattr(one, "fields", ())}
    standing_on |= {name for names in options.get("unique_together") or () for name in names}
    standing_on |= {options.get("order_with_respect_to"), *(name for one in parts for name in names_in(one))}
    return operation.name in standing_on


def names_in(constraint: Any) -> Iterator[str]:
    for lookup in getattr(getattr(constraint, "condition", None), "children", ()):
        if isinstance(lookup, tuple):
            yield lookup[0].partition("__")[0]


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


def try_seed(connection: BaseDatabaseWrapper, seed: int, tally: Tally, *, count: int, tries: int) -> list[str]:
    """Try sequences of *count* operations on one ground; return what the analysis was wrong about."""
    drop_everything(connection)
    ground, wrong = Ground(connection, seed), []
    for number in range(tries):
        with override_settings(**ground.settings):
            operations = ground.draw(count)
            if len(operations) < count:
                continue
            *first, last = operations
            yes = commute(ground.state, first, [last])
        one = ground.outcome(operations)
        if isinstance(one, str):
            continue
        other = ground.outcome([last, *first])
        kinds = " / ".join(sorted(type(operation).__name__ for _, operation in operations))
        if one != other:
            # SQLite 3.40 sometimes takes a schema that was rolled back for the one that is there.
            connection.close()
            connection.connect()
            one, other = ground.outcome(operations), ground.outcome([last, *first])
        if yes and one != other:
            wrong.append(f"seed {seed}, try {number}: {told(operations)}: {difference(one, other)}")
        where = tally.right_yes if yes else tally.needless_no if one == other else tally.right_no
        where[kinds] += 1
    return wrong


def told(operations: Sequence[Labelled]) -> str:
    return "; ".join(f"{label}: {operation.describe()} {operation.deconstruct()}" for label, operation in operations)


def difference(one: Outcome | str, other: Outcome | str) -> str:
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


def table(tally: Tally) -> list[str]:
    """Return the rows of a table: the kinds, how often the answer was yes, no, and no without need."""
    kinds = sorted({*tally.right_yes, *tally.right_no, *tally.needless_no})
    rows = [(one, tally.right_yes[one], tally.right_no[one], tally.needless_no[one]) for one in kinds]
    rows.sort(key=lambda row: (-row[3], row[0]))
    every = ("all", tally.right_yes.total(), tally.right_no.total(), tally.needless_no.total())
    return [f"| {kind} | {yes} | {no} | {needless} |" for kind, yes, no, needless in [every, *rows]]


def main(vendor: str, from_seed: int, to_seed: int, count: int) -> int:
    """Print what the analysis is wrong about, and how often it says no although yes were right."""
    tally, mistakes = Tally(), 0
    with tempfile.TemporaryDirectory() as folder:
        database = TestDatabase(vendor, next(unique_names()), Path(folder))
        try:
            with connected(database.settings()) as connection:
                for seed in range(from_seed, to_seed):
                    for line in try_seed(connection, seed, tally, count=count, tries=40):
                        mistakes += 1
                        print(line, flush=True)
        finally:
            database.drop()
    print(*table(tally), sep="\n")
    return mistakes


if __name__ == "__main__":
    from tests.inprocess import set_up_django

    set_up_django()
    sys.exit(1 if main(sys.argv[1], *map(int, sys.argv[2:5])) else 0)
