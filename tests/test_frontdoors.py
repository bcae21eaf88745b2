"""manage.py, the test runner, pytest-django and the system checks: Django's habits, chronomig's timeline."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import sqlite_settings
from tests.projects import BASE_APPS, Project

A, B = "20260101000000_items", "20260102000000_notes"
CREATE = '("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")), ("n", models.IntegerField())])),'
ADD = '("shop", migrations.AddField("item", "notes", models.TextField(default=""))),'
ITEM = "class Item(models.Model):\n    n = models.IntegerField()\n    notes = models.TextField(default='')\n"


@pytest.fixture
def shop(project: Project) -> Project:
    project.models(ITEM)
    project.migration(A, CREATE)
    project.migration(B, ADD)
    return project


@pytest.fixture
def small(sqlite_project: Project) -> Project:
    sqlite_project.models(ITEM)
    sqlite_project.migration(A, CREATE)
    sqlite_project.migration(B, ADD)
    return sqlite_project


@pytest.mark.core
def test_manage_py_migrate_goes_through_the_timeline(shop: Project) -> None:
    done = shop.manage("migrate", "--noinput")
    assert done.code == 0, done
    assert f"applied   {B}" in done.out
    assert shop.applied() == [A, B]
    assert shop.manage("migrate", "--check").code == 0
    assert "nothing to do" in shop.manage("migrate").out


def test_djangos_flags_mean_what_they_mean_in_django(small: Project) -> None:
    assert small.manage("migrate", "--check").code == 3
    plan = small.manage("migrate", "--plan")
    assert plan.code == 0
    assert f"up     {A}" in plan.out
    assert small.manage("migrate", "--fake", "shop", A[:14]).code == 0
    assert small.applied() == [A]
    assert small.manage("migrate", "shop", "zero", "--fake").code == 0
    assert small.applied() == []
    assert small.manage("migrate", "--run-syncdb", "-v", "0").out == ""
    assert small.applied() == [A, B]
    assert small.manage("migrate", "--database", "default").code == 0
    refused = small.manage("migrate", "--fake-initial")
    assert refused.code == 1
    assert "--fake-initial has no meaning for a timeline" in refused.err


@pytest.mark.core
def test_migrate_app_and_name_finds_the_vendored_origin_and_says_what_moves_with_it(sqlite_project: Project) -> None:
    sqlite_project.configure(base=[*BASE_APPS, "taggit"])
    sqlite_project.models(ITEM)
    sqlite_project.ok("makemigrations")
    sqlite_project.ok("migrate")
    item = sqlite_project.files()[-1]
    done = sqlite_project.manage("migrate", "taggit", "0003")
    assert done.code == 0, done
    assert "The timeline is one: with taggit, these move too:" in done.out
    assert item in done.out
    assert sqlite_project.applied()[-1].endswith("taggit_0003_taggeditem_add_unique_index")
    assert sqlite_project.manage("migrate", "taggit").code == 0
    assert sqlite_project.applied()[-1].endswith("_idx")
    assert sqlite_project.manage("migrate", "shop").code == 0
    assert sqlite_project.applied()[-1] == item
    assert sqlite_project.manage("migrate", "taggit", "zero").code == 0
    assert not [name for name in sqlite_project.tables() if "taggit" in name]
    unknown = sqlite_project.manage("migrate", "tagit")
    assert unknown.code == 2
    assert "No installed app has the label 'tagit'." in unknown.err
    assert "Did you mean 'taggit'?" in unknown.err


def test_prune_forgets_rows_of_django_migrations_that_no_file_stands_for(small: Project) -> None:
    small.configure(base=["chronomig", *BASE_APPS[1:]])
    small.ok("makemigrations")
    small.ok("migrate")
    small.python(
        "from django.db import connection\nfrom django.db.migrations.recorder import MigrationRecorder\nMigrationRecorder(connection).record_applied('auth', '0000_old')\nresult = 1"
    )
    assert "Migrations can be pruned only when an app is specified." in small.manage("migrate", "--prune").err
    done = small.manage("migrate", "auth", "--prune")
    assert "Pruned auth.0000_old from django_migrations." in done.out
    assert "No migrations to prune." in small.manage("migrate", "auth", "--prune").out
    assert ["0001_initial"] in small.rows("SELECT name FROM django_migrations WHERE app = 'auth'")


def test_makemigrations_showmigrations_and_sqlmigrate_go_through_the_timeline(small: Project) -> None:
    small.configure(base=["chronomig"])
    assert "no changes" in small.manage("makemigrations", "--check").out
    small.models(ITEM + "    m = models.IntegerField(default=0)\n")
    assert small.manage("makemigrations", "--check").code == 3
    dry = small.manage("makemigrations", "shop", "--dry-run", "--no-header")
    assert "class Migration(chronomig.Migration):" in dry.out
    assert "Made by chronomig" not in dry.out
    assert "changes of all apps are looked for" in dry.err
    done = small.manage("makemigrations", "--scriptable", "-n", "more")
    assert [Path(line).stem[15:] for line in done.out.splitlines()] == ["more"]
    assert "+ Add field m to item" in done.err
    assert small.manage("makemigrations", "--empty", "-n", "hand").code == 0
    assert "There is nothing to merge" in small.manage("makemigrations", "--merge").err
    shown = small.manage("showmigrations", "shop")
    assert f"pending    {A}" in shown.out
    assert "hand" not in shown.out
    assert small.manage("showmigrations", "nix").code == 2
    sql = small.manage("sqlmigrate", "shop", B[:14])
    assert 'ADD COLUMN "notes"' in sql.out or '"notes"' in sql.out
    assert "DROP" in small.manage("sqlmigrate", "shop", A, "--backwards").out
    assert small.applied() == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["squashmigrations", "shop", "0002"], "A timeline has nothing to squash per app"),
        (["optimizemigration", "shop", "0002"], "chronomig makemigrations --update"),
    ],
)
def test_commands_without_a_counterpart_say_what_to_use(small: Project, command: list[str], told: str) -> None:
    done = small.manage(*command)
    assert done.code == 1
    assert told in done.err


TESTS = """
from django.test import TestCase
from shop.models import Item


