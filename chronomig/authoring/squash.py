"""
Many migrations -> the text of one baseline that leads to the same tables.

The operations are reduced as for an empty database. Code is kept: what the files define for it is copied into a
function for each of them. What cannot be kept stops the squash with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.serializer import serializer_factory
from django.db.migrations.state import ModelState

from chronomig.authoring.writer import write_imports, write_operation
from chronomig.code.folding import fold
from chronomig.code.loading import Labelled, Loaded, Loader, upstream_package
from chronomig.errors import ChronomigError, Refused
from chronomig.planning.baselines import Baseline, Replaced
from chronomig.reduction import Reduction
from chronomig.state import ProjectState
from chronomig.timeline import Entry


class CannotSquash(Refused):
    """Something in the migrations cannot be kept in one file."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            f"{len(problems)} thing{'s' * (len(problems) != 1)} cannot be squashed; nothing was written.",
            cause="\n".join(f"  {problem}" for problem in problems),
            next_step="Mark code that no new database needs as elidable=True, change what is named, "
            "or squash up to a migration before it.",
        )


@dataclass
class Squash:
    """The parts of a baseline, while it is made."""

    operations: list[tuple[Labelled, Loaded]] = field(default_factory=list)
    state: ProjectState = field(default_factory=ProjectState)
    problems: list[str] = field(default_factory=list)

    @property
    def has_code(self) -> bool:
        return any(isinstance(one, ops.RunPython | ops.RunSQL) for (_, one), _ in self.operations)


def squash(migrations: Sequence[Loaded]) -> Squash:
    """Reduce *migrations*, the first ones of a timeline; raise CannotSquash."""
    made, reduction = Squash(), Reduction(ProjectState())
    for loaded in migrations:
        if loaded.overrides_execution:
            made.problems.append(f"{loaded.name}: it runs itself, with an apply() or unapply() of its own")
        for label, operation in kept(loaded):
            found = [((change.app_label, change.operation), loaded) for change in reduction.take(label, operation)]
            made.operations += found
    made.operations += [((change.app_label, change.operation), migrations[-1]) for change in reduction.rest()]
    made.state = reduction.state
    for (_, operation), loaded in made.operations:
        made.problems += [f"{loaded.name}: {operation.describe()}: {why}" for why in problems_of(operation, loaded)]
    if made.problems:
        raise CannotSquash(made.problems)
    return made


def kept(loaded: Loaded) -> Iterator[Labelled]:
    """Yield the operations that an empty database needs."""
    for label, operation in loaded.operations:
        if not is_needless(operation):
            yield label, operation


def is_needless(operation: Operation) -> bool:
    """Whether an operation does nothing to an empty database, or its author says that it can go."""
    if isinstance(operation, ops.RunSQL):
        return operation.elidable and not operation.state_operations
    return isinstance(operation, ops.RunPython) and (operation.elidable or operation.code is ops.RunPython.noop)


def problems_of(operation: Operation, loaded: Loaded) -> Iterator[str]:
    """Yield why an operation cannot be written into another file."""
    if type(operation) is ops.RunPython:
        codes: list[Any] = [operation.code, operation.reverse_code]
        for code in (one for one in codes if one is not None):
            if is_of_file(code, loaded) and place_of(code, code.__globals__) is None:
                yield f"the name {code.__name__!r} does not lead to its code"
        if operation.hints:
            yield "it has hints"
        return
    inner = (*getattr(operation, "database_operations", ()), *getattr(operation, "state_operations", ()))
    if any(isinstance(one, ops.RunPython) for one in inner):
        yield "code inside of another operation"
    if type(operation).__module__ in modules_of(loaded):
        yield f"the file defines {type(operation).__name__}"


def is_of_file(code: Any, loaded: Loaded) -> bool:
    """Whether the file of a migration defines a function."""
    return getattr(code, "__module__", None) in modules_of(loaded)


def place_of(code: Any, names: Mapping[str, Any]) -> str | None:
    """Return how a function is found among the names of its file, those that a baseline keeps for others included."""
    own: str = code.__name__
    if names.get(own) is code:
        return f'["{own}"]'
    for name, kept_names in names.items():
        if name.startswith("code_") and isinstance(kept_names, dict):
            inner = place_of(code, kept_names)
            if inner is not None:
                return f'["{name}"]{inner}'
    return None


def modules_of(loaded: Loaded) -> set[str]:
    return {type(loaded.source).__module__}


# -- text -----------------------------------------------------------------------------------------------------------


def render_baseline(made: Squash, migrations: Sequence[Loaded], commit: str) -> str:
    """Return the text of the baseline; raise CannotSquash."""
    parts = [write_one(label, operation, loaded) for (label, operation), loaded in made.operations]
    needed = {line for _, imports in parts for line in imports}
    coded = {loaded.name: loaded for (_, one), loaded in made.operations if uses_file(one, loaded)}
    code = "\n\n".join(code_of(loaded) for loaded in coded.values())
    atomic = "" if not made.has_code and all(one.atomic for one in migrations) else "    atomic = False\n"
    body = "".join(text for text, _ in parts)
    head = f"{write_imports(needed)}\n\n" + (f"{code}\n\n\n" if code else "")
    return (
        f"{head}class Migration(chronomig.Migration):\n{atomic}    operations = [\n{body}    ]\n\n\n"
        f"{render_replaces(Baseline(tuple(map(replaced, migrations)), commit))}"
    )


