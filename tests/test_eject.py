"""``chronomig eject``: from a timeline back to stock Django, on the databases that are there and on empty ones."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chronomig.eject.texts import CannotRewrite, rewritten
from chronomig.timeline import format_stamp, parse_stamp
from tests.databases import TestDatabase
from tests.projects import BASE_APPS, Project
from tests.test_adopt import BOTH, STOCK, content, with_chronomig, write_apps

AUDIT = """
class Line(models.Model):
    text = models.CharField(max_length=20)
    item = models.ForeignKey("shop.Item", models.CASCADE)
"""
MORE = """
class Item(models.Model):
    owner = models.ForeignKey("people.Person", models.CASCADE)
    n = models.IntegerField(default=0)
    title = models.CharField(max_length=20, default="")
    note = models.TextField(default="", db_index=True)
"""
FILL = """
PEOPLE = {"verbose_name": "user", "verbose_name_plural": "users"}


def names():
    return ["second", "third"]


def fill(apps, schema_editor):
    for name in names():
        apps.get_model("people", "Person").objects.using(schema_editor.connection.alias).create(username=name)


def count(apps, schema_editor):
    # No rows of the item are there yet.
    assert not apps.get_model("shop", "Item").objects.using(schema_editor.connection.alias).exists()
"""


def eject(project: Project, *more: str) -> str:
    return project.ok("eject", *more).out


def after(name: str, slug: str) -> str:
    """Return the name of a migration one second after another one."""
    return f"{format_stamp(parse_stamp(name[:14]) + timedelta(seconds=1))}_{slug}"


def leave(project: Project) -> None:
    """Take chronomig out of the project, as the last lines of eject say."""
    project.configure(base=[app for app in STOCK if app != "chronomig"], extra=project.extra.replace(BOTH, ""))
    (project.root / "project_migrations").rename(project.root / "was_project_migrations")


@pytest.fixture
def made_by_django(database: TestDatabase, tmp_path: Path) -> Project:
    """A project whose database Django made; two more are empty."""
    entries = {alias: database.settings(f"_{alias}") for alias in ("default", "fresh", "empty")}
    project = Project(tmp_path / "site", entries)
    project.configure(extra=BOTH.replace("'fresh'", "'fresh', 'empty'"))
    write_apps(project)
    assert project.manage("migrate").code == 0
    with_chronomig(project)
    return project


@pytest.mark.core
@pytest.mark.parametrize("move", ["--move", "--copy"])
def test_a_project_moves_in_gets_migrations_and_goes_back_to_stock_django(made_by_django: Project, move: str) -> None:
    project = made_by_django
    project.ok("adopt", move, "--yes")
    project.ok("migrate", "--database", "default", "--database", "fresh")
    project.configure(apps=["people", "shop", "audit"], base=["chronomig", *STOCK])
    project.models(MORE)
    project.models(AUDIT, app="audit")
    project.ok("makemigrations")
    project.migration(
        after(project.files()[-1], "fill"),
        '("people", migrations.RunPython(fill, migrations.RunPython.noop)),\n'
        '# counts\n("shop", migrations.RunPython(count, migrations.RunPython.noop)),\n'
        '("people", migrations.AlterModelOptions("person", PEOPLE)),',
        head=FILL,
    )
    assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    project.ok("migrate", "--database", "default", "--database", "fresh")
    before = project.schema()
    told = eject(project, "--database", "default", "--database", "fresh")
    print(told)
    leave(project)
    assert project.manage("makemigrations", "--check").code == 0
    for alias in ("default", "fresh"):
        done = project.manage("migrate", "--check", "--database", alias)
        assert done.code == 0, done
    done = project.manage("migrate", "--database", "empty")
    assert done.code == 0, done
    assert project.schema() == before == project.schema("fresh") == project.schema("empty")
    assert content(project, "empty") == content(project, "fresh") == content(project, "default")


# -- what it does, and what it refuses -------------------------------------------------------------------------------


ITEM_N = "class Item(models.Model):\n    n = models.IntegerField(default=0)\n"
ITEM_M = f"{ITEM_N}    m = models.IntegerField(default=0)\n"


@pytest.fixture
def ours(sqlite_project: Project) -> Project:
    """A project that began with chronomig, with two migrations of its own."""
    project = sqlite_project
    project.models(ITEM_N)
    project.ok("makemigrations")
    project.models(ITEM_M)
    project.ok("makemigrations")
    project.ok("migrate")
    return project


def own_files(project: Project, app: str = "shop") -> list[str]:
    return sorted(path.name for path in (project.root / f"{app}/migrations").glob("*.py"))


def is_clean(project: Project, *extra: str) -> bool:
    """Whether stock Django finds nothing to do."""
    project.configure(base=BASE_APPS[1:])
    found = [project.manage("makemigrations", "--check"), project.manage("migrate", "--check")]
    project.configure(base=BASE_APPS)
    assert [one.code for one in found] == [0, 0], found
    return True


def test_a_dry_run_shows_everything_and_writes_nothing(ours: Project) -> None:
    told = ours.ok("eject", "--dry-run").out
    assert "would write shop/migrations/0001_item.py  (" in told
    assert "would write shop/migrations/0002_item_m.py  (" in told
    assert "would write shop/migrations/__init__.py" in told
    assert "default: 2 rows of django_migrations would be added" in told
    assert "Next:" not in told
    assert not (ours.root / "shop/migrations").exists()
    assert ours.rows("SELECT name FROM django_migrations WHERE app = 'shop'") == []


def test_files_and_databases_can_be_done_one_after_the_other_and_again(ours: Project) -> None:
    assert "rows of" not in ours.ok("eject", "--files-only").out
    assert own_files(ours) == ["0001_item.py", "0002_item_m.py", "__init__.py"]
    path = ours.root / "shop/migrations/0002_item_m.py"
    path.write_text(path.read_text().replace('"', "'"))  # how it is formatted makes no difference
    told = ours.ok("eject").out
    assert "2 files already there\ndefault: 2 rows of django_migrations added" in told
    assert "default: 0 rows of django_migrations added" in ours.ok("eject").out
    assert is_clean(ours)


def test_a_file_that_says_something_else_is_overwritten_only_with_a_yes(ours: Project) -> None:
    ours.ok("eject")
    path = ours.root / "shop/migrations/0002_item_m.py"
    whole = path.read_text()
    path.write_text(whole.replace('"m"', '"k"'))
    refused = ours.chronomig("eject")
    assert refused.code == 4
    assert "1 file would be overwritten or deleted; nothing was written." in refused.err
    assert "shop/migrations/0002_item_m.py (changed)" in refused.err
    assert "Add --yes to do it." in refused.err
    assert "overwrote shop/migrations/0002_item_m.py" in ours.ok("eject", "--yes").out
    assert path.read_text() == whole


def test_a_database_that_is_not_at_the_head_is_refused(ours: Project) -> None:
    ours.ok("migrate", "--steps=-1", "--yes")
    refused = ours.chronomig("eject")
    assert refused.code == 4
    assert "The project cannot be given back to Django as it stands; nothing was written." in refused.err
    assert f"default: 1 pending, from {ours.files()[-1]} on. Run chronomig migrate." in refused.err
    assert not (ours.root / "shop/migrations").exists()


def test_models_without_a_migration_are_refused(ours: Project) -> None:
    ours.models(f"{ITEM_M}    k = models.IntegerField(default=0)\n")
    refused = ours.chronomig("eject")
    assert refused.code == 4
    assert "shop: the models and the migrations differ: Add field k to item" in refused.err


def test_a_migration_of_djangos_that_no_timeline_has_is_refused(ours: Project) -> None:
    ours.write("shop/migrations/__init__.py", "")
    ours.write(
        "shop/migrations/0009_x.py",
        "from django.db import migrations\n\nclass Migration(migrations.Migration):\n    pass\n",
    )
    refused = ours.chronomig("eject")
    assert refused.code == 4
    assert "shop.0009_x is in no timeline. Run chronomig adopt, or delete the file." in refused.err


def test_a_protected_database_wants_its_name(ours: Project) -> None:
    ours.configure(extra="CHRONOMIG = {'databases': {'default': {'protected': True}}}")
    refused = ours.chronomig("eject", "--yes")
    assert refused.code == 4
    assert (
        "2 rows would be added to django_migrations of 'default', a protected database; nothing was written."
        in refused.err
    )
    assert "Add --record-in default to do it" in refused.err
    assert not (ours.root / "shop/migrations").exists()
    assert "default: 2 rows of django_migrations added" in ours.ok("eject", "--record-in", "default").out


def test_json_tells_the_same(ours: Project) -> None:
    found = ours.ok("eject", "--json").json
    assert [Path(one["path"]).name for one in found["files"]] == ["0001_item.py", "0002_item_m.py", "__init__.py"]
    assert {one["fate"] for one in found["files"]} == {"new"}
    assert found["databases"] == [{"alias": "default", "rows": ["shop 0001_item", "shop 0002_item_m"]}]


# -- apps of others --------------------------------------------------------------------------------------------------


THING = "class Thing(models.Model):\n    n = models.IntegerField(default=0)\n"
THING_FILE = """
from django.db import migrations, models
from ..helpers import DEFAULT

