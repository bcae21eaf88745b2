"""A new user's path, from startproject to yesterday and back."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.databases import TestDatabase
from tests.projects import Project
from tests.test_makemigrations import answer

SHOP = """
from django.db import models


class Order(models.Model):
    customer = models.ForeignKey("people.Person", models.CASCADE)
    number = models.IntegerField(unique=True)
    tags = models.ManyToManyField("Tag")

    class Meta:
        indexes = [models.Index(fields=["customer", "number"], name="order_customer_number")]


class Tag(models.Model):
    word = models.CharField(max_length=30)
"""
PEOPLE = """
from django.db import models


class Person(models.Model):
    name = models.CharField(max_length=50)
    favourite = models.ForeignKey("shop.Order", models.SET_NULL, null=True, related_name="fans")
"""
FILL = """
from django.db import migrations

import chronomig


def forwards(apps, schema_editor):
    Person = apps.get_model("people", "Person")
    Order = apps.get_model("shop", "Order")
    anna = Person.objects.create(full_name="Anna")
    order = Order.objects.create(customer=anna, number=1)
    order.tags.create(word="first")
    assert list(anna.order_set.all()) == [order]


def backwards(apps, schema_editor):
    apps.get_model("people", "Person").objects.all().delete()
    apps.get_model("shop", "Tag").objects.all().delete()


class Migration(chronomig.Migration):
    operations = [("people", migrations.RunPython(forwards, backwards))]
"""


def start_project(folder: Path, database: TestDatabase) -> Project:
    """django-admin startproject and startapp, as a user types them; then the database of the test."""
    project = Project.__new__(Project)
    project.root, project.databases, project.apps = folder, {"default": database.settings()}, ["shop", "people"]
    folder.mkdir()
    run = project.run([sys.executable, "-m", "django", "startproject", "mysite", "."])
    assert run.code == 0, run
    for app in project.apps:
        made = project.manage("startapp", app)
        assert made.code == 0, made
    settings = folder / "mysite" / "settings.py"
    extra = f"""
try:
    import pymysql
    pymysql.install_as_MySQLdb()
except ImportError:
    pass
DATABASES = {{"default": {project.databases["default"]!r}}}
INSTALLED_APPS += ["chronomig", "shop", "people"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
    settings.write_text(settings.read_text() + extra)
    project.write("shop/models.py", SHOP)
    project.write("people/models.py", PEOPLE)
    (folder / "site_settings.py").write_text("from mysite.settings import *\n")
    return project


@pytest.mark.core
def test_a_new_users_path_ends_where_djangos_own_migrations_end(database: TestDatabase, tmp_path: Path) -> None:
    project = start_project(tmp_path / "site", database)
    assert '[tool.chronomig], settings = "mysite.settings"' in project.ok("init").out
    project.ok("makemigrations")
    move_to_yesterday(project)
    project.ok("migrate")

    project.write("shop/models.py", SHOP + "\n    notes = models.TextField(default='')\n")
    project.ok("makemigrations")
    project.write("people/models.py", PEOPLE.replace("name =", "full_name ="))
    code, screen = answer(project, ["makemigrations"], ["y"])
    assert code == 0, screen
    project.ok("makemigrations", "--empty", "--name", "fill")
    newest = project.root / f"project_migrations/default/{project.files()[-1]}.py"
    newest.write_text(FILL)
    project.ok("migrate")
    assert project.rows("SELECT full_name FROM people_person") == [["Anna"]]

    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    project.ok("migrate", "--to", yesterday, "--yes")
    assert "full_name" not in str(project.schema()["people_person"]["columns"])
    assert "notes" not in str(project.schema()["shop_tag"]["columns"])
    project.ok("migrate")
    assert project.rows("SELECT word FROM shop_tag") == [["first"]]

    assert project.chronomig("makemigrations", "--check").code == 0
    assert project.chronomig("migrate", "--check").code == 0
    ours = project.schema()
    permissions = "SELECT codename FROM auth_permission ORDER BY codename"
    have = project.rows(permissions)
    assert ["change_order"] in have
    project.ok("migrate", "--to", "zero", "--yes")
    assert project.tables() == []
    stock = stock_schema(tmp_path / "stock", project, database)
    assert stock["schema"] == comparable(ours)
    assert stock["permissions"] == have


def move_to_yesterday(project: Project) -> None:
    """Give the files stamps of yesterday, as if they had been made then."""
    day = f"{datetime.now(UTC) - timedelta(days=1):%Y%m%d}"
    for number, name in enumerate(project.files()):
        path = project.root / f"project_migrations/default/{name}.py"
        path.rename(path.with_name(f"{day}{number:06d}_{name[15:]}.py"))


def comparable(schema: dict[str, object]) -> dict[str, object]:
    """A renamed or later added column may stand elsewhere; what it is, is compared."""
    return {
        table: {"columns": sorted(one["columns"]), "constraints": one["constraints"]}  # type: ignore[index]
        for table, one in schema.items()
    }


def stock_schema(folder: Path, project: Project, database: TestDatabase) -> dict[str, object]:
    """Migrate the same models with Django's own migrations on an empty database."""
    subprocess.run(["cp", "-r", str(project.root), str(folder)], check=True)
    stock = Project.__new__(Project)
    stock.root = folder
    settings = folder / "mysite" / "settings.py"
    settings.write_text(
        settings.read_text()
        + f'\nINSTALLED_APPS.remove("chronomig")\nDATABASES = {{"default": {database.settings("_stock")!r}}}\n'
    )
    for app in ("shop", "people"):
        (folder / app / "migrations").mkdir(exist_ok=True)
        (folder / app / "migrations" / "__init__.py").touch()
    for command in (["makemigrations"], ["migrate"]):
        done = stock.manage(*command)
        assert done.code == 0, done
    return {
        "schema": comparable(stock.schema()),
        "permissions": stock.rows("SELECT codename FROM auth_permission ORDER BY codename"),
    }
