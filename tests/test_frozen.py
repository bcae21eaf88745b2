"""A package that is uninstalled, and the timeline that it left behind."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.projects import BASE_APPS, Project

KEY = "('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID'))"
FIELDS = """
from django.db import models

WIDTH = 12

def grey():
    return "grey"

def check(value):
    pass

class ColourField(models.CharField):
    def __init__(self, *args, samples=(), **kwargs):
        self.samples = samples
        super().__init__(*args, **kwargs)

    def deconstruct(self):
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "samples": self.samples}

class PointField(models.Field):
    def db_type(self, connection):
        return "varchar(31)"

class LabelsField(models.Field):
    def db_type(self, connection):
        return None

    def get_attname_column(self):
        return self.name, None

class OwnerKey(models.ForeignKey):
    pass

class Manager(models.Manager):
    use_in_migrations = True

class Mixin:
    pass
"""
MODELS = """
from django.conf import settings
from django.db import models
from palette.fields import ColourField, LabelsField, Manager, Mixin, OwnerKey, PointField, WIDTH, check, grey

class Paint(Mixin, models.Model):
    colour = ColourField(max_length=WIDTH, default=grey, samples=["red"], db_index=True, validators=[check])
    place = PointField(null=True)
    labels = LabelsField()
    owner = OwnerKey("shop.Item", models.CASCADE)
    objects = Manager()
"""
ITEM = """
from palette.fields import ColourField

class Item(models.Model):
    n = models.IntegerField(default=0)
    tint = ColourField(max_length=9, default="", samples=[])
"""
PLAIN = "class Item(models.Model):\n    n = models.IntegerField(default=0)\n"


def with_palette(project: Project) -> None:
    """A reusable app with fields of its own; the project's own model uses one of them."""
    project.write("palette/__init__.py", "")
    project.write("palette/fields.py", FIELDS)
    project.write("palette/models.py", MODELS)
    project.models(ITEM)
    project.configure(apps=["palette", "shop"], extra="CHRONOMIG = {'own_apps': ['shop']}")


def uninstall(project: Project) -> None:
    shutil.rmtree(project.root / "palette")
    project.configure(apps=["shop"])
    project.models(PLAIN)


def timeless(project: Project) -> dict[str, Any]:
    """Return the tables of the two apps; a column that comes back comes last."""
    found = {name: table for name, table in project.schema().items() if "palette" in name or "shop" in name}
    return {name: {**table, "columns": sorted(table["columns"])} for name, table in found.items()}


@pytest.mark.core
def test_an_app_is_removed_and_uninstalled_and_the_history_still_runs_from_an_empty_database(
    project: Project,
) -> None:
    with_palette(project)
    project.ok("makemigrations")
    project.ok("migrate")
    with_it, last = timeless(project), project.files()[-1]
    kept = {path: path.read_text() for path in (project.root / "palette").glob("*.py")}
    project.configure(apps=["shop"])
    project.models(PLAIN)
    told = project.ok("makemigrations").out
    assert "- Delete model Paint" in told
    assert "- Remove field tint from item" in told
    project.ok("migrate")
    without_it = timeless(project)
    assert list(without_it) == ["shop_item"]
    uninstall(project)
    assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    project.ok("migrate", "--to", "zero", "--yes")
    project.ok("migrate", "--to", last)
    assert timeless(project) == with_it
    project.ok("migrate")
    assert timeless(project) == without_it
    project.ok("migrate", "--to", last, "--yes")
    assert timeless(project) == with_it
    for path, text in kept.items():
        project.write(str(path.relative_to(project.root)), text)
    project.ok("migrate")


def frozen(project: Project) -> Any:
    return json.loads((project.root / "project_migrations/default/frozen.json").read_text())


def test_what_is_recorded_names_nothing_of_the_package_but_the_class(sqlite_project: Project) -> None:
    with_palette(sqlite_project)
    sqlite_project.ok("makemigrations", "--no-vendor")
    ((name, records),) = frozen(sqlite_project)["files"].items()
    assert name in sqlite_project.files()
    (colour,), (place,) = records["palette.paint.colour"], records["palette.paint.place"]
    assert colour == {
        "original": "palette.fields.ColourField",
        "base": "django.db.models.fields.CharField",
        "internal": "CharField",
        "types": {"sqlite": "varchar(12)"},
        "kwargs": {"dict": [["max_length", 12], ["db_index", True], ["default", "grey"]]},
    }
    assert place["base"] == "django.db.models.fields.Field"
    assert place["types"] == {"sqlite": "varchar(31)"}


