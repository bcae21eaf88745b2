"""Another branch, with the databases that belong to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronomig.switching import imports_any
from tests.conftest import sqlite_settings
from tests.gitting import Git
from tests.projects import Done, Project
from tests.test_makemigrations import answer
from tests.test_refs import COLOUR, CREATE, A, B, C, columns, in_git


def switch(project: Project, *arguments: str) -> Done:
    done = project.chronomig("switch", *arguments, "--yes")
    assert done.code == 0, done
    return done


def at(git: Git) -> str:
    return git("branch", "--show-current")


@pytest.mark.core
def test_a_switch_rolls_back_switches_and_applies(project: Project) -> None:
    git = in_git(project)
    switch(project, "notes")
    assert (at(git), columns(project)) == ("notes", ["id", "notes"])
    done = switch(project, "colour")
    assert [line.split()[:2] for line in done.out.splitlines()[:3]] == [["down", B], ["git", "switch"], ["up", C]]
    assert (at(git), columns(project)) == ("colour", ["id", "colour"])
    assert project.states() == {A: "applied", C: "applied"}
    switch(project, "-")
    assert (at(git), columns(project)) == ("notes", ["id", "notes"])


def test_both_halves_are_shown_before_anything_moves_and_losing_rows_needs_a_yes(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    switch(sqlite_project, "notes")
    sqlite_project.rows("INSERT INTO shop_item (notes) VALUES ('mine')")
    for arguments, code in ((["--dry-run"], 0), (["--no-stash"], 4)):
        done = sqlite_project.chronomig("switch", "colour", *arguments)
        assert done.code == code
        assert done.out.splitlines() == [
            f"  down   {B}  (default)",
            "  git switch colour",
            f"  up     {C}  (default)",
        ]
        assert (at(git), columns(sqlite_project)) == ("notes", ["id", "notes"])
    assert "Data would be lost; nothing was run." in done.err
    code, screen = answer(sqlite_project, ["switch", "colour", "--no-stash"], ["n"])
    assert (code, "Destroy it in 'default'? [y/N]" in screen, at(git)) == (4, True, "notes")
    assert answer(sqlite_project, ["switch", "colour", "--no-stash"], ["y"])[0] == 0
    assert (at(git), columns(sqlite_project)) == ("colour", ["id", "colour"])


def test_what_only_this_branch_holds_comes_back_with_it(project: Project) -> None:
    in_git(project)
    switch(project, "notes")
    project.rows("INSERT INTO shop_item (id, notes) VALUES (1, 'mine')")
    switch(project, "colour")
    project.rows("INSERT INTO shop_item (id, colour) VALUES (2, 'red')")
    switch(project, "notes")
    assert project.rows("SELECT id, notes FROM shop_item ORDER BY id") == [["1", "mine"], ["2", ""]]
    switch(project, "colour")
    assert project.rows("SELECT id, colour FROM shop_item ORDER BY id") == [["1", ""], ["2", "red"]]


def refused(project: Project, *arguments: str) -> str:
    """Run a switch that git would refuse; return the error."""
    before = project.ok("history").out
    done = project.chronomig("switch", *arguments, "--yes")
    assert done.code == 4, done
    assert "nothing was touched." in done.err
    assert project.ok("history").out == before
    return done.err


def test_what_git_would_refuse_is_refused_before_the_database_is_touched(
    sqlite_project: Project, tmp_path: Path
) -> None:
    git = in_git(sqlite_project)
    switch(sqlite_project, "notes")
    sqlite_project.write("shop/text.txt", "committed")
    git.commit()
    sqlite_project.write("shop/text.txt", "changed")
    assert "Entry 'shop/text.txt' not uptodate. Cannot merge." in refused(sqlite_project, "colour")
    git("checkout", "-q", "shop/text.txt")
    sqlite_project.write(f"project_migrations/default/{C}.py", "# in the way\n")
    told = f"Untracked working tree file 'project_migrations/default/{C}.py' would be overwritten by merge."
    assert told in refused(sqlite_project, "colour")
    (sqlite_project.root / f"project_migrations/default/{C}.py").unlink()
    git("worktree", "add", "-q", str(tmp_path / "linked"), "colour")
    elsewhere = refused(sqlite_project, "colour")
    assert "checked out in another worktree" in elsewhere
    assert "-> Work there, or take its commit alone: chronomig switch --detach colour." in elsewhere
    git("worktree", "remove", str(tmp_path / "linked"))
    git("switch", "-qc", "other", "HEAD~1")
    sqlite_project.write("shop/text.txt", "another")
    git.commit()
    git("merge", "-q", "notes", code=1)
    assert "A merge is not finished." in refused(sqlite_project, "colour")
    git("merge", "--abort")
    git("rebase", "-q", "notes", code=1)
    assert "A rebase is not finished." in refused(sqlite_project, "colour")


def test_changes_that_git_carries_along_stay_applied(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    switch(sqlite_project, "notes")
    mine = "20260105000000_mine"
    sqlite_project.migration(mine, '("shop", migrations.AddField("item", "mine", models.IntegerField(null=True))),')
    sqlite_project.ok("migrate")
    switch(sqlite_project, "colour", "--order", "apply")
    assert at(git) == "colour"
    assert sqlite_project.states() == {A: "applied", C: "applied", mine: "applied"}
    assert sorted(columns(sqlite_project)) == ["colour", "id", "mine"]


def test_a_new_branch_keeps_everything_and_may_start_elsewhere(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    switch(sqlite_project, "notes")
    switch(sqlite_project, "-c", "topic")
    assert (at(git), columns(sqlite_project)) == ("topic", ["id", "notes"])
    switch(sqlite_project, "-c", "other", "colour")
    assert (at(git), columns(sqlite_project)) == ("other", ["id", "colour"])
    done = sqlite_project.chronomig("switch", "-c", "topic")
    assert (done.code, "There is a branch 'topic' already." in done.err) == (2, True)
    for name in ("-x", "a..b", "a b", ".hidden", "a\nb"):
        done = sqlite_project.chronomig("switch", "-c", "--", name)
        assert (done.code, "is not a name for a branch." in done.err) == (2, True)


def test_any_ref_can_be_detached(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    switch(sqlite_project, "notes")
    switch(sqlite_project, "--detach", "v1")
    assert (at(git), columns(sqlite_project)) == ("", ["id"])
    switch(sqlite_project, "-")
    assert (at(git), columns(sqlite_project)) == ("notes", ["id", "notes"])


def test_a_branch_that_only_the_remote_has_is_made_and_tracked(sqlite_project: Project, tmp_path: Path) -> None:
    git = in_git(sqlite_project)
    git("clone", "-q", "--bare", str(sqlite_project.root), str(tmp_path / "remote.git"))
    git("remote", "add", "origin", str(tmp_path / "remote.git"))
    git("fetch", "-q", "origin")
    git("branch", "-q", "-D", "colour")
    switch(sqlite_project, "colour")
    assert (at(git), columns(sqlite_project)) == ("colour", ["id", "colour"])
    assert git("rev-parse", "--abbrev-ref", "colour@{upstream}") == "origin/colour"


@pytest.mark.parametrize("name", ["nowhere", "v1", "--help-me", "-x", "HEAD~1", "not\na branch"])
def test_what_is_no_branch_is_an_error(sqlite_project: Project, name: str) -> None:
    git = in_git(sqlite_project)
    done = sqlite_project.chronomig("switch", "--", name)
    assert done.code in (1, 2)
    assert "Error: " in done.err
    assert at(git) == "main"


def test_the_code_of_each_branch_undoes_its_own_migrations(sqlite_project: Project) -> None:
    """The helper that the migration imports is only on its branch."""
    git = in_git(sqlite_project)
    git("switch", "-q", "notes")
    sqlite_project.write("shop/helpers.py", "def nothing(apps, schema_editor):\n    pass\n")
    data = "20260105000000_data"
    sqlite_project.migration(
        data, '("shop", migrations.RunPython(nothing, nothing)),', head="from shop.helpers import nothing"
    )
    git.commit()
    sqlite_project.ok("migrate")
    switch(sqlite_project, "colour")
    assert sqlite_project.states() == {A: "applied", C: "applied"}
    switch(sqlite_project, "notes")
    assert sqlite_project.states() == {A: "applied", B: "applied", data: "applied"}


MINE = "20260105000000_mine"
HELPED = "from shop.helpers import default"


def helped(project: Project, git: Git, field: str) -> None:
    """A helper that ``colour`` changed, which its migration imports, and an uncommitted migration on ``notes``."""
    git("switch", "-q", "colour")
    project.write("shop/helpers.py", "default = 7\n")
    operations = f'("shop", migrations.AddField("item", "{field}", models.IntegerField(default=default))),'
    project.migration(C, operations, head=HELPED)
    git.commit()
    git("switch", "-q", "notes")
    project.write("shop/helpers.py", "raise RuntimeError('the helper of notes')\n")
    git.commit()
    project.migration(MINE, '("shop", migrations.AddField("item", "mine", models.IntegerField(null=True))),')
    project.ok("migrate")


def test_code_of_the_other_branch_is_not_run_in_the_process_of_this_one(project: Project) -> None:
    """The order is in question: what *colour* has is older than the migration that git carries along."""
    git = in_git(project)
    helped(project, git, "colour")
    switch(project, "colour")
    assert at(git) == "colour"
    assert project.states() == {A: "applied", C: "applied", MINE: "applied"}
    assert sorted(columns(project)) == ["colour", "id", "mine"]


def test_what_clashes_with_the_code_of_the_other_branch_stops_behind_git_and_says_how_to_go_on(
    sqlite_project: Project,
) -> None:
    git = in_git(sqlite_project)
    helped(sqlite_project, git, "mine")
    done = sqlite_project.chronomig("switch", "colour", "--yes")
    assert done.code == 4
    assert "The tree is at colour. The databases:" in done.err
    assert f"default: to apply: {C}" in done.err
    assert at(git) == "colour"
    git("switch", "-q", "notes")
    sqlite_project.ok("migrate")
    assert sqlite_project.states() == {A: "applied", B: "applied", MINE: "applied"}


def test_a_clash_that_can_be_seen_from_here_is_refused_before_anything_moves(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    switch(sqlite_project, "notes")
    sqlite_project.migration(MINE, COLOUR)
    sqlite_project.ok("migrate")
    done = sqlite_project.chronomig("switch", "colour", "--yes", "--order", "commuting")
    assert (done.code, C in done.err, at(git)) == (4, True, "notes")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"from django.db import migrations, models\nimport chronomig, datetime", False),
        (b"import shop", True),
        (b"def fill(apps, editor):\n    from shop.helpers import default", True),
        (b"from . import default", False),
        (b"from importlib import import_module\nimport_module('shop')", True),
        (b"import what_is_nowhere", True),
        (b"no python", True),
    ],
)
def test_what_a_file_imports_is_read_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: bytes, expected: bool
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    assert imports_any(source, lambda path: path.is_relative_to(tmp_path)) is expected


def test_a_failing_rollback_says_where_everything_stands_and_can_be_finished_or_undone(
    sqlite_project: Project,
) -> None:
    git = in_git(sqlite_project)
    git("switch", "-q", "notes")
    data = "20260105000000_data"
    sqlite_project.migration(data, '("shop", migrations.RunSQL("SELECT 1", "INSERT INTO nowhere VALUES (1)")),')
    git.commit()
    sqlite_project.ok("migrate")
    done = sqlite_project.chronomig("switch", "colour", "--yes")
    assert done.code == 1
    assert f"Error: The switch to colour stopped. {data} was not undone." in done.err
    assert "The tree is at notes. The databases:" in done.err
    assert f"default: still to undo: {data}, {B}; to apply: {C}" in done.err
    assert "The same command again finishes the switch; chronomig migrate takes the databases back." in done.err
    assert at(git) == "notes"
    sqlite_project.rows("CREATE TABLE nowhere (id integer)")
    switch(sqlite_project, "colour")
    assert (at(git), columns(sqlite_project)) == ("colour", ["id", "colour"])


def test_a_failing_second_half_says_how_to_go_on_and_back(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    git("switch", "-q", "colour")
    data = "20260105000000_data"
    sqlite_project.migration(data, '("shop", migrations.RunSQL("INSERT INTO nowhere VALUES (1)", "SELECT 1")),')
    git.commit()
    git("switch", "-q", "notes")
    sqlite_project.ok("migrate")
    done = sqlite_project.chronomig("switch", "colour", "--yes")
    assert done.code == 1
    assert f"Error: {data} was not applied." in done.err
    assert "The tree is at colour. The databases:" in done.err
    assert f"default: to apply: {data}" in done.err
    assert "chronomig migrate finishes the switch; chronomig switch notes goes back." in done.err
    switch(sqlite_project, "notes")
    assert (at(git), columns(sqlite_project)) == ("notes", ["id", "notes"])


def test_git_failing_between_the_halves_says_where_everything_stands(sqlite_project: Project) -> None:
    """Another process takes the index while the rollback runs: the migration's own code plays it."""
    git = in_git(sqlite_project)
    lock = sqlite_project.root / ".git/index.lock"
    git("switch", "-q", "notes")
    data = "20260105000000_data"
    head = f"def lock(apps, schema_editor):\n    open({str(lock)!r}, 'w').close()"
    sqlite_project.migration(data, '("shop", migrations.RunPython(migrations.RunPython.noop, lock)),', head=head)
    git.commit()
    sqlite_project.ok("migrate")
    done = sqlite_project.chronomig("switch", "colour", "--yes")
    assert done.code == 1
    assert "Error: The switch to colour stopped. git did not switch." in done.err
    assert "index.lock" in done.err
    assert "The tree is at notes. The databases:" in done.err
    assert f"default: to apply: {C}" in done.err
    assert (at(git), columns(sqlite_project)) == ("notes", ["id"])
    assert "index.lock" in refused(sqlite_project, "colour"), "and now it is known beforehand"
    lock.unlink()
    sqlite_project.ok("migrate")
    assert columns(sqlite_project) == ["id", "notes"]


