"""Where the migrations of an app go: where Django looks for them, or into the project for an app of others."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from django.apps import apps
from django.db.migrations.loader import MigrationLoader

from chronomig.project import Project

KEPT = "kept_migrations"
"""The package of the project for migrations of apps whose own package is not the project's to write into."""


def package_of(label: str, *, kept: bool) -> str | None:
    """Return the name of an app's migrations package; None where the settings turn its migrations off."""
    return f"{KEPT}.{label}" if kept else MigrationLoader.migrations_module(label)[0]


def folder_of(label: str, package: str, project: Project) -> Path:
    """Return the folder of a package, which need not be there yet; writes nothing."""
    config = apps.get_app_config(label)
    parent, _, name = package.rpartition(".")
    if parent == config.name:
        return Path(config.path) / name
    known, rest = package.split("."), list[str]()
    while known:
        if folder := there(".".join(known)):
            return folder.joinpath(*rest)
        rest.insert(0, known.pop())
    return base_of(project).joinpath(*rest)


def there(package: str) -> Path | None:
    """Return the folder of a package that can be imported."""
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:
        return None
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def base_of(project: Project) -> Path:
    """Return the folder from which the project's own modules are imported."""
    return project.root / next(iter(project.config.python_path), "")


def missing_inits(folder: Path, base: Path) -> list[Path]:
    """Return the ``__init__.py`` that *folder* and what is above it, up to *base*, still need."""
    folders = [folder]
    while folders[-1].parent != base and base in folders[-1].parents and not folders[-1].parent.is_dir():
        folders.append(folders[-1].parent)
    return [one / "__init__.py" for one in folders if not (one / "__init__.py").exists()]
