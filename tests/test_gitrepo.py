"""git, spoken to through one module, on real repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chronomig.errors import GitError
from chronomig.git.repo import Head, open_repository
from tests.gitting import Git


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Two commits on main, tagged v1 and v2, and a branch."""
    made = Git.init(tmp_path / "repo")
    (made.root / "a.txt").write_text("one")
    made.commit("first")
    made("tag", "v1")
    (made.root / "a.txt").write_text("two")
    made.commit("second")
    made("tag", "-a", "v2", "-m", "annotated")
    made("branch", "topic/x")
    return made


@pytest.mark.parametrize("ref", ["main", "v2", "HEAD", "refs/heads/main", "topic/x", "@", ":/second", "main@{0}"])
def test_a_ref_is_resolved_to_the_full_hash_of_its_commit(git: Git, ref: str) -> None:
    assert open_repository(git.root).resolve(ref) == git("rev-parse", "HEAD")


def test_an_older_commit_is_found_by_distance_and_by_an_abbreviated_hash(git: Git) -> None:
    first = git("rev-parse", "v1")
    repository = open_repository(git.root)
    assert repository.resolve("HEAD~1") == repository.resolve(first[:8]) == repository.resolve("main@{1}") == first


@pytest.mark.parametrize("ref", ["-x", "--all", "--output=x", "--git-dir=/tmp", "-"])
def test_a_ref_that_begins_with_a_dash_is_refused(git: Git, ref: str) -> None:
    with pytest.raises(GitError) as caught:
        open_repository(git.root).resolve(ref)
    assert caught.value.fact == f"{ref!r} is not a ref."
    assert caught.value.cause == "No ref begins with a dash."
    assert not (git.root / "x").exists()


@pytest.mark.parametrize("ref", ["", "main\nv1", "main\0", "main\x7f", "\x1b[31m"])
def test_a_ref_with_control_characters_is_refused(git: Git, ref: str) -> None:
    with pytest.raises(GitError) as caught:
        open_repository(git.root).resolve(ref)
    assert caught.value.cause == "A ref is not empty and has no control characters."


@pytest.mark.parametrize(
    "ref", ["^main", "v1..v2", "main:a.txt", "main^{tree}", "nowhere", "$(id)", "main;id", "\udcff"]
)
def test_what_is_no_commit_is_an_error(git: Git, ref: str) -> None:
    with pytest.raises(GitError) as caught:
        open_repository(git.root).resolve(ref)
    assert caught.value.fact == f"git knows no commit {ref!r}."


def test_a_branch_that_only_the_remote_has_is_named(git: Git, tmp_path: Path) -> None:
    git("clone", "-q", str(git.root), str(tmp_path / "clone"))
    repository = open_repository(tmp_path / "clone")
    with pytest.raises(GitError) as caught:
        repository.resolve("topic/x")
    assert caught.value.cause == "There is origin/topic/x."
    assert repository.resolve("origin/topic/x") == git("rev-parse", "topic/x")


def test_a_shallow_clone_says_that_it_is_one(git: Git, tmp_path: Path) -> None:
    git("clone", "-q", "--depth", "1", f"file://{git.root}", str(tmp_path / "shallow"))
    repository = open_repository(tmp_path / "shallow")
    assert repository.resolve("HEAD") == git("rev-parse", "main")
    with pytest.raises(GitError) as caught:
        repository.resolve("HEAD~1")
    assert caught.value.cause == "This clone is shallow; git fetch --unshallow brings what is older."
    with pytest.raises(GitError) as caught:
        repository.resolve("topic/x")
    told = "git fetch --unshallow brings what is older. git fetch origin topic/x:topic/x brings a branch."
    assert caught.value.cause == f"This clone is shallow; {told}"


def test_a_time_before_the_reflog_is_no_answer(git: Git) -> None:
    repository = open_repository(git.root)
    with pytest.raises(GitError) as caught:
        repository.resolve("main@{2001-01-01}")
    assert caught.value.fact == "git cannot tell what 'main@{2001-01-01}' was."
    assert caught.value.cause.startswith("Log for 'main' only goes back to ")
    with pytest.raises(GitError) as caught:
        repository.resolve("main@{500}")
    assert caught.value.cause.startswith("Log for 'main' only has ")


