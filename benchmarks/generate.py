"""A project with a history, as stock Django keeps it and as a timeline, from the same files."""

from __future__ import annotations

import json
from pathlib import Path

SETTINGS = """\
import json, os
SECRET_KEY = "bench"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {{"default": json.loads(os.environ["BENCH_DATABASE"])}}
INSTALLED_APPS = {apps}
CHRONOMIG = {{"own_apps": []}}
"""
MANAGE = """\
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench_settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
ID = 'models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")'
HEAD = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"


def generate(folder: Path, *, apps: int, models: int, migrations: int) -> None:
    """Write *apps* apps with *models* models each, which refer to one user table, and *migrations* more migrations."""
    folder.mkdir()
    labels = [f"app{number}" for number in range(apps)]
    installed = ["django.contrib.contenttypes", "django.contrib.auth", *labels]
    (folder / "bench_settings.py").write_text(SETTINGS.format(apps=json.dumps(installed)))
    (folder / "manage.py").write_text(MANAGE)
    for index, label in enumerate(labels):
        fields = [number for number in range(migrations) if number % apps == index]
        write_app(folder / label, label, models, fields)


def write_app(folder: Path, label: str, models: int, fields: list[int]) -> None:
    """Write one app: a first migration with all models, then one AddField after the other."""
    (folder / "migrations").mkdir(parents=True)
    for package in (folder, folder / "migrations"):
        (package / "__init__.py").touch()
    added = {
        number: [field for place, field in enumerate(fields) if place % models == number] for number in range(models)
    }
    (folder / "models.py").write_text(
        "from django.conf import settings\nfrom django.db import models\n"
        + "".join(model_text(number, added[number]) for number in range(models))
    )
    create = "".join(f"        {create_text(number)},\n" for number in range(models))
    first = f"    initial = True\n    dependencies = [('auth', '0012_alter_user_first_name_max_length')]\n    operations = [\n{create}    ]\n"
    (folder / "migrations" / "0001_initial.py").write_text(HEAD + first)
    before = "0001_initial"
    for place, field in enumerate(fields):
        name = f"{place + 2:04d}_field{field}"
        operation = f"migrations.AddField('model{place % models}', 'field{field}', models.IntegerField(null=True))"
        text = f"    dependencies = [('{label}', '{before}')]\n    operations = [{operation}]\n"
        (folder / "migrations" / f"{name}.py").write_text(HEAD + text)
        before = name


def model_text(number: int, fields: list[int]) -> str:
    lines = "".join(f"    field{field} = models.IntegerField(null=True)\n" for field in fields)
    owner = "    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name='+', null=True)\n"
    return f"\n\nclass Model{number}(models.Model):\n{owner}{lines}"


def create_text(number: int) -> str:
    owner = "models.ForeignKey('auth.User', models.CASCADE, related_name='+', null=True)"
    return f"migrations.CreateModel('Model{number}', [('id', {ID}), ('owner', {owner})])"
