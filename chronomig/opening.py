"""From a folder, or from the Django that is set up already, to a project."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

from chronomig import config as configuration
from chronomig.code.loading import put_on_path
from chronomig.errors import ConfigError, in_words
from chronomig.project import Project


def open_project(start: Path | None = None, settings_module: str | None = None) -> Project:
    """
    Find the project at or above *start* (the working directory), set Django up, and read the configuration.

    The settings module is the one given, else ``DJANGO_SETTINGS_MODULE``, else ``[tool.chronomig] settings``, else
    the one in manage.py. Raise ConfigError.
    """
    start = start or Path.cwd()
    root = configuration.find_root(start) or start
    own = configuration.read_pyproject(root).get("chronomig", {})
    pyproject = configuration.merge(own, {})
    put_on_path([str(root), *(str(root / folder) for folder in pyproject.python_path)])
    module = (
        settings_module
        or configuration.environment_settings()
        or pyproject.settings
        or configuration.settings_module_of(root)
    )
    if not module:
        raise ConfigError(
            f"There is no Django project at {start}.",
            cause="No settings module: none in DJANGO_SETTINGS_MODULE, pyproject.toml, or a manage.py.",
            next_step="Run chronomig init in the project's directory, or pass --settings.",
        )
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    set_up_django(module)
    return Project(root, configuration.merge(own, getattr(settings, "CHRONOMIG", {})))


def current_project() -> Project:
    """Return the project of the Django that is set up already (``manage.py``, a test runner, a check)."""
    root = configuration.find_root(Path.cwd()) or _root_of_settings() or Path.cwd()
    own = configuration.read_pyproject(root).get("chronomig", {})
    return Project(root, configuration.merge(own, getattr(settings, "CHRONOMIG", {})))


def _root_of_settings() -> Path | None:
    for folder in _settings_folders():
        if root := configuration.find_root(folder):
            return root
    return None


def _settings_folders() -> Iterator[Path]:
    if base := getattr(settings, "BASE_DIR", None):
        yield Path(base)
    for app in apps.get_app_configs():
        yield Path(app.path)


def refuse_odd_names(databases: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ImproperlyConfigured for what Django does not look for: a NAME that is no name, OPTIONS that are none."""
    for alias, one in databases.items():
        name, options = one.get("NAME"), one.get("OPTIONS")
        if not isinstance(name, str | Path) and (name is not None or one["ENGINE"].endswith("sqlite3")):
            raise ImproperlyConfigured(f"DATABASES[{alias!r}]['NAME'] is {name!r}, which is no text and no path.")
        if not isinstance(options, Mapping):
            raise ImproperlyConfigured(f"DATABASES[{alias!r}]['OPTIONS'] is {options!r}, which is no dictionary.")


def refuse_odd_settings() -> None:
    """Raise for what Django looks at only when it is needed, which is later."""
    refuse_odd_names(connections.settings)
    modules = settings.MIGRATION_MODULES
    if not isinstance(modules, Mapping) or not all(one is None or isinstance(one, str) for one in modules.values()):
        raise ImproperlyConfigured(f"MIGRATION_MODULES is {modules!r}, which does not name a module for each app.")
    router.routers  # noqa: B018  a property that imports


def set_up_django(module: str) -> None:
    """Import the settings and the apps; raise ConfigError that names what failed."""
    try:
        django.setup()
        refuse_odd_settings()
    except ImproperlyConfigured as error:
        raise ConfigError(
            f"Django cannot be set up with the settings {module!r}.",
            cause=str(error),
            next_step="Mend the settings.",
        ) from error
    except SyntaxError as error:
        raise ConfigError(
            f"Django cannot be set up with the settings {module!r}.",
            cause=f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})",
            next_step="Resolve the conflict that git left in it." if is_conflict(error) else "Mend the file.",
        ) from error
    except (Exception, SystemExit) as error:  # settings that call exit() may not end this quietly
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigError(
            f"Django cannot be set up with the settings {module!r}.",
            cause=f"{in_words(error)} ({last.filename}, line {last.lineno})",
            next_step="Check the name of the settings module, or mend what it imports.",
        ) from error


def is_conflict(error: SyntaxError) -> bool:
    """Whether Python stumbled over what a merge or rebase that stopped writes into files."""
    return (error.text or "").startswith(("<<<<<<<", "=======", ">>>>>>>"))
