"""The project's own migrations of Django's that timelines hold: which can be deleted, what keeps the others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from django.apps import apps
from django.db.migrations.loader import MigrationLoader

from chronomig.authoring.copying import importers_of, reason_for_reference
from chronomig.authoring.drafts import SetDraft
from chronomig.code.origins import Origin, key_of, read_origin
from chronomig.project import Project
from chronomig.timeline import Entry


@dataclass(frozen=True)
class Original:
    """A file of the project's own that was copied, or that a squash stands for."""

    path: Path
    stays: str = ""
    """Why it cannot go, where it cannot."""


def originals(project: Project, drafted: Sequence[SetDraft]) -> list[Original]:
    """Return the project's own files that the timelines and the drafts hold, with what keeps each of them."""
    held: dict[str, Original] = {}
    for entry, origin in origins_of(drafted):
        for module, stays in modules_of(entry, origin):
            path = own_file(project, module)
            if path and (module not in held or module == module_of(origin)):
                held[module] = Original(path, stays or changed_since(path, origin))
    copies = {f"{origin.package}.{entry.name}": entry for entry, origin in origins_of(drafted)}
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


def modules_of(entry: Entry, origin: Origin) -> Iterator[tuple[str, str]]:
    """Yield (module, what keeps it) for the original of a file, and for those that a squash connects with it."""
    yield module_of(origin), "its file in the timeline refers to it" if reason_for_reference(entry) else ""
    for app, name in sorted(origin.replaced):
        if app == origin.app:
            yield f"{origin.package}.{name}", "only the squash of it was copied"
    for app, name in map(key_of, origin.squashes):
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


def changed_since(path: Path, origin: Origin) -> str:
    copied = hashlib.sha256(path.read_bytes()).hexdigest() == origin.sha256
    return "" if copied else "it was changed since it was copied"


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
