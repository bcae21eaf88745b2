"""``--to`` with a git ref, on real databases and repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gitting import Git
from tests.projects import Project

A, B, C = "20260101000000_items", "20260102000000_notes", "20260103000000_colour"
CREATE = '("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True))])),'
NOTES = '("shop", migrations.AddField("item", "notes", models.TextField(default=""))),'
COLOUR = '("shop", migrations.AddField("item", "colour", models.TextField(default=""))),'


def in_git(project: Project) -> Git:
    """Put a project with A on main (tagged v1), A and B on ``notes``, A and C on ``colour`` under git; main is out."""
    git = Git.init(project.root)
    project.write(".gitignore", "__pycache__/\n*.sqlite3*\n.snapshots/\n")
    project.migration(A, CREATE)
    git.commit("items")
    git("tag", "v1")
    for branch, name, operations in (("notes", B, NOTES), ("colour", C, COLOUR)):
        git("switch", "-qc", branch, "main")
        project.migration(name, operations)
        git.commit(branch)
    git("switch", "-q", "main")
    return git


def columns(project: Project) -> list[str]:
    return [column[0] for column in project.schema().get("shop_item", {"columns": []})["columns"]]


@pytest.mark.core
def test_a_database_goes_to_a_branch_without_a_change_in_the_working_tree(project: Project) -> None:
    git = in_git(project)
    done = project.ok("migrate", "--to", "notes")
    assert f"applied   {B}" in done.out
    assert columns(project) == ["id", "notes"]
    assert project.files() == [A]
    assert git("status", "--porcelain") == ""
    assert git("branch", "--show-current") == "main"


def test_what_is_on_the_disk_goes_down_and_what_the_ref_has_goes_up(project: Project) -> None:
    git = in_git(project)
    git("switch", "-q", "colour")
    project.ok("migrate")
    plan = project.ok("plan", "--to", "notes")
    assert [line.split() for line in plan.out.splitlines()[1:]] == [["down", C], ["up", B]]
    project.ok("migrate", "--to", "notes", "--yes")
    assert columns(project) == ["id", "notes"]


def test_the_bytes_are_those_of_the_ref_not_those_of_the_disk(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    git("switch", "-q", "notes")
    sqlite_project.migration(B, NOTES.replace('"notes"', '"remarks"'))
    sqlite_project.ok("migrate", "--to", "notes")
    assert columns(sqlite_project) == ["id", "notes"]
    edited = next(line for line in sqlite_project.ok("status").out.splitlines() if B in line)
    assert "edited, code: git, came with notes" in edited


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("v1", [A]),
        ("ref:colour", [A, C]),
        ("colour~1", [A]),
        ("HEAD", [A]),
        ("notes@{0}", [A, B]),
        (":/colour", [A, C]),
    ],
)
def test_any_ref_is_a_target(sqlite_project: Project, ref: str, expected: list[str]) -> None:
    in_git(sqlite_project)
    (one,) = sqlite_project.ok("plan", "--to", ref, "--json").json["databases"]
    assert [step["name"] for step in one["steps"]] == expected


def test_a_text_that_is_both_a_point_of_the_timeline_and_a_branch_is_refused(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    git("branch", "2026-01-01", "colour")
    git("tag", "20260101", "colour")
    for text, kind, ref in (("2026-01-01", "stamp", "refs/heads/"), ("20260101", "name", "refs/tags/")):
        done = sqlite_project.chronomig("plan", "--to", text)
        assert done.code == 2
        assert f"Error: {text!r} can be read in two ways." in done.err
        assert f"{kind}:{text}  a point of the timeline" in done.err
        assert f"ref:{text}  {ref}{text}" in done.err
        assert A in sqlite_project.ok("plan", "--to", f"{kind}:{text}").out
        assert C in sqlite_project.ok("plan", "--to", f"ref:{text}").out


def test_an_unknown_ref_is_a_usage_error_that_suggests_the_nearest(sqlite_project: Project) -> None:
    in_git(sqlite_project)
    done = sqlite_project.chronomig("plan", "--to", "ref:color")
    assert (done.code, done.err.splitlines()) == (
        2,
        ["Error: git knows no commit 'color'.", "  -> Did you mean 'colour'?"],
    )
    done = sqlite_project.chronomig("plan", "--to", "color")
    assert done.code == 2
    assert "There is no migration 'color'." in done.err
    assert "As a git ref: git knows no commit 'color'." in done.err


@pytest.mark.parametrize("text", ["ref:--output=stolen", "ref:-x", "--to=-x", "ref:a\nb", "ref:"])
def test_what_looks_like_an_option_of_git_is_refused(sqlite_project: Project, text: str) -> None:
    git = in_git(sqlite_project)
    done = sqlite_project.chronomig("plan", f"--to={text.removeprefix('--to=')}")
    assert done.code == 2
    assert "is not a ref." in done.err
    assert git("status", "--porcelain") == ""


def test_before_a_ref_has_no_meaning(sqlite_project: Project) -> None:
    in_git(sqlite_project)
    done = sqlite_project.chronomig("plan", "--before", "ref:notes")
    assert done.code == 2
    assert "A git ref is a set of migrations, not a point in time." in done.err


def test_without_git_everything_but_refs_works(sqlite_project: Project, tmp_path: Path) -> None:
    in_git(sqlite_project)
    (tmp_path / "bin").mkdir()
    nowhere = {"PATH": str(tmp_path / "bin")}
    sqlite_project.ok("migrate", env=nowhere)
    sqlite_project.ok("migrate", "--to", "2026-01-01", env=nowhere)
    sqlite_project.ok("status", env=nowhere)
    done = sqlite_project.chronomig("migrate", "--to", "notes", env=nowhere)
    assert done.code == 2
    assert "As a git ref: git cannot be started." in done.err


def test_a_hostile_environment_does_not_lead_to_another_repository(sqlite_project: Project, tmp_path: Path) -> None:
    in_git(sqlite_project)
    other = Git.init(tmp_path / "other")
    other.commit()
    other("branch", "notes")
    hostile = {"GIT_DIR": str(other.root / ".git"), "GIT_WORK_TREE": str(other.root), "GIT_INDEX_FILE": "/nowhere"}
    assert B in sqlite_project.ok("plan", "--to", "notes", env=hostile).out


def test_outside_of_a_repository_a_ref_is_an_unknown_target(sqlite_project: Project) -> None:
    sqlite_project.migration(A, CREATE)
    assert "There is no migration 'main'." in sqlite_project.chronomig("plan", "--to", "main").err
    assert "is not in a git repository." in sqlite_project.chronomig("plan", "--to", "ref:main").err
