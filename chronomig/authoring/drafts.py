"""
What makemigrations would write: drafts, in memory, each of them loaded once before it is written.

For each set: what reusable apps bring, then what changed in the models. Where a reusable app builds on a model of
the project's own (its user model, say), the own models come between.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from django.apps import apps
from django.db.migrations.operations import DeleteModel
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState as DjangoProjectState

from chronomig.authoring.autodetect import ModelKey
from chronomig.authoring.copying import Template, vendor
from chronomig.authoring.detect import detect, key_of, members_of, optimized, referred_to, wanted_state
from chronomig.authoring.placing import can_keep_its_place, lacks
from chronomig.authoring.provenance import FINDINGS, Provenance, provenance
from chronomig.authoring.templates import OwnTemplate, apps_with_templates, folder_of, new_templates, templates_of
from chronomig.authoring.vendor import Templates
from chronomig.authoring.writer import HEADER_PATTERN, clean_slug, format_text, render, slug_for
from chronomig.checks import own_migration_modules
from chronomig.code.folding import fold
from chronomig.code.loading import Labelled, Loaded
from chronomig.code.origins import read_origin
from chronomig.errors import Refused, UsageError
from chronomig.operations import DeleteContentTypes
from chronomig.planning.record import Record
from chronomig.project import Project
from chronomig.sets import MigrationSet
from chronomig.state import ProjectState
from chronomig.timeline import Entry, format_stamp, next_stamp, parse_stamp


class DraftKind(StrEnum):
    VENDORED = "vendored"
    DETECTED = "detected"
    EMPTY = "empty"
    UPDATED = "updated"
    ADOPTED = "adopted"


@dataclass(frozen=True)
class Draft:
    """One file that would be written."""

    kind: DraftKind
    entry: Entry
    loaded: Loaded

    @property
    def descriptions(self) -> list[str]:
        """Say what each operation does, with Django's symbol for its kind."""
        return [operation.formatted_description() for _, operation in self.loaded.operations]


@dataclass
class SetDraft:
    """All that would be written for one set, growing as it is drafted."""

    set: MigrationSet
    state: ProjectState
    newest: str | None
    drafts: list[Draft] = field(default_factory=list)
    noticed: list[Provenance] = field(default_factory=list)
    """Vendored files that differ from what is installed."""
    templates: list[Entry] = field(default_factory=list)
    """Files for the apps that are developed here for others; the drafts hold them as vendored."""

    def stamp(self) -> str:
        """Return the next stamp: consecutive seconds within one run."""
        newest = max([draft.entry.stamp for draft in self.drafts], default="")
        if newest > (self.newest or ""):
            return format_stamp(parse_stamp(newest) + timedelta(seconds=1))
        return next_stamp(self.newest, datetime.now(UTC))

    @property
    def entries(self) -> dict[str, Entry]:
        """Every file that the set would have, by name."""
        return {**self.set.timeline.by_name, **{draft.entry.name: draft.entry for draft in self.drafts}}

    def add(self, kind: DraftKind, entry: Entry) -> None:
        """Load *entry*, so that a file that cannot be loaded is never written, and fold it."""
        loaded = self.set.loader.load(entry)
        self.drafts.append(Draft(kind, entry, loaded))
        self.state = fold(self.state, loaded)


@dataclass(frozen=True)
class Choices:
    """What was chosen for a run."""

    asking: MigrationQuestioner
    name: str | None = None
    header: bool = True
    vendor: bool = True


def begin(migration_set: MigrationSet) -> SetDraft:
    """Start at the head of the files."""
    newest = migration_set.timeline.newest
    return SetDraft(migration_set, migration_set.head_state(), newest.stamp if newest else None)


def draft_changes(project: Project, migration_set: MigrationSet, choices: Choices) -> SetDraft:
    """Draft what reusable apps bring and what changed in the models; raise Refused, LoadError."""
    refuse_own_migrations(project)
    found = begin(migration_set)
    ours = apps_with_templates(project, migration_set)
    templates = Templates(project, migration_set, project.own_apps() | ours)
    found.noticed = [one for one in provenance(templates) if one.standing in FINDINGS]
    members = members_of(migration_set, templates.apps)
    new, new_ours = templates.new(), new_templates(project, migration_set, ours)
    left_out = {one.key[0] for one in new} | {one.app for one in new_ours} if not choices.vendor else set()
    if choices.vendor:
        later = templates.needs_detected(new)
        add_vendored(found, [template for template in new if template not in later])
        waiting = add_templates(found, new_ours)
        if later or waiting:
            labels = {one.key[0] for one in later} | {one.app for one in waiting}
            add_detected(project, found, without(members, labels, found.state), choices)
            add_vendored(found, later)
            refuse_waiting(found, add_templates(found, waiting))
    wanted = without(members, left_out, found.state) if left_out else wanted_state(members, found.state)
    add_detected(project, found, wanted, choices)
    return found


