"""``chronomig init``: write the configuration that can be written, and say what else to do."""

from __future__ import annotations

from pathlib import Path

from chronomig import output
from chronomig.config import environment_settings, find_root, read_pyproject, settings_module_of
from chronomig.errors import ConfigError


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
    write_configuration(root, module, dry_run=dry_run)
    make_directories(root, module, dry_run=dry_run)
    return 0


def write_configuration(root: Path, module: str, *, dry_run: bool) -> None:
    """Append ``[tool.chronomig]`` to pyproject.toml; other lines of it are not touched."""
    path = root / "pyproject.toml"
    if "chronomig" in read_pyproject(root):
        output.say(f"kept     {path} ([tool.chronomig] is there)")
        return
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    if not dry_run:
        path.write_text(f'{text}{gap}[tool.chronomig]\nsettings = "{module}"\n', encoding="utf-8")
    output.say(f'{"would write" if dry_run else "wrote"}    {path} ([tool.chronomig], settings = "{module}")')


def make_directories(root: Path, module: str, *, dry_run: bool) -> None:
    """Create the folder of each set, and say what is left for a person to do."""
    from chronomig.checks import own_migration_modules
    from chronomig.opening import open_project

    project = open_project(root, module)
    for one in project.sets.values():
        there = one.directory.is_dir()
        if not there and not dry_run:
            one.directory.mkdir(parents=True)
            # git keeps no empty folder, and a fresh clone needs it.
            (one.directory / ".gitkeep").touch()
        output.say(f"{'kept' if there else 'would make' if dry_run else 'made'}     {one.directory}")
    from django.apps import apps

    output.say("Next:")
    if not apps.is_installed("chronomig"):
        output.say('  add "chronomig" to INSTALLED_APPS, so that manage.py and the test runner use the timeline')
    if labels := [label for label, _ in own_migration_modules(project)]:
        output.say(
            f"  chronomig adopt, which takes over the migrations of Django's own in {', '.join(labels)}; "
            "or delete them, if no database has them"
        )
    output.say("  chronomig makemigrations")
    output.say("  chronomig migrate")
