"""Packages that are upgraded, edited and downgraded, and ``chronomig vendor``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import Project

KEY = "('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID'))"
HEAD = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"
FIRST = f"{HEAD}    operations = [migrations.CreateModel('Thing', [{KEY}])]\n"
SECOND = f"{HEAD}    dependencies = [('reusable', '0001_initial')]\n    operations = [migrations.AddField('thing', 'n', models.IntegerField(default=0))]\n"
SQUASH = f"{HEAD}    replaces = [('reusable', '0001_initial'), ('reusable', '0002_thing_n')]\n    operations = [migrations.CreateModel('Thing', [{KEY}, ('n', models.IntegerField(default=0))])]\n"
THIRD = f"{HEAD}    dependencies = [('reusable', '0001_squashed_0002')]\n    operations = [migrations.AddField('thing', 'm', models.IntegerField(default=0))]\n"
FIELDS = ("", "    n = models.IntegerField(default=0)\n", "    m = models.IntegerField(default=0)\n")
RELEASES = {
    1: {"0001_initial": FIRST},
    2: {"0001_initial": FIRST, "0002_thing_n": SECOND},
    3: {"0001_initial": FIRST, "0002_thing_n": SECOND, "0001_squashed_0002": SQUASH},
    4: {"0001_squashed_0002": SQUASH, "0003_thing_m": THIRD},
}


def release(project: Project, number: int) -> None:
    """Install a release of a reusable app, in the place of the one that is there."""
    folder = project.root / "reusable/migrations"
    for path in folder.glob("0*.py"):
        path.unlink()
    project.write("reusable/migrations/__init__.py", "")
    for name, text in RELEASES[number].items():
        project.write(f"reusable/migrations/{name}.py", text)
    body = "".join(FIELDS[: min(number, 2)]) if number < 4 else "".join(FIELDS)
    project.models(f"class Thing(models.Model):\n    pass\n{body}", app="reusable")


def with_app(project: Project, number: int = 1) -> Project:
    project.configure(apps=["shop", "reusable"], extra="CHRONOMIG = {'own_apps': ['shop']}")
    release(project, number)
    project.ok("makemigrations")
    return project


def vendored(project: Project) -> list[str]:
    return [name[15:] for name in project.files() if "reusable" in name]


@pytest.mark.core
def test_upgrades_over_new_migrations_a_squash_and_the_removal_of_what_it_replaced(project: Project) -> None:
    with_app(project).ok("migrate")
    for number, files in ((2, 2), (3, 2), (4, 3)):
        release(project, number)
        project.ok("makemigrations")
        assert len(vendored(project)) == files
        project.ok("migrate")
        assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    assert vendored(project) == ["reusable_0001_initial", "reusable_0002_thing_n", "reusable_0003_thing_m"]
    upgraded = project.schema()
    assert [column[0] for column in upgraded["reusable_thing"]["columns"]] == ["id", "n", "m"]
    project.ok("migrate", "--to", "zero", "--yes")
    project.ok("migrate")
    assert project.schema() == upgraded
    listed = project.ok("vendor").out
    assert "reusable_0001_initial  squashed upstream" in listed
    assert project.ok("vendor", "--check").out.endswith(" vendored files, 0 new upstream\n")


def test_what_is_new_upstream_is_found_before_it_is_vendored(sqlite_project: Project) -> None:
    project = with_app(sqlite_project)
    assert project.ok("vendor", "--check").out == "default: 15 vendored files, 0 new upstream\n"
    release(project, 2)
    done = project.chronomig("vendor", "--check")
    assert done.code == 3
    assert "reusable.0002_thing_n: not vendored yet; chronomig makemigrations vendors it." in done.out


def file_of(project: Project, slug: str) -> Path:
    (name,) = [name for name in project.files() if name[15:] == slug]
    return project.root / f"project_migrations/default/{name}.py"


def test_the_list_tells_where_every_file_came_from(sqlite_project: Project) -> None:
    project = with_app(sqlite_project)
    told = project.ok("vendor", "--list").out
    assert "auth_0001_initial  Django 5" in told or "auth_0001_initial  django 5" in told or "auth_0001_initial  Django 6" in told  # fmt: skip
    assert "reusable_0001_initial  same" in told
    (found,) = project.ok("vendor", "--json").json["sets"]
    (mine,) = [file for file in found["files"] if file["origin"] == "reusable 0001_initial"]
    assert mine["standing"] == "same"
    assert found["new"] == []


def test_an_edit_of_a_vendored_file_is_noticed_and_shown(sqlite_project: Project) -> None:
    project = with_app(sqlite_project)
    path = file_of(project, "reusable_0001_initial")
    path.write_text(path.read_text().replace("'Thing', [", "'Thing', [  # ours\n"))
    told = "reusable_0001_initial: this file was edited since it was vendored from reusable."
    assert told in project.ok("makemigrations", "--check").err
    done = project.chronomig("vendor", "--check", "--diff")
    assert done.code == 3
    assert told in done.out
    assert "-    operations = [migrations.CreateModel('Thing', [  # ours" in done.out


def test_an_edit_upstream_is_shown_and_never_overwrites(sqlite_project: Project) -> None:
    project = with_app(sqlite_project)
    before = file_of(project, "reusable_0001_initial").read_text()
    project.write(
        "reusable/migrations/0001_initial.py", FIRST.replace("CreateModel('Thing'", "CreateModel(  'Thing'")
    )
    done = project.chronomig("vendor", "--diff")
    assert done.code == 0
    assert "upstream changed this migration since it was vendored; it stays as it is." in done.out
    assert "+    operations = [migrations.CreateModel(  'Thing'" in done.out
    project.ok("makemigrations")
    assert file_of(project, "reusable_0001_initial").read_text() == before


def test_a_downgrade_is_noticed(sqlite_project: Project) -> None:
    project = with_app(sqlite_project, 2)
    release(project, 1)
    done = project.chronomig("vendor", "--check")
    assert done.code == 3
    told = "reusable_0002_thing_n: it came with reusable, but another version is installed, which does not have it."
    assert told in done.out
    assert "reusable_0002_thing_n: it came with" in project.chronomig("makemigrations", "--check").err


def test_files_of_an_app_that_is_gone_and_own_ones_that_moved_are_no_findings(sqlite_project: Project) -> None:
    project = with_app(sqlite_project)
    project.configure(apps=["shop"])
    assert "reusable_0001_initial  app is gone" in project.ok("vendor").out
    project.ok("vendor", "--check")
    project.configure(apps=["shop", "reusable"], extra="CHRONOMIG = {'own_apps': ['shop', 'reusable']}")
    (project.root / "reusable/migrations/0001_initial.py").unlink()
    assert "reusable_0001_initial  own" in project.ok("vendor").out
    project.ok("vendor", "--check")
