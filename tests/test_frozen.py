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


GREY = {"new": ["chronomig.code.frozen.FrozenDefault", ["palette.fields.grey", "grey"], {"dict": []}]}


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
        "kwargs": {"dict": [["max_length", 12], ["db_index", True], ["default", GREY]]},
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


def test_a_default_that_is_a_function_stays_the_same_default_whatever_it_gave(sqlite_project: Project) -> None:
    project = sqlite_project
    project.write("palette/__init__.py", "")
    project.write("palette/fields.py", "from uuid import uuid4\n\ndef fresh():\n    return str(uuid4())\n")
    head = "from palette.fields import fresh"
    field = "models.CharField(max_length=99, default=fresh{more})"
    project.migration(
        "20260101000000_items",
        f'("shop", migrations.CreateModel("Item", [{KEY}, ("a", {field.format(more="")}), ("b", models.IntegerField())])),',
        head=head,
    )
    project.migration(
        "20260102000000_help",
        '("shop", migrations.AlterField("item", "a", ' + field.format(more=", help_text='!'") + ")),",
        head=head,
    )
    project.ok("freeze")
    shutil.rmtree(project.root / "palette")
    code = "from chronomig.opening import current_project\none = current_project().sets['default']\n"
    code += "made = [one.load(name).operations[0][1] for name in one.timeline.names]\n"
    code += "before, after = dict(made[0].fields)['a'], made[1].field\n"
    code += "result = [before.default == after.default, before.get_default() == after.get_default()]\n"
    assert project.python(code) == [True, False]


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


FIRST = f"""
from django.db import migrations, models
from palette.fields import ColourField

class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Paint", [
            {KEY},
            ("colour", ColourField(max_length=12, default="grey", samples=["red"])),
        ]),
    ]
"""
REFERRING = f"""
from pathlib import Path
from django.conf import settings
from django.db import migrations, models
from palette.fields import ColourField, Manager, Mixin, PointField

DATA = Path(__file__).with_name("data.txt")

def fill(apps, schema_editor):
    apps.get_model("palette", "Paint").objects.create(n=DATA.read_text())

class Migration(migrations.Migration):
    atomic = {{atomic}}
    dependencies = [("palette", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.AddField("paint", "n", models.IntegerField(default=0)),
        migrations.AlterField("paint", "colour", ColourField(max_length=20, default="blue", samples=[])),
        migrations.RunSQL([("UPDATE palette_paint SET n = %s", [1])], migrations.RunSQL.noop),
        migrations.CreateModel(
            "Pot",
            [
                {KEY},
                ("place", PointField(null=True)),
                ("owner", models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)),
                ("paints", models.ManyToManyField("palette.paint")),
            ],
            options={{{{"ordering": ["place"]}}}}, bases=(Mixin, models.Model), managers=[("objects", Manager())],
        ),
        migrations.AddIndex("paint", models.Index(fields=["n"], name="paint_n")),
        migrations.AddConstraint("paint", models.UniqueConstraint(fields=["n", "colour"], name="paint_u")),
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL("SELECT 1", "")], [migrations.AlterModelOptions("pot", {{{{"verbose_name": "Pot!"}}}})]
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
"""


def with_referring(project: Project) -> str:
    """The app of fields with migrations of its own, one of which reads a file beside itself; return its name."""
    with_palette(project)
    project.models(PLAIN)
    project.write("palette/models.py", "")
    project.write("palette/migrations/__init__.py", "")
    project.write("palette/migrations/data.txt", "7")
    project.write("palette/migrations/0001_initial.py", FIRST)
    project.write("palette/migrations/0002_pots.py", REFERRING.format(atomic=True))
    project.ok("makemigrations", "--name", "items")
    (name,) = [one for one in project.files() if one.endswith("palette_0002_pots")]
    assert "# Refers to the original" in (project.root / f"project_migrations/default/{name}.py").read_text()
    return name


def test_a_file_that_refers_to_its_original_outlives_the_package(project: Project) -> None:
    name = with_referring(project)
    project.ok("migrate", "--to", name)
    with_it = timeless(project)
    assert {"palette_paint", "palette_pot", "palette_pot_paints"} <= set(with_it)
    assert project.rows("SELECT n FROM palette_paint") == [["7"]]
    project.ok("migrate", "--allow-data-loss")
    without_it = timeless(project)
    uninstall(project)
    assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    assert "nothing to do" in project.ok("migrate").out
    done = project.chronomig("migrate", "--to", "zero", "--yes")
    assert done.code == 4
    assert f"{name}: operation 8 needs palette.migrations.0002_pots.fill" in done.err
    assert f"chronomig freeze --without-code {name}." in done.err
    project.ok("freeze", "--without-code", name)
    project.ok("migrate", "--to", "zero", "--yes", "--no-stash")
    project.ok("migrate", "--to", name)
    assert timeless(project) == with_it
    assert project.rows("SELECT n FROM palette_paint") == []
    project.ok("migrate")
    assert timeless(project) == without_it


