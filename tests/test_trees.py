"""The timeline of a set in any commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronomig.errors import GitError, TimelineError
from chronomig.git.trees import Trees, configured_directory, followed
from tests.gitting import Git

A, B = "20260101000000_a", "20260102000000_b"


def write(root: Path, folder: str, *names: str) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / folder / f"{name}.py").write_text(f"# {name}\n")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """A project ``site`` below the root of its repository, with A, then B."""
    made = Git.init(tmp_path / "repo")
    write(made.root, "site/project_migrations/default", "__init__", A)
    made.commit("a")
    made("tag", "a")
    write(made.root, "site/project_migrations/default", B)
    made.commit("b")
    return made


def names(git: Git, ref: str, *, directory: str = "project_migrations", set_name: str = "default") -> list[str]:
    trees = Trees(git.root / "site", directory)
    return list(trees.timeline(trees.commit(ref), set_name, known=[A, B]).names)


def test_the_timeline_is_that_of_the_commit_with_its_bytes(git: Git) -> None:
    write(git.root, "site/project_migrations/default", "20260103000000_uncommitted")
    (git.root / f"site/project_migrations/default/{A}.py").write_text("# edited\n")
    assert names(git, "a") == [A]
    assert names(git, "main") == [A, B]
    trees = Trees(git.root / "site", "project_migrations")
    entry = trees.timeline(trees.commit("main"), "default").by_name[A]
    assert entry.source == f"# {A}\n".encode()
    assert entry.path == git.root / f"site/project_migrations/default/{A}.py"
    assert git("status", "--porcelain").count("\n") == 1


def test_symbolic_links_packages_and_other_files_are_no_migrations(git: Git) -> None:
    folder = git.root / "site/project_migrations/default"
    (folder / "20260103000000_link.py").symlink_to("/etc/passwd")
    (folder / "notes.txt").write_text("")
    write(folder, "20260104000000_package", "x")
    git.commit()
    assert names(git, "main") == [A, B]


def test_a_file_that_has_no_place_in_the_order_is_an_error(git: Git) -> None:
    write(git.root, "site/project_migrations/default", "oops")
    git.commit()
    with pytest.raises(TimelineError) as caught:
        names(git, "main")
    assert caught.value.fact.startswith("The timeline of the set 'default' in ")
    assert "oops.py: is not named YYYYMMDDHHMMSS_slug.py" in caught.value.cause


def test_the_directory_that_the_commit_configures_is_used(git: Git) -> None:
    git("mv", "site/project_migrations", "site/db")
    (git.root / "site/pyproject.toml").write_text('[tool.chronomig]\ndirectory = "db"\n')
    git.commit()
    git("tag", "moved")
    assert names(git, "moved") == [A, B]
    assert names(git, "a", directory="db") == [A]


def test_a_folder_that_was_moved_without_a_word_is_found_by_its_migrations(git: Git) -> None:
    git("mv", "site", "backend")
    git.commit()
    (git.root / "site").mkdir()
    assert names(git, "main") == [A, B]
    git("mv", "backend/project_migrations/default", "backend/project_migrations/shop")
    git.commit()
    assert names(git, "main") == [A, B]


def test_a_set_that_came_later_is_empty_before(git: Git) -> None:
    write(git.root, "site/project_migrations/audit", "20260105000000_entry")
    git.commit()
    trees = Trees(git.root / "site", "project_migrations")
    assert trees.timeline(trees.commit("a"), "audit", known=["20260105000000_entry"]).names == ()


def test_a_tree_without_migrations_is_an_error_and_not_an_empty_set(git: Git) -> None:
    git("rm", "-rq", "site")
    git.commit()
    (git.root / "site").mkdir()
    with pytest.raises(GitError) as caught:
        names(git, "main")
    assert "has no migrations." in caught.value.fact
    assert caught.value.next_step == "If a database without migrations is meant: chronomig migrate --to zero."


def test_a_directory_outside_of_the_repository_is_an_error(git: Git, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    trees = Trees(git.root / "site", str(tmp_path / "elsewhere"))
    assert trees.in_repository
    with pytest.raises(GitError) as caught:
        trees.timeline(trees.commit("main"), "default")
    assert "is not in a git repository." in caught.value.fact


def test_a_damaged_clone_says_which_object_is_missing(git: Git) -> None:
    blob = git("rev-parse", f"main:site/project_migrations/default/{B}.py")
    (git.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    trees = Trees(git.root / "site", "project_migrations")
    timeline = trees.timeline(trees.commit("main"), "default")
    assert timeline.by_name[A].source
    with pytest.raises(GitError) as caught:
        timeline.by_name[B].source  # noqa: B018
    assert caught.value.fact == f"The object {blob} is not in this clone."


def test_in_the_middle_of_a_rebase_every_ref_still_means_what_it_says(git: Git) -> None:
    git("switch", "-qc", "topic", "a")
    (git.root / f"site/project_migrations/default/{B}.py").write_text("# another\n")
    git.commit()
    git("rebase", "main", code=1)
    assert names(git, "topic") == names(git, "main") == [A, B]
    assert names(git, "HEAD~1") == [A]


@pytest.mark.parametrize("text", [b"\xff", b"[tool", b"tool = 1", b"[tool.chronomig]\ndirectory = 3", b""])
def test_a_configuration_that_cannot_be_read_names_no_directory(text: bytes) -> None:
    assert configured_directory(text) == ""


def test_two_folders_that_fit_equally_well_are_not_guessed_from() -> None:
    assert followed([f"x/default/{A}.py", f"y/default/{A}.py"], "default", [A]) == ""
    assert followed([f"x/default/{A}.py", f"y/other/{A}.py", f"y/other/{B}.py"], "default", [A, B]) == "x/default"
    assert followed([], "default", [A]) == ""
