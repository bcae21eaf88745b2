"""
Releases of packages, as pip installs them: an old one, adopted; the newest, vendored; removed; uninstalled.

``CHRONOMIG_TEST_UPGRADES`` names the packages, or says ``all``: they are fetched from where pip is told to look.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

from tests.databases import TestDatabase
from tests.projects import Project
from tests.test_packages import DJANGO, PACKAGES, SETTINGS, everything

VARIABLE = "CHRONOMIG_TEST_UPGRADES"
ASKED_FOR = os.environ.get(VARIABLE, "")


@dataclass(frozen=True)
class Upgrade:
    """A release to begin with, and the model of the package that the project's own refers to."""

    old: str
    model: str
    needs: str = ""
    """What the old release needs and the newest does not."""
    code: tuple[str, ...] = ()
    """What of it needs the package when it runs."""


UPGRADES = {
    "django-celery-beat": Upgrade("2.3.0", "django_celery_beat.PeriodicTask", needs="pytz"),
    "django-oauth-toolkit": Upgrade(
        "2.0.0",
        "oauth2_provider.Application",
        code=(
            "0012_add_token_checksum",
            "0015_refreshtoken_token_checksum",
            "0019_application_registration_source",
        ),
    ),
}
"""No release of django-taggit that lacks a migration of the newest one runs on Django 5.2."""
NOTE = "class Note(models.Model):\n    n = models.IntegerField(default=0)\n"
SETS = "CHRONOMIG = {'sets': {'default': {'databases': ['default', 'fresh']}}}\n"


class Environment:
    """A virtual environment with all that the tests have, but for one package, which pip installs there."""

    def __init__(self, folder: Path, package: str) -> None:
        self.package = package
        venv.create(folder / "venv", symlinks=os.name != "nt")
        self.python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        own = self.ask("import sysconfig; print(sysconfig.get_path('purelib'))")
        (folder / "shared").mkdir()
        left_out = names_of(package)
        for path in Path(pytest.__file__).parents[1].iterdir():
            if path.name not in left_out:
                (folder / "shared" / path.name).symlink_to(path)
        Path(own, "shared.pth").write_text(f"{folder / 'shared'}\n")

    def ask(self, code: str) -> str:
        done = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def pip(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--quiet", "--python", str(self.python), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr

    def install(self, *wanted: str) -> None:
        self.pip("install", "--no-deps", "--upgrade", *wanted)

    def uninstall(self, *gone: str) -> None:
        self.pip("uninstall", "--yes", *gone)


def names_of(package: str) -> set[str]:
    """Return what a package has in the folder of installed packages."""
    try:
        return {path.parts[0] for path in distribution(package).files or ()}
    except PackageNotFoundError:
        return set()


@dataclass
class Site:
    """A project that uses a package, with two databases: Django's own, and one that was empty."""

    project: Project
    database: TestDatabase
    app: str
    settings: str

    def configure(self, *, chronomig: bool, package: bool = True) -> None:
        apps = ["chronomig"] * chronomig + DJANGO + [self.app] * package
        self.project.databases.setdefault("fresh", self.database.settings("_fresh"))
        self.project.configure(base=apps, extra=SETTINGS + self.settings + SETS)

    def made_by_django(self, name: str) -> tuple[Any, Any]:
        """Return what Django's own migrate makes of another database."""
        mine = dict(self.project.databases)
        self.project.databases["default"] = self.database.settings(name)
        self.configure(chronomig=False)
        assert (done := self.project.manage("migrate", "--verbosity", "0")).code == 0, done
        found = everything(self.project)
        self.project.databases = mine
        return found

    def both(self) -> list[tuple[Any, Any]]:
        return [everything(self.project, alias) for alias in ("default", "fresh")]


@pytest.fixture(params=sorted(UPGRADES))
def name(request: pytest.FixtureRequest) -> str:
    if ASKED_FOR != "all" and request.param not in ASKED_FOR.split(","):
        pytest.skip(f"{VARIABLE} does not name {request.param}; nox -s upgrades runs all")
    return str(request.param)


@pytest.fixture
def environment(name: str, tmp_path: Path) -> Environment:
    return Environment(tmp_path, name)


@pytest.fixture
def site(name: str, environment: Environment, database: TestDatabase, tmp_path: Path) -> Site:
    project = Project(tmp_path / "site", {"default": database.settings()})
    project.interpreter = str(environment.python)
    project.patience = 900
    project.write("routes.py", "urlpatterns = []\n")
    return Site(project, database, PACKAGES[name].apps, PACKAGES[name].settings)


def test_a_package_is_upgraded_removed_and_uninstalled(site: Site, environment: Environment, name: str) -> None:
    project, upgrade = site.project, UPGRADES[name]
    needs = upgrade.needs.split()
    environment.install(f"{name}=={upgrade.old}", *needs)
    site.configure(chronomig=False)
    project.models(f"{NOTE}    one = models.ForeignKey({upgrade.model!r}, models.CASCADE, null=True)\n")
    assert (done := project.manage("makemigrations", "shop")).code == 0, done
    assert (done := project.manage("migrate", "--verbosity", "0")).code == 0, done

    site.made_by_django("_stock")
    site.configure(chronomig=True)
    project.ok("adopt")
    done = project.ok("migrate")
    assert done.out.count("  adopted   ") == done.out.count("  applied   ") == len(project.files())
    made, fresh = site.both()
    assert made == fresh

    environment.install(name)
    if needs:
        environment.uninstall(*needs)
    assert "not vendored yet; chronomig makemigrations vendors it." in project.chronomig("vendor", "--check").out
    told = project.ok("makemigrations").out
    project.ok("migrate")
    assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    expected = site.made_by_django("_stock")
    anew = site.made_by_django("_new")
    site.configure(chronomig=True)
    for schema, rows in site.both():
        assert schema == expected[0] == anew[0], told
        assert rows == expected[1], told  # not all of a new database: Django 5.2 leaves permissions their old names
        assert rows["types"] == anew[1]["types"]
    newest = project.files()[-1]

    site.configure(chronomig=True, package=False)
    project.models(NOTE)
    project.ok("makemigrations")
    project.ok("migrate")
    made, fresh = site.both()
    assert made == fresh
    assert not [table for table in made[0] if table.startswith(site.app)]
    assert not [row for row in made[1]["types"] + made[1]["permissions"] if row[0] == site.app]

    environment.uninstall(name)
    assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    project.databases["default"] = site.database.settings("_empty")  # code that knows no alias goes to this one
    site.configure(chronomig=True, package=False)
    leave_out_code(project, newest, [one for one in project.files() if one.endswith(upgrade.code)])
    project.ok("migrate", "--to", newest, "--database", "default")
    assert project.schema() == expected[0]
    project.ok("migrate")
    assert project.schema() == made[0]


def leave_out_code(project: Project, target: str, names: Sequence[str]) -> None:
    """Type what the refusal says, where there is something that needs the package."""
    if names:
        refused = project.chronomig("migrate", "--to", target, "--database", "default")
        assert refused.code == 4
        arguments = [argument for name in names for argument in ("--without-code", name)]
        assert f"chronomig freeze {' '.join(arguments)}." in refused.err
        project.ok("freeze", *arguments)