class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Thing", [("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")), ("n", models.IntegerField(default=DEFAULT))]),
    ]
"""


@pytest.fixture
def reusing(sqlite_project: Project) -> Project:
    """A project with an app of somebody else's."""
    project = sqlite_project
    outside = f"import sys\nsys.path.append({str(project.root.parent)!r})\n"
    project.configure(apps=["shop", "elsewhere.reusable"], extra=f"{outside}CHRONOMIG = {{'own_apps': ['shop']}}\n")
    project.models(ITEM_N)
    for file in ("__init__", "reusable/__init__", "reusable/migrations/__init__"):
        project.write(f"../elsewhere/{file}.py", "")
    project.models(THING, app="../elsewhere/reusable")
    project.write("../elsewhere/reusable/helpers.py", "DEFAULT = 0\n")
    project.write("../elsewhere/reusable/migrations/0001_initial.py", THING_FILE)
    project.ok("makemigrations")
    project.ok("migrate")
    return project


def test_a_migration_on_an_app_of_others_takes_its_migrations_into_the_project(reusing: Project) -> None:
    project = reusing
    project.migration(
        after(project.files()[-1], "verbose"),
        '("reusable", migrations.AlterModelOptions("thing", {"verbose_name": "thing!"})),\n'
        '("reusable", migrations.AlterModelOptions("thing", {})),',
    )
    project.ok("migrate")
    before = project.schema()
    told = project.ok("eject").out
    assert (
        f"note: reusable: its migrations move into the project, because {project.files()[-1]} changes its models"
        in told
    )
    assert "MIGRATION_MODULES = {'reusable': 'kept_migrations.reusable'}" in told
    assert own_files(project) == ["0001_item.py", "__init__.py"]
    kept = project.root / "kept_migrations/reusable"
    assert sorted(path.name for path in kept.glob("*.py")) == ["0001_initial.py", "0002_verbose.py", "__init__.py"]
    assert "from elsewhere.reusable.helpers import DEFAULT" in (kept / "0001_initial.py").read_text()
    assert (project.root.parent / "elsewhere/reusable/migrations/0002_verbose.py").exists() is False
    settings = f"{project.extra}\nMIGRATION_MODULES = {{'reusable': 'kept_migrations.reusable'}}\n"
    project.configure(extra=settings)
    assert "3 files already there" in project.ok("eject").out
    assert is_clean(project)
    project.databases["default"] = {**project.databases["default"], "NAME": f"{project.root}/other.sqlite3"}
    project.configure(base=BASE_APPS[1:])
    assert project.manage("migrate").code == 0
    assert project.schema() == before


