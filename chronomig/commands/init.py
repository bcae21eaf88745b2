"""``chronomig init``: write the configuration that can be written, and say what else to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from chronomig import output
from chronomig.authoring.writer import replace_file
from chronomig.config import environment_settings, find_root, read_pyproject, settings_module_of
from chronomig.errors import ConfigError
from chronomig.opening import open_project
from chronomig.project import Project


def run(start: Path, *, settings: str | None = None, dry_run: bool = False) -> int:
    """Set the project at or above *start* up; running it again changes nothing."""
    root = find_root(start) or start
    module = (
        settings
        or read_pyproject(root).get("chronomig", {}).get("settings")
        or settings_module_of(root)
        or environment_settings()
    )
    if not module:
        raise ConfigError(
            f"There is no Django project at {start}.",
            cause="No manage.py names a settings module, here or above.",
            next_step="Run it beside manage.py, or pass --settings yourproject.settings.",
        )
    project = open_project(root, module)
    for line in lines(project, module, dry_run=dry_run):
        output.say(line)
    return 0


def lines(project: Project, module: str, *, dry_run: bool) -> Iterator[str]:
    """Yield what was done and what is left to do; where something cannot be written, nothing is left behind."""
    configured = "chronomig" in read_pyproject(project.root)
    there = {one.directory: one.directory.is_dir() for one in project.sets.values()}
    if not dry_run:
        with ExitStack() as undoing:
            for folder in (folder for folder, is_there in there.items() if not is_there):
                make_directory(folder, undoing)
            if not configured:
                write_configuration(project.root / "pyproject.toml", module)
            undoing.pop_all()
    path = project.root / "pyproject.toml"
    if configured:
        yield f"kept     {path} ([tool.chronomig] is there)"
    else:
        yield f'{"would write" if dry_run else "wrote"}    {path} ([tool.chronomig], settings = "{module}")'
    for folder, is_there in there.items():
        yield f"{'kept' if is_there else 'would make' if dry_run else 'made'}     {folder}"
    yield from next_steps(project)


def write_configuration(path: Path, module: str) -> None:
    """Append ``[tool.chronomig]`` to pyproject.toml; other lines of it are not touched."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    replace_file(path.resolve(), f'{text}{gap}[tool.chronomig]\nsettings = "{module}"\n'.encode())


def make_directory(folder: Path, undoing: ExitStack) -> None:
    """Make the folder of a set; *undoing* gets what removes what was made."""
    for one in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        one.mkdir()
        undoing.callback(one.rmdir)
    keeper = folder / ".gitkeep"  # git keeps no empty folder, and a fresh clone needs it
    undoing.callback(keeper.unlink, missing_ok=True)
    keeper.touch()


def next_steps(project: Project) -> Iterator[str]:
    from django.apps import apps

    from chronomig.checks import own_migration_modules

    yield "Next:"
    if not apps.is_installed("chronomig"):
        yield '  add "chronomig" to INSTALLED_APPS, so that manage.py and the test runner use the timeline'
    if labels := [label for label, _ in own_migration_modules(project)]:
        yield (
            f"  chronomig adopt, which takes over the migrations of Django's own in {', '.join(labels)}; "
            "or delete them, if no database has them"
        )
    yield "  chronomig makemigrations"
    yield "  chronomig migrate"
