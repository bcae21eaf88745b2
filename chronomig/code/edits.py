"""What became of files since they were applied: written anew in another form, or with another meaning."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from django.db.models import Field

from chronomig.code.loading import Loaded
from chronomig.errors import ChronomigError
from chronomig.timeline import Entry

OWN_MODULES = "project_migrations."


class Meaning(StrEnum):
    """What an edit did to a migration."""

    SAME = "same"
    """The same operations: only the text is another."""
    CHANGED = "changed"
    UNKNOWN = "unknown"
    """What was applied is nowhere to be found."""


@dataclass(frozen=True)
class Edit:
    """A file that was changed after it was applied."""

    name: str
    meaning: Meaning
    diff: tuple[str, ...] = ()
    """From what was applied to what the file holds now, in lines."""


def compare(was: Entry | None, now: Entry, load: Callable[[Entry], Loaded]) -> Edit:
    """Return what was done to *now* since it was applied as *was*; loads both."""
    if was is None:
        return Edit(now.name, Meaning.UNKNOWN)
    before, after = (one.source.decode(errors="backslashreplace").splitlines() for one in (was, now))
    diff = difflib.unified_diff(before, after, f"{now.name} as applied", f"{now.name} now", lineterm="")
    try:
        same = means_the_same(load(was), load(now))
    except ChronomigError:  # a file that cannot be loaded means nothing
        same = False
    return Edit(now.name, Meaning.SAME if same else Meaning.CHANGED, tuple(diff))


def means_the_same(one: Loaded, other: Loaded) -> bool:
    """Whether two migrations do the same: their operations, in order, and how they are run."""
    if one.overrides_execution or other.overrides_execution:
        return False
    parts = [(loaded.atomic, loaded.origin, list(loaded.operations)) for loaded in (one, other)]
    return Comparison().same(*parts)


class Comparison:
    """Compares values that two executions of a file made: their functions and classes are never identical."""

    def __init__(self) -> None:
        self.under_way: set[tuple[int, int]] = set()
        """Pairs that are compared further up; functions may refer to each other."""

    def same(self, one: Any, other: Any) -> bool:
        if one is other:
            return True
        pair = id(one), id(other)
        if type(one) is not type(other) and not (isinstance(one, type) and isinstance(other, type)):
            return False
        if pair in self.under_way:
            return True
        self.under_way.add(pair)
        try:
            return self._same(one, other)
        finally:
            self.under_way.discard(pair)

    def _same(self, one: Any, other: Any) -> bool:
        match one:
            case FunctionType():
                return self._same_function(one, other)
            case BuiltinFunctionType() | ModuleType():
                return bool(one == other)
            case type():
                return self._same_class(one, other)
            case Mapping():
                return list(one) == list(other) and all(self.same(one[key], other[key]) for key in one)
            case list() | tuple():
                return len(one) == len(other) and all(map(self.same, one, other))
            case partial():
                return self.same((one.func, one.args, one.keywords), (other.func, other.args, other.keywords))
            case re.Pattern():
                return (one.pattern, one.flags) == (other.pattern, other.flags)
        if hasattr(one, "deconstruct"):
            return self.same(taken_apart(one), taken_apart(other))
        return bool(one == other)

    def _same_function(self, one: FunctionType, other: FunctionType) -> bool:
        """The same code, with the same defaults, using the same things of its module."""
        return self._same_code(one.__code__, other.__code__) and self.same(surroundings(one), surroundings(other))

    def _same_code(self, one: CodeType, other: CodeType) -> bool:
        parts = [
            (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags, code.co_argcount)
            for code in (one, other)
        ]
        alike = parts[0] == parts[1] and len(one.co_consts) == len(other.co_consts)
        return alike and all(map(self._same_constant, one.co_consts, other.co_consts))

    def _same_constant(self, one: Any, other: Any) -> bool:
        if isinstance(one, CodeType) and isinstance(other, CodeType):
            return self._same_code(one, other)
        return type(one) is type(other) and bool(one == other)

    def _same_class(self, one: type, other: type) -> bool:
        """A class of the file itself is made anew by each execution."""
        if one.__qualname__ != other.__qualname__ or one.__module__ != other.__module__:
            return False
        if not one.__module__.startswith(OWN_MODULES):
            return False
        return self.same((one.__bases__, inside(one)), (other.__bases__, inside(other)))


def surroundings(function: FunctionType) -> tuple[Any, ...]:
    """Return what a function brings along beside its code, and what it finds in its module."""
    found = function.__globals__
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    used = {name: found[name] for name in sorted(names_in(function.__code__)) if name in found}
    return function.__defaults__, function.__kwdefaults__, cells, used


def inside(kind: type) -> dict[str, Any]:
    """Return what a class holds, but for what differs with every execution or with the place in the file."""
    left_out = ("__dict__", "__weakref__", "__firstlineno__")
    return {name: value for name, value in vars(kind).items() if name not in left_out}


def taken_apart(value: Any) -> Any:
    """Return what Django would make *value* from again; a field's first part is its name, which its owner has."""
    parts = value.deconstruct()
    return type(value), *(parts[1:] if isinstance(value, Field) else parts)


def names_in(code: CodeType) -> set[str]:
    """Return the names that a function looks up, with those of the functions inside of it."""
    inner = (names_in(one) for one in code.co_consts if isinstance(one, CodeType))
    return set(code.co_names).union(*inner)
