"""Git's hooks say when the databases and the tree differ."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitting import Git
from tests.projects import Project
from tests.test_refs import B, C, in_git

NAMES = ("post-checkout", "post-merge", "post-rewrite")
PATHS = {"PYTHONPATH": str(Path(__file__).parents[1])}


@pytest.fixture
def git(sqlite_project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Git]:
    """The hooks find chronomig where the tests have it."""
    monkeypatch.setenv("PYTHONPATH", PATHS["PYTHONPATH"])
    for name in list(os.environ):
        if name.startswith("DJANGO_"):
            monkeypatch.delenv(name)
    yield in_git(sqlite_project)


def told(git: Git, *arguments: str) -> str:
    """Run git and return what the hooks said."""
    return "\n".join(line for line in git.both(*arguments).splitlines() if line.startswith("chronomig:"))


def test_a_switch_tells_what_is_applied_but_gone_and_what_is_pending(sqlite_project: Project, git: Git) -> None:
    git("switch", "-q", "notes")
    sqlite_project.ok("migrate")
    installed = sqlite_project.ok("hooks", "install").out
    assert [line.split()[:2] for line in installed.splitlines()] == [[name, "installed"] for name in NAMES]
    assert told(git, "switch", "-q", "colour").splitlines() == [
        "chronomig: 1 migration is applied, but not in the tree. chronomig migrate --ghosts rollback undoes.",
        "chronomig: 1 migration pending. chronomig migrate applies.",
    ]
    assert told(git, "switch", "-q", "notes") == ""
    assert "1 migration pending" in told(git, "merge", "-q", "colour", "-m", "both")
    git("reset", "-q", "--hard", "HEAD~1")
    assert "1 migration pending" in told(git, "rebase", "-q", "colour")


def test_files_new_branches_and_switches_without_migrations_are_left_alone(sqlite_project: Project, git: Git) -> None:
    sqlite_project.ok("hooks", "install")
    for hook in NAMES:
        path = sqlite_project.root / ".git/hooks" / hook
        path.write_text(path.read_text().replace("-m chronomig hooks run", "-c 'print(\"chronomig: ran\")'"))
    assert told(git, "switch", "-q", "-c", "new") == ""
    assert told(git, "checkout", "-q", "notes", "--", f"project_migrations/default/{B}.py") == ""
    git("reset", "-q", "--hard")
    sqlite_project.write("shop/text.txt", "")
    git.commit()
    began = time.monotonic()
    assert told(git, "switch", "-q", "main") == ""
    assert time.monotonic() - began < 0.4, "no Python is started"
    assert told(git, "worktree", "add", "-q", str(sqlite_project.root.parent / "linked"), "colour") == ""


def test_the_switch_of_chronomig_is_quiet(sqlite_project: Project, git: Git) -> None:
    sqlite_project.ok("migrate")
    sqlite_project.ok("hooks", "install")
    assert "chronomig:" not in sqlite_project.ok("switch", "notes").err


def test_a_failing_hook_never_blocks_git(sqlite_project: Project, git: Git) -> None:
    sqlite_project.ok("hooks", "install")
    sqlite_project.write("site_settings.py", "raise RuntimeError")
    git("checkout", "-q", "notes")
    assert git("branch", "--show-current") == "notes"


def test_what_somebody_else_put_there_stays(sqlite_project: Project, git: Git) -> None:
    path = sqlite_project.root / ".git/hooks/post-checkout"
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/usr/bin/env bash\nset -e\necho foreign >&2\nexec true\n")
    path.chmod(0o755)
    before = path.read_text()
    sqlite_project.ok("hooks", "install")
    sqlite_project.ok("hooks", "install")
    text = path.read_text()
    assert text.startswith("#!/usr/bin/env bash\n# >>> chronomig: . >>>\n")
    assert text.count(">>> chronomig") == 1
    assert text.endswith("# <<< chronomig: . <<<\nset -e\necho foreign >&2\nexec true\n")
    assert "foreign" in git.both("switch", "-q", "colour")
    sqlite_project.ok("hooks", "uninstall")
    assert path.read_text() == before
    assert path.stat().st_mode & stat.S_IXUSR
    assert not (path.parent / "post-merge").exists()


def test_what_no_shell_reads_is_refused_and_no_hook_is_written(sqlite_project: Project, git: Git) -> None:
    path = sqlite_project.root / ".git/hooks/post-merge"
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/usr/bin/env python3\nprint()\n")
    done = sqlite_project.chronomig("hooks", "install")
    assert done.code == 4
    assert f"{path} is not a shell script; nothing was written." in done.err
    assert not (path.parent / "post-checkout").exists()


def test_the_configured_hooks_directory_is_honoured(sqlite_project: Project, git: Git) -> None:
    git("config", "core.hooksPath", ".husky/_")
    sqlite_project.ok("hooks", "install")
    assert (sqlite_project.root / ".husky/post-checkout").exists(), "husky's own folder is written anew by husky"
    git("config", "core.hooksPath", "tools/hooks")
    sqlite_project.ok("hooks", "install")
    assert (sqlite_project.root / "tools/hooks/post-checkout").exists()
    git("config", "--unset", "core.hooksPath")
    everywhere = sqlite_project.root.parent / "gitconfig"
    everywhere.write_text("[core]\nhooksPath = /somewhere\n")
    done = sqlite_project.chronomig("hooks", "install", env={"GIT_CONFIG_GLOBAL": str(everywhere)})
    assert done.code == 4
    assert "core.hooksPath is set in the global configuration." in done.err


def test_linked_worktrees_use_the_hooks_of_the_repository(sqlite_project: Project, git: Git) -> None:
    linked = sqlite_project.root.parent / "linked"
    git("worktree", "add", "-q", str(linked), "colour")
    there = sqlite_project.ok("hooks", "install", cwd=linked).out
    assert str(sqlite_project.root / ".git/hooks/post-checkout") in there
    assert (linked / f"project_migrations/default/{C}.py").exists()