def write_one(label: str, operation: Operation, loaded: Loaded) -> tuple[str, set[str]]:
    if not uses_file(operation, loaded):
        return write_operation(label, operation)
    assert isinstance(operation, ops.RunPython)
    imports = {"from django.db import migrations"}
    lines = []
    for name in ("code", "reverse_code"):
        text, more = reference(getattr(operation, name), loaded)
        imports |= more
        lines.append(f"                {name}={text},\n")
    if operation.atomic is not None:
        lines.append(f"                atomic={operation.atomic},\n")
    call = f"            migrations.RunPython(\n{''.join(lines)}            ),\n"
    return f'        (\n            "{label}",\n{call}        ),\n', imports


def uses_file(operation: Operation, loaded: Loaded) -> bool:
    codes = (operation.code, operation.reverse_code) if type(operation) is ops.RunPython else ()
    return any(code is not None and is_of_file(code, loaded) for code in codes)


def reference(code: Any, loaded: Loaded) -> tuple[str, set[str]]:
    if code is not None and is_of_file(code, loaded):
        return f"code_{loaded.name}{place_of(code, code.__globals__)}", set()
    text, imports = serializer_factory(code).serialize()
    return text, set(imports)


def code_of(loaded: Loaded) -> str:
    """Return a function that gives what a file defines, but for its Migration; raise CannotSquash."""
    tree = ast.parse(loaded.content)
    statements = [one for one in tree.body if not is_left_out(one)]
    for one in statements:
        if isinstance(one, ast.ImportFrom) and any(alias.name == "*" for alias in one.names):
            raise CannotSquash([f"{loaded.name}: {ast.unparse(one)}"])
        if isinstance(one, ast.ImportFrom) and one.level:
            make_absolute(one, loaded)
    (function,) = ast.parse(f"def code_of_{loaded.name}():\n    return locals()").body
    assert isinstance(function, ast.FunctionDef)
    function.body = [*statements, *function.body]
    return f"{ast.unparse(function)}\n\n\ncode_{loaded.name} = code_of_{loaded.name}()"


def is_left_out(statement: ast.stmt) -> bool:
    match statement:
        case ast.ClassDef(name="Migration") | ast.ImportFrom(module="__future__"):
            return True
        case ast.Assign(targets=[ast.Name(id="ORIGIN" | "REPLACES")]):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
    return False


def make_absolute(statement: ast.ImportFrom, loaded: Loaded) -> None:
    """A relative import is of the package that a vendored file came from."""
    package = upstream_package(loaded.origin) if loaded.origin else ""
    parts = package.split(".")
    if not package or statement.level > len(parts):
        raise CannotSquash([f"{loaded.name}: {ast.unparse(statement)}"])
    base = parts[: len(parts) - statement.level + 1]
    statement.module = ".".join([*base, *([statement.module] if statement.module else [])])
    statement.level = 0


def replaced(loaded: Loaded) -> Replaced:
    baseline = loaded.baseline
    stands_for = sorted(baseline.names) if baseline else ()
    keys = sorted(loaded.upstream)
    return Replaced(loaded.name, tuple(".".join(key) for key in keys), tuple(stands_for))


def render_replaces(baseline: Baseline) -> str:
    rows = [(one.name, list(one.origins), list(one.stands_for)) for one in baseline.migrations]
    lines = [f"        {row!r},\n" for row in rows]
    text = f'REPLACES = {{\n    "commit": "{baseline.commit}",\n    "migrations": [\n{"".join(lines)}    ],\n}}\n'
    return text.replace("'", '"')


# -- proof ----------------------------------------------------------------------------------------------------------


def check(entry: Entry, made: Squash, set_name: str) -> None:
    """Load the baseline as it will be loaded, and compare the models that it leads to; raise CannotSquash."""
    try:
        state = fold(ProjectState(), Loader(set_name).load(entry))
    except ChronomigError as error:
        raise CannotSquash([f"what was written cannot be loaded: {error.cause or error.fact}"]) from error
    differing = [".".join(key) for key in sorted(state.models.keys() ^ made.state.models.keys())]
    differing += [
        ".".join(key)
        for key, model in state.models.items()
        if key in made.state.models and form_of(model) != form_of(made.state.models[key])
    ]
    if differing:
        raise CannotSquash([f"{name}: the model would not be the same" for name in differing])


def form_of(model: ModelState) -> tuple[object, ...]:
    """Return what makes a model, in a form that can be compared."""
    fields = {name: one.deconstruct()[1:] for name, one in model.fields.items()}
    return model.name, fields, model.bases, {**model.options}, sorted(name for name, _ in model.managers)
