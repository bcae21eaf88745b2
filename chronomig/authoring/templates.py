"""
What reusable apps ship in chronomig's own format: the files in ``migration_templates/`` of their package.

They lie in that folder, or in a folder of it for each set. What is there does not begin with a stamp is no template,
so that helpers can lie beside them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.apps import apps

from chronomig.authoring.copying import distribution_of, origin_line
from chronomig.authoring.vendor import is_let_in
from chronomig.code.origins import Key, Origin, origins_in
from chronomig.project import Project
from chronomig.sets import MigrationSet
from chronomig.timeline import Entry, is_migration_file, make_timeline

FOLDER = "migration_templates"


@dataclass(frozen=True)
class OwnTemplate:
    """One template in chronomig's own format."""

    app: str
    folder: str
    """The set that it is for, in the words of its app; empty where the app has one for all."""
    entry: Entry
    """Its file in the app."""

    @property
    def key(self) -> Key:
        """Its origin: what databases are matched by."""
        return self.app, "/".join(filter(None, [self.folder, self.entry.name]))

    @property
    def slug(self) -> str:
        """The slug that it gets in a timeline."""
        parts = [self.app, self.folder, self.entry.slug]
        return re.sub(r"[^a-z0-9]+", "_", "_".join(filter(None, parts)).lower())[:180]

    @property
    def origin(self) -> Origin:
        name = apps.get_app_config(self.app).name
        package = ".".join(filter(None, [name, FOLDER, self.folder]))
        sha256 = hashlib.sha256(self.entry.source).hexdigest()
        return Origin(*self.key, *distribution_of(name), sha256=sha256, package=package)

    def vendored(self, stamp: str, directory: Path) -> Entry:
        """Return the file of a timeline: the text, and where it came from."""
        path = directory / f"{stamp}_{self.slug}.py"
        text = self.entry.source if self.entry.source.endswith(b"\n") else self.entry.source + b"\n"
        return Entry(path.stem, path, text + b"\n" + origin_line(self.origin).encode())


def folder_of(label: str) -> Path:
    return Path(apps.get_app_config(label).path) / FOLDER


def templates_of(label: str) -> Iterator[OwnTemplate]:
    """Yield the templates of an app in the order of their names; raise TimelineError for names that have no place."""
    base = folder_of(label)
    folders = sorted(one for one in base.iterdir() if one.is_dir()) if base.is_dir() else []
    found = []
    for folder in [base, *(one for one in folders if one.name.isidentifier() and one.name[0] != "_")]:
        files = sorted(folder.glob("[0-9]*.py")) if folder.is_dir() else []
        entries = (Entry(path.stem, path) for path in files if is_migration_file(path.name))
        timeline = make_timeline(label, folder, entries, now=datetime.now(UTC))
        found += [OwnTemplate(label, "" if folder == base else folder.name, entry) for entry in timeline]
    yield from sorted(found, key=lambda one: one.entry.name)


def apps_with_templates(project: Project, migration_set: MigrationSet) -> frozenset[str]:
    """
    Return the labels of the apps whose templates a set takes.

    An app can ship migrations of Django's, too: a timeline that has some of those goes on with them.
    """
    began = {one.app for one in origins_in(migration_set.timeline).values() if not is_own_format(one)}
    labels = (config.label for config in apps.get_app_configs())
    return frozenset(
        label
        for label in labels
        if label not in began and label not in project.own_apps() and next(templates_of(label), None)
    )


def new_templates(project: Project, migration_set: MigrationSet, labels: Collection[str]) -> list[OwnTemplate]:
    """Return the templates of *labels* that a set does not have yet, in the order of their names."""
    found = [one for label in labels for one in templates_of(label) if is_for(one, migration_set, project.sets)]
    return sorted((one for one in found if one.key not in migration_set.origins), key=lambda one: one.entry.name)


def is_for(template: OwnTemplate, migration_set: MigrationSet, sets: Collection[str]) -> bool:
    """Whether a template goes into a set: that of its folder's name, else those that a router lets its app into."""
    if template.folder in sets:
        return template.folder == migration_set.name
    return is_let_in(template.app, migration_set)


def is_own_format(origin: Origin) -> bool:
    return FOLDER in origin.package.split(".")


def source_of_template(origin: Origin) -> bytes | None:
    """Return the text of a template as it is installed, None where it is not."""
    if origin.app not in apps.app_configs:
        return None
    path = folder_of(origin.app) / f"{origin.name}.py"
    return path.read_bytes() if path.is_file() else None
