"""
Reusable apps' migrations: templates, copied into the project when makemigrations runs.

The order comes from upstream's graph, once; afterwards there is none. A squash is chosen as Django would choose it,
with what is already in the timeline in the place of what is already in the database.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import FunctionType

from django.apps import apps
from django.db import models, router
from django.db.migrations import Migration as DjangoMigration
from django.db.migrations.exceptions import NodeNotFoundError
from django.db.migrations.loader import MigrationLoader

from chronomig.errors import ChronomigError, LoadError
from chronomig.loading import Loaded, Origin, load, read_origin
from chronomig.project import MigrationSet
from chronomig.timeline import Entry
from chronomig.writer import clean_slug

Key = tuple[str, str]
"""(app label, upstream name)"""


class TemplateLoader(MigrationLoader):
    """Django's loader, with the vendored migrations of one set in the place of the applied ones."""

    def __init__(self, vendored: Collection[Key]) -> None:
        self.vendored = vendored
        try:
            super().__init__(None, ignore_no_migrations=True)
        except NodeNotFoundError as error:
            raise ChronomigError(
                "The migrations of the installed apps do not fit together.",
                cause=str(error),
                next_step="Install the app or the version that the migration depends on.",
            ) from error

    @property  # type: ignore[override]  # Django only looks keys up in it
    def applied_migrations(self) -> dict[Key, object]:
        return dict.fromkeys(self.vendored)

    @applied_migrations.setter
    def applied_migrations(self, value: object) -> None:
        """Without a connection, Django sets an empty dict."""


@dataclass(frozen=True)
class Template:
    """One upstream migration."""

    key: Key
    migration: DjangoMigration
    path: Path | None
    """Its file; None where there is no source to copy."""

    @property
    def source(self) -> bytes:
        return self.path.read_bytes() if self.path else b""


class Templates:
    """What the installed apps bring that a set does not have yet."""

    def __init__(self, migration_set: MigrationSet, own_apps: Collection[str]) -> None:
        self.set = migration_set
        self.own_apps = own_apps
        self.loader = TemplateLoader(migration_set.origins)
        self.apps = self._apps_of_set()

    def _apps_of_set(self) -> frozenset[str]:
        """Return the labels of the apps that are vendored into the set, ancestors in the graph included."""
        wanted = {label for label, _ in self.loader.disk_migrations if self._is_wanted(label)}
        graph = self.loader.graph
        ancestors = {label for key in graph.nodes if key[0] in wanted for label, _ in graph.forwards_plan(key)}
        return frozenset((wanted | ancestors) - set(self.own_apps))

    def _is_wanted(self, label: str) -> bool:
        if label in self.own_apps:
            return False
        found = list(apps.get_app_config(label).get_models())
        if not found:
            return any(router.allow_migrate(alias, label) for alias in self.set.aliases)
        return any(router.allow_migrate_model(alias, model) for alias in self.set.aliases for model in found)

    def new(self) -> list[Template]:
        """Return what is not vendored yet, in upstream's order."""
        graph = self.loader.graph
        order: dict[Key, None] = {}
        for leaf in sorted(graph.leaf_nodes()):
            order.update(dict.fromkeys(graph.forwards_plan(leaf)))
        have = self.already_there()
        return [self._template(key) for key in order if key[0] in self.apps and key not in have]

    def already_there(self) -> set[Key]:
        """Return the keys that the timeline holds, by name or as all that a squash replaces."""
        have = set(self.set.origins)
        for key, migration in self.loader.replacements.items():
            if key in have:
                have.update(map(tuple, migration.replaces))  # type: ignore[arg-type]
            elif migration.replaces and have.issuperset(map(tuple, migration.replaces)):
                have.add(key)
        return have

    def _template(self, key: Key) -> Template:
        migration = self.loader.graph.nodes[key]
        return Template(key, migration, source_of(type(migration)))

    def needs_detected(self, templates: Collection[Template]) -> list[Template]:
        """Return those of *templates* that build on models which no template makes, such as the user model."""
        waiting: set[Key] = set()
        for template in templates:  # in upstream's order: parents come first
            parents = self.loader.graph.node_map[template.key].parents
            depends = {label for label, _ in template.migration.dependencies if label != "__setting__"}
            if depends - self.apps or any(parent.key in waiting for parent in parents):
                waiting.add(template.key)
        return [template for template in templates if template.key in waiting]

    def edited_upstream(self) -> Iterator[tuple[str, str]]:
        """Yield (name, diff) for each vendored file whose upstream text is another one now."""
        for entry in self.set.timeline:
            origin = read_origin(entry)
            migration = self.loader.disk_migrations.get(origin.key) if origin else None
            path = source_of(type(migration)) if migration else None
            if origin and path and hashlib.sha256(path.read_bytes()).hexdigest() != origin.sha256:
                yield entry.name, "".join(diff(entry, path))