def refuse_own_migrations(project: Project) -> None:
    """Two sources of truth for one table end in tears: raise Refused."""
    found = dict(own_migration_modules(project))
    if found:
        module = next(iter(found.values()))
        raise Refused(
            f"The project's own apps have migrations of Django's own: {', '.join(found)}; nothing was written.",
            cause="Their models would be created a second time in the timeline.",
            next_step=(
                "Run chronomig adopt to take them over. "
                f"If no database has them, {module.replace('.', '/')} and the like can be deleted instead."
            ),
        )


def add_vendored(found: SetDraft, templates: Sequence[Template]) -> None:
    for template in templates:
        found.add(DraftKind.VENDORED, vendor(template, found.stamp(), found.set.directory))


def add_templates(found: SetDraft, templates: Sequence[OwnTemplate]) -> list[OwnTemplate]:
    """Add templates in chronomig's own format, under their stamps where these can stay; return what has to wait."""
    waiting: list[OwnTemplate] = []
    for template in templates:
        entry = template.vendored(template.entry.stamp, found.set.directory)
        loaded = found.set.loader.load(entry)
        if template.app in {one.app for one in waiting} or lacks(found.state, loaded):
            waiting.append(template)
            continue
        if not can_keep_its_place(found.set, found.entries, entry):
            entry = template.vendored(found.stamp(), found.set.directory)
        found.add(DraftKind.VENDORED, entry)
    return waiting


def refuse_waiting(found: SetDraft, waiting: Sequence[OwnTemplate]) -> None:
    """Raise Refused for templates that need what nothing brings."""
    if waiting:
        first = waiting[0]
        loaded = found.set.loader.load(first.vendored(first.entry.stamp, found.set.directory))
        raise Refused(
            f"The template {' '.join(first.key)} does not fit into the set {found.set.name!r}; nothing was written.",
            cause=f"It needs what is not there: {lacks(found.state, loaded)}.",
            next_step="Install the app that it builds on, or the version of it that has what is needed.",
        )


def add_detected(project: Project, found: SetDraft, wanted: DjangoProjectState, choices: Choices) -> None:
    operations = detect(found.state, wanted, choices.asking)
    operations += deleted_content_types(found.state, operations)
    for label, part in groupby(operations, lambda one: one[0] if one[0] in project.config.template_apps else ""):
        if label:
            add_new_template(project, found, label, list(part), choices)
        else:
            add_own(project, found, list(part), choices)


def add_own(project: Project, found: SetDraft, operations: Sequence[Labelled], choices: Choices) -> None:
    first = all(read_origin(entry) is not None for entry in found.entries.values())
    slug = choices.name or slug_for(operations, first=first)
    found.add(DraftKind.DETECTED, written(project, found, slug, operations, header=choices.header))


def add_new_template(
    project: Project, found: SetDraft, label: str, operations: Sequence[Labelled], choices: Choices
) -> None:
    """Draft a template for an app that is developed here for others, and the file that this project has of it."""
    folder = found.set.name if len(project.sets) > 1 else ""
    first = not any(one.folder == folder for one in templates_of(label))
    slug = choices.name or slug_for(operations, first=first)
    path = folder_of(label) / folder / f"{found.stamp()}_{slug}.py"
    text = format_text(render(operations, header=choices.header), path, project.root)
    template = OwnTemplate(label, folder, Entry(path.stem, path, text.encode()))
    found.templates.append(template.entry)
    found.add(DraftKind.VENDORED, template.vendored(template.entry.stamp, found.set.directory))


def deleted_content_types(head: ProjectState, operations: Sequence[Labelled]) -> Iterator[Labelled]:
    """Yield what deletes the content types of apps that are not installed any more, and their permissions."""
    gone: dict[str, list[str]] = {}
    for label, operation in operations:
        if isinstance(operation, DeleteModel) and label not in apps.app_configs:
            gone.setdefault(label, []).append(operation.name_lower)
    if ("contenttypes", "contenttype") in head.models:
        yield from ((label, DeleteContentTypes(sorted(names))) for label, names in gone.items())


