"""``chronomig init``."""

from __future__ import annotations

from tests.projects import Project


def test_it_writes_the_configuration_and_the_directories_once(sqlite_project: Project) -> None:
    sqlite_project.write("pyproject.toml", "[project]\nname = 'site'")
    done = sqlite_project.ok("init")
    assert '[tool.chronomig], settings = "site_settings"' in done.out
    assert "chronomig makemigrations" in done.out
    text = (sqlite_project.root / "pyproject.toml").read_text()
    assert text == "[project]\nname = 'site'\n\n[tool.chronomig]\nsettings = \"site_settings\"\n"
    assert (sqlite_project.root / "project_migrations/default/.gitkeep").exists()
    again = sqlite_project.ok("init")
    assert again.out.count("kept") == 2
    assert (sqlite_project.root / "pyproject.toml").read_text() == text


def test_a_dry_run_writes_nothing(sqlite_project: Project) -> None:
    done = sqlite_project.ok("init", "--dry-run")
    assert "would write" in done.out
    assert "would make" in done.out
    assert not (sqlite_project.root / "pyproject.toml").exists()
    assert not (sqlite_project.root / "project_migrations").exists()


def test_it_says_what_else_to_do(sqlite_project: Project) -> None:
    sqlite_project.configure(base=["django.contrib.contenttypes", "django.contrib.auth"])
    sqlite_project.write("shop/migrations/__init__.py", "")
    sqlite_project.write("shop/migrations/0001_initial.py", "")
    out = sqlite_project.ok("init").out
    assert 'add "chronomig" to INSTALLED_APPS' in out
    assert "chronomig adopt, which takes over the migrations of Django's own in shop; or delete them" in out


def test_without_a_project_it_says_where_to_run_it(sqlite_project: Project) -> None:
    empty = sqlite_project.root.parent / "empty"
    empty.mkdir()
    done = sqlite_project.chronomig("init", cwd=empty)
    assert done.code == 2
    assert "No manage.py names a settings module, here or above." in done.err
    assert not list(empty.iterdir())


def test_settings_that_cannot_be_imported_leave_nothing_written(sqlite_project: Project) -> None:
    before = sorted(sqlite_project.root.rglob("*"))
    done = sqlite_project.chronomig("init", "--settings", "nothing.at.all")
    assert done.code == 2
    assert "Error: Django cannot be set up with the settings 'nothing.at.all'." in done.err
    assert done.out == ""
    assert sorted(path for path in sqlite_project.root.rglob("*") if "__pycache__" not in path.parts) == before


def test_what_cannot_be_written_leaves_nothing_behind(sqlite_project: Project) -> None:
    sqlite_project.write("project_migrations", "a file in the place of a folder")
    done = sqlite_project.chronomig("init")
    assert done.code == 1
    assert "Error: " in done.err
    assert "project_migrations" in done.err
    assert not (sqlite_project.root / "pyproject.toml").exists()
    (sqlite_project.root / "project_migrations").unlink()
    (sqlite_project.root / "pyproject.toml").mkdir()
    assert sqlite_project.chronomig("init").code == 1
    assert not (sqlite_project.root / "project_migrations").exists()


def test_a_configuration_behind_a_link_is_written_where_the_link_leads(sqlite_project: Project) -> None:
    real = sqlite_project.write("conf/pyproject.toml", "[project]\n")
    (sqlite_project.root / "pyproject.toml").symlink_to(real)
    sqlite_project.ok("init")
    assert "[tool.chronomig]" in real.read_text()
    assert (sqlite_project.root / "pyproject.toml").is_symlink()