def test_every_configured_database_comes_along(tmp_path: Path) -> None:
    databases = {"default": sqlite_settings(tmp_path), "audit": sqlite_settings(tmp_path, "audit")}
    project = Project(tmp_path / "site", databases)
    project.configure(extra="CHRONOMIG = {'sets': {'default': {'databases': ['default', 'audit']}}}")
    git = in_git(project)
    for branch, expected in (("notes", ["id", "notes"]), ("colour", ["id", "colour"])):
        switch(project, branch)
        for alias in databases:
            assert [one[0] for one in project.schema(alias)["shop_item"]["columns"]] == expected
    assert at(git) == "colour"


def test_a_ghost_whose_code_is_nowhere_stays_and_is_not_stepped_over(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    sqlite_project.ok("migrate")
    add_stranger(sqlite_project, "20260101120000_theirs")
    switch(sqlite_project, "notes")
    done = switch(sqlite_project, "colour")
    assert "stays  20260101120000_theirs  (default; its code is nowhere)" in done.out
    assert at(git) == "colour"
    add_stranger(sqlite_project, "20260106000000_another")
    for order in ("fail", "apply", "commuting", "rewind"):
        done = sqlite_project.chronomig("switch", "main", "--yes", "--order", order)
        assert done.code == 4
        assert f"{C} would go down, but 20260106000000_another was applied after it and stays" in done.err
        assert at(git) == "colour"


def add_stranger(project: Project, name: str) -> None:
    project.rows(
        "INSERT INTO chronomig_history (set_name, name, kind, direction, sha256, app_label, upstream_name, detail, at, "
        f"\"by\", version) VALUES ('default', '{name}', 'applied', 'up', 'unknown', '', '', '', "
        "'2026-01-01T00:00:00.000000Z', 'x', 'x')"
    )


def test_outside_of_a_repository_there_is_nothing_to_switch(sqlite_project: Project) -> None:
    sqlite_project.migration(A, CREATE)
    done = sqlite_project.chronomig("switch", "main")
    assert (done.code, "is not in a git repository." in done.err) == (1, True)
