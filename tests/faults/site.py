"""The project that is migrated under fault: every way in which a migration can run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.gitting import Git
from tests.projects import Project

POSTGRES, CONCURRENTLY = "django.contrib.postgres.operations", "AddIndexConcurrently, RemoveIndexConcurrently"
APPS = ("chronomig", "django.contrib.contenttypes")
OTHER = "other"
"""The other branch."""


class Mode(StrEnum):
    """What is broken."""

    PLAIN = "migrate"
    """To the last migration and back to zero, without the stash."""
    STASH = "migrate with the stash"
    """The same with rows that people wrote, put aside and brought back."""
    COLLAPSE = "migrate --collapse"
    SWITCH = "switch"
    """To another branch and back, with the stash."""

    @property
    def stashes(self) -> bool:
        return self in (Mode.STASH, Mode.SWITCH)


SETTINGS = 'CHRONOMIG = {{"sets": {{"default": {{"databases": ["default"], "stash": {}}}}}}}'

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

SHELVED = """
("shop", migrations.AddField("item", "draft", models.IntegerField(null=True))),
("shop", migrations.CreateModel("Shelf", [
    ("code", models.CharField(max_length=20, primary_key=True)),
    ("box", models.ForeignKey("shop.Box", models.CASCADE)),
])),
("shop", migrations.AlterField("item", "draft", models.BigIntegerField(null=True, db_index=True))),
("shop", migrations.RenameModel("Shelf", "Rack")),
"""

RACKED = """
("shop", migrations.RenameField("item", "draft", "rank")),
("shop", migrations.AddField("rack", "items", models.ManyToManyField("shop.Item", related_name="+"))),
("shop", migrations.AddField("box", "height", models.IntegerField(default=1))),
("shop", migrations.AddConstraint("rack", models.UniqueConstraint(fields=["box", "code"], name="rack_uniq"))),
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
("shop", migrations.RemoveConstraint("crate", "box_uniq")),
("shop", migrations.AlterField("remark", "item", models.OneToOneField("shop.Item", models.CASCADE))),
"""

LONGER_KEY = """
("shop", migrations.AlterField("item", "code", models.CharField(max_length=40, primary_key=True))),
"""

TOGETHER = """
("shop", migrations.AddField("item", "height", models.IntegerField(default=1, db_index=True))),
("shop", migrations.AddField("item", "told", models.TextField(default=""))),
("shop", migrations.AlterField("item", "label", models.CharField(max_length=60, null=True))),
("shop", migrations.RemoveField("item", "noted")),
("shop", migrations.AlterField("item", "mass", models.BigIntegerField(default=2))),
"""

CONCURRENT = """
("shop", AddIndexConcurrently("item", models.Index(fields=["mass"], name="mass_idx"))),
("shop", RemoveIndexConcurrently("item", "mass_idx")),
("shop", AddIndexConcurrently("item", models.Index(fields=["mass", "label"], name="mass_label_idx"))),
"""


BRANCHED = """
("shop", migrations.CreateModel("Label", [
    ("code", models.CharField(max_length=20, primary_key=True)),
    ("item", models.ForeignKey("shop.Item", models.CASCADE)),
])),
("shop", migrations.AlterField("item", "label", models.CharField(max_length=20, null=True))),
("shop", migrations.RunPython(label, unlabel)),
("shop", migrations.RenameField("item", "n", "number")),
"""

APART = """
("shop", migrations.AddField("box", "depth", models.IntegerField(default=4))),
("shop", migrations.AddField("label", "boxes", models.ManyToManyField("shop.Box", related_name="+"))),
("shop", migrations.AlterField("item", "number", models.BigIntegerField())),
("shop", migrations.RemoveField("box", "items")),
"""


PEOPLE = {
    Mode.STASH: (
        "INSERT INTO shop_item (code, n, label, mass, rank) VALUES ('p1', 100, 'by hand', 70, 9)",
        "INSERT INTO shop_item (code, n, label, mass, rank) VALUES ('p2', 200, '', 80, NULL)",
        "INSERT INTO crates (code, item_id, height) VALUES ('c1', 'p1', 12)",
        "INSERT INTO crates_items (crate_id, item_id) VALUES ('c1', 'p2')",
        "INSERT INTO shop_rack (code, box_id) VALUES ('r1', 'c1')",
        "INSERT INTO shop_rack_items (rack_id, item_id) VALUES ('r1', 'p1')",
        "INSERT INTO shop_remark (code, item_id) VALUES ('n1', 'p2')",
        "INSERT INTO shop_remark_tags (remark_id, crate_id) VALUES ('n1', 'c1')",
        "UPDATE shop_item SET noted_id = 'n1' WHERE code = 'i1'",
    ),
}
PEOPLE[Mode.SWITCH] = PEOPLE[Mode.STASH]
"""What people write when all migrations of the main branch are applied."""


def make(folder: Path, database: dict[str, Any], vendor: str, mode: Mode) -> Project:
    """Write the project into *folder*; to be switched, it is a repository with two branches."""
    project = Project(folder, {"default": database})
    project.configure(apps=["shop"], base=APPS, extra=SETTINGS.format(mode.stashes))
    project.ok("makemigrations")
    if mode is not Mode.SWITCH:
        write(project, [*common(mode), *main_branch(vendor, mode)])
        return project
    project.write(".gitignore", "__pycache__/\n.out\n.err\n.points\n*.sqlite3*\n")
    git = Git.init(folder)
    write(project, common(mode))
    git.commit()
    git("switch", "-q", "-c", OTHER)
    write(project, other_branch())
    git.commit()
    git("switch", "-q", "main")
    write(project, main_branch(vendor, mode), seconds=1000)
    git.commit()
    return project


Written = tuple[str, str, dict[str, str]]
"""Name, operations, what else a file holds."""


def write(project: Project, files: Iterable[Written], seconds: int = 1) -> None:
    for name, operations, options in files:
        newest = datetime.strptime(project.files()[-1][:14], "%Y%m%d%H%M%S")
        project.migration(f"{newest + timedelta(seconds=seconds):%Y%m%d%H%M%S}_{name}", operations, **options)


def common(mode: Mode) -> Iterator[Written]:
    yield "first", FIRST, {}
    yield "shelved", SHELVED, {}
    yield "racked", RACKED, {}
    back = "migrations.RunPython.noop" if mode.stashes else "empty"  # there the rows come back
    yield "rows", f'("shop", migrations.RunPython(fill, {back})),', {"head": FILLING}


def other_branch() -> Iterator[Written]:
    yield "branched", BRANCHED, {"head": FILLING}
    yield "apart", APART, {"body": "atomic = False"}


def main_branch(vendor: str, mode: Mode) -> Iterator[Written]:
    yield "changed", CHANGED, {"head": FILLING}
    yield "pieces", PIECES, {"head": FILLING, "body": "atomic = False"}
    yield "renamed", RENAMED, {}
    # on the way down PostgreSQL writes all rows anew, which SQL behind it may not change
    yield "longer", LONGER_KEY, {}
    if not mode.stashes:  # it removes what people wrote
        yield "together", TOGETHER, {"body": "atomic = False"}
    if vendor == "postgresql":
        yield "concurrent", CONCURRENT, {"head": f"from {POSTGRES} import {CONCURRENTLY}", "body": "atomic = False"}
