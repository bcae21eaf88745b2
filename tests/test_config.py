"""The configuration: where it stands, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronomig.config import find_root, merge, resolve_sets, settings_module_of
from chronomig.errors import ConfigError
from tests.projects import Project


def refusal(pyproject: dict[str, object], setting: dict[str, object] | None = None, aliases: str = "default") -> str:
    with pytest.raises(ConfigError) as caught:
        resolve_sets(merge(pyproject, setting or {}), aliases.split())
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_by_default_each_alias_has_a_set_of_its_name() -> None:
    sets = resolve_sets(merge({}, {}), ["default", "other"])
    assert {name: one.databases for name, one in sets.items()} == {"default": ("default",), "other": ("other",)}


def test_aliases_can_share_a_set() -> None:
    sets = resolve_sets(merge({}, {"sets": {"main": {"databases": ["a", "b"]}}}), ["a", "b"])
    assert sets["main"].databases == ("a", "b")


def test_an_unmanaged_alias_is_in_no_set() -> None:
    assert list(resolve_sets(merge({}, {"unmanaged": ["replica"]}), ["default", "replica"])) == ["default"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"directry": "x"}, "'directry' is not a key. Did you mean 'directory'?"),
        ({"sets": {"a": {"database": ["default"]}}}, "'sets.a.database' is not a key. Did you mean 'databases'?"),
        ({"sets": {"a": {}}}, "'sets.a.databases': Field required."),
        ({"sets": {"a": {"databases": []}}}, "'sets.a.databases'"),
        ({"sets": {"a/b": {"databases": ["default"]}}}, "'a/b' is not a name of letters, digits and underscores"),
        ({"sets": {"a": {"databases": ["default"], "order": "x"}}}, "'sets.a.order'"),
        ({"database_timeout": -1}, "'database_timeout'"),
        ({"sets": {"a": {"databases": ["defautl"]}}}, "There is no database 'defautl' in DATABASES."),
        ({"unmanaged": ["nope"]}, "There is no database 'nope' in DATABASES."),
        ({"sets": {"a": {"databases": ["default"]}, "b": {"databases": ["default"]}}}, "'default' is named twice"),
        ({"sets": {"a": {"databases": ["default"]}}, "unmanaged": ["default"]}, "'default' is named twice"),
    ],
)
def test_a_wrong_value_names_its_key(values: dict[str, object], told: str) -> None:
    assert told in refusal(values)


def test_a_database_in_no_set_is_refused() -> None:
    told = refusal({"sets": {"a": {"databases": ["default"]}}}, aliases="default other")
    assert "The database 'other' is in no set." in told


def test_a_key_in_both_places_is_refused() -> None:
    assert "'directory' stands both in [tool.chronomig] and in the CHRONOMIG setting." in refusal(
        {"directory": "a"}, {"directory": "b"}
    )


def test_the_settings_module_cannot_stand_in_the_settings() -> None:
    assert "'settings' cannot stand in the CHRONOMIG setting." in refusal({}, {"settings": "x"})


def test_a_manage_py_below_a_configuration_belongs_to_it_when_both_name_the_same_settings(tmp_path: Path) -> None:
    repo, site = tmp_path / "repo", tmp_path / "repo" / "site"
    (site / "app").mkdir(parents=True)
    (site / "manage.py").write_text("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')")
    assert find_root(site / "app") == site
    assert settings_module_of(site) == "a.b"
    for settings, root in (("settings = 'a.b'", repo), ("", repo), ("settings = 'other'", site)):
        (repo / "pyproject.toml").write_text(f"[tool.chronomig]\n{settings}\n")
        assert find_root(site / "app") == root
    (site / "pyproject.toml").write_text("[tool.chronomig]\n")
    assert find_root(site / "app") == site
    assert find_root(repo) == repo


def test_broken_toml_is_named(sqlite_project: Project) -> None:
    sqlite_project.write("pyproject.toml", "[tool.chronomig\n")
    done = sqlite_project.chronomig("status")
    assert done.code == 2
    assert "pyproject.toml is not valid TOML." in done.err
    assert "Traceback" not in done.err


def test_a_setting_that_is_no_table_is_named(sqlite_project: Project) -> None:
    sqlite_project.configure(extra="CHRONOMIG = ['default']")
    done = sqlite_project.chronomig("status")
    assert done.code == 2
    assert "The CHRONOMIG setting is a list, not a table of keys." in done.err


def test_the_directory_can_be_elsewhere(sqlite_project: Project) -> None:
    sqlite_project.configure(extra="CHRONOMIG = {'directory': 'db/history'}")
    sqlite_project.write(
        "db/history/default/20260101000000_a.py", "import chronomig\nclass Migration(chronomig.Migration): pass\n"
    )
    assert list(sqlite_project.states()) == ["20260101000000_a"]


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        (
            ["status", "--settings", "nowhere.settings"],
            {},
            "Django cannot be set up with the settings 'nowhere.settings'.",
        ),
        (["status"], {"DJANGO_SETTINGS_MODULE": "nope"}, "Django cannot be set up with the settings 'nope'."),
    ],
)
def test_settings_that_cannot_be_imported_are_named(
    sqlite_project: Project, arguments: list[str], env: dict[str, str], told: str
) -> None:
    done = sqlite_project.chronomig(*arguments, env=env)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_place_without_a_project_says_what_to_do(sqlite_project: Project, tmp_path: Path) -> None:
    done = sqlite_project.chronomig("status", cwd=tmp_path)
    assert done.code == 2
    assert "There is no Django project at" in done.err
    assert "chronomig init" in done.err
