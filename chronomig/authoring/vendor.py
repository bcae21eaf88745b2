"""
Reusable apps' migrations: templates, copied into the project when makemigrations runs.

The order comes from upstream's graph, once; afterwards there is none. A squash is chosen as Django would choose it,
with what is already in the timeline in the place of what is already in the database.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

from django.apps import apps
from django.db import router
from django.db.migrations import Migration as DjangoMigration
from django.db.migrations.exceptions import BadMigrationError, NodeNotFoundError
from django.db.migrations.loader import MigrationLoader

from chronomig.authoring.copying import Template, importers_of, source_of
from chronomig.checks import adopted_keys, migration_files
from chronomig.code.origins import Key
from chronomig.code.standins import GONE
from chronomig.errors import ChronomigError, in_words
from chronomig.project import Project
from chronomig.sets import MigrationSet


class TemplateLoader(MigrationLoader):
    """Django's loader, with the vendored migrations of one set in the place of the applied ones."""

    def __init__(
        self, project: Project, migration_set: MigrationSet | None = None, in_part: Collection[Key] = ()
    ) -> None:
        self.vendored = migration_set.origins if migration_set else {}
        self.held = [one.origins for one in project.sets.values() if one.directory.is_dir()]
        """What the timelines hold, those of other sets too: {(app label, upstream name): file} of each."""
        self.adopted = adopted_keys(project)
        self.in_part = in_part
        """Parts of squashes that Django shall see as applied, so that it takes these squashes apart."""
        try:
            super().__init__(None, ignore_no_migrations=True)
        except NodeNotFoundError as error:
            raise ChronomigError(
                "The migrations of the installed apps do not fit together.",
                cause=str(error),
                next_step="Install the app or the version that the migration depends on.",
            ) from error
        except (*GONE, NameError, SyntaxError, BadMigrationError) as error:
            raise ChronomigError(
                "The migrations of the installed apps cannot be loaded.",
                cause=f"{traceback.extract_tb(error.__traceback__)[-1].filename}: {in_words(error)}",
                next_step="Mend the file, or install what it needs; a file that the timeline has can be deleted.",
            ) from error

    def load_disk(self) -> None:
        """What is vendored and gone from its package (moved, pruned) can still be depended on."""
        super().load_disk()
        for origins in self.held:
            self._add_gone(sorted(origins, key=origins.__getitem__))
            self.migrated_apps |= {app_label for app_label, _ in origins} - self.unmigrated_apps

    def _add_gone(self, keys: Sequence[Key]) -> None:
        last: dict[str, Key] = {}
        for app_label, name in keys:
            if (app_label, name) not in self.disk_migrations:
                self.disk_migrations[app_label, name] = gone = DjangoMigration(name, app_label)
                gone.dependencies = [last[app_label]] if app_label in last else []  # type: ignore[misc]
            last[app_label] = (app_label, name)

    def migrations_module(self, app_label: str) -> tuple[str | None, bool]:  # type: ignore[override]
        """Leave out an app's originals that import what is gone, once the timeline has all of them."""
        module, explicit = super().migrations_module(app_label)
        return (None if module and self._is_outlived(app_label, module) else module), explicit

    def _is_outlived(self, app_label: str, module: str) -> bool:
        names = list(migration_files(module))
        if not self.adopted.issuperset((app_label, name) for name in names):
            return False
        try:
            for name in names:
                import_module(f"{module}.{name}")
        except GONE:
            return True
        return False

    def is_there(self, key: Key) -> bool:
        """Whether an installed app has the migration."""
        return key in self.disk_migrations and type(self.disk_migrations[key]) is not DjangoMigration

    @property  # type: ignore[override]  # Django only looks keys up in it
    def applied_migrations(self) -> dict[Key, object]:
        return dict.fromkeys((*self.vendored, *self.in_part))

    @applied_migrations.setter
    def applied_migrations(self, value: object) -> None:
        """Without a connection, Django sets an empty dict."""


