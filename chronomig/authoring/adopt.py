"""
An existing project -> a timeline, in the order in which Django itself would run its migrations on an empty database.

Own and reusable apps' migrations become vendored files. Dates of the project's own become stamps where they keep the
order; those of others say nothing about the project, and are not looked at.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState as DjangoProjectState
from django.db.models import Model

from chronomig.authoring.autodetect import ModelKey
from chronomig.authoring.copying import Template, importers_of, reason_for_reference, vendor
from chronomig.authoring.dating import dates_of, stamps_for
from chronomig.authoring.detect import Unasked, detect, key_of, referred_to, wanted_state
from chronomig.authoring.drafts import DraftKind, SetDraft, begin, written
from chronomig.authoring.templates import templates_of
from chronomig.authoring.vendor import TemplateLoader, Templates, is_let_in
from chronomig.authoring.writer import format_text, slug_for
from chronomig.code.origins import Key, Origin, read_origin
from chronomig.errors import DatabaseError, Refused, UsageError, did_you_mean
from chronomig.history.recorder import django_applied
from chronomig.project import Database, Project
from chronomig.sets import MigrationSet
from chronomig.timeline import Entry

TABLES_SAY = "# A database of Django's that has these tables has this migration.\n"


@dataclass(frozen=True)
class Choices:
    """What was chosen for an adoption."""

    unsquash: Collection[str] = ()
    """The apps whose squashes are left out for the migrations that they stand for."""
    progress: Callable[[int, int, str], None] = lambda number, total, name: None


def draft_adoption(project: Project, migration_set: MigrationSet, choices: Choices) -> SetDraft:
    """Draft the files of one set; raise Refused, LoadError, ChronomigError."""
    migration_set = replace(migration_set, may_be_missing=True)
    loader = loader_for(project, migration_set, choices.unsquash)
    refuse_conflicts(loader)
    templates = Templates(project, migration_set, (), loader)
    new = templates.new()
    refuse_late(templates, new)
    found = begin(migration_set)
    waiting = models_without_migrations(loader, migration_set)
    alone = standing_alone(waiting)
    add_tables(project, found, alone)
    own = project.own_apps()
    dates = dates_of([template if template.key[0] in own else None for template in new], migration_set.trees)
    newest = found.drafts[-1].entry.stamp if found.drafts else found.newest
    stamps = stamps_for(dates, newest, datetime.now(UTC))
    for number, (template, stamp) in enumerate(zip(new, stamps, strict=True), 1):
        choices.progress(number, len(new), ".".join(template.key))
        found.add(DraftKind.ADOPTED, vendor(template, stamp, migration_set.directory))
    add_tables(project, found, waiting - alone)
    return found


# -- apps without migrations ----------------------------------------------------------------------------------------


def models_without_migrations(loader: TemplateLoader, migration_set: MigrationSet) -> set[ModelKey]:
    """Return the models of a set whose tables Django makes without a migration."""
    labels = {label for label in loader.unmigrated_apps if is_let_in(label, migration_set)}
    labels -= {label for label in labels if next(templates_of(label), None)}  # makemigrations takes these
    return {key_of(model) for label in labels for model in apps.get_app_config(label).get_models()}


def standing_alone(keys: Collection[ModelKey]) -> set[ModelKey]:
    """Return those of *keys* that refer to none but each other: Django makes their tables before it migrates."""
    alone = set(keys)
    while more := {
        key for key in alone if any(key_of(one) not in alone for one in referred_to(apps.get_model(*key)))
    }:
        alone -= more
    return alone


def add_tables(project: Project, found: SetDraft, keys: Collection[ModelKey]) -> None:
    """Draft the migration that makes the tables of *keys*; databases that have the tables have the migration."""
    there = found.state.plain().models
    coming = [key for key in keys if key not in there]
    if not coming:
        return
    made = wanted_state(coming, found.state).models
    operations = detect(found.state, DjangoProjectState({**there, **made}), Unasked())
    tables = sorted({table for key in coming for table in tables_of(apps.get_model(*key))})
    slug = slug_for(operations, first=False)
    entry = written(project, found, slug, operations, header=True)
    text = f"{entry.source.decode()}\n{TABLES_SAY}TABLES = {json.dumps(tables)}\n"
    found.add(DraftKind.ADOPTED, replace(entry, content=format_text(text, entry.path, project.root).encode()))


def tables_of(model: type[Model]) -> Iterator[str]:
    """Yield the tables that a model brings, those of its relations included."""
    if model._meta.managed and not model._meta.proxy and not model._meta.swapped:
        yield model._meta.db_table
        for field in model._meta.local_many_to_many:
            through = field.remote_field.through
            if through is not None and through._meta.auto_created:
                yield through._meta.db_table


# -- the graph ------------------------------------------------------------------------------------------------------


def loader_for(project: Project, migration_set: MigrationSet, unsquash: Collection[str]) -> TemplateLoader:
    """Return the loader of a set; a squash that a database has in part is taken apart, as Django does it."""
    loader = TemplateLoader(project, migration_set)
    refuse_no_squash(unsquash, {label for label, _ in loader.replacements})
    apart: set[Key] = set()
    recorded = [
        rows_of(database) for database in project.databases.values() if database.set.name == migration_set.name
    ]
    for key, migration in loader.replacements.items():
        parts = [(app, name) for app, name in migration.replaces]
        in_part = any(0 < len(rows.intersection(parts)) < len(parts) for rows in recorded)
        if key[0] in unsquash or in_part:
            refuse_missing_parts(key, [part for part in parts if not loader.is_there(part)])
            apart.add(parts[0])
    return TemplateLoader(project, migration_set, apart) if apart else loader


def refuse_no_squash(unsquash: Collection[str], squashing: Collection[str]) -> None:
    for label in unsquash:
        if label not in squashing:
            raise UsageError(
                f"--unsquash {label}: no app of that label has a squash; nothing was written.",
                cause=f"Squashes are in: {', '.join(sorted(squashing)) or 'no app'}.",
                next_step=did_you_mean(label, sorted(squashing)) or "Leave it out.",
            )


def rows_of(database: Database) -> set[Key]:
    """Return what ``django_migrations`` records; nothing where the database cannot be reached."""
    try:
        return django_applied(database.connection)
    except DatabaseError:
        return set()


def refuse_missing_parts(squash: Key, missing: Sequence[Key]) -> None:
    if missing:
        raise Refused(
            f"The squash {'.'.join(squash)} cannot be taken apart; nothing was written.",
            cause=f"Not there any more: {', '.join(map('.'.join, missing))}.",
            next_step="Bring every database past the squash with Django's migrate, or restore the files.",
        )


def refuse_conflicts(loader: TemplateLoader) -> None:
    """Two ends of one app are what Django refuses to run too: raise Refused."""
    ends: dict[str, list[str]] = {}
    for key in sorted(loader.graph.leaf_nodes()):
        if loader.is_there(key):
            ends.setdefault(key[0], []).append(key[1])
    several = {label: names for label, names in ends.items() if len(names) > 1}
    if several:
        raise Refused(
            "Migrations branch, and Django would not run them; nothing was written.",
            cause="\n".join(f"  {label}: {', '.join(names)}" for label, names in several.items()),
            next_step="Merge them first, with Django's makemigrations --merge.",
        )


def refuse_late(templates: Templates, new: Sequence[Template]) -> None:
    """What is in the timeline stays where it is: raise Refused where something new would have to come before it."""
    coming = {template.key for template in new}
    graph = templates.loader.graph
    late = [
        f"  {templates.set.origins[key]} needs {'.'.join(parent.key)}"
        for key in templates.set.origins
        if key in graph.node_map
        for parent in graph.node_map[key].parents
        if parent.key in coming
    ]
    if late:
        raise Refused(
            f"The timeline of the set {templates.set.name!r} has migrations that others come before.",
            cause="\n".join(late),
            next_step="If no database has them, remove these files and run chronomig adopt again.",
        )


# -- originals ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Original:
    """A file of the project's own that was copied, or that a squash stands for."""

    path: Path
    stays: str = ""
    """Why it cannot go, where it cannot."""


