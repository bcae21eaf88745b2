"""``--to`` with a git ref, on real databases and repositories."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
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


def test_what_can_only_be_a_ref_is_answered_by_git_alone(sqlite_project: Project) -> None:
    in_git(sqlite_project)
    done = sqlite_project.chronomig("migrate", "--to", "main@{2001-01-01}")
    assert done.code == 2
    assert done.err.startswith(
        "Error: git cannot tell what 'main@{2001-01-01}' was.\n  Log for 'main' only goes back to "
    )
    assert done.err.endswith("  -> git reflog and git log show what this clone knows; name a commit.\n")
    done = sqlite_project.chronomig("migrate", "--to", "HEAD~30")
    assert done.err.startswith("Error: git knows no commit 'HEAD~30'.\n")


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


# -- wherever the repository is -------------------------------------------------------------------------------------


def moved_to(project: Project, root: Path) -> Project:
    """Return the project as it is below another root, on the same database."""
    other = object.__new__(Project)
    other.__dict__.update(project.__dict__, root=root)
    return other


def detached(project: Project, git: Git) -> Project:
    git("switch", "-q", "--detach", "colour")
    return project


def amid_a_rebase(project: Project, git: Git) -> Project:
    git("switch", "-q", "colour")
    project.write("shop/text.txt", "colour")
    git.commit()
    git("switch", "-qc", "other", "main")
    project.write("shop/text.txt", "other")
    git.commit()
    git("rebase", "-q", "colour", code=1)
    assert (project.root / ".git/rebase-merge").exists()
    return project


def in_a_linked_worktree(project: Project, git: Git) -> Project:
    git("worktree", "add", "-q", "../linked", "colour")
    return moved_to(project, project.root.parent / "linked")


def in_a_submodule(project: Project, git: Git) -> Project:
    outer = Git.init(project.root.parent / "outer")
    outer("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(project.root), "inner")
    outer.commit()
    inner = Git(outer.root / "inner")
    inner("switch", "-q", "--track", "origin/colour")
    inner("branch", "-q", "notes", "origin/notes")
    return moved_to(project, inner.root)


def with_another_directory(project: Project, git: Git) -> Project:
    git("switch", "-q", "colour")
    git("mv", "project_migrations", "schema")
    project.write("pyproject.toml", '[tool.chronomig]\ndirectory = "schema"\n')
    git.commit()
    return project


@pytest.mark.parametrize(
    "place", [detached, amid_a_rebase, in_a_linked_worktree, in_a_submodule, with_another_directory]
)
def test_a_ref_is_a_target_wherever_the_project_is(
    sqlite_project: Project, place: Callable[[Project, Git], Project]
) -> None:
    project = place(sqlite_project, in_git(sqlite_project))
    project.ok("migrate")
    assert columns(project) == ["id", "colour"]
    project.ok("migrate", "--to", "ref:notes", "--yes")
    assert columns(project) == ["id", "notes"]
    project.ok("migrate", "--to", "HEAD", "--yes")
    assert columns(project) == ["id", "colour"]


def test_a_project_below_the_root_of_its_repository_goes_to_a_ref_and_switches(sqlite_project: Project) -> None:
    git = Git.init(sqlite_project.root.parent)
    (git.root / ".gitignore").write_text("__pycache__/\n*.sqlite3*\n.snapshots/\n")
    sqlite_project.migration(A, CREATE)
    git.commit()
    git("switch", "-qc", "notes")
    sqlite_project.migration(B, NOTES)
    git.commit()
    git("switch", "-q", "main")
    sqlite_project.ok("migrate", "--to", "notes")
    assert columns(sqlite_project) == ["id", "notes"]
    sqlite_project.ok("migrate", "--to", "main", "--yes")
    sqlite_project.ok("switch", "notes")
    assert columns(sqlite_project) == ["id", "notes"]


def test_in_a_shallow_clone_what_is_not_there_is_said_and_what_is_there_works(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    clone = sqlite_project.root.parent / "clone"
    git("clone", "-q", "--depth", "1", "--branch", "notes", f"file://{sqlite_project.root}", str(clone))
    project = moved_to(sqlite_project, clone)
    project.ok("migrate", "--to", "HEAD")
    assert columns(project) == ["id", "notes"]
    for ref in ("HEAD~1", "v1", git("rev-parse", "v1")):
        done = project.chronomig("migrate", "--to", f"ref:{ref}", "--yes")
        assert done.code == 2
        assert "This clone is shallow; git fetch --unshallow brings what is older." in done.err
    assert columns(project) == ["id", "notes"]


def test_a_conflict_in_the_models_is_named_as_what_it_is(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    for branch in ("notes", "colour"):
        git("switch", "-q", branch)
        sqlite_project.write("shop/models.py", f"# {branch}\n")
        git.commit()
    git("rebase", "notes", code=1)
    done = sqlite_project.chronomig("plan", "--to", "main")
    assert done.code == 2
    assert "SyntaxError: " in done.err
    assert "shop/models.py, line " in done.err
    assert done.err.endswith("  -> Resolve the conflict that git left in it.\n")


def test_names_that_are_no_utf8_are_an_error_where_a_migration_would_be_and_nothing_elsewhere(
    sqlite_project: Project,
) -> None:
    git = in_git(sqlite_project)
    git("switch", "-q", "notes")
    (sqlite_project.root / os.fsdecode(b"shop/\xff\n.txt")).write_text("")
    git.commit()
    git("switch", "-qc", "odd")
    (sqlite_project.root / os.fsdecode(b"project_migrations/default/20260104000000_\xff.py")).write_text("")
    git.commit()
    git("switch", "-q", "main")
    sqlite_project.ok("migrate", "--to", "notes")
    done = sqlite_project.chronomig("plan", "--to", "odd")
    assert done.code in (1, 2)
    assert "Error: The timeline of the set 'default' in " in done.err
    assert "is not named YYYYMMDDHHMMSS_slug.py" in done.err


def test_programs_that_the_repository_configures_do_not_run(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    git("switch", "-q", "notes")
    sqlite_project.ok("migrate")
    git("switch", "-q", "colour")
    marker, program = sqlite_project.root.parent / "ran", sqlite_project.root / "hooks/program"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $0 >> {marker}\n")
    program.chmod(0o755)
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "fsmonitor-watchman"):
        (program.parent / hook).symlink_to(program)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "core.askPass", "gpg.program"):
        git("config", key, str(program))
    git("config", "core.hooksPath", str(program.parent))
    git("config", "log.showSignature", "true")
    for command in (["status"], ["plan", "--to", "notes"], ["migrate", "--to", "main", "--yes"], ["check"]):
        assert "Traceback" not in sqlite_project.chronomig(*command).err
    assert columns(sqlite_project) == ["id"]
    assert not marker.exists(), marker.read_text()


# -- what it costs --------------------------------------------------------------------------------------------------


def seconds_of(project: Project, *arguments: str) -> float:
    """Return the processor time of ``chronomig …`` and the git that it runs, which other processes do not add to."""
    before = os.times()
    project.ok(*arguments, fork=False)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def test_a_ref_with_two_thousand_migrations_costs_less_than_300_ms_beyond_the_same_plan_without_one(
    sqlite_project: Project,
) -> None:
    git = Git.init(sqlite_project.root)
    sqlite_project.write(".gitignore", "__pycache__/\n*.sqlite3*\n")
    days = (datetime(2020, 1, 1) + timedelta(days=day) for day in range(2_000))
    for number, day in enumerate(days):
        create = f'("shop", migrations.CreateModel("M{number}", [("id", models.BigAutoField(primary_key=True))])),'
        sqlite_project.migration(f"{day:%Y%m%d%H%M%S}_m{number}", create)
    git.commit("many")
    git("switch", "-qc", "topic")
    sqlite_project.migration("20260101000000_more", CREATE)
    git.commit("more")
    git("switch", "-q", "main")
    times: list[tuple[float, float]] = []
    while not times or (beyond(times) >= 0.3 and len(times) < 10):
        times.append((seconds_of(sqlite_project, "plan"), seconds_of(sqlite_project, "plan", "--to", "topic")))
    assert beyond(times) < 0.6, times  # where others use the machine, a second of the processor does half as much


def beyond(times: list[tuple[float, float]]) -> float:
    """Return what the second costs beyond the first, each at its best: more rounds only take noise away."""
    without, with_ref = map(min, zip(*times, strict=True))
    assert without > 0.1, "a Python that imports Django takes longer"
    return with_ref - without
