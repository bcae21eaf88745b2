"""What real projects have in their migrations, copied: each of them means the same from the timeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import BASE_APPS, Project

HEAD = "from django.db import migrations, models\n"
KEY = "('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID'))"
CREATE = f"migrations.CreateModel('Thing', [{KEY}, ('n', models.IntegerField(default=0))])"


@pytest.fixture
def reusable(sqlite_project: Project) -> Project:
    """A project with a reusable app that has one model and one migration."""
    project = sqlite_project
    project.configure(apps=["shop", "reusable"], extra="CHRONOMIG = {'own_apps': ['shop']}")
    project.models("class Thing(models.Model):\n    n = models.IntegerField(default=0)\n", app="reusable")
    project.write("reusable/migrations/__init__.py", "")
    upstream(project, "0001_initial", f"    operations = [{CREATE}]\n")
    return project


def upstream(project: Project, name: str, body: str, *, head: str = "", needs: str = "") -> Path:
    """Write a migration of the reusable app."""
    text = f"{HEAD}{head}\n\nclass Migration(migrations.Migration):\n    dependencies = [{needs}]\n{body}"
    return project.write(f"reusable/migrations/{name}.py", text)


AFTER_FIRST = "('reusable', '0001_initial')"


def vendored(project: Project, slug: str) -> str:
    """Return the text of a vendored file."""
    (name,) = [name for name in project.files() if name[15:] == slug]
    return (project.root / f"project_migrations/default/{name}.py").read_text()


def is_copy(project: Project, slug: str) -> bool:
    return "# Refers to the original" not in vendored(project, slug)


def rows(project: Project) -> list[str]:
    return sorted(row[0] for row in project.rows("SELECT n FROM reusable_thing"))


def make(project: Project) -> None:
    project.ok("makemigrations")
    project.ok("migrate")
    assert project.ok("makemigrations", "--check").out == "default: no changes\n"


INSERT = "    operations = [migrations.RunPython({call}, migrations.RunPython.noop)]\n"


def test_relative_imports(reusable: Project) -> None:
    reusable.write("reusable/helpers.py", "NUMBER = 7\n")
    reusable.write(
        "reusable/migrations/helping.py",
        f"from ..helpers import NUMBER\n{HEAD}\nclass Migration(migrations.Migration):\n    dependencies = [{AFTER_FIRST}]\n\n"
        "def insert(apps, schema_editor):\n    apps.get_model('reusable', 'Thing').objects.create(n=NUMBER)\n",
    )
    upstream(
        reusable, "0002_fill", INSERT.format(call="insert"), head="from .helping import insert\n",
        needs="('reusable', 'helping')",
    )  # fmt: skip
    make(reusable)
    assert is_copy(reusable, "reusable_0002_fill")
    assert rows(reusable) == ["7"]


@pytest.mark.parametrize(
    "looking", ["Path(__file__)", "Path(inspect.getfile(inspect.currentframe()))", "Path(__spec__.origin)"]
)
def test_data_files_beside_the_module(reusable: Project, looking: str) -> None:
    reusable.write("reusable/migrations/data.txt", "7")
    upstream(
        reusable, "0002_fill", INSERT.format(call="insert"), needs=AFTER_FIRST,
        head=f"import inspect\nfrom pathlib import Path\nDATA = {looking}.with_name('data.txt')\n"
        "def insert(apps, schema_editor):\n    apps.get_model('reusable', 'Thing').objects.create(n=DATA.read_text())\n",
    )  # fmt: skip
    make(reusable)
    assert "because it looks for files beside itself." in vendored(reusable, "reusable_0002_fill")
    assert rows(reusable) == ["7"]


def test_data_files_found_through_the_package(reusable: Project) -> None:
    reusable.write("reusable/migrations/data.txt", "7")
    upstream(
        reusable, "0002_fill", INSERT.format(call="insert"), needs=AFTER_FIRST,
        head="from importlib.resources import files\n"
        "def insert(apps, schema_editor):\n"
        "    apps.get_model('reusable', 'Thing').objects.create(n=files(__package__).joinpath('data.txt').read_text())\n",
    )  # fmt: skip
    make(reusable)
    assert is_copy(reusable, "reusable_0002_fill")
    assert rows(reusable) == ["7"]


OWN_OPERATION = """
class Insert(migrations.RunPython):
    def __init__(self, number):
        self.number = number
        super().__init__(self.insert, migrations.RunPython.noop)

    def deconstruct(self):
        return self.__class__.__qualname__, [self.number], {}

    def insert(self, apps, schema_editor):
        apps.get_model("reusable", "Thing").objects.create(n=self.number)
