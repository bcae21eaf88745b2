"""Reusable apps that ship templates in chronomig's own format: made, built, installed, vendored, moved."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from chronomig.timeline import format_stamp, parse_stamp
from tests.databases import TestDatabase
from tests.projects import BASE_APPS, Done, Project

ROOT = Path(__file__).parents[1]
KEY = "('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID'))"
POLL = f"('polls', migrations.CreateModel('Poll', [{KEY}, ('title', models.CharField(max_length=20))])),"
POLL_MODEL = "class Poll(models.Model):\n    title = models.CharField(max_length=20)\n"
VOTE = (
    f"('polls', migrations.CreateModel('Vote', [{KEY}, ('poll', models.ForeignKey('polls.Poll', models.CASCADE)), "
    "('user', models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE))])),"
)
VOTE_MODEL = (
    "from django.conf import settings\n"
    "class Vote(models.Model):\n    poll = models.ForeignKey(Poll, models.CASCADE)\n"
    "    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)\n"
)
OLD, NEWER = "20240101000000", "20240601000000"


def template(project: Project, name: str, operations: str, *, folder: str = "", head: str = "") -> Path:
    """Write a template of the app ``polls``, which is somebody else's."""
    text = (
        f"from django.conf import settings\nfrom django.db import migrations, models\nimport chronomig\n{head}\n\n"
        f"class Migration(chronomig.Migration):\n    operations = [{operations}]\n"
    )
    return project.write(f"polls/migration_templates/{folder}{name}.py", text)


@pytest.fixture
def polling(project: Project) -> Project:
    """A project that uses an app with one template."""
    project.configure(apps=["shop", "polls"], extra="CHRONOMIG = {'own_apps': ['shop']}", base=["chronomig"])
    project.models(POLL_MODEL, app="polls")
    template(project, f"{OLD}_initial", POLL)
    return project


def slugs(project: Project) -> list[str]:
    return [name[15:] for name in project.files()]


@pytest.mark.core
def test_a_template_that_needs_nothing_keeps_its_stamp(polling: Project) -> None:
    told = polling.ok("makemigrations").out
    assert f"vendored project_migrations/default/{OLD}_polls_initial.py" in told
    assert polling.files()[0] == f"{OLD}_polls_initial"
    polling.ok("migrate")
    assert "polls_poll" in polling.tables()
    assert polling.ok("makemigrations", "--check").out == "default: no changes\n"
    recorded = polling.rows("SELECT name FROM django_migrations WHERE app = 'polls'")
    assert recorded == [[f"{OLD}_initial"]]
    polling.ok("migrate", "--to", "zero", "--yes")
    assert "polls_poll" not in polling.tables()


def test_an_older_template_that_comes_later_runs_where_its_stamp_has_it(polling: Project) -> None:
    polling.ok("makemigrations")
    polling.ok("migrate")
    polling.models(f"{POLL_MODEL}    note = models.TextField(default='')\n", app="polls")
    template(
        polling, f"{NEWER}_note", "('polls', migrations.AddField('poll', 'note', models.TextField(default=''))),"
    )
    assert "polls.20240601000000_note: not vendored yet" in polling.chronomig("vendor", "--check").out
    polling.ok("makemigrations")
    assert f"{NEWER}_polls_note" in polling.files()[:2]
    assert polling.ok("migrate").out.count("applied") == 1
    polling.ok("makemigrations", "--check")


def test_a_template_that_needs_what_is_not_there_yet_gets_a_newer_stamp(polling: Project) -> None:
    polling.ok("makemigrations")
    polling.configure(base=BASE_APPS)
    polling.models(f"{POLL_MODEL}{VOTE_MODEL}", app="polls")
    template(polling, f"{NEWER}_vote", VOTE)
    polling.ok("makemigrations")
    assert polling.files()[0] == f"{OLD}_polls_initial"
    assert slugs(polling)[-1] == "polls_vote"
    assert not polling.files()[-1].startswith(NEWER)
    polling.ok("migrate")
    polling.ok("makemigrations", "--check")
    polling.ok("migrate", "--to", "polls 20240101000000_initial", "--yes")


def test_a_template_before_code_that_may_do_anything_gets_a_newer_stamp(polling: Project) -> None:
    polling.configure(base=BASE_APPS)  # a migration of content types runs code
    polling.ok("makemigrations")
    assert slugs(polling)[-1] == "polls_initial"


def test_a_template_that_does_not_commute_with_what_comes_after_gets_a_newer_stamp(polling: Project) -> None:
    polling.models("class Item(models.Model):\n    poll = models.ForeignKey('polls.Poll', models.CASCADE)\n")
    polling.ok("makemigrations")
    template(
        polling, f"{NEWER}_fill", "('polls', migrations.RunPython(fill, migrations.RunPython.noop)),",
        head="def fill(apps, editor):\n"
        "    apps.get_model('polls', 'Poll').objects.using(editor.connection.alias).create(title='x')\n",
    )  # fmt: skip
    polling.ok("makemigrations")
    assert slugs(polling)[-1] == "polls_fill"
    polling.ok("migrate")
    assert polling.rows("SELECT title FROM polls_poll") == [["x"]]