class ItemTests(TestCase):
    databases = "__all__"

    def test_the_table_is_there(self):
        Item.objects.create(n=1)
        self.assertEqual(Item.objects.get().notes, "")
"""


@pytest.mark.core
def test_the_test_runner_builds_its_databases_through_the_timeline(shop: Project) -> None:
    shop.write("shop/tests.py", TESTS)
    for arguments in (["--keepdb"], ["--keepdb"], ["-v", "2"]):
        done = shop.manage("test", "--noinput", *arguments)
        assert done.code == 0, done
        assert "OK" in done.err
    assert B in done.out + done.err


def test_a_test_database_without_migrations_is_made_from_the_models(small: Project) -> None:
    small.databases["default"]["TEST"] = {"MIGRATE": False}
    small.configure()
    small.models(ITEM + "    not_in_the_timeline = models.IntegerField(default=0)\n")
    small.write("shop/tests.py", TESTS)
    done = small.manage("test")
    assert done.code == 0, done


def test_an_unmanaged_database_stays_with_django(small: Project, tmp_path: Path) -> None:
    small.databases["other"] = sqlite_settings(tmp_path, "other")
    small.configure(extra="CHRONOMIG = {'unmanaged': ['other']}")
    done = small.manage("migrate", "--database", "other")
    assert done.code == 0, done
    assert "Running migrations" in done.out
    refused = small.chronomig("migrate", "--database", "other")
    assert refused.code == 2
    assert "The database 'other' is not managed." in refused.err


@pytest.mark.core
def test_pytest_django_builds_its_database_through_the_timeline(small: Project) -> None:
    small.write(
        "shop/test_items.py",
        "import pytest\nfrom shop.models import Item\n\n@pytest.mark.django_db\ndef test_it():\n    Item.objects.create(n=1)\n    assert Item.objects.get().notes == ''\n",
    )
    for arguments in (["--reuse-db"], ["--reuse-db"], ["--create-db"], ["--nomigrations", "--create-db"]):
        done = small.run(
            [sys.executable, "-m", "pytest", "-q", "--ds=site_settings", "shop", *arguments],
            env={"PYTHONPATH": f"{small.root}:{Path(__file__).parents[1]}"},
        )
        assert done.code == 0, done
        assert "1 passed" in done.out


def test_a_project_tests_its_migrations_with_the_plugin(small: Project) -> None:
    small.configure(base=["chronomig"])
    small.write(
        "shop/test_notes.py",
        f"""
        def test_notes_are_empty_for_rows_that_were_there(timeline):
            old = timeline.to("{A}")
            item = old.get_model("shop", "Item").objects.create(n=1)
            new = timeline.to("{B}")
            assert new.get_model("shop", "Item").objects.get(pk=item.pk).notes == ""
            assert timeline.applied()[-1] == "{B}"
        """,
    )
    done = small.run(
        [sys.executable, "-m", "pytest", "-q", "--ds=site_settings", "shop"],
        env={"PYTHONPATH": f"{small.root}:{Path(__file__).parents[1]}"},
    )
    assert done.code == 0, done
    assert "1 passed" in done.out


def check(project: Project) -> str:
    done = project.manage("check")
    return done.out + done.err


def test_e001_the_configuration_is_not_valid(small: Project) -> None:
    small.configure(extra="CHRONOMIG = {'directry': 'x'}")
    told = check(small)
    assert "(chronomig.E001)" in told
    assert "'directry' is not a key. Did you mean 'directory'?" in told


def test_e002_a_timeline_cannot_be_read(small: Project) -> None:
    small.write("project_migrations/default/0001_initial.py", "")
    told = check(small)
    assert "(chronomig.E002)" in told
    assert "0001_initial.py: is not named YYYYMMDDHHMMSS_slug.py" in told


def test_w001_a_set_has_no_directory_yet(sqlite_project: Project) -> None:
    told = check(sqlite_project)
    assert "(chronomig.W001)" in told
    assert "Run chronomig init, or chronomig makemigrations." in told


def test_w002_an_own_app_has_migrations_of_djangos_own(small: Project) -> None:
    small.write("shop/migrations/__init__.py", "")
    small.write("shop/migrations/0001_initial.py", "")
    told = check(small)
    assert "(chronomig.W002)" in told
    assert "The app 'shop' has migrations of Django's own that are not in the timeline." in told


def test_a_project_in_order_has_no_findings(small: Project) -> None:
    assert "System check identified no issues" in check(small)


RECEIVERS = """
from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


