"""
An existing project -> a timeline, in the order in which Django itself would run its migrations on an empty database.

Own and reusable apps' migrations become vendored files. Dates of the project's own become stamps where they keep the
order; those of others say nothing about the project, and are not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.apps import apps
from django.db.migrations.state import ProjectState as DjangoProjectState
from django.db.models import Model

from chronomig.authoring.autodetect import ModelKey
from chronomig.authoring.copying import Template, vendor
from chronomig.authoring.dating import dates_of, stamps_for
from chronomig.authoring.detect import Unasked, detect, key_of, referred_to, wanted_state
from chronomig.authoring.drafts import DraftKind, SetDraft, begin, written
from chronomig.authoring.templates import templates_of
from chronomig.authoring.vendor import TemplateLoader, Templates, is_let_in
from chronomig.authoring.writer import format_text, slug_for
from chronomig.code.origins import Key
from chronomig.errors import DatabaseError, Refused
from chronomig.history.recorder import django_applied
from chronomig.project import Database, MigrationSet, Project

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
    made = wanted_state(coming).models
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
