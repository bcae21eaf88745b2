"""Migrations that are applied, but not in the tree."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.gitting import Git
from tests.projects import Project
from tests.test_makemigrations import answer
from tests.test_refs import COLOUR, NOTES, A, B, C, columns, in_git

D = "20260104000000_size"
SIZE = '("shop", migrations.AddField("item", "size", models.IntegerField(default=0))),'


def haunt(project: Project) -> Project:
    """Apply B and D, which are committed on ``notes``; the tree has A."""
    git = in_git(project)
    git("switch", "-q", "notes")
    project.migration(D, SIZE)
    git.commit()
    project.ok("migrate")
    git("switch", "-q", "main")
    return project


@pytest.fixture
def haunted(project: Project) -> Project:
    return haunt(project)


@pytest.fixture
def haunted_sqlite(sqlite_project: Project) -> Project:
    return haunt(sqlite_project)


def test_without_a_terminal_nothing_is_rolled_back_that_was_not_asked_for(haunted_sqlite: Project) -> None:
    done = haunted_sqlite.ok("migrate")
    told = (
        "2 migrations are applied, but not in the tree: chronomig migrate --ghosts rollback undoes them, "
        "--ghosts keep leaves this line out."
    )
    assert told in done.err
    assert f"stays     {B}" in done.out
    assert columns(haunted_sqlite) == ["id", "notes", "size"]
    assert told not in haunted_sqlite.ok("migrate", "--ghosts", "keep").err


def test_rollback_undoes_the_newest_first_and_leaves_the_tree_applied(haunted: Project) -> None:
    done = haunted.ok("migrate", "--ghosts", "rollback")
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [["reverted", D], ["reverted", B]]
    assert columns(haunted) == ["id"]
    assert haunted.states() == {A: "applied"}


def test_what_is_pending_is_applied_after_the_rollback(haunted_sqlite: Project) -> None:
    haunted_sqlite.migration(C, COLOUR)
    done = haunted_sqlite.ok("migrate", "--ghosts", "rollback")
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [
        ["reverted", D],
        ["reverted", B],
        ["applied", C],
    ]
    assert columns(haunted_sqlite) == ["id", "colour"]


def test_status_and_plan_notice_ghosts(haunted_sqlite: Project) -> None:
    status = haunted_sqlite.ok("status")
    assert status.err == (
        "2 migrations are applied, but not in the tree: chronomig migrate --ghosts rollback undoes them.\n"
    )
    assert status.out.count("code: git, came with notes") == 2
    plan = haunted_sqlite.ok("plan", "--ghosts", "rollback").out
    assert f"down   {D}  (code: git)" in plan
    assert haunted_sqlite.chronomig("migrate", "--check").code == 0
    assert haunted_sqlite.chronomig("migrate", "--check", "--ghosts", "rollback").code == 3


def test_fail_refuses_and_the_configuration_can_say_so(haunted_sqlite: Project) -> None:
    for arguments in (["--ghosts", "fail"], []):
        done = haunted_sqlite.chronomig("migrate", *arguments)
        assert done.code == 4
        assert "Error: 2 migrations are applied, but not in the tree; nothing was run." in done.err
        assert f"default: {D}  (code: git, came with notes" in done.err
        haunted_sqlite.configure(extra="CHRONOMIG = {'ghosts': 'fail'}")
    haunted_sqlite.ok("migrate", "--ghosts", "rollback")


def test_the_first_failure_stops_the_rollback_and_what_is_older_stays(haunted_sqlite: Project) -> None:
    haunted_sqlite.migration(
        "20260105000000_data",
        '("shop", migrations.RunSQL("SELECT 1", "INSERT INTO nowhere VALUES (1)")),',
    )
    haunted_sqlite.ok("migrate")
    (haunted_sqlite.root / "project_migrations/default/20260105000000_data.py").unlink()
    done = haunted_sqlite.chronomig("migrate", "--ghosts", "rollback")
    assert done.code == 1
    assert "Error: 20260105000000_data was not undone." in done.err
    assert f"left: 20260105000000_data, {D}, {B}" in done.err
    assert columns(haunted_sqlite) == ["id", "notes", "size"]


def test_ghosts_and_a_target_exclude_each_other(haunted_sqlite: Project) -> None:
    done = haunted_sqlite.chronomig("migrate", "--to", "latest", "--ghosts", "keep")
    assert (done.code, "--ghosts has no meaning with a target." in done.err) == (2, True)


def test_on_a_terminal_the_rollback_is_offered(haunted_sqlite: Project) -> None:
    code, screen = answer(haunted_sqlite, ["migrate"], ["n"])
    assert code == 0
    assert f"default: {D}  (code: git, came with notes" in screen
    assert "Roll back 2 migrations, the newest first? [y/N]" in screen
    assert columns(haunted_sqlite) == ["id", "notes", "size"]
    assert answer(haunted_sqlite, ["migrate"], ["y"])[0] == 0
    assert columns(haunted_sqlite) == ["id"]


def test_what_would_step_over_a_migration_without_code_is_not_offered(haunted_sqlite: Project) -> None:
    haunted_sqlite.rows(f"UPDATE chronomig_history SET sha256 = '{'0' * 64}', blob = '' WHERE name = '{D}'")
    code, screen = answer(haunted_sqlite, ["migrate"], [])
    assert code == 0
    assert "Roll back" not in screen
    done = haunted_sqlite.chronomig("migrate", "--ghosts", "rollback")
    assert done.code == 4
    assert f"{D}: it is applied, but has no file; it came with notes" in done.err
    assert columns(haunted_sqlite) == ["id", "notes", "size"]


def test_after_a_hard_reset_what_was_lost_is_still_undone(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    sqlite_project.migration(B, NOTES)
    git.commit()
    sqlite_project.ok("migrate")
    git("reset", "-q", "--hard", "v1")
    sqlite_project.ok("migrate", "--ghosts", "rollback")
    assert columns(sqlite_project) == ["id"]


def after_a_forced_push(project: Project, git: Git) -> None:
    remote = project.root.parent / "remote.git"
    git("clone", "-q", "--bare", str(project.root), str(remote))
    git("remote", "add", "origin", str(remote))
    git("fetch", "-q", "origin")
    git("branch", "-q", "--set-upstream-to", "origin/notes")
    other = Git(project.root.parent / "other")
    git("clone", "-q", str(remote), str(other.root))
    other("push", "-q", "--force", "origin", "origin/colour:notes")
    git("fetch", "-q", "origin")
    git("reset", "-q", "--hard", "origin/notes")


def after_the_branch_was_deleted(project: Project, git: Git) -> None:
    git("switch", "-q", "colour")
    git("branch", "-q", "-D", "notes")


def after_a_rebase_that_dropped_it(project: Project, git: Git) -> None:
    git("rebase", "-q", "--onto", "colour", "notes")


def after_an_amended_commit(project: Project, git: Git) -> None:
    git("rm", "-q", f"project_migrations/default/{B}.py")
    project.migration(C, COLOUR)
    git("add", "-A")
    git("commit", "-q", "--amend", "-m", "another")


def after_git_stash(project: Project, git: Git) -> None:
    git("reset", "-q", "--soft", "main")
    git("stash", "-q")
    git("checkout", "-q", "colour", "--", ".")


@pytest.mark.parametrize(
    "lost",
    [
        after_a_forced_push,
        after_the_branch_was_deleted,
        after_a_rebase_that_dropped_it,
        after_an_amended_commit,
        after_git_stash,
    ],
)
def test_what_git_took_out_of_the_tree_is_noticed_and_undone(
    project: Project, lost: Callable[[Project, Git], None]
) -> None:
    git = in_git(project)
    git("switch", "-q", "notes")
    project.ok("migrate")
    lost(project, git)
    assert project.states() == {A: "applied", B: "missing", C: "pending"}
    project.ok("migrate", "--ghosts", "rollback")
    assert columns(project) == ["id", "colour"]
    assert project.states() == {A: "applied", C: "applied"}