def originals(project: Project, drafted: Sequence[SetDraft]) -> list[Original]:
    """Return the project's own files that the timelines and the drafts hold, with what keeps each of them."""
    held: dict[str, Original] = {}
    vendored = list(origins_of(drafted))
    for entry, origin in vendored:
        if path := own_file(project, module_of(origin)):
            before = held.get(module_of(origin), Original(path))  # a file that several sets have
            held[module_of(origin)] = replace(before, stays=before.stays or kept(entry, origin, path))
    for module, reason in (pair for _, origin in vendored for pair in squashed(origin)):
        if module not in held and (path := own_file(project, module)):
            held[module] = Original(path, reason)
    copies = {f"{origin.package}.{entry.name}": entry for entry, origin in vendored}
    sources = own_sources(project, {module: one.path for module, one in held.items()})
    importers = importers_of(sources | {module: entry.source for module, entry in copies.items()})
    found = []
    for module, one in held.items():
        first = next(iter(importers.get(module, ())), "")
        name = copies[first].name if first in copies else first
        found.append(Original(one.path, one.stays or (name and f"{name} imports it")))
    return found


def origins_of(drafted: Sequence[SetDraft]) -> Iterator[tuple[Entry, Origin]]:
    """Yield what the sets have of the apps' packages of migrations, what is about to be written included."""
    package_of = cache(lambda label: MigrationLoader.migrations_module(label)[0])
    for one in drafted:
        for entry in (*one.set.timeline, *(draft.entry for draft in one.drafts)):
            origin = read_origin(entry)
            if origin and origin.app in apps.app_configs and package_of(origin.app) == origin.package:
                yield entry, origin


