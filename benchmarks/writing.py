"""A history -> the same project twice: with per-app migrations of stock Django, and with a timeline of chronomig."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from benchmarks.history import NEEDS_USER, USER, History, Key, Migration

CONTRIB = ("contenttypes", "auth")
SETTINGS = """\
import json
import os

SECRET_KEY = "bench"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {{"default": json.loads(os.environ["BENCH_DATABASE"])}}
INSTALLED_APPS = [
    *json.loads(os.environ.get("BENCH_MORE_APPS", "[]")),
    {apps}
]
"""
MANAGE = """\
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench_settings")

from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""
IMPORTS = """\
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
"""
FIRST_STAMP = datetime(2020, 1, 1, tzinfo=UTC)


def write_stock(folder: Path, history: History) -> None:
    """Write the project as stock Django has it."""
    write_project(folder, history, [])
    initial = set()
    for one in history.migrations:
        package = folder / one.app / "migrations"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        text = stock_text(one, initial=one.app not in initial)
        (package / f"{one.name}.py").write_text(text, encoding="utf-8")
        initial.add(one.app)


def write_chronomig(folder: Path, history: History, order: Sequence[tuple[Key, str]]) -> list[str]:
    """Write the project with a timeline, in *order* (what stock runs, with the file of each); return the names."""
    write_project(folder, history, ["chronomig"])
    timeline = folder / "project_migrations" / "default"
    timeline.mkdir(parents=True)
    own = {one.key: one for one in history.migrations}
    names = []
    for number, (key, path) in enumerate(order):
        stamp = (FIRST_STAMP + timedelta(minutes=number)).strftime("%Y%m%d%H%M%S")
        names.append(f"{stamp}_{'_'.join(key)}")
        text = timeline_text(own[key]) if key in own else vendored_text(key, Path(path))
        (timeline / f"{names[-1]}.py").write_text(text, encoding="utf-8")
    return names


def write_project(folder: Path, history: History, more_apps: Sequence[str]) -> None:
    """Write settings, manage.py and the models of every app."""
    folder.mkdir(parents=True)
    apps = [*more_apps, *(f"django.contrib.{label}" for label in CONTRIB), *history.apps]
    (folder / "bench_settings.py").write_text(SETTINGS.format(apps=", ".join(map(repr, apps))), encoding="utf-8")
    (folder / "manage.py").write_text(MANAGE, encoding="utf-8")
    for label, models in history.models.items():
        (folder / label).mkdir()
        (folder / label / "__init__.py").touch()
        head = IMPORTS.replace("import migrations, models", "import models")
        text = "\n\n".join([head, *(model.source() for model in models)])
        (folder / label / "models.py").write_text(text, encoding="utf-8")


def stock_text(one: Migration, *, initial: bool) -> str:
    needs = ", ".join(
        f"migrations.swappable_dependency({USER})" if need == NEEDS_USER else repr(need) for need in sorted(one.needs)
    )
    lines = [f"        {operation}," for operation in one.operations]
    head = ["    initial = True"] if initial else []
    body = [*head, f"    dependencies = [{needs}]", "    operations = [", *lines, "    ]"]
    return migration_text(IMPORTS, one.code, "migrations.Migration", body)


def timeline_text(one: Migration) -> str:
    lines = [f'        ("{one.app}", {operation}),' for operation in one.operations]
    body = ["    operations = [", *lines, "    ]"]
    return migration_text(f"{IMPORTS}\nimport chronomig\n", one.code, "chronomig.Migration", body)


def migration_text(imports: str, code: str, base: str, body: Sequence[str]) -> str:
    return f"{imports}\n\n{code}class Migration({base}):\n" + "\n".join(body) + "\n"


def vendored_text(key: Key, path: Path) -> str:
    """Return a migration of Django's own as ``chronomig makemigrations`` vendors it: its text, and where it is from."""
    source = path.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    origin: Mapping[str, str] = {
        "app": key[0], "name": key[1], "distribution": "Django", "version": version("django"), "sha256": digest
    }  # fmt: skip
    return f"{source.decode()}\n\nORIGIN = {json.dumps(origin)}\n"