def test_an_edited_copy_takes_its_app_into_the_project(reusing: Project) -> None:
    (path,) = (reusing.root / "project_migrations/default").glob("*_reusable_0001_initial.py")
    path.write_text(path.read_text().replace("operations = [", "operations = [migrations.RunSQL('SELECT 1', ''), "))
    reusing.ok("accept", path.stem, "--yes")
    told = reusing.ok("eject").out
    assert f"note: reusable: its migrations move into the project, because {path.stem} was edited here" in told
    assert "RunSQL" in (reusing.root / "kept_migrations/reusable/0001_initial.py").read_text()


def test_what_is_not_installed_any_more_is_named_with_what_to_install(reusing: Project) -> None:
    path = reusing.root.parent / "elsewhere/reusable/migrations/0001_initial.py"
    path.unlink()
    refused = reusing.chronomig("eject")
    assert refused.code == 4
    assert "_reusable_0001_initial is not in what is installed. Install reusable again." in refused.err


def test_what_is_new_upstream_is_vendored_first(reusing: Project) -> None:
    (reusing.root.parent / "elsewhere/reusable/migrations/0002_more.py").write_text(
        "from django.db import migrations\n\nclass Migration(migrations.Migration):\n    dependencies = [('reusable', '0001_initial')]\n"
    )
    refused = reusing.chronomig("eject")
    assert refused.code == 4
    assert (
        "reusable.0002_more is new in what is installed. Run chronomig makemigrations, then migrate." in refused.err
    )


