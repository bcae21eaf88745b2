"""
Upstream migrations -> vendored files: copies of the text, compared with their originals.

A copy is executed beside the original and must come to the same: operations, attributes, code of its own. Where a
copy cannot mean the same, the file refers to the original, and says why.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from django.apps import apps
from django.db import models
from django.db.migrations import Migration as DjangoMigration

from chronomig.authoring.writer import clean_slug
from chronomig.code.loading import Loaded, load
from chronomig.code.origins import Key, Origin
from chronomig.errors import LoadError
from chronomig.timeline import Entry

LOOKS_BESIDE = re.compile(rb"\b(__file__|__path__|__spec__|getfile|getsourcefile|currentframe)\b")
"""What code uses to find files beside itself."""
REFERS = re.compile(rb"# Refers to the original, because (.*)\.\n")
SAME_FOR_ALL = ("__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__")


@dataclass(frozen=True)
class Template:
    """One upstream migration."""

    key: Key
    migration: DjangoMigration
    path: Path | None
    """Its file; None where there is no source to copy."""
    replaces: Mapping[str, Any] = field(default_factory=dict)
    """What it stands for, when it is a squash."""
    squashes: tuple[str, ...] = ()
    """The squashes that stand for it."""
    importers: tuple[str, ...] = ()
    """The modules that import something from it."""

    @property
    def source(self) -> bytes:
        return self.path.read_bytes() if self.path else b""

    @property
    def module(self) -> str:
        return type(self.migration).__module__


def source_of(migration: type[DjangoMigration]) -> Path | None:
    """Return the file that a migration's module was loaded from, None where only byte code is there."""
    module = importlib.import_module(migration.__module__)
    file = inspect.getsourcefile(module)
    return Path(file) if file and Path(file).is_file() else None


def slug_of(key: Key) -> str:
    return clean_slug(f"{key[0]}_{key[1]}")[:180]


def vendor(template: Template, stamp: str, directory: Path) -> Entry:
    """Return the vendored file: a copy, compared with its original, or a reference where no copy is faithful."""
    path = directory / f"{stamp}_{slug_of(template.key)}.py"
    origin = origin_of(template)
    reason = why_not_copied(template)
    if not reason:
        text = template.source if template.source.endswith(b"\n") else template.source + b"\n"
        entry = Entry(path.stem, path, text + b"\n" + origin_line(origin).encode())
        reason = difference(entry, template, directory.name)
    if reason:
        return Entry(path.stem, path, reference(template, origin, reason).encode())
    return entry


def why_not_copied(template: Template) -> str:
    """Return why a copy could not mean the same, however equal it looks; else an empty text."""
    if template.path is None:
        return "it has no source file"
    if LOOKS_BESIDE.search(template.source):
        return "it looks for files beside itself"
    if template.importers and (shared := sorted(variables_of(importlib.import_module(template.module)))):
        return f"{template.importers[0]} shares its variable {shared[0]}"
    return ""


def variables_of(module: ModuleType) -> Iterator[str]:
    """Yield the names of the module's globals that code can change in place."""
    for name, value in vars(module).items():
        if not name.startswith("__") and isinstance(value, dict | list | set | bytearray):
            yield name


def difference(entry: Entry, template: Template, set_name: str) -> str:
    """Return why the copy in *entry* is not what upstream has, or an empty text."""
    try:
        copy = load(entry, set_name)
    except LoadError as error:
        return f"a copy cannot be loaded ({error.cause})"
    original = template.migration
    if copy.atomic != original.atomic or not same_operations(copy, original):
        return "a copy has other operations"
    if not same_class(type(copy.source), type(original)):
        return "a copy has other attributes"
    return ""


def same_operations(copy: Loaded, original: DjangoMigration) -> bool:
    ours = [operation for _, operation in copy.operations]
    return len(ours) == len(original.operations) and all(map(same, ours, original.operations))


def same_class(one: type, other: type) -> bool:
    """Whether two Migration classes have the same parents, attributes and methods."""
    ours, theirs = own_attributes(one), own_attributes(other)
    parents = [kind.__qualname__ for kind in one.__mro__] == [kind.__qualname__ for kind in other.__mro__]
    return parents and ours.keys() == theirs.keys() and all(same(ours[name], theirs[name]) for name in ours)


def own_attributes(kind: type) -> dict[str, Any]:
    """Return what a class defines, its operations aside: those are compared as the instance has them."""
    return {name: value for name, value in vars(kind).items() if name not in (*SAME_FOR_ALL, "operations")}