def test_records_are_made_for_files_that_have_none_while_the_package_is_there(sqlite_project: Project) -> None:
    with_palette(sqlite_project)
    sqlite_project.ok("makemigrations", "--no-vendor")
    path = sqlite_project.root / "project_migrations/default/frozen.json"
    recorded = path.read_bytes()
    path.unlink()
    assert sqlite_project.chronomig("freeze", "--check").code == 3
    assert not path.exists()
    assert sqlite_project.ok("freeze").out == "default: wrote frozen.json\n"
    assert path.read_bytes() == recorded
    assert sqlite_project.ok("freeze", "--check").out == "default: everything is recorded\n"
    path.unlink()
    uninstall(sqlite_project)
    done = sqlite_project.chronomig("migrate")
    assert done.code == 1
    assert "ModuleNotFoundError: No module named 'palette'" in done.err
    assert "Install it again, then run chronomig freeze before it goes; nothing was run." in done.err
    done = sqlite_project.chronomig("freeze")
    assert done.code == 3
    assert "1 file of the set 'default' cannot be loaded; nothing was written." in done.err


CODE = """
from palette.fields import grey
import palette.fields

def helping():
    return palette.fields.grey()

def direct(apps, schema_editor):
    grey()

def through(apps, schema_editor):
    return helping()

def inside(apps, schema_editor):
    from palette.fields import check

def harmless(apps, schema_editor):
    apps.get_model("shop", "Item").objects.create(n=1)
"""


def test_code_that_needs_the_package_is_refused_before_anything_runs_until_the_user_leaves_it_out(
    sqlite_project: Project,
) -> None:
    project = sqlite_project
    with_palette(project)
    project.models(PLAIN)
    project.configure(apps=["shop"])
    project.ok("makemigrations")
    name = f"{project.files()[-1][:14]}_zz_code"
    project.migration(
        name,
        "".join(f'("shop", migrations.RunPython({one}, migrations.RunPython.noop)),\n' for one in ("direct", "through", "inside", "harmless")),
        head=CODE,
    )  # fmt: skip
    project.ok("freeze")
    project.ok("migrate")
    shutil.rmtree(project.root / "palette")
    assert "nothing to do" in project.ok("migrate").out
    done = project.chronomig("migrate", "--to", "zero", "--yes")
    assert done.code == 4
    assert "1 migration needs code that is gone; nothing was run." in done.err
    assert (
        f"{name}: operation 1 needs palette.fields.grey, operation 2 needs palette.fields.grey, "
        "operation 3 needs palette.fields" in done.err
    )
    assert f"chronomig freeze --without-code {name}." in done.err
    assert project.rows("SELECT n FROM shop_item") == [["1"]]
    project.ok("freeze", "--without-code", name)
    assert frozen(project)["without_code"] == [name]
    project.ok("migrate", "--to", "zero", "--yes")
    project.ok("migrate")
    assert project.rows("SELECT n FROM shop_item") == [["1"]]


def test_a_name_that_no_migration_has_is_a_usage_error(sqlite_project: Project) -> None:
    sqlite_project.migration("20260101000000_a", "")
    done = sqlite_project.chronomig("freeze", "--without-code", "20250101")
    assert done.code == 2
    assert "There is no migration '20250101'." in done.err


def test_records_that_are_damaged_are_an_error_that_says_so(sqlite_project: Project) -> None:
    with_palette(sqlite_project)
    sqlite_project.ok("makemigrations", "--no-vendor")
    sqlite_project.write("project_migrations/default/frozen.json", "{")
    uninstall(sqlite_project)
    done = sqlite_project.chronomig("migrate")
    assert done.code == 1
    assert "frozen.json cannot be read." in done.err
    assert "run chronomig freeze while all packages are there" in done.err


def content_types(project: Project) -> list[list[str]]:
    """Return the permissions and content types of taggit."""
    return project.rows(
        "SELECT t.model FROM django_content_type t LEFT JOIN auth_permission p ON p.content_type_id = t.id "
        "WHERE t.app_label = 'taggit'"
    )


def test_an_app_of_tags_is_removed_and_uninstalled(sqlite_project: Project) -> None:
    """taggit's manager is a field without a column, and its migrations import none of its code."""
    project = sqlite_project
    project.configure(base=[*BASE_APPS, "taggit"])
    project.models(
        "from taggit.managers import TaggableManager\n\nclass Item(models.Model):\n    n = models.IntegerField(default=0)\n    tags = TaggableManager()\n"
    )
    project.ok("makemigrations")
    project.ok("migrate")
    project.configure(base=BASE_APPS)
    project.models(PLAIN)
    assert "Delete the content types of tag, taggeditem" in project.ok("makemigrations").out
    project.ok("migrate")
    assert content_types(project) == []
    project.ok("migrate", "--steps", "-1", "--yes")
    assert "taggit_tag" in project.tables()
    project.ok("migrate")
    assert content_types(project) == []
    hidden = "import sys\nsys.modules['taggit'] = None\n"
    project.configure(base=BASE_APPS, extra=hidden)
    project.ok("migrate", "--to", "zero", "--yes")
    project.ok("migrate")
    assert "shop_item" in project.tables()
    assert not [name for name in project.tables() if "taggit" in name]