def test_an_app_that_is_gone_is_left_out(reusing: Project) -> None:
    project = reusing
    project.configure(apps=["shop"])
    project.ok("makemigrations")
    project.ok("migrate", "--yes")
    before = project.schema()
    told = project.ok("eject").out
    assert "note: reusable: not installed any more; what the timeline has of it is left out" in told
    assert is_clean(project)
    project.databases["default"] = {**project.databases["default"], "NAME": f"{project.root}/other.sqlite3"}
    project.configure(base=BASE_APPS[1:])
    assert project.manage("migrate").code == 0
    assert project.schema() == before


def test_an_app_that_is_gone_and_was_referred_to_is_named(reusing: Project) -> None:
    project = reusing
    project.models(f"{ITEM_N}    thing = models.ForeignKey('reusable.Thing', models.CASCADE, null=True)\n")
    project.ok("makemigrations")
    project.models(ITEM_N)
    project.configure(apps=["shop"])
    project.ok("makemigrations")
    project.ok("migrate", "--yes")
    refused = project.chronomig("eject")
    assert refused.code == 4
    assert "shop.item refers to reusable.thing, which is not there then" in refused.err


# -- baselines -------------------------------------------------------------------------------------------------------


def test_a_baseline_goes_back_and_what_it_stands_for_gives_way(sqlite_project: Project) -> None:
    project = sqlite_project
    project.models(ITEM_N)
    project.configure(base=BASE_APPS[1:])
    assert project.manage("makemigrations", "shop").code == 0
    assert project.manage("migrate").code == 0
    project.configure(base=BASE_APPS)
    project.ok("adopt")
    project.models(ITEM_M)
    project.ok("makemigrations")
    project.ok("migrate")
    before = project.schema()
    project.ok("squash", "--to", "latest", "--yes")
    project.ok("migrate")
    refused = project.chronomig("eject")
    assert refused.code == 4
    assert "shop/migrations/0001_initial.py (deleted)" in refused.err
    project.ok("eject", "--yes")
    assert own_files(project) == ["0002_baseline.py", "__init__.py"]
    text = (project.root / "shop/migrations/0002_baseline.py").read_text()
    assert "REPLACES" not in text
    assert "auth" not in text.partition("operations")[2]
    assert is_clean(project)
    project.databases["default"] = {**project.databases["default"], "NAME": f"{project.root}/other.sqlite3"}
    project.configure(base=BASE_APPS[1:])
    assert project.manage("migrate").code == 0
    assert project.schema() == before


# -- several sets ----------------------------------------------------------------------------------------------------


ROUTER = """
class Router:
    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return (db == "audit") == (app_label == "audit")
"""


def test_several_sets_become_one_history_per_app(database: TestDatabase, tmp_path: Path) -> None:
    """The set of the other database has the models that its own refer to, and is older."""
    entries = {alias: database.settings(f"_{alias}") for alias in ("default", "audit")}
    project = Project(tmp_path / "site", entries)
    project.configure(apps=["shop", "audit"], extra="DATABASE_ROUTERS = ['shop.router.Router']\n")
    project.write("shop/router.py", ROUTER)
    project.models(ITEM_N)
    project.models(
        "class Line(models.Model):\n    item = models.ForeignKey('shop.Item', models.CASCADE, db_constraint=False)\n",
        app="audit",
    )
    project.ok("makemigrations", "--set", "audit")
    project.ok("makemigrations")
    project.models(ITEM_M)
    project.ok("makemigrations")
    project.ok("migrate")
    before = project.schema(), project.schema("audit")
    project.ok("eject")
    assert own_files(project) == ["0001_item.py", "0002_item_m.py", "__init__.py"]
    assert own_files(project, "audit") == ["0001_initial.py", "__init__.py"]
    project.configure(base=BASE_APPS[1:])
    assert project.manage("makemigrations", "--check").code == 0
    for alias in entries:
        assert project.manage("migrate", "--check", "--database", alias).code == 0
    project.databases = {alias: database.settings(f"_new_{alias}") for alias in entries}
    project.configure()
    project.configure(base=BASE_APPS[1:])
    for alias in entries:
        done = project.manage("migrate", "--database", alias)
        assert done.code == 0, done
    assert (project.schema(), project.schema("audit")) == before