def written(project: Project, found: SetDraft, slug: str, operations: Sequence[Labelled], *, header: bool) -> Entry:
    """Return the entry of a file with *operations*, formatted as the user formats code."""
    path = found.set.directory / f"{found.stamp()}_{slug}.py"
    return Entry(path.stem, path, format_text(render(operations, header=header), path, project.root).encode())


def without(members: Collection[ModelKey], waiting: Collection[str], head: ProjectState) -> DjangoProjectState:
    """Return the wanted state of all models but those of the apps *waiting*, and those that refer to them."""
    wanted = wanted_state(members, head)
    left_out = {key for key in wanted.models if key[0] in waiting}
    while more := {key for key in wanted.models if key not in left_out and refers_to(key, left_out)}:
        left_out |= more
    kept = {key: model for key, model in wanted.models.items() if key not in left_out}
    there = {key: model for key, model in head.plain().models.items() if key in left_out}
    return DjangoProjectState({**kept, **there})


def refers_to(key: ModelKey, targets: Collection[ModelKey]) -> bool:
    """Whether the model *key* cannot stand without one of *targets*."""
    return any(key_of(other) in targets for other in referred_to(apps.get_model(*key)))


def draft_empty(project: Project, migration_set: MigrationSet, choices: Choices) -> SetDraft:
    """Draft one migration without operations."""
    found = begin(migration_set)
    entry = written(project, found, choices.name or "custom", [], header=choices.header)
    found.add(DraftKind.EMPTY, entry)
    return found


def draft_update(project: Project, migration_set: MigrationSet, choices: Choices) -> SetDraft:
    """Draft the newest file anew, with what changed since; raise UsageError or Refused where it must stay."""
    newest = migration_set.timeline.newest
    if newest is None:
        raise UsageError(f"The set {migration_set.name!r} has no migration to update.")
    loaded = migration_set.loader.load(newest)
    refuse_update(project, migration_set, loaded, newest)
    found = begin(migration_set)
    templates = Templates(project, migration_set, project.own_apps())
    operations = detect(
        found.state, wanted_state(members_of(migration_set, templates.apps), found.state), choices.asking
    )
    if operations:
        slug = choices.name or newest.slug
        path = migration_set.directory / f"{newest.stamp}_{slug}.py"
        text = render(optimized([*loaded.operations, *operations]), header=choices.header)
        entry = Entry(path.stem, path, format_text(text, path, project.root).encode())
        found.drafts.append(Draft(DraftKind.UPDATED, entry, migration_set.loader.load(entry)))
    return found


def refuse_update(project: Project, migration_set: MigrationSet, loaded: Loaded, newest: Entry) -> None:
    """A file that databases have, that came from elsewhere, or that a hand wrote is not rewritten."""
    applied = [
        database.alias
        for database in project.databases.values()
        if database.set.name == migration_set.name and is_recorded(database.record(), newest.name)
    ]
    reason = (
        f"it is applied to {', '.join(applied)}"
        if applied
        else "it is vendored"
        if loaded.origin
        else "it holds comments or code that rewriting would lose"
        if has_handwriting(newest.source.decode())
        else ""
    )
    if reason:
        raise Refused(
            f"{newest.name} is not updated: {reason}.",
            next_step="Run makemigrations without --update to write a new file.",
        )


def is_recorded(record: Record, name: str) -> bool:
    return name in record.names or (record.half_done is not None and name in record.half_done.names)


def has_handwriting(text: str) -> bool:
    """Whether a file has more than what makemigrations writes."""
    tree = ast.parse(text)
    plain = (ast.Import, ast.ImportFrom)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            if any(not isinstance(line, ast.Assign) for line in node.body):
                return True
        elif not isinstance(node, plain):
            return True
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return any(not HEADER_PATTERN.fullmatch(comment) for comment in comments)


def checked_name(name: str | None) -> str | None:
    """Return the slug that a user typed; raise UsageError for what no name can hold."""
    if name is not None and (clean_slug(name) != name or len(name) > 100):
        raise UsageError(
            f"{name!r} is not a slug.",
            cause="A slug has lower-case ASCII letters, digits and underscores, 100 at most.",
            next_step=f"Try --name {clean_slug(name)[:100]}.",
        )
    return name
