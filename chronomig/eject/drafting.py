"""A project's timelines -> the files of Django's that take their place, and what would be wrong with them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from django.db.migrations import Migration as DjangoMigration

from chronomig.authoring.copying import same, source_of
from chronomig.authoring.vendor import TemplateLoader
from chronomig.authoring.writer import format_text
from chronomig.checks import adopted_keys
from chronomig.code.loading import execute
from chronomig.code.origins import Key, Origin
from chronomig.eject.chain import Chain, Ground, How, Link, Step
from chronomig.eject.folders import base_of, folder_of, missing_inits, package_of
from chronomig.eject.graph import loaded_graph, problems
from chronomig.eject.homes import interleaved
from chronomig.eject.surroundings import ground_of, names_of, notes_on, obstacles
from chronomig.eject.texts import CannotRewrite, copied, rewritten, uses_chronomig
from chronomig.errors import ChronomigError
from chronomig.project import Project
from chronomig.timeline import Entry


class Fate(StrEnum):
    """What becomes of a file."""

    NEW = "new"
    SAME = "same"
    """It is there, and says the same; how it is formatted makes no difference."""
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True)
class Page:
    """One file that is written, or goes."""

    path: Path
    fate: Fate
    content: bytes = b""
    file: str = ""
    """The file of the timeline that it comes from."""


@dataclass
class Ejection:
    """All that an ejection would do to the files."""

    pages: list[Page] = field(default_factory=list)
    rows: set[Key] = field(default_factory=set)
    """What ``django_migrations`` of every database has to record."""
    modules: dict[str, str] = field(default_factory=dict)
    """What has to be added to MIGRATION_MODULES."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, *fates: Fate) -> list[Page]:
        return [one for one in self.pages if one.fate in fates]


def draft_ejection(project: Project) -> Ejection:
    """Draft the files of all sets; what is wrong is among the problems. Raise LoadError, TimelineError."""
    steps = steps_of(project)
    ground = ground_of(project, steps)
    steps = list(interleaved(steps, ground.homes))
    chain = Chain(ground, names_of(project))
    for step in steps:
        chain.take(step)
    found = Ejection(
        problems=list(obstacles(project, ground)), notes=list(notes_on(project, steps, ground, chain.gone))
    )
    planned = dict(written(project, ground, chain, found))
    stale = set(stale_files(project, ground, chain, found))
    loader, reason = loaded_graph(planned, ground.kept, stale)
    if not found.problems:  # they come first: most of what the graph lacks is a consequence
        found.problems += [reason] if loader is None else problems(loader)
    if loader is not None:
        replaced = {(app, name) for one in loader.replacements.values() for app, name in one.replaces}
        upstream = {key for _, loaded in steps for key in loaded.upstream if key[0] in ground.installed}
        found.rows = {*loader.graph.nodes, *replaced, *upstream}
    return found


def steps_of(project: Project) -> list[Step]:
    """Return every migration of every set, in the order of the stamps."""
    found = [(one, loaded) for one in project.sets.values() for loaded in one.loader.load_all(one.timeline)]
    return sorted(found, key=lambda step: step[1].name)


# -- files ----------------------------------------------------------------------------------------------------------


def written(project: Project, ground: Ground, chain: Chain, found: Ejection) -> Iterator[tuple[Key, DjangoMigration]]:
    """Yield (key, migration) of each file of the chain; put its page, or its problem, among those of *found*."""
    packages = packages_of(project, ground, {link.key[0] for link in chain.links if link.how is not How.INSTALLED})
    for link in chain.links:
        if link.how is How.INSTALLED:
            continue
        label, name = link.key
        package, folder = packages[label]
        if folder is None:
            found.problems.append(f"{label}: MIGRATION_MODULES turns its migrations off. Take that entry out.")
            continue
        path = folder / f"{name}.py"
        try:
            text = text_of(link, package, path, project)
            migration = checked(link, text, path)
        except ChronomigError as error:
            why = f"{error.fact}{f' ({error.cause})' if error.cause else ''}"
            found.problems.append(f"{link.file.name}: {why}. Write {path} by hand, or mend the file of the timeline.")
            continue
        found.pages.append(Page(path, fate_of(path, text), text.encode(), link.file.name))
        yield link.key, migration
    folders = {page.path.parent for page in found.pages}
    inits = {init for folder in folders for init in missing_inits(folder, base_of(project))}
    found.pages += [Page(init, Fate.NEW) for init in sorted(inits)]
    found.modules = {label: packages[label][0] for label in ground.kept if label in packages}


def packages_of(project: Project, ground: Ground, labels: set[str]) -> Mapping[str, tuple[str, Path | None]]:
    found: dict[str, tuple[str, Path | None]] = {}
    for label in labels:
        package = package_of(label, kept=label in ground.kept)
        found[label] = (package or "", folder_of(label, package, project) if package else None)
    return found


def text_of(link: Link, package: str, path: Path, project: Project) -> str:
    """Return the text of a migration; raise CannotRewrite."""
    if link.file.stood_in:
        raise CannotRewrite("it needs a package that is gone")
    source = link.entry.source.decode()
    if link.how is How.COPIED:
        upstream = link.file.origin.package if link.file.origin else package
        return copied(source, link.needs, upstream or package, package)
    count = len(link.file.operations)
    text = rewritten(source, link.places, count, needs=link.needs, before=link.before, initial=link.initial)
    return format_text(text, path, project.root)


def checked(link: Link, text: str, path: Path) -> DjangoMigration:
    """Return the migration of a text, once it was compared with the file of the timeline; raise ChronomigError."""
    if uses_chronomig(text):
        raise CannotRewrite("it uses something of chronomig's own")
    label, name = link.key
    module = execute(Entry(name, path, text.encode()), "", Origin(label, name, "", "", ""))
    kind = getattr(module, "Migration", None)
    if not isinstance(kind, type) or not issubclass(kind, DjangoMigration):
        raise CannotRewrite("its Migration cannot become one of Django's")
    migration = kind(name, label)
    if not same(list(migration.operations), link.operations) or migration.atomic != link.file.atomic:
        raise CannotRewrite("what was made of it has other operations")
    return migration


def fate_of(path: Path, text: str) -> Fate:
    """Return what becomes of the file at *path*."""
    if not path.exists():
        return Fate.NEW
    there = path.read_bytes()
    try:
        equal = there == text.encode() or ast.dump(ast.parse(there)) == ast.dump(ast.parse(text))
    except (SyntaxError, ValueError):
        equal = False
    return Fate.SAME if equal else Fate.CHANGED


def stale_files(project: Project, ground: Ground, chain: Chain, found: Ejection) -> Iterator[Key]:
    """Yield what lies in the packages of own apps and is part of a baseline now; what nobody knows is a problem."""
    ours = {link.key for link in chain.links}
    known, squashed = adopted_keys(project), {key for one in project.sets.values() for key in one.origins}
    loader = TemplateLoader(project)
    there = {key for key in loader.disk_migrations if loader.is_there(key)}
    for key in sorted(key for key in there if key[0] in ground.own and key not in ours):
        path = source_of(type(loader.disk_migrations[key]))
        if key in squashed and path:
            found.pages.append(Page(path, Fate.DELETED))
            yield key
        elif key not in known:
            found.problems.append(f"{'.'.join(key)} is in no timeline. Run chronomig adopt, or delete the file.")
