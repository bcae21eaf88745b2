"""``chronomig makemigrations`` on real projects."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import sqlite_settings
from tests.projects import BASE_APPS, Project

ITEM = """
class Item(models.Model):
    n = models.IntegerField()
"""


def own_files(project: Project, set_name: str = "default") -> list[str]:
    """Return the files that are not vendored."""
    folder = project.root / "project_migrations" / set_name
    return sorted(path.name[15:-3] for path in folder.glob("*.py") if "\nORIGIN = " not in path.read_text())


def answer(project: Project, command: Sequence[str], answers: Sequence[str]) -> tuple[int, str]:
    """Run *command* on a terminal of its own, typing the next answer at each prompt; return (exit code, screen)."""
    controller, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "chronomig", *command],
        cwd=project.root,
        env=project.environment({"TERM": "xterm", "COLUMNS": "200"}),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        close_fds=True,
    )
    os.close(terminal)
    screen, left = "", list(answers)
    prompts = ("[y/N] ", "Select an option: ", ">>> ")
    try:
        while True:
            try:
                chunk = os.read(controller, 4096).decode(errors="replace")
            except OSError:
                break
            if not chunk:
                break
            screen += chunk
            if left and screen.endswith(prompts):
                time.sleep(0.05)
                os.write(controller, f"{left.pop(0)}\n".encode())
    finally:
        os.close(controller)
    return running.wait(timeout=60), screen


def test_models_become_one_file_and_the_second_run_finds_nothing(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    done = sqlite_project.ok("makemigrations")
    assert "+ Create model Item" in done.out
    assert f"default: detected project_migrations/default/{sqlite_project.files()[-1]}.py" in done.out
    assert own_files(sqlite_project) == ["item"]
    assert sqlite_project.ok("makemigrations").out == "default: no changes\n"
    assert sqlite_project.chronomig("makemigrations", "--check").code == 0
    sqlite_project.ok("migrate")
    assert "shop_item" in sqlite_project.tables()


@pytest.mark.core
def test_reusable_apps_are_vendored_in_upstreams_order_with_consecutive_stamps(sqlite_project: Project) -> None:
    sqlite_project.configure(base=[*BASE_APPS, "django.contrib.sessions", "taggit"])
    sqlite_project.ok("makemigrations")
    files = sqlite_project.files()
    slugs = [name[15:] for name in files]
    assert (
        slugs.index("contenttypes_0001_initial")
        < slugs.index("auth_0001_initial")
        < slugs.index("auth_0012_alter_user_first_name_max_length")
    )
    assert slugs.index("contenttypes_0002_remove_content_type_name") < slugs.index(
        "auth_0006_require_contenttypes_0002"
    )
    assert len({name[:14] for name in files}) == len(files)
    text = (sqlite_project.root / "project_migrations/default" / f"{files[0]}.py").read_bytes()
    import django.contrib.contenttypes.migrations as package

    upstream = (Path(package.__file__).parent / "0001_initial.py").read_bytes()
    assert text.startswith(upstream)
    assert (
        b'\nORIGIN = {"app": "contenttypes", "name": "0001_initial", "distribution": "Django", "version": "' in text
    )
    sqlite_project.ok("migrate")
    recorded = sqlite_project.rows("SELECT app, name FROM django_migrations ORDER BY app, name")
    assert ["auth", "0012_alter_user_first_name_max_length"] in recorded
    assert len(recorded) == len(files)
    stock = sqlite_project.manage("check")
    assert stock.code == 0


def test_no_vendor_leaves_reusable_apps_alone(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    sqlite_project.ok("makemigrations", "--no-vendor")
    assert [name[15:] for name in sqlite_project.files()] == ["item"]


@pytest.mark.core
def test_circular_foreign_keys_between_two_new_apps_end_up_in_one_file_that_runs(project: Project) -> None:
    project.configure(apps=["shop", "people"])
    project.models(
        "class Order(models.Model):\n    customer = models.ForeignKey('people.Person', models.CASCADE)\n    friends = models.ManyToManyField('people.Person', related_name='x')"
    )
    project.models(
        "class Person(models.Model):\n    favourite = models.ForeignKey('shop.Order', models.SET_NULL, null=True)",
        app="people",
    )
    project.ok("makemigrations")
    assert own_files(project) == ["initial"]
    project.ok("migrate")
    keys = [one["foreign_key"] for one in project.schema()["people_person"]["constraints"].values()]
    assert "('shop_order', 'id')" in keys
    assert project.chronomig("makemigrations", "--check").code == 0
    project.ok("migrate", "--to", "zero", "--yes")
    assert project.tables() == []


@pytest.mark.core
def test_a_user_model_of_the_projects_own_comes_before_the_reusable_apps_that_need_it(
    sqlite_project: Project,
) -> None:
    sqlite_project.configure(
        apps=["people"],
        base=[
            "chronomig",
            "django.contrib.admin",
            *BASE_APPS[1:],
            "django.contrib.sessions",
            "django.contrib.messages",
        ],
        extra="""
        AUTH_USER_MODEL = "people.Person"
        TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}]
        MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware"]
        """,
    )
    sqlite_project.write(
        "people/models.py",
        "from django.contrib.auth.models import AbstractUser\nfrom django.db import models\n\nclass Person(AbstractUser):\n    pass\n",
    )
    sqlite_project.ok("makemigrations")
    slugs = [name[15:] for name in sqlite_project.files()]
    assert slugs.index("auth_0001_initial") < slugs.index("person") < slugs.index("admin_0001_initial")
    sqlite_project.ok("migrate")
    keys = [one["foreign_key"] for one in sqlite_project.schema()["django_admin_log"]["constraints"].values()]
    assert "('people_person', 'id')" in keys
    assert sqlite_project.chronomig("makemigrations", "--check").code == 0


def test_check_writes_nothing_and_exits_with_3(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    done = sqlite_project.chronomig("makemigrations", "--check")
    assert done.code == 3
    assert "+ Create model Item" in done.out
    assert sqlite_project.files() == []


def test_dry_run_shows_the_file_and_writes_nothing(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    done = sqlite_project.ok("makemigrations", "--dry-run", "--no-vendor")
    assert "class Migration(chronomig.Migration):" in done.out
    assert "migrations.CreateModel(" in done.out
    assert sqlite_project.files() == []


def test_a_name_is_a_slug(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    done = sqlite_project.chronomig("makemigrations", "--name", "Add Things!")
    assert done.code == 2
    assert "'Add Things!' is not a slug." in done.err
    assert "Try --name add_things." in done.err
    sqlite_project.ok("makemigrations", "--name", "add_things")
    assert own_files(sqlite_project) == ["add_things"]


def test_an_empty_migration_is_there_to_be_filled_in(sqlite_project: Project) -> None:
    sqlite_project.ok("makemigrations", "--empty", "--name", "fill")
    (name,) = sqlite_project.files()
    text = (sqlite_project.root / f"project_migrations/default/{name}.py").read_text()
    assert '# ("app_label", migrations.RunPython(forwards, backwards)),' in text
    sqlite_project.ok("migrate")
    done = sqlite_project.chronomig("makemigrations", "--empty", "--update")
    assert done.code == 2
    assert "--empty and --update exclude each other." in done.err


def test_json_holds_the_files_and_their_text(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    done = sqlite_project.ok("makemigrations", "--json", "--no-vendor").json
    assert done["schema"] == "chronomig.makemigrations/1"
    assert done["written"] is True
    (file,) = done["sets"][0]["files"]
    assert file["kind"] == "detected"
    assert file["operations"] == ["shop: Create model Item"]
    assert Path(file["path"]).read_text() == file["source"]


@pytest.mark.core
def test_djangos_questions_are_asked_on_a_terminal(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    sqlite_project.ok("makemigrations")
    sqlite_project.models("class Item(models.Model):\n    amount = models.IntegerField()\n")
    code, screen = answer(sqlite_project, ["makemigrations"], ["y"])
    assert code == 0, screen
    assert "Was item.n renamed to item.amount (a IntegerField)? [y/N]" in screen
    assert "Rename field n on item to amount" in screen
    sqlite_project.models(
        "class Item(models.Model):\n    amount = models.IntegerField()\n    label = models.CharField(max_length=9)\n"
    )
    code, screen = answer(sqlite_project, ["makemigrations"], ["1", "'none'"])
    assert code == 0, screen
    assert "It is impossible to add a non-nullable field 'label' to item without specifying a default." in screen
    newest = sqlite_project.root / f"project_migrations/default/{sqlite_project.files()[-1]}.py"
    assert 'default="none"' in newest.read_text() or "default='none'" in newest.read_text()
    assert "preserve_default=False" in newest.read_text()
    assert sqlite_project.chronomig("makemigrations", "--check").code == 0


def test_leaving_a_question_writes_nothing(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    sqlite_project.ok("makemigrations")
    before = sqlite_project.files()
    sqlite_project.models(ITEM + "    m = models.IntegerField()\n")
    code, screen = answer(sqlite_project, ["makemigrations"], ["2"])
    assert code == 4
    assert "makemigrations was left without an answer; nothing was written." in screen
    assert sqlite_project.files() == before


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (
            "m = models.IntegerField()",
            "item.m: a field that is not null needs a default to be added; nothing was written.",
        ),
        ("m = models.DateField(auto_now_add=True)", "item.m: a field with auto_now_add needs a default to be added"),
    ],
)
def test_without_a_terminal_a_question_is_a_refusal(sqlite_project: Project, field: str, told: str) -> None:
    sqlite_project.models(ITEM)
    sqlite_project.ok("makemigrations")
    before = sqlite_project.files()
    sqlite_project.models(ITEM + f"    {field}\n")
    for arguments in ([], ["--no-input"]):
        done = sqlite_project.chronomig("makemigrations", *arguments)
        assert done.code == 4
        assert told in done.err
        assert "Give the field a default or null=True" in done.err
    assert sqlite_project.files() == before


def test_making_a_field_not_null_without_a_default_is_a_refusal(sqlite_project: Project) -> None:
    sqlite_project.models("class Item(models.Model):\n    n = models.IntegerField(null=True)\n")
    sqlite_project.ok("makemigrations")
    sqlite_project.models(ITEM)
    done = sqlite_project.chronomig("makemigrations", "--no-input")
    assert done.code == 4
    assert "item.n: a nullable field needs a default to be made not null" in done.err


def test_update_rewrites_the_newest_file_while_it_is_applied_nowhere(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    sqlite_project.ok("makemigrations")
    before = sqlite_project.files()
    sqlite_project.models(ITEM + "    m = models.IntegerField(default=0)\n")
    assert "updated" in sqlite_project.ok("makemigrations", "--update").out
    assert sqlite_project.files() == before
    text = (sqlite_project.root / f"project_migrations/default/{before[-1]}.py").read_text()
    assert "AddField" not in text
    assert '"m"' in text or "'m'" in text
    sqlite_project.ok("makemigrations", "--check")
    sqlite_project.ok("migrate")
    sqlite_project.models(ITEM)
    done = sqlite_project.chronomig("makemigrations", "--update")
    assert done.code == 4
    assert f"{before[-1]} is not updated: it is applied to default." in done.err


def test_update_does_not_lose_what_a_hand_wrote(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    sqlite_project.ok("makemigrations")
    path = sqlite_project.root / f"project_migrations/default/{sqlite_project.files()[-1]}.py"
    path.write_text(path.read_text() + "\n# remember this\n")
    sqlite_project.models(ITEM + "    m = models.IntegerField(default=0)\n")
    done = sqlite_project.chronomig("makemigrations", "--update")
    assert done.code == 4
    assert "it holds comments or code that rewriting would lose" in done.err


@pytest.mark.core
def test_an_app_that_leaves_takes_its_tables_with_it_in_a_safe_order(project: Project) -> None:
    project.configure(apps=["shop", "people"])
    project.models(
        "class Order(models.Model):\n    customer = models.ForeignKey('people.Person', models.CASCADE)\n    n = models.IntegerField(default=0)\n    friends = models.ManyToManyField('people.Person', related_name='x')"
    )
    project.models(
        "class Person(models.Model):\n    boss = models.ForeignKey('self', models.CASCADE, null=True)", app="people"
    )
    project.ok("makemigrations")
    project.ok("migrate")
    project.models("class Order(models.Model):\n    n = models.IntegerField(default=0)")
    project.configure(apps=["shop"])
    project.ok("makemigrations")
    project.ok("migrate")
    assert [name for name in project.tables() if name.startswith(("people", "shop"))] == ["shop_order"]
    project.ok("migrate", "--steps", "-1", "--yes")
    assert {"people_person", "shop_order_friends"} <= set(project.tables())


def test_a_reusable_app_that_leaves_is_deleted_and_its_history_still_loads(sqlite_project: Project) -> None:
    sqlite_project.configure(base=[*BASE_APPS, "taggit"])
    sqlite_project.ok("makemigrations")
    sqlite_project.ok("migrate")
    sqlite_project.configure(base=BASE_APPS)
    done = sqlite_project.ok("makemigrations")
    assert "- Delete model Tag" in done.out
    sqlite_project.ok("migrate")
    assert not [name for name in sqlite_project.tables() if "taggit" in name]
    sqlite_project.ok("migrate", "--to", "zero", "--yes")
    sqlite_project.ok("migrate")


def test_own_apps_with_migrations_of_djangos_own_are_refused(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    sqlite_project.write("shop/migrations/__init__.py", "")
    sqlite_project.write(
        "shop/migrations/0001_initial.py",
        "from django.db import migrations\nclass Migration(migrations.Migration):\n    operations = []\n",
    )
    done = sqlite_project.chronomig("makemigrations")
    assert done.code == 4
    assert "The project's own apps have migrations of Django's own: shop; nothing was written." in done.err
    assert "Run chronomig adopt to take them over." in done.err
    assert sqlite_project.files() == []


def test_an_edit_upstream_is_shown_as_a_diff_and_changes_nothing(sqlite_project: Project) -> None:
    app = "reusable"
    sqlite_project.configure(apps=["shop", app], extra="CHRONOMIG = {'own_apps': ['shop']}")
    sqlite_project.models("class Thing(models.Model):\n    n = models.IntegerField(default=0)\n", app=app)
    sqlite_project.write(f"{app}/migrations/__init__.py", "")
    upstream = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    operations = [\n        migrations.CreateModel('Thing', [('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')), ('n', models.IntegerField(default=0))]),\n    ]\n"
    path = sqlite_project.write(f"{app}/migrations/0001_initial.py", upstream)
    sqlite_project.ok("makemigrations")
    files = sqlite_project.files()
    assert "reusable_0001_initial" in {name[15:] for name in files}
    path.write_text(upstream.replace("default=0", "default=1"))
    sqlite_project.models("class Thing(models.Model):\n    n = models.IntegerField(default=1)\n", app=app)
    done = sqlite_project.chronomig("makemigrations", "--check")
    assert (
        "reusable_0001_initial: upstream changed this migration since it was vendored; it stays as it is." in done.err
    )
    assert "default=1" in done.err
    assert done.code == 3
    assert "~ Alter field n on thing" in done.out


def test_a_migration_that_reads_files_beside_itself_is_referred_to(sqlite_project: Project) -> None:
    app = "reusable"
    sqlite_project.configure(apps=["shop", app], extra="CHRONOMIG = {'own_apps': ['shop']}")
    sqlite_project.write(f"{app}/models.py", "")
    sqlite_project.write(f"{app}/migrations/__init__.py", "")
    sqlite_project.write(f"{app}/migrations/made.sql", "CREATE TABLE made (n integer)")
    sqlite_project.write(
        f"{app}/migrations/0001_initial.py",
        "from pathlib import Path\nfrom django.db import migrations\n\nclass Migration(migrations.Migration):\n    operations = [migrations.RunSQL((Path(__file__).parent / 'made.sql').read_text())]\n",
    )
    sqlite_project.ok("makemigrations")
    (name,) = [name for name in sqlite_project.files() if "reusable" in name]
    text = (sqlite_project.root / f"project_migrations/default/{name}.py").read_text()
    assert "# Refers to the original, because it looks for files beside itself." in text
    sqlite_project.ok("migrate")
    assert "made" in sqlite_project.tables()


def test_a_squash_is_vendored_alone_and_known_again_where_its_parts_are_there(sqlite_project: Project) -> None:
    app = "reusable"
    sqlite_project.configure(apps=["shop", app], extra="CHRONOMIG = {'own_apps': ['shop']}")
    sqlite_project.write(f"{app}/models.py", "")
    head = "from django.db import migrations\n\nclass Migration(migrations.Migration):\n"
    sqlite_project.write(f"{app}/migrations/__init__.py", "")
    sqlite_project.write(f"{app}/migrations/0001_one.py", head + "    operations = []\n")
    sqlite_project.write(
        f"{app}/migrations/0002_two.py", head + "    dependencies = [('reusable', '0001_one')]\n    operations = []\n"
    )
    sqlite_project.ok("makemigrations")
    first = [name[15:] for name in sqlite_project.files() if "reusable" in name]
    assert first == ["reusable_0001_one", "reusable_0002_two"]
    squash = head + "    replaces = [('reusable', '0001_one'), ('reusable', '0002_two')]\n    operations = []\n"
    sqlite_project.write(f"{app}/migrations/0001_squashed_0002.py", squash)
    assert sqlite_project.ok("makemigrations").out == "default: no changes\n"
    for path in (sqlite_project.root / "project_migrations/default").glob("*reusable*"):
        path.unlink()
    sqlite_project.ok("makemigrations")
    assert [name[15:] for name in sqlite_project.files() if "reusable" in name] == ["reusable_0001_squashed_0002"]


ROUTER = """
class Router:
    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return (app_label == "audit") == (db == "audit")