def test_a_template_on_a_user_model_of_the_projects_own_comes_behind_it(polling: Project) -> None:
    polling.write(
        "shop/models.py",
        "from django.contrib.auth.models import AbstractUser\n\nclass User(AbstractUser):\n    pass\n",
    )
    polling.configure(extra=f"AUTH_USER_MODEL = 'shop.User'\n{polling.extra}", base=BASE_APPS)
    polling.models(f"{POLL_MODEL}{VOTE_MODEL}", app="polls")
    template(polling, f"{NEWER}_vote", VOTE)
    polling.ok("makemigrations")
    assert slugs(polling)[-2:] == ["user", "polls_vote"] or slugs(polling)[-2:] == ["initial", "polls_vote"]
    polling.ok("migrate")
    polling.ok("makemigrations", "--check")


def test_a_template_that_fits_nowhere_is_refused(polling: Project) -> None:
    template(polling, f"{NEWER}_odd", "('polls', migrations.RemoveField('nothing', 'n')),")
    refused = polling.chronomig("makemigrations")
    assert refused.code == 4
    assert (
        "The template polls 20240601000000_odd does not fit into the set 'default'; nothing was written."
        in refused.err
    )
    assert polling.files() == []


def test_a_database_is_matched_by_origin_when_the_stamp_is_another_one(polling: Project) -> None:
    polling.ok("makemigrations")
    polling.ok("migrate")
    before = polling.schema()
    polling.rows("DELETE FROM chronomig_history")
    folder = polling.root / "project_migrations/default"
    moved = "20240202020202_polls_initial"
    (folder / f"{OLD}_polls_initial.py").rename(folder / f"{moved}.py")
    done = polling.ok("migrate")
    assert "applied" not in done.out
    assert f"adopted   {moved}" in done.out
    assert polling.schema() == before
    assert polling.ok("makemigrations", "--check").out == "default: no changes\n"


def test_vendor_tells_where_templates_came_from_and_notices_edits(polling: Project) -> None:
    polling.ok("makemigrations")
    assert f"  {OLD}_polls_initial  same\n" in polling.ok("vendor").out
    template(polling, f"{OLD}_initial", POLL.replace("20", "30"))
    assert "upstream changed this migration since it was vendored" in polling.chronomig("vendor", "--check").out
    (polling.root / f"polls/migration_templates/{OLD}_initial.py").unlink()
    assert "which does not have it" in polling.chronomig("vendor", "--check").out


def test_folders_are_sets(sqlite_project: Project, tmp_path: Path) -> None:
    project = sqlite_project
    project.databases["audit"] = {**project.databases["default"], "NAME": str(tmp_path / "audit.sqlite3")}
    project.configure(
        apps=["shop", "polls"],
        extra="CHRONOMIG = {'own_apps': ['shop']}\nDATABASE_ROUTERS = ['shop.router.Router']\n",
        base=["chronomig"],
    )
    project.write(
        "shop/router.py",
        "class Router:\n    def allow_migrate(self, db, app_label, model_name=None, **hints):\n"
        "        return (db == 'audit') == (model_name == 'log') if app_label == 'polls' else db == 'default'\n",
    )
    project.models(f"{POLL_MODEL}\nclass Log(models.Model):\n    text = models.TextField()\n", app="polls")
    log = f"('polls', migrations.CreateModel('Log', [{KEY}, ('text', models.TextField())])),"
    template(project, f"{OLD}_initial", POLL, folder="default/")
    template(project, f"{OLD}_initial", log, folder="audit/")
    project.ok("makemigrations")
    assert f"{OLD}_polls_default_initial" in project.files()
    assert project.files("audit")[0] == f"{OLD}_polls_audit_initial"
    project.ok("migrate")
    assert "polls_log" in project.tables("audit")
    assert "polls_poll" in project.tables()
    assert "polls_log" not in project.tables()
    project.ok("makemigrations", "--check")


def test_an_app_with_migrations_of_djangos_too_goes_on_as_the_timeline_began(sqlite_project: Project) -> None:
    project = sqlite_project
    project.configure(apps=["shop", "polls"], extra="CHRONOMIG = {'own_apps': ['shop']}", base=["chronomig"])
    project.models(POLL_MODEL, app="polls")
    project.write("polls/migrations/__init__.py", "")
    project.write(
        "polls/migrations/0001_initial.py",
        f"from django.db import migrations, models\n\nclass Migration(migrations.Migration):\n    operations = [{POLL[10:-2]}]\n",
    )
    project.ok("makemigrations")
    template(project, f"{OLD}_initial", POLL)
    assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    for name in project.files():
        (project.root / f"project_migrations/default/{name}.py").unlink()
    project.ok("makemigrations")
    assert project.files()[0] == f"{OLD}_polls_initial"
    assert "polls_0001_initial" not in slugs(project)
    project.ok("migrate")


