"""
Stand-ins for what a migration file imports and is gone: a package that was uninstalled, a class that was deleted.

Only the import statements of the one file see them. They get a file loaded; whether what it does can still be done is
told by :func:`vanished`, before anything runs.
"""

from __future__ import annotations

import builtins
import dis
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import resolve_name
from types import CodeType, FunctionType, ModuleType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.migrations.operations import AddField, AlterField, CreateModel, RunPython
from django.db.migrations.operations.base import Operation

from chronomig.errors import LoadError

GONE = (ImportError, AttributeError, RuntimeError, ImproperlyConfigured)
"""
What imports raise once a package is gone, or is there without being installed as an app: Django refuses its models,
and its settings went with it.
"""


class StandIn:
    """Whatever a dotted name stood for: it can be called, subclassed and asked for attributes while a file loads."""

    def __init__(self, path: str, imports: Imports) -> None:
        self._path = path
        self._imports = imports

    def __call__(self, *args: Any, **kwargs: Any) -> StandIn:
        if not self._imports.loading:
            raise LoadError(
                f"{self._path} is gone.",
                cause="A migration called it while it ran.",
                next_step="Install the package again, or leave the code out with chronomig freeze --without-code.",
            )
        return StandIn(self._path, self._imports)

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("_") and name != "_meta":  # a relation to it asks for its key
            raise AttributeError(name)
        return StandIn(f"{self._path}.{name}", self._imports)

    def __getitem__(self, other: Any) -> StandIn:
        return StandIn(self._path, self._imports)

    __add__ = __radd__ = __or__ = __and__ = __mod__ = __getitem__

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[()]:
        return ()

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __repr__(self) -> str:
        return f"<stand-in for {self._path}>"


class PartOfModule(ModuleType):
    """A module that is there, with stand-ins for what it does not have any more."""

    def __init__(self, module: ModuleType, imports: Imports) -> None:
        super().__init__(module.__name__)
        self._module = module
        self._imports = imports

    def __getattr__(self, name: str) -> Any:
        try:
            found = getattr(self._module, name)
        except AttributeError:
            if name.startswith("__"):
                raise
            return StandIn(f"{self.__name__}.{name}", self._imports)
        return PartOfModule(found, self._imports) if isinstance(found, ModuleType) else found


class Imports:
    """What the import statements of one file call in place of Python's own function."""

    def __init__(self) -> None:
        self.loading = True
        """Whether the file is still executed; afterwards its functions import for real."""

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        try:
            found = builtins.__import__(name, globals, locals, fromlist or (), level)
        except GONE:
            if not self.loading:
                raise
            return self._stand_in(name, globals or {}, fromlist, level)
        keep = not self.loading or found.__name__.partition(".")[0] == "django" or "*" in (fromlist or ())
        return found if keep else PartOfModule(found, self)

    def _stand_in(self, name: str, globals: Mapping[str, Any], fromlist: Sequence[str] | None, level: int) -> Any:
        if level:
            return StandIn(resolve_name("." * level + name, str(globals.get("__package__"))), self)
        if fromlist:
            return StandIn(name, self)
        top = name.partition(".")[0]
        with suppress(*GONE):
            return PartOfModule(builtins.__import__(top), self)
        return StandIn(top, self)

    def namespace(self) -> dict[str, Any]:
        """Return the built-in names of a module whose import statements these are."""
        return {**vars(builtins), "__import__": self}


def contains_stand_in(value: Any) -> bool:
    """Whether a value is a stand-in, or a list, tuple, set or dict with one in it."""
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(contains_stand_in, value))
    if isinstance(value, dict):
        return any(contains_stand_in(part) for pair in value.items() for part in pair)
    return isinstance(value, StandIn)


def vanished(operation: Operation | StandIn) -> list[str]:
    """Return the dotted names that an operation needs when it runs, and that are gone."""
    if isinstance(operation, StandIn):
        return [operation._path]
    if isinstance(operation, RunPython):
        return sorted({name for code in (operation.code, operation.reverse_code) for name in gone_in(code, set())})
    if isinstance(operation, AddField | AlterField):  # the field is taken from its record
        return []
    arguments = operation.options if isinstance(operation, CreateModel) else vars(operation).get("_constructor_args")
    return sorted(set(paths_in(arguments)))


def paths_in(value: Any) -> Iterator[str]:
    if isinstance(value, StandIn):
        yield value._path
    elif isinstance(value, dict):
        yield from paths_in(list(value.items()))
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from paths_in(one)


def gone_in(function: Any, seen: set[object]) -> Iterator[str]:
    """Yield what a function, and what it calls in its own file, uses and is gone."""
    if isinstance(function, StandIn):
        yield function._path
    if not isinstance(function, FunctionType) or function in seen:
        return
    seen.add(function)
    for code in codes_in(function.__code__):
        instructions = list(dis.get_instructions(code))
        for place, one in enumerate(instructions):
            if one.opname == "IMPORT_NAME":
                yield from gone_imports(one.argval, instructions[place - 2 : place], function.__globals__)
            elif one.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                yield from gone_in(reached(function.__globals__.get(one.argval), instructions[place + 1 :]), seen)


def codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


def reached(value: Any, following: Sequence[dis.Instruction]) -> Any:
    """Return what the attributes that are read next lead to, from what is gone, or is a module with gaps."""
    for one in following:
        if not isinstance(value, PartOfModule | StandIn) or one.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
            break
        value = getattr(value, one.argval)
    return value


def gone_imports(name: str, before: Sequence[dis.Instruction], namespace: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an import statement inside of a function asks for and is gone."""
    level, names = (one.argval for one in before)
    try:
        found = builtins.__import__(name, namespace, None, names or (), level)
    except GONE:
        yield "." * level + name
        return
    for one in names or ():
        if one != "*" and not hasattr(found, one):
            yield f"{found.__name__}.{one}"