def test_a_commit_whose_tree_is_missing_is_an_error(git: Git) -> None:
    gone = git("rev-parse", "v1^{tree}")
    (git.root / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
    with pytest.raises(GitError) as caught:
        open_repository(git.root).list_folder(git("rev-parse", "v1"), "")
    assert "is not in this clone." in caught.value.fact


def test_the_head_is_a_branch_or_detached_or_not_there_yet(git: Git, tmp_path: Path) -> None:
    assert open_repository(git.root).head == Head("main", git("rev-parse", "main"))
    git("switch", "-q", "--detach", "v1")
    assert open_repository(git.root).head == Head("", git("rev-parse", "v1"))
    Git.init(tmp_path / "new")
    assert open_repository(tmp_path / "new").head == Head("main", "")


def test_a_linked_worktree_and_a_submodule_are_repositories_of_their_own(git: Git, tmp_path: Path) -> None:
    git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "v1")
    assert open_repository(tmp_path / "linked").head.commit == git("rev-parse", "v1")
    outer = Git.init(tmp_path / "outer")
    outer("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(git.root), "inner")
    outer.commit()
    (outer.root / "inner" / "deep").mkdir()
    inner = open_repository(outer.root / "inner" / "deep")
    assert inner.top == outer.root / "inner"
    assert inner.resolve("HEAD") == git("rev-parse", "main")


def test_the_repository_is_that_of_the_path_whatever_the_environment_says(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Git.init(tmp_path / "other")
    other.commit("other")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_COMMON_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.root / ".git" / "objects"))
    monkeypatch.setenv("GIT_NAMESPACE", "elsewhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.worktree")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(other.root))
    repository = open_repository(git.root)
    assert repository.top == git.root
    assert repository.resolve("main") == git("rev-parse", "main")
    assert list(repository.list_folder(repository.resolve("main"), "") or {}) == ["a.txt"]
    assert os.environ["GIT_DIR"] == str(other.root / ".git")


def test_reading_starts_no_program_that_a_repository_configures(git: Git, tmp_path: Path) -> None:
    marker = tmp_path / "started"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 > {marker}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "core.editor", "alias.rev-parse"):
        git("config", key, str(program))
    (git.root / ".gitattributes").write_text("*.txt filter=evil diff=evil\n")
    for key in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "diff.evil.command"):
        git("config", key, str(program))
    marker.unlink(missing_ok=True)
    repository = open_repository(git.root)
    commit = repository.resolve("main")
    files = repository.list_folder(commit, "") or {}
    assert repository.read(files.values()) == {files["a.txt"]: b"two"}
    assert repository.head.branch == "main"
    assert repository.refs
    assert not marker.exists()


def test_a_broken_configuration_is_an_error_of_git_with_its_words(git: Git) -> None:
    (git.root / ".git" / "config").write_text("[core\n")
    with pytest.raises(GitError) as caught:
        open_repository(git.root).refs  # noqa: B018
    assert "bad config" in caught.value.cause


def test_objects_are_read_many_at_once_reachable_or_not(git: Git) -> None:
    (git.root / "loose").write_bytes(b"never\ncommitted\0\xff")
    loose = git("hash-object", "-w", "loose")
    repository = open_repository(git.root)
    files = repository.list_folder(repository.resolve("main"), "") or {}
    found = repository.read(
        [loose, "0" * 40, files["a.txt"], "main", "-x", f"{loose}\n{loose}", git("rev-parse", "HEAD")]
    )
    assert found == {loose: b"never\ncommitted\0\xff", files["a.txt"]: b"two"}


def test_names_that_are_no_utf8_survive(git: Git) -> None:
    (git.root / os.fsdecode(b"2026_\xff.py")).write_text("")
    (git.root / "line\nbreak\t.py").write_text("")
    repository = open_repository(git.root)
    listed = repository.list_folder(git.commit(), "") or {}
    assert {name.encode("utf-8", "surrogateescape") for name in listed} == {
        b"a.txt",
        b"2026_\xff.py",
        b"line\nbreak\t.py",
    }


def test_a_repository_of_sha256_works_the_same(tmp_path: Path) -> None:
    git = Git.init(tmp_path / "new", "--object-format=sha256")
    (git.root / "a.txt").write_text("one")
    commit = git.commit()
    repository = open_repository(git.root)
    assert len(commit) == 64
    assert repository.resolve("main") == commit
    files = repository.list_folder(commit, "") or {}
    assert repository.read(files.values()) == {files["a.txt"]: b"one"}


def test_outside_of_a_repository_there_is_an_error_and_git_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        open_repository(tmp_path)
    assert caught.value.fact == f"{tmp_path} is not in a git repository."


def test_a_gitfile_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises(GitError) as caught:
        open_repository(tmp_path)
    assert caught.value.fact == f"The git repository of {tmp_path} cannot be used."