def test_eject_keeps_templates_in_the_project(polling: Project) -> None:
    polling.ok("makemigrations")
    polling.ok("migrate")
    told = polling.ok("eject").out
    assert "MIGRATION_MODULES = {'polls': 'kept_migrations.polls'}" in told
    polling.configure(base=[], extra=f"{polling.extra}\nMIGRATION_MODULES = {{'polls': 'kept_migrations.polls'}}\n")
    assert polling.manage("makemigrations", "--check").code == 0
    assert polling.manage("migrate", "--check").code == 0


# -- the how-to, literally -------------------------------------------------------------------------------------------


HOWTO = (ROOT / "docs/howto/reusable-apps.md").read_text(encoding="utf-8")
BACKEND = """
import pathlib, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "polls-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        for path in sorted(pathlib.Path("polls").rglob("*.py")):
            wheel.write(path)
        info = "polls-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: polls\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
CONFIG = "from django.apps import AppConfig\n\n\nclass PollsConfig(AppConfig):\n    name = 'polls'\n"


def block(kind: str, beginning: str) -> str:
    """Return the code block of the how-to that begins with a text."""
    found = [
        one.removeprefix(f"{kind}\n") for one in HOWTO.split("```")[1::2] if one.startswith(f"{kind}\n{beginning}")
    ]
    assert len(found) == 1
    return found[0]


def using(project: Project, folder: Path, *arguments: str) -> Done:
    """Run a command in a project that finds the app in *folder*."""
    done = project.chronomig(*arguments, env={"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"})
    assert done.code == 0, done
    return done


def test_the_how_to_makes_templates_that_an_installed_package_brings(database: TestDatabase, tmp_path: Path) -> None:
    repository = tmp_path / "polls-repository"
    repository.mkdir()
    example = Project(repository / "example", {"default": database.settings()})
    example.configure(apps=["polls.apps.PollsConfig"], extra=block("python", "CHRONOMIG"))
    for path, text in {
        "__init__": "",
        "apps": CONFIG,
        "models": f"from django.db import models\n\n{POLL_MODEL}",
    }.items():
        example.write(f"../polls/{path}.py", text)
    for command in block("", "chronomig makemigrations").splitlines():
        using(example, repository, *command.split()[1:])
    folder = repository / "polls/migration_templates"
    (first,) = folder.glob("*.py")
    assert example.files()[-1] == f"{first.stem[:14]}_polls_{first.stem[15:]}"
    assert '"polls",' in first.read_text()

    second = folder / f"{after(first.stem)}_fill.py"
    second.write_text(block("python", "from django.db import migrations"))
    using(example, repository, "makemigrations")
    using(example, repository, "migrate")
    assert slugs(example)[-2:] == [f"polls_{first.stem[15:]}", "polls_fill"]
    using(example, repository, "makemigrations", "--check")

    (repository / "pyproject.toml").write_text(PYPROJECT)
    (repository / "backend.py").write_text(BACKEND)
    site = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--target", str(site), str(repository)]
    subprocess.run(install, check=True, capture_output=True)
    assert (site / "polls/migration_templates" / first.name).is_file()

    user = Project(tmp_path / "site", {"default": database.settings("_user")})
    user.configure(apps=["shop", "polls.apps.PollsConfig"])
    told = using(user, site, "makemigrations").out
    assert told.count("_polls_") == 2
    using(user, site, "migrate")
    listed = using(user, site, "vendor", "--check").out
    assert listed.endswith("0 new upstream\n")
    env = {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}", "DJANGO_SETTINGS_MODULE": "site_settings"}
    code = "import django; django.setup(); from polls.models import Poll; print(Poll.objects.get().title)"
    assert user.run([sys.executable, "-c", code], env=env).out == "First\n"
    using(user, site, "makemigrations", "--check")


BACKENDS = {
    "hatchling": "hatchling.build",
    "flit-core": "flit_core.buildapi",
    "poetry-core": "poetry.core.masonry.api",
    "setuptools": "setuptools.build_meta",
}
METADATA = """
[build-system]
requires = ["{name}"]
build-backend = "{backend}"

[project]
name = "polls"
version = "1.0"
description = "Polls"

[tool.setuptools]
packages = ["polls"]
"""


@pytest.mark.parametrize("name", BACKENDS)
def test_templates_are_in_the_wheel_as_the_how_to_says(name: str, tmp_path: Path) -> None:
    backend = BACKENDS[name]
    if find_spec(backend.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed; the extra 'test' has it")
    templates = {
        f"polls/migration_templates/{path}_initial.py" for path in ("20260101000000", "audit/20260102000000")
    }
    for path in ("polls/__init__.py", "example/manage.py", *templates):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('"""Polls."""\n')
    snippet = block("toml", "[tool.setuptools.package-data]") if name == "setuptools" else ""
    (tmp_path / "pyproject.toml").write_text(METADATA.format(name=name, backend=backend) + snippet)
    (tmp_path / "out").mkdir()
    build = f"import {backend} as backend; backend.build_wheel('out')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "out").glob("*.whl")
    held = {one for one in zipfile.ZipFile(wheel).namelist() if one.endswith(".py")}
    assert held == {"polls/__init__.py", *templates}


def after(name: str) -> str:
    return format_stamp(parse_stamp(name[:14]) + timedelta(seconds=1))