"""


def test_operation_classes_and_helpers_of_one_migration_that_others_import(reusable: Project) -> None:
    upstream(
        reusable, "0002_fill", "    operations = [Insert(1)]\n", head=f"{OWN_OPERATION}\ndef number():\n    return 2\n",
        needs=AFTER_FIRST,
    )  # fmt: skip
    upstream(
        reusable, "0003_more", "    operations = [first.Insert(first.number())]\n", needs="('reusable', '0002_fill')",
        head="from importlib import import_module\nfirst = import_module('reusable.migrations.0002_fill')\n",
    )  # fmt: skip
    make(reusable)
    assert is_copy(reusable, "reusable_0002_fill")
    assert is_copy(reusable, "reusable_0003_more")
    assert rows(reusable) == ["1", "2"]


def test_variables_that_migrations_share(reusable: Project) -> None:
    upstream(
        reusable, "0002_first", INSERT.format(call="remember"), needs=AFTER_FIRST,
        head="found = {}\ndef remember(apps, schema_editor):\n    found['n'] = 7\n",
    )  # fmt: skip
    upstream(
        reusable, "0003_second", INSERT.format(call="insert"), needs="('reusable', '0002_first')",
        head="from importlib import import_module\nfound = import_module('.0002_first', __package__).found\n"
        "def insert(apps, schema_editor):\n    apps.get_model('reusable', 'Thing').objects.create(n=found['n'])\n",
    )  # fmt: skip
    make(reusable)
    told = "# Refers to the original, because reusable.migrations.0003_second shares its variable found."
    assert told in vendored(reusable, "reusable_0002_first")
    assert is_copy(reusable, "reusable_0003_second")
    assert rows(reusable) == ["7"]


def test_operations_built_in_init_and_from_the_databases_vendor(reusable: Project) -> None:
    upstream(
        reusable, "0002_init",
        "    def __init__(self, name, app_label):\n        super().__init__(name, app_label)\n"
        "        self.operations = [migrations.RunSQL('INSERT INTO reusable_thing (n) VALUES (1)', '')]\n",
        needs=AFTER_FIRST,
    )  # fmt: skip
    upstream(
        reusable, "0003_vendor", "    operations = [migrations.RunSQL(SQL[connection.vendor], '')]\n",
        needs="('reusable', '0002_init')",
        head="from django.db import connection\n"
        "SQL = {'sqlite': 'INSERT INTO reusable_thing (n) VALUES (2)'}\n",
    )  # fmt: skip
    make(reusable)
    assert is_copy(reusable, "reusable_0002_init")
    assert is_copy(reusable, "reusable_0003_vendor")
    assert rows(reusable) == ["1", "2"]


def test_overridden_apply_and_unapply_and_operations_that_return_another_state(reusable: Project) -> None:
    upstream(
        reusable, "0002_apply",
        "    operations = [migrations.AddField('thing', 'gone', models.IntegerField(default=0))]\n"
        "    def apply(self, project_state, schema_editor, collect_sql=False):\n"
        "        schema_editor.execute('INSERT INTO reusable_thing (n) VALUES (3)')\n"
        "        return project_state\n"
        "    def mutate_state(self, project_state, preserve=True):\n"
        "        return project_state\n"
        "    def unapply(self, project_state, schema_editor, collect_sql=False):\n"
        "        schema_editor.execute('DELETE FROM reusable_thing')\n"
        "        return project_state\n",
        needs=AFTER_FIRST,
    )  # fmt: skip
    upstream(
        reusable, "0003_operation", "    operations = [Add('thing', 'm', models.IntegerField(default=0))]\n",
        needs="('reusable', '0002_apply')",
        head="class Add(migrations.AddField):\n"
        "    def database_forwards(self, app_label, schema_editor, from_state, to_state):\n"
        "        super().database_forwards(app_label, schema_editor, from_state.clone(), to_state.clone())\n"
        "        schema_editor.execute('UPDATE reusable_thing SET m = 5')\n",
    )  # fmt: skip
    reusable.models(
        "class Thing(models.Model):\n    n = models.IntegerField(default=0)\n    m = models.IntegerField(default=0)\n",
        app="reusable",
    )
    make(reusable)
    assert reusable.rows("SELECT n, m FROM reusable_thing") == [["3", "5"]]
    reusable.ok("migrate", "--to", "reusable 0001_initial", "--yes")
    assert rows(reusable) == []


def test_extra_attributes_atomic_and_elidable_are_kept(reusable: Project) -> None:
    upstream(
        reusable, "0002_extra",
        "    atomic = False\n    stage = 'post-deploy'\n"
        "    operations = [migrations.RunSQL('SELECT 1', '', elidable=True)]\n",
        needs=AFTER_FIRST,
    )  # fmt: skip
    make(reusable)
    found = reusable.python(
        """
        from chronomig.opening import current_project
        one = current_project().sets["default"]
        loaded = one.load(one.timeline.names[-1])
        result = [loaded.name[15:], loaded.atomic, loaded.source.stage, loaded.operations[0][1].elidable]
        """
    )
    assert found == ["reusable_0002_extra", False, "post-deploy", True]


def test_a_receiver_of_post_migrate_that_a_migration_connects_is_called(reusable: Project) -> None:
    upstream(
        reusable, "0002_connect", INSERT.format(call="connect"), needs=AFTER_FIRST,
        head="from django.apps import apps as real\nfrom django.db.models.signals import post_migrate\n"
        "def insert(sender, using, **kwargs):\n    sender.get_model('Thing').objects.using(using).create(n=7)\n"
        "def connect(apps, schema_editor):\n"
        "    post_migrate.connect(insert, sender=real.get_app_config('reusable'), weak=False)\n",
    )  # fmt: skip
    make(reusable)
    assert rows(reusable) == ["7"]


def test_a_file_that_is_not_utf_8_is_referred_to(reusable: Project) -> None:
    path = upstream(reusable, "0002_latin", "    operations = []\n", needs=AFTER_FIRST)
    path.write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9t\xe9\n" + path.read_bytes())
    make(reusable)
    assert "a copy cannot be loaded (It is not UTF-8" in vendored(reusable, "reusable_0002_latin")


PATCHING = """
from django.core.management.commands.{command} import Command  # noqa: F401
from django.db import models