def source_of(migration: type[DjangoMigration]) -> Path | None:
    """Return the file that a migration's module was loaded from, None where only byte code is there."""
    module = importlib.import_module(migration.__module__)
    file = inspect.getsourcefile(module)
    return Path(file) if file and Path(file).is_file() else None


def diff(entry: Entry, path: Path) -> Iterator[str]:
    ours = entry.source.decode().rsplit("\n\nORIGIN = ", 1)[0].rstrip("\n") + "\n"
    theirs = path.read_text(encoding="utf-8").rstrip("\n") + "\n"
    return difflib.unified_diff(
        ours.splitlines(keepends=True), theirs.splitlines(keepends=True), str(entry.path.name), "upstream", n=1
    )


def slug_of(key: Key) -> str:
    return clean_slug(f"{key[0]}_{key[1]}")[:180]


def vendor(template: Template, stamp: str, migration_set: MigrationSet) -> Entry:
    """Return the vendored file: a copy, compared with its original, or a reference where no copy is faithful."""
    path = migration_set.directory / f"{stamp}_{slug_of(template.key)}.py"
    origin = origin_of(template)
    reason = why_not_copied(template)
    if not reason:
        text = template.source if template.source.endswith(b"\n") else template.source + b"\n"
        entry = Entry(path.stem, path, text + b"\n" + origin_line(origin).encode())
        reason = difference(entry, template, migration_set.name)
    if reason:
        return Entry(path.stem, path, reference(template, origin, reason).encode())
    return entry


def why_not_copied(template: Template) -> str:
    if template.path is None:
        return "it has no source file"
    if b"__file__" in template.source:
        return "it looks for files beside itself"
    return ""


def difference(entry: Entry, template: Template, set_name: str) -> str:
    """Return why the copy in *entry* is not what upstream has, or an empty text."""
    try:
        copy = load(entry, set_name)
    except LoadError as error:
        return f"a copy cannot be loaded ({error.cause})"
    original = template.migration
    if copy.atomic != original.atomic or not same_operations(copy, original):
        return "a copy has other operations"
    return ""


def same_operations(copy: Loaded, original: DjangoMigration) -> bool:
    ours = [operation for _, operation in copy.operations]
    return len(ours) == len(original.operations) and all(map(same, ours, original.operations))


def same(one: object, other: object) -> bool:
    """Whether two values of a migration mean the same, code included."""
    if isinstance(one, FunctionType) and isinstance(other, FunctionType):
        return one.__qualname__ == other.__qualname__ and one.__code__.co_code == other.__code__.co_code
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if type(one).__qualname__ != type(other).__qualname__:
        return False
    if isinstance(one, models.Field) and isinstance(other, models.Field):
        return same(one.deconstruct()[1:], other.deconstruct()[1:])
    if isinstance(one, type) and isinstance(other, type):
        return one.__qualname__ == other.__qualname__
    deconstruct = getattr(one, "deconstruct", None)
    if deconstruct is not None and not isinstance(one, type):
        return same(deconstruct(), other.deconstruct())  # type: ignore[attr-defined]
    return one == other or type(one).__eq__ is object.__eq__


def origin_of(template: Template) -> Origin:
    label, name = template.key
    distribution = distribution_of(apps.get_app_config(label).name)
    return Origin(label, name, *distribution, hashlib.sha256(template.source).hexdigest())


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
    values = {
        "app": origin.app, "name": origin.name, "distribution": origin.distribution, "version": origin.version,
        "sha256": origin.sha256,
    }  # fmt: skip
    return f"ORIGIN = {json.dumps(values, ensure_ascii=False)}\n"


def reference(template: Template, origin: Origin, reason: str) -> str:
    """Return the text of a file that refers to its original."""
    return (
        f"# Refers to the original, because {reason}.\n"
        "from importlib import import_module\n\n"
        f"Migration = import_module({type(template.migration).__module__!r}).Migration\n\n"
        + origin_line(origin)
    )  # fmt: skip
