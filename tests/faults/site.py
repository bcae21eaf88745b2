"""The project that is migrated under fault: every way in which a migration can run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.projects import Project

POSTGRES, CONCURRENTLY = "django.contrib.postgres.operations", "AddIndexConcurrently, RemoveIndexConcurrently"
WITHOUT_STASH = 'CHRONOMIG = {"sets": {"default": {"databases": ["default"], "stash": False}}}'
"""Rows that come back on the way up would make every round another one."""
APPS = ("chronomig", "django.contrib.contenttypes")

FIRST = """
("shop", migrations.CreateModel("Item", [
    ("code", models.CharField(max_length=20, primary_key=True)),
    ("n", models.IntegerField(db_index=True)),
    ("label", models.CharField(max_length=30, default="", unique=False)),
])),
("shop", migrations.CreateModel("Box", [
    ("code", models.CharField(max_length=20, primary_key=True)),
    ("item", models.ForeignKey("shop.Item", models.CASCADE)),
    ("items", models.ManyToManyField("shop.Item", related_name="boxes")),
], options={"unique_together": {("code", "item")}})),
"""

FILLING = """
def fill(apps, editor):
    item, box = apps.get_model("shop", "Item"), apps.get_model("shop", "Box")
    for number in range(5):
        one = item.objects.create(code=f"i{number}", n=number)
        box.objects.create(code=f"b{number}", item=one).items.add(one)


def empty(apps, editor):
    apps.get_model("shop", "Box").objects.all().delete()
    apps.get_model("shop", "Item").objects.all().delete()


def label(apps, editor):
    for one in apps.get_model("shop", "Item").objects.order_by("code"):
        one.label = one.label + f"<{one.n}>"
        one.save()


def unlabel(apps, editor):
    for one in apps.get_model("shop", "Item").objects.order_by("code"):
        one.label = one.label.removesuffix(f"<{one.n}>")
        one.save()
"""

CHANGED = """
("shop", migrations.AddField("item", "weight", models.IntegerField(default=3))),
("shop", migrations.AddField("item", "box", models.ForeignKey("shop.Box", models.SET_NULL, null=True, related_name="+"))),
("shop", migrations.AlterField("box", "item", models.ForeignKey("shop.Item", models.CASCADE, null=True))),
("shop", migrations.AlterField("item", "n", models.BigIntegerField(unique=True))),
("shop", migrations.RunPython(label, unlabel)),
("shop", migrations.AlterUniqueTogether("box", set())),
("shop", migrations.AddConstraint("box", models.UniqueConstraint(fields=["item", "code"], name="box_uniq"))),
("shop", migrations.AddIndex("item", models.Index(fields=["weight", "n"], name="item_idx"))),
"""

PIECES = """
("shop", migrations.CreateModel("Note", [
    ("code", models.CharField(max_length=20, primary_key=True)),
    ("item", models.ForeignKey("shop.Item", models.CASCADE)),
    ("tags", models.ManyToManyField("shop.Box")),
])),
("shop", migrations.RunPython(label, unlabel, atomic=True)),
("shop", migrations.AddField("item", "noted", models.ForeignKey("shop.Note", models.SET_NULL, null=True, related_name="+"))),
("shop", migrations.RemoveIndex("item", "item_idx")),
("shop", migrations.RenameField("item", "weight", "mass")),
("shop", migrations.AlterUniqueTogether("note", {("code", "item")})),
("shop", migrations.RenameModel("Note", "Remark")),
"""

RENAMED = """
("shop", migrations.RenameModel("Box", "Crate")),
("shop", migrations.AlterModelTable("crate", "crates")),
("shop", migrations.RunSQL("UPDATE shop_item SET mass = mass + 1", "UPDATE shop_item SET mass = mass - 1")),
("shop", migrations.RemoveField("item", "box")),
("shop", migrations.AlterField("item", "code", models.CharField(max_length=40, primary_key=True))),
("shop", migrations.RemoveConstraint("crate", "box_uniq")),
("shop", migrations.AlterField("remark", "item", models.OneToOneField("shop.Item", models.CASCADE))),
"""

CONCURRENT = """
("shop", AddIndexConcurrently("item", models.Index(fields=["mass"], name="mass_idx"))),
("shop", RemoveIndexConcurrently("item", "mass_idx")),
("shop", AddIndexConcurrently("item", models.Index(fields=["mass", "label"], name="mass_label_idx"))),
"""


def make(folder: Path, database: dict[str, Any], vendor: str) -> Project:
    """Write the project into *folder*."""
    project = Project(folder, {"default": database})
    project.configure(apps=["shop"], base=APPS, extra=WITHOUT_STASH)
    project.ok("makemigrations")
    for name, operations, options in written(vendor):
        newest = datetime.strptime(project.files()[-1][:14], "%Y%m%d%H%M%S")
        project.migration(f"{newest + timedelta(seconds=1):%Y%m%d%H%M%S}_{name}", operations, **options)
    return project


def written(vendor: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield (name, operations, what else a file holds)."""
    yield "first", FIRST, {}
    yield "rows", '("shop", migrations.RunPython(fill, empty)),', {"head": FILLING}
    yield "changed", CHANGED, {"head": FILLING}
    yield "pieces", PIECES, {"head": FILLING, "body": "atomic = False"}
    yield "renamed", RENAMED, {}
    if vendor == "postgresql":
        yield "concurrent", CONCURRENT, {"head": f"from {POSTGRES} import {CONCURRENTLY}", "body": "atomic = False"}