def same(one: Any, other: Any) -> bool:
    """Whether two values of a migration mean the same, code included."""
    if isinstance(one, FunctionType) and isinstance(other, FunctionType):
        return same_code(one.__code__, other.__code__) and same(one.__defaults__, other.__defaults__)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, classmethod | staticmethod) and isinstance(other, classmethod | staticmethod):
        return same(one.__func__, other.__func__)
    if type(one).__qualname__ != type(other).__qualname__:
        return False
    if isinstance(one, models.Field) and isinstance(other, models.Field):
        return same(one.deconstruct()[1:], other.deconstruct()[1:])
    if isinstance(one, type) and isinstance(other, type):
        return one.__qualname__ == other.__qualname__
    deconstruct = getattr(one, "deconstruct", None)
    if deconstruct is not None and not isinstance(one, type):
        return same(deconstruct(), other.deconstruct())
    return bool(one == other) or type(one).__eq__ is object.__eq__  # type: ignore[comparison-overlap]


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two functions do the same, the lines and files that they stand in aside."""
    return (
        (one.co_qualname, one.co_code, one.co_names) == (other.co_qualname, other.co_code, other.co_names)
        and len(one.co_consts) == len(other.co_consts)
        and all(
            same_code(mine, theirs) if isinstance(mine, CodeType) and isinstance(theirs, CodeType) else mine == theirs
            for mine, theirs in zip(one.co_consts, other.co_consts, strict=True)
        )
    )


def origin_of(template: Template) -> Origin:
    label, name = template.key
    distribution = distribution_of(apps.get_app_config(label).name)
    return Origin(
        label,
        name,
        *distribution,
        sha256=hashlib.sha256(template.source).hexdigest(),
        package=template.module.rpartition(".")[0],
        replaces=template.replaces,
        squashes=template.squashes,
    )


@cache
def distributions() -> Mapping[str, list[str]]:
    """packages_distributions() reads the records of every installed distribution: once is enough."""
    return packages_distributions()


def distribution_of(module: str) -> tuple[str, str]:
    """Return (name, version) of what installed *module*; empty texts for what is no distribution."""
    names = distributions().get(module.partition(".")[0], [])
    try:
        return (names[0], version(names[0])) if names else ("", "")
    except PackageNotFoundError:
        return names[0], ""


def origin_line(origin: Origin) -> str:
    """Return the literal that says where a file came from; what a migration does not have is left out."""
    values: dict[str, Any] = {
        "app": origin.app, "name": origin.name, "distribution": origin.distribution, "version": origin.version,
        "sha256": origin.sha256, "package": origin.package,
    }  # fmt: skip
    values |= {"replaces": origin.replaces} if origin.replaces else {}
    values |= {"squashes": list(origin.squashes)} if origin.squashes else {}
    return f"ORIGIN = {json.dumps(values, ensure_ascii=False)}\n"


def reference(template: Template, origin: Origin, reason: str) -> str:
    """Return the text of a file that refers to its original."""
    return (
        f"# Refers to the original, because {' '.join(reason.split())}.\n"
        "from importlib import import_module\n\n"
        f"Migration = import_module({template.module!r}).Migration\n\n"
        + origin_line(origin)
    )  # fmt: skip


def reason_for_reference(entry: Entry) -> str:
    """Return why a file refers to its original in place of copying it; an empty text when it is a copy."""
    match = REFERS.match(entry.source)
    return match[1].decode() if match else ""


DOTTED = re.compile(rb"[\w.]*\.\w+")
FROM_HERE = re.compile(rb"from \. import ([\w, ]+)")


def importers_of(sources: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
    """
    Return {module: those of the others that import from it}, of migration modules, {module: text}.

    A name that begins with a digit cannot stand in an import statement: such modules are imported by a text.
    """
    found: dict[str, dict[str, None]] = {}
    for module, text in sources.items():
        for other in modules_named(module, text):
            if other in sources and other != module:
                found.setdefault(other, {})[module] = None
    return {module: tuple(others) for module, others in found.items()}


def modules_named(module: str, text: bytes) -> Iterator[str]:
    """Yield every dotted name in *text*, with all that it begins with; those of the same package in full."""
    package = module.rpartition(".")[0]
    for names in FROM_HERE.findall(text):
        yield from (f"{package}.{name.strip().decode()}" for name in names.split(b","))
    for word in set(DOTTED.findall(text)):
        parts = word.decode(errors="replace").split(".")
        if not parts[0]:
            yield f"{package}.{parts[1]}"
        else:
            yield from accumulate(parts, "{}.{}".format)