def kept(entry: Entry, origin: Origin, path: Path) -> str:
    """Return what keeps an original, whoever imports it; else an empty text."""
    if reason_for_reference(entry):
        return "its file in the timeline refers to it"
    copied = hashlib.sha256(path.read_bytes()).hexdigest() == origin.sha256
    return "" if copied else "it was changed since it was copied"


def squashed(origin: Origin) -> Iterator[tuple[str, str]]:
    """Yield (module, what keeps it): what a squash was copied for, and squashes that were not copied."""
    for app, name in sorted(origin.replaced):
        if app == origin.app:
            yield f"{origin.package}.{name}", "only the squash of it was copied"
    for text in origin.squashes:
        app, _, name = text.partition(".")
        if app == origin.app:
            yield f"{origin.package}.{name}", "what it stands for was copied in its place"


def module_of(origin: Origin) -> str:
    return f"{origin.package}.{origin.name}"


def own_file(project: Project, module: str) -> Path | None:
    """Return the file of a module of the project's own, None for others and for one that is gone."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    path = Path(spec.origin) if spec and spec.origin else None
    return path if path and path.suffix == ".py" and path.is_file() and project.is_own(path) else None


def own_sources(project: Project, migrations: Mapping[str, Path]) -> dict[str, bytes]:
    """Return {module, or path: text} of the migrations and of all other code of the project."""
    known = set(migrations.values())
    found = {module: path.read_bytes() for module, path in migrations.items()}
    found |= {str(path): path.read_bytes() for path in python_files(project) if path not in known}
    return found


def python_files(project: Project) -> Iterator[Path]:
    """Yield the project's own Python files, but for those of the timelines."""
    for folder, below, names in os.walk(project.root):
        here = Path(folder)
        below[:] = [name for name in below if not is_foreign(here / name, project)]
        yield from (here / name for name in names if name.endswith(".py"))


def is_foreign(folder: Path, project: Project) -> bool:
    """Whether a folder holds no code of the project's own: hidden, the timelines, a virtual environment."""
    return (
        folder.name.startswith(".")
        or folder.name in ("site-packages", "node_modules", "__pycache__")
        or folder == project.directory
        or (folder / "pyvenv.cfg").exists()
    )