"""


@pytest.mark.core
def test_routers_decide_which_models_belong_to_a_set(sqlite_project: Project, tmp_path: Path) -> None:
    sqlite_project.databases["audit"] = sqlite_settings(tmp_path, "audit")
    sqlite_project.configure(apps=["shop", "audit"], extra="DATABASE_ROUTERS = ['routers.Router']")
    sqlite_project.write("routers.py", ROUTER)
    sqlite_project.models(ITEM)
    sqlite_project.models("class Entry(models.Model):\n    text = models.TextField()\n", app="audit")
    sqlite_project.ok("makemigrations")
    assert own_files(sqlite_project) == ["item"]
    assert sqlite_project.files("audit") == [sqlite_project.files("audit")[0]]
    assert own_files(sqlite_project, "audit") == ["entry"]
    sqlite_project.ok("migrate")
    assert sqlite_project.tables("audit") == ["audit_entry"]
    assert "shop_item" in sqlite_project.tables()
    assert "audit_entry" not in sqlite_project.tables()
    assert sqlite_project.chronomig("makemigrations", "--check").code == 0
    done = sqlite_project.chronomig("makemigrations", "--empty")
    assert done.code == 2
    assert "Choose one with --set." in done.err
    sqlite_project.ok("makemigrations", "--empty", "--set", "audit")
    assert len(sqlite_project.files("audit")) == 2
    unknown = sqlite_project.chronomig("makemigrations", "--set", "adit")
    assert unknown.code == 2
    assert "There is no set 'adit'." in unknown.err
    sqlite_project.ok("migrate", "--database", "audit")


def test_a_target_that_only_one_set_knows_asks_for_the_database(sqlite_project: Project, tmp_path: Path) -> None:
    sqlite_project.databases["audit"] = sqlite_settings(tmp_path, "audit")
    sqlite_project.configure(apps=["shop"])
    sqlite_project.migration("20260101000000_here", "")
    sqlite_project.migration("20260101000000_there", "", set_name="audit")
    done = sqlite_project.chronomig("migrate", "--to", "20260101000000_here")
    assert done.code == 2
    assert "It was looked for in the set 'audit'." in done.err
    assert "choose with --database" in done.err
    sqlite_project.ok("migrate", "--to", "20260101000000_here", "--database", "default")
    sqlite_project.ok("migrate", "--to", "2026-01-01")


def test_two_aliases_share_one_set(project: Project) -> None:
    project.databases["second"] = project_database(project)
    project.configure(extra="CHRONOMIG = {'sets': {'main': {'databases': ['default', 'second']}}}")
    project.models(ITEM)
    project.ok("makemigrations")
    project.ok("migrate")
    assert project.tables() == project.tables("second")
    newest = project.files("main")[-1]
    project.ok("migrate", "--before", newest, "--yes", "--database", "second")
    assert "shop_item" not in project.tables("second")
    assert "shop_item" in project.tables()


def project_database(project: Project) -> dict[str, object]:
    """Return a second database beside the first one, on SQLite: sets are shared across vendors too."""
    return dict(sqlite_settings(project.root, "second"))


def test_a_foreign_key_to_a_model_in_another_database_can_be_rendered(
    sqlite_project: Project, tmp_path: Path
) -> None:
    sqlite_project.databases["audit"] = sqlite_settings(tmp_path, "audit")
    sqlite_project.configure(apps=["shop", "audit"], extra="DATABASE_ROUTERS = ['routers.Router']")
    sqlite_project.write("routers.py", ROUTER)
    sqlite_project.models(ITEM)
    sqlite_project.models(
        "class Entry(models.Model):\n    item = models.ForeignKey('shop.Item', models.CASCADE, db_constraint=False)\n",
        app="audit",
    )
    sqlite_project.ok("makemigrations")
    sqlite_project.ok("migrate")
    assert sqlite_project.tables("audit") == ["audit_entry"]


def test_a_directory_that_cannot_be_written_leaves_nothing_behind(sqlite_project: Project) -> None:
    sqlite_project.models(ITEM)
    sqlite_project.write("project_migrations/default/.gitkeep", "")
    code = """
    from pathlib import Path
    from chronomig.errors import ChronomigError
    from chronomig.timeline import Entry
    from chronomig.authoring.writer import put_in_place
    folder = Path("project_migrations/default")
    (folder / "file").write_text("")
    try:
        put_in_place([Entry("a", folder / "20260101000000_a.py", b"x"), Entry("b", folder / "file" / "b.py", b"x")])
    except ChronomigError as error:
        result = [str(error), sorted(path.name for path in folder.iterdir())]
    """
    told, left = sqlite_project.python(code)
    assert "cannot be written." in told
    assert "Nothing was left behind." in told
    assert left == [".gitkeep", "file"]