OVERRIDING = """
from pathlib import Path
from django.db import migrations, models

DATA = Path(__file__).with_name("data.txt")

class Migration(migrations.Migration):
    dependencies = [("palette", "0001_initial")]
    operations = [migrations.AddField("paint", "n", models.IntegerField(default=0))]

    def apply(self, project_state, schema_editor, collect_sql=False):
        return super().apply(project_state, schema_editor, collect_sql)
"""


def test_what_an_original_overrides_is_code_that_is_gone_with_it(sqlite_project: Project) -> None:
    project = sqlite_project
    name = with_referring(project)
    project.write("palette/migrations/0002_pots.py", OVERRIDING)
    (project.root / f"project_migrations/default/{name}.py").unlink()
    for stale in project.files():
        if stale > name:
            (project.root / f"project_migrations/default/{stale}.py").unlink()
    project.ok("makemigrations")
    uninstall(project)
    done = project.chronomig("migrate")
    assert done.code == 4
    assert "what overrides its execution: palette.migrations.0002_pots.Migration" in done.err
    (name,) = frozen(project)["operations"]
    project.ok("freeze", "--without-code", name)
    project.ok("migrate", "--to", name)
    assert [column[0] for column in project.schema()["palette_paint"]["columns"]] == ["id", "colour", "n"]


def test_a_record_makes_nothing_but_operations_of_djangos(sqlite_project: Project) -> None:
    name = with_referring(sqlite_project)
    path = sqlite_project.root / "project_migrations/default/frozen.json"
    path.write_text(path.read_text().replace("django.db.migrations.operations.special.RunSQL", "subprocess.Popen"))
    uninstall(sqlite_project)
    done = sqlite_project.chronomig("migrate", "--to", name)
    assert done.code == 1
    assert "frozen.json names subprocess.Popen, which is no operation of Django's." in done.err


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


ASKING = """
from django.db import models, transaction

def first():
    from palette.models import Kind
    with transaction.atomic():
        return Kind.objects.get_or_create(name="first")[0].pk

class Kind(models.Model):
    name = models.CharField(max_length=9)

class Pot(models.Model):
    kind = models.ForeignKey(Kind, models.CASCADE, default=first)
    size = models.IntegerField(default=first)
"""


@pytest.mark.parametrize("migrated", [False, True])
def test_a_default_that_asks_the_database_is_recorded_without_a_value_and_asks_nothing(
    project: Project, migrated: bool
) -> None:
    project.write("palette/__init__.py", "")
    project.write("palette/models.py", ASKING)
    stock = [*BASE_APPS[1:], "palette"]
    project.configure(apps=[], base=stock)
    for arguments in (["makemigrations", "palette"], *([["migrate"]] if migrated else [])):
        assert (done := project.manage(*arguments)).code == 0, done
    project.configure(apps=[], base=["chronomig", *stock])
    project.ok("adopt")
    (name,) = [one for one in project.files() if one.endswith("palette_0001_initial")]
    (size,) = frozen(project)["files"][name]["palette.pot.size"]
    asked = {"new": ["chronomig.code.frozen.FrozenDefault", ["palette.models.first", None], {"dict": []}]}
    assert size["kwargs"] == {"dict": [["default", asked]]}
    assert not migrated or project.rows("SELECT * FROM palette_kind") == []
    project.ok("migrate")
    assert project.rows("SELECT * FROM palette_kind") == []
    made = project.schema()
    shutil.rmtree(project.root / "palette")
    project.configure(apps=[])
    project.ok("migrate", "--to", "zero", "--yes")
    project.ok("migrate")
    assert project.schema() == made


def test_what_a_default_gave_first_stays_recorded(sqlite_project: Project) -> None:
    project = sqlite_project
    project.write("palette/__init__.py", "")
    project.write("palette/fields.py", "from uuid import uuid4\n\ndef fresh():\n    return str(uuid4())\n")
    field = "models.CharField(max_length=99, default=fresh)"
    project.migration(
        "20260101000000_items",
        f'("shop", migrations.CreateModel("Item", [{KEY}, ("a", {field})])),',
        head="from palette.fields import fresh",
    )
    project.ok("freeze")
    recorded = frozen(project)
    assert project.ok("freeze", "--check").out == "default: everything is recorded\n"
    project.migration(
        "20260102000000_more",
        f'("shop", migrations.AddField("item", "b", {field})),',
        head="from palette.fields import fresh",
    )
    assert project.ok("freeze").out == "default: wrote frozen.json\n"
    assert frozen(project)["files"]["20260101000000_items"] == recorded["files"]["20260101000000_items"]