def seen(sender, signal, plan, apps, using, **kwargs):
    name = "pre" if signal is pre_migrate else "post"
    print(name, using, [(m.app_label, m.name, down) for m, down in plan], [m.__name__ for m in apps.get_models() if m._meta.app_label == "shop"])


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        pre_migrate.connect(seen, sender=self)
        post_migrate.connect(seen, sender=self)
"""


@pytest.mark.core
def test_receivers_see_a_plan_as_djangos_and_the_models_around_it(small: Project) -> None:
    small.write("shop/apps.py", RECEIVERS)
    done = small.ok("migrate")
    lines = done.out.splitlines()
    assert f"pre default [('shop', '{A}', False), ('shop', '{B}', False)] []" in lines
    assert f"post default [('shop', '{A}', False), ('shop', '{B}', False)] ['Item']" in lines
    assert "post" not in small.ok("migrate").out
    down = small.ok("migrate", "--to", "zero", "--yes").out.splitlines()
    assert f"pre default [('shop', '{B}', True), ('shop', '{A}', True)] ['Item']" in down


def test_each_line_of_a_receiver_is_ended(small: Project) -> None:
    small.write(
        "shop/apps.py",
        RECEIVERS.replace("**kwargs):\n", "**kwargs):\n    kwargs['stdout'].write('as a receiver says')\n"),
    )
    lines = small.ok("migrate", "-v", "2").err.splitlines()
    for when in ("pre", "post"):
        begin = lines.index(f"Running {when}-migrate handlers for application shop")
        assert lines[begin + 1] == "as a receiver says"


def test_a_receiver_that_fails_is_named_and_called_again(small: Project) -> None:
    small.write(
        "shop/apps.py", RECEIVERS.replace("    print(", "    if name == 'post': raise RuntimeError('no')\n    print(")
    )
    done = small.chronomig("migrate")
    assert done.code == 1
    assert "A receiver of post_migrate failed; the migrations before it are applied and recorded." in done.err
    assert "RuntimeError: no" in done.err
    assert small.applied() == [A, B]
    small.write("shop/apps.py", RECEIVERS)
    assert "post default [] ['Item']" in small.ok("migrate").out
    assert "post" not in small.ok("migrate").out


@pytest.mark.core
def test_a_renamed_model_keeps_its_content_type_and_permissions(project: Project) -> None:
    project.models("class Item(models.Model):\n    pass\n")
    project.ok("makemigrations")
    project.ok("migrate")
    before = project.rows("SELECT id FROM django_content_type WHERE model = 'item'")
    project.models("class Thing(models.Model):\n    pass\n")
    from tests.test_makemigrations import answer

    code, screen = answer(project, ["makemigrations"], ["y"])
    assert code == 0, screen
    project.ok("migrate")
    assert project.rows("SELECT id FROM django_content_type WHERE model = 'thing'") == before
    assert project.rows("SELECT id FROM django_content_type WHERE model = 'item'") == []
    assert ["add_thing"] in project.rows("SELECT codename FROM auth_permission")
    project.ok("migrate", "--steps", "-1", "--yes")
    assert project.rows("SELECT id FROM django_content_type WHERE model = 'item'") == before


def test_a_database_that_django_migrated_is_adopted_without_running_anything(sqlite_project: Project) -> None:
    sqlite_project.configure(base=BASE_APPS[1:])
    assert sqlite_project.manage("migrate").code == 0
    sqlite_project.configure()
    sqlite_project.models(ITEM)
    sqlite_project.ok("makemigrations")
    status = sqlite_project.ok("status").out
    assert "to be adopted from django_migrations" in status
    assert "adopt  " in sqlite_project.ok("plan").out
    done = sqlite_project.ok("migrate")
    assert done.out.count("adopted   ") == 14
    assert done.out.count("applied   ") == 1
    assert "shop_item" in sqlite_project.tables()
    assert "nothing to do" in sqlite_project.ok("migrate").out