def in_order(loader: MigrationLoader) -> list[Key]:
    """Return every migration in the order in which Django would run them on an empty database."""
    order: dict[Key, None] = {}
    for leaf in sorted(loader.graph.leaf_nodes()):
        order.update(dict.fromkeys(loader.graph.forwards_plan(leaf)))
    return list(order)


class Templates:
    """What the installed apps bring that a set does not have yet; without *own_apps*, those of all apps."""

    def __init__(
        self,
        project: Project,
        migration_set: MigrationSet,
        own_apps: Collection[str],
        loader: TemplateLoader | None = None,
    ) -> None:
        self.set = migration_set
        self.own_apps = own_apps
        self.loader = loader or TemplateLoader(project, migration_set)
        self.apps = self._apps_of_set()

    def _apps_of_set(self) -> frozenset[str]:
        """Return the labels of the apps that are vendored into the set, ancestors in the graph included."""
        wanted = {label for label, _ in self.loader.disk_migrations if self._is_wanted(label)}
        graph = self.loader.graph
        ancestors = {label for key in graph.nodes if key[0] in wanted for label, _ in graph.forwards_plan(key)}
        return frozenset((wanted | ancestors) - set(self.own_apps))

    def _is_wanted(self, label: str) -> bool:
        return label not in self.own_apps and apps.app_configs.get(label) is not None and is_let_in(label, self.set)

    def new(self) -> list[Template]:
        """Return what is not vendored yet, in upstream's order."""
        have, there = self.already_there(), self.loader.is_there
        keys = [key for key in in_order(self.loader) if key[0] in self.apps and key not in have]
        return [self.template(key) for key in keys if there(key)]

    def already_there(self) -> set[Key]:
        """Return the keys that the timeline holds, by name or as all that a squash replaces."""
        have = set(self.set.origins)
        for key, migration in self.loader.replacements.items():
            if key in have:
                have.update(map(tuple, migration.replaces))  # type: ignore[arg-type]
            elif migration.replaces and have.issuperset(map(tuple, migration.replaces)):
                have.add(key)
        return have

    def template(self, key: Key) -> Template:
        """Return the migration *key* as a template."""
        migration = self.loader.graph.nodes[key]
        kind = type(migration)
        squashes = (squash for squash, one in self.loader.replacements.items() if key in map(tuple, one.replaces))
        return Template(
            key,
            migration,
            source_of(kind),
            self._replaced_by(key),
            tuple(map(".".join, squashes)),
            self._importers.get(kind.__module__, ()),
        )

    def _replaced_by(self, key: Key) -> dict[str, Any]:
        migration = self.loader.replacements.get(key)
        return (
            {f"{app}.{name}": self._replaced_by((app, name)) for app, name in migration.replaces} if migration else {}
        )

    @cached_property
    def _importers(self) -> dict[str, tuple[str, ...]]:
        found = ((type(one).__module__, source_of(type(one))) for one in self.loader.disk_migrations.values())
        return importers_of({module: path.read_bytes() for module, path in found if path})

    def needs_detected(self, templates: Collection[Template]) -> list[Template]:
        """Return those of *templates* that build on models which no template makes, such as the user model."""
        waiting: set[Key] = set()
        for template in templates:  # in upstream's order: parents come first
            parents = self.loader.graph.node_map[template.key].parents
            depends = {label for label, _ in template.migration.dependencies if label != "__setting__"}
            if depends - self.apps or any(parent.key in waiting for parent in parents):
                waiting.add(template.key)
        return [template for template in templates if template.key in waiting]


def is_let_in(label: str, migration_set: MigrationSet) -> bool:
    """Whether a router lets anything of an app into a database of the set."""
    found = list(apps.get_app_config(label).get_models())
    if not found:
        return any(router.allow_migrate(alias, label) for alias in migration_set.aliases)
    return any(router.allow_migrate_model(alias, model) for alias in migration_set.aliases for model in found)
