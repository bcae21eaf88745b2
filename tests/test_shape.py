"""The shape of the code: imports go one way, every module imports alone, start-up stays small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import Project

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "chronomig"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in PACKAGE.rglob("*.py")
)


def layers() -> list[str]:
    """Return the rooms in the order of the list in docs/design.md: ``git``, ``git.run``, …; a module stands for itself."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    block = re.search(r"```text\nchronomig/\n(.*?)```", text, re.DOTALL)
    assert block is not None
    found: list[str] = []
    folder = ""
    for indent, name in re.findall(r"^( +)(\w+(?:\.py|/))", block[1], re.MULTILINE):
        room = name.removesuffix(".py").rstrip("/")
        folder = room if len(indent) == 2 else folder
        found.append(room if room == folder else f"{folder}.{room}")
    return found


LAYERS = ["__init__", *layers(), "__main__"]


def layer_of(module: str) -> str:
    """Return the smallest room on the list that a module is in."""
    _, *path = module.split(".")
    return next((room for end in (2, 1) if (room := ".".join(path[:end])) in LAYERS), path[0] if path else "__init__")


def imports_of(path: Path) -> set[str]:
    """Return the rooms of chronomig that a file imports from; under TYPE_CHECKING counts too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chronomig"):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {layer_of(name if name in MODULES else str(node.module)) for name in inside}
    return found


def test_every_module_stands_in_the_list_of_the_design() -> None:
    there = {layer_of(module) for module in MODULES if "." in module}
    assert there - {"__main__"} == set(layers())


@pytest.mark.parametrize("module", [module for module in MODULES if "." in module])
def test_a_module_imports_only_from_those_above_it(module: str) -> None:
    path = PACKAGE.parent / Path(*module.split("."))
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    room = layer_of(module)
    own = {name for name in LAYERS if file.name == "__init__.py" and name.startswith(f"{room}.")}
    below = {name for name in imports_of(file) - own if LAYERS.index(name) > LAYERS.index(room)}
    assert not below, f"{module} imports from {', '.join(sorted(below))}, which stand below it"


def test_every_module_imports_alone() -> None:
    """In one process that drops them again: twenty processes would cost more than they tell."""
    code = (
        "import importlib, sys, django, os\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "django.setup()\n"
        f"for name in {[name for name in MODULES if name != 'chronomig.__main__']!r}:\n"
        "    for loaded in [key for key in sys.modules if key.partition('.')[0] == 'chronomig']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["timeline", "config", "planning.plan", "planning.target", "errors", "migration"])
def test_the_core_needs_no_django(module: str) -> None:
    code = f"import sys, chronomig.{module}\nassert not any(name == 'django' or name.startswith('django.') for name in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def modules_after(project: Project, code: str) -> set[str]:
    """Run *code* in a Python that has imported nothing before, which no fork is."""
    done = project.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(' '.join(sys.modules))"],
        env={"DJANGO_SETTINGS_MODULE": "site_settings"},
        fork=False,
    )
    assert done.code == 0, done
    return set(done.out.splitlines()[-1].split())


def test_status_imports_neither_git_nor_rich_nor_a_template_engine(sqlite_project: Project) -> None:
    sqlite_project.migration("20260101000000_a", "")
    code = (
        "sys.argv = ['chronomig', 'status']\n"
        "from chronomig.cli.app import app\nfrom chronomig.cli.handling import handle_errors\n"
        "assert handle_errors(app) == 0"
    )
    loaded = modules_after(sqlite_project, code)
    assert not loaded & {
        "git",
        "rich",
        "jinja2",
        "psycopg",
        "chronomig.authoring.vendor",
        "chronomig.authoring.detect",
        "chronomig.authoring.writer",
    }


def test_setting_django_up_imports_neither_the_checks_nor_what_validates_a_configuration(
    sqlite_project: Project,
) -> None:
    sqlite_project.configure(base=["chronomig"])
    loaded = modules_after(sqlite_project, "import django\ndjango.setup()")
    assert {one for one in loaded if one.startswith(("pydantic", "chronomig."))} == {
        "chronomig.migration",
        "chronomig.apps",
    }


def test_a_migrate_with_nothing_to_do_imports_no_migration_file(sqlite_project: Project) -> None:
    sqlite_project.migration("20260101000000_a", "")
    sqlite_project.ok("migrate")
    marker = sqlite_project.root / "imported"
    path = sqlite_project.root / "project_migrations/default/20260101000000_a.py"
    path.write_text(path.read_text() + f"\nopen({str(marker)!r}, 'w').close()\n")
    assert "nothing to do" in sqlite_project.ok("migrate").out
    assert not marker.exists()


def test_files_and_functions_fit_their_room() -> None:
    long_files = {
        path.name for path in PACKAGE.rglob("*.py") if len(path.read_text(encoding="utf-8").splitlines()) > 400
    }
    assert not long_files
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno <= 55, f"{path.name}: {node.name} is too long"