# -- texts -----------------------------------------------------------------------------------------------------------


def text_of(body: str, places: list[int], count: int, head: str = "import chronomig\n") -> str:
    source = f"from django.db import migrations\n{head}\n\n{body}"
    return rewritten(source, places, count, needs=[("shop", "0001_a")], before=[], initial=False)


def test_a_list_that_is_not_written_out_is_kept_and_chosen_from() -> None:
    found = text_of(
        "class Migration(chronomig.Migration):\n    touches = []\n    operations = [(app, migrations.RunSQL('')) for app in ('a', 'b')]\n",
        [1], 2,
    )  # fmt: skip
    assert found == (
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        '    dependencies = [\n        ("shop", "0001_a"),\n    ]\n\n'
        "    operations = [(app, migrations.RunSQL('')) for app in ('a', 'b')]\n"
        "    operations = [operation for number, (_, operation) in enumerate(operations) if number in (1,)]\n"
    )
    names: dict[str, Any] = {}
    exec(found, names)
    assert len(names["Migration"].operations) == 1


def test_comments_strings_and_what_operations_use_stay() -> None:
    found = text_of(
        'class Migration(chronomig.Migration):\n    """Why."""\n\n    atomic = False\n    operations = [\n'
        '        # first\n        ("a", migrations.RunSQL("""one\n        two""")),\n'
        '        # second\n        (\n            "b",\n            migrations.RunSQL(\n                sql(),\n            ),\n        ),\n    ]\n',
        [1], 2,
        "import os\nimport chronomig\n\ndef sql():\n    return os.sep\n\ndef unused():\n    pass\n",
    )  # fmt: skip
    assert '"""Why."""' in found
    assert "    atomic = False\n" in found
    assert "# second\n        migrations.RunSQL(\n            sql(),\n        ),\n    ]" in found
    assert "first" not in found
    assert "unused" not in found
    assert "import os" in found


def test_only_imports_that_operations_need_stay_in_a_part_of_a_file() -> None:
    found = text_of(
        "class Migration(chronomig.Migration):\n    operations = [\n"
        "        ('a', django.db.models.deletion.X),\n        ('b', os.sep),\n        ('c', django.utils.timezone.Y),\n    ]\n",
        [0, 1], 3,
        "import django.db.models.deletion\nimport django.utils.timezone\nimport os.path\nimport json as j\n"
        "from a import b, c as d\nimport chronomig\n",
    )  # fmt: skip
    assert found.partition("\n\n")[0] == (
        "from django.db import migrations\nimport django.db.models.deletion\nimport os.path"
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("Migration = object", "it defines no class Migration of its own"),
        ("class Migration(chronomig.Migration): operations = []", "its class stands in one line"),
        ("class Migration(Base):\n    operations = []", "its class does not subclass chronomig.Migration itself"),
        ("class Migration(chronomig.Migration):\n    atomic = True", "its operations are not in the class"),
    ],
)
def test_what_cannot_be_rewritten_says_why(body: str, told: str) -> None:
    with pytest.raises(CannotRewrite, match=told):
        text_of(body, [0], 1)


def test_what_uses_chronomig_itself_is_named(ours: Project) -> None:
    ours.migration(
        after(ours.files()[-1], "types"), '("shop", chronomig.operations.DeleteContentTypes(["x"])),',
        head="import chronomig.operations\n",
    )  # fmt: skip
    ours.ok("migrate")
    refused = ours.chronomig("eject")
    assert refused.code == 4
    assert "it uses something of chronomig's own. Write" in refused.err
