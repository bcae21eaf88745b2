"""``chronomig makemigrations``: write what changed, and what reusable apps bring."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from django.db.migrations.questioner import MigrationQuestioner

from chronomig import output
from chronomig.authoring.detect import questioner
from chronomig.authoring.drafts import (
    Choices,
    DraftKind,
    SetDraft,
    checked_name,
    draft_changes,
    draft_empty,
    draft_update,
)
from chronomig.authoring.freezing import freeze
from chronomig.authoring.provenance import Standing
from chronomig.authoring.writer import put_in_place
from chronomig.errors import UsageError
from chronomig.project import Project
from chronomig.sets import MigrationSet
from chronomig.timeline import Entry


def run(
    project: Project,
    *,
    sets: Sequence[str] = (),
    name: str | None = None,
    empty: bool = False,
    check: bool = False,
    dry_run: bool = False,
    interactive: bool = True,
    vendor: bool = True,
    update: bool = False,
    header: bool = True,
    scriptable: bool = False,
    json: bool = False,
    verbosity: int = 1,
) -> int:
    """Draft everything for all sets, then write it; return 3 when *check* found something."""
    chosen = project.choose_sets(sets)
    if empty and update:
        raise UsageError("--empty and --update exclude each other.", next_step="Type one of them.")
    if empty and len(chosen) > 1:
        raise UsageError(
            "There are several sets.",
            cause=f"They are: {', '.join(one.name for one in chosen)}.",
            next_step="Choose one with --set.",
        )
    # A check only wants to know whether there is something: Django's base questioner answers by itself.
    asking = MigrationQuestioner() if check else questioner(interactive=interactive and sys.stdin.isatty())
    choices = Choices(asking, checked_name(name), header, vendor)
    drafted = [draft(project, one, choices, empty=empty, update=update) for one in chosen]
    if not check and not dry_run:
        write(drafted)
    if json:
        output.say_json("makemigrations", written=not (check or dry_run), sets=[as_json(one) for one in drafted])
    else:
        say(drafted, source=dry_run, scriptable=scriptable, quiet=verbosity == 0)
    return 3 if check and any(one.drafts for one in drafted) else 0


def draft(project: Project, one: MigrationSet, choices: Choices, *, empty: bool, update: bool) -> SetDraft:
    one = replace(one, may_be_missing=True)
    if empty:
        return draft_empty(project, one, choices)
    return draft_update(project, one, choices) if update else draft_changes(project, one, choices)


def write(drafted: Sequence[SetDraft]) -> None:
    """Put every file in place, or none; an updated file under a new name replaces the old one."""
    templates = [entry for one in drafted for entry in one.templates]
    put_in_place([*templates, *(draft.entry for one in drafted for draft in one.drafts), *frozen(drafted)])
    for one in drafted:
        one.set.directory.mkdir(parents=True, exist_ok=True)
        for draft in one.drafts:
            newest = one.set.timeline.newest
            if draft.kind is DraftKind.UPDATED and newest is not None and newest.path != draft.entry.path:
                newest.path.unlink()


def frozen(drafted: Sequence[SetDraft]) -> Iterator[Entry]:
    """Yield the files of records that the drafts change."""
    for one in drafted:
        if entry := freeze(one.set, ((draft.entry, draft.loaded) for draft in one.drafts)):
            yield entry


def say(drafted: Sequence[SetDraft], *, source: bool, scriptable: bool, quiet: bool) -> None:
    """Print each file with what it does; only the paths for a script."""
    if quiet and not source:
        return
    for one in drafted:
        for noticed in one.noticed:
            output.say(noticed.told, err=True)
            if noticed.standing is Standing.EDITED_UPSTREAM:
                output.say(noticed.diff.rstrip(), err=True)
        if not one.drafts:
            output.say(f"{one.set.name}: no changes", err=scriptable)
        for entry in one.templates:
            output.say(f"{one.set.name}: template {shown(entry.path)}", err=scriptable)
        for draft in one.drafts:
            output.say(f"{one.set.name}: {draft.kind} {shown(draft.entry.path)}", err=scriptable)
            for line in draft.descriptions if draft.kind is not DraftKind.VENDORED else []:
                output.say(f"    {line}", err=scriptable)
            if source:
                output.say(draft.entry.source.decode())
            if scriptable:
                output.say(shown(draft.entry.path))


def shown(path: Path) -> str:
    """Return *path* as it can be typed here: relative where it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def as_json(one: SetDraft) -> dict[str, object]:
    return {
        "set": one.set.name,
        "files": [
            {
                "kind": draft.kind,
                "name": draft.entry.name,
                "path": str(draft.entry.path),
                "operations": [f"{label}: {operation.describe()}" for label, operation in draft.loaded.operations],
                "origin": " ".join(draft.loaded.origin.key) if draft.loaded.origin else None,
                "source": draft.entry.source.decode(),
            }
            for draft in one.drafts
        ],
        "templates": [str(entry.path) for entry in one.templates],
        "noticed": [{"name": file.name, "standing": file.standing, "diff": file.diff} for file in one.noticed],
    }