deconstruct = models.Field.deconstruct

def without_help(self):
    name, path, args, kwargs = deconstruct(self)
    kwargs.pop("help_text", None)
    return name, path, args, kwargs

models.Field.deconstruct = without_help
"""


@pytest.mark.parametrize("command", ["makemigrations", "migrate"])
def test_a_project_that_patches_deconstruct_from_a_command_of_its_own_keeps_the_patch(
    sqlite_project: Project, command: str
) -> None:
    project = sqlite_project
    model = "class Item(models.Model):\n    n = models.IntegerField(help_text='{text}')\n"
    for package in ("management", "management/commands"):
        project.write(f"shop/{package}/__init__.py", "")
    project.write(f"shop/management/commands/{command}.py", PATCHING.format(command=command))
    project.models(model.format(text="one"))
    project.configure(base=BASE_APPS)
    project.ok("makemigrations")
    assert "help_text" not in (project.root / f"project_migrations/default/{project.files()[-1]}.py").read_text()
    project.models(model.format(text="two"))
    assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    assert project.manage("makemigrations", "--check").code == 0


ADDING = """
from django.core.management.commands.makemigrations import Command  # noqa: F401
from shop.grades import Grade

plain = Grade.deconstruct

def with_scale(self):
    name, path, args, kwargs = plain(self)
    return name, path, args, {**kwargs, "scale": self.scale}

Grade.deconstruct = with_scale
"""
GRADE = """
from django.db import models

class Grade(models.IntegerField):
    def __init__(self, *args, scale=None, **kwargs):
        self.scale = SCALE if scale is None else scale
        super().__init__(*args, **kwargs)

SCALE = 1
"""


def test_a_change_that_only_a_patched_deconstruct_tells_is_found(sqlite_project: Project) -> None:
    project = sqlite_project
    for package in ("management", "management/commands"):
        project.write(f"shop/{package}/__init__.py", "")
    project.write("shop/management/commands/makemigrations.py", ADDING)
    project.write("shop/grades.py", GRADE)
    project.models("from shop.grades import Grade\n\nclass Item(models.Model):\n    n = Grade()\n")
    project.configure(base=BASE_APPS)
    project.ok("makemigrations")
    project.write("shop/grades.py", GRADE.replace("SCALE = 1", "SCALE = 2"))
    assert "Alter field n on item" in project.chronomig("makemigrations", "--check").out
