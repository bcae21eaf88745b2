"""Git's hooks say when the databases and the tree differ, and ask what to do."""

from __future__ import annotations

import os
import pty
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from chronomig.output.asking import agrees
from tests.gitting import IDENTITY, Git
from tests.projects import Project
from tests.test_refs import B, C, columns, in_git

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
    before = os.times()
    assert told(git, "switch", "-q", "main") == ""
    spent = sum(os.times()[2:4]) - sum(before[2:4])  # of git and the hook alone, whatever else runs on the machine
    assert spent < 0.4, "no Python is started"
    assert told(git, "worktree", "add", "-q", str(sqlite_project.root.parent / "linked"), "colour") == ""


def test_the_switch_of_chronomig_is_quiet(sqlite_project: Project, git: Git) -> None:
    sqlite_project.ok("migrate")
    sqlite_project.ok("hooks", "install")
    assert "chronomig:" not in sqlite_project.ok("switch", "notes").err


def at_a_terminal(git: Git, *command: str, typed: str = "", env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command as a person does who answers at each prompt; return (exit code, what was shown)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(git.root)
        os.execvpe(command[0], command, {**kept, **IDENTITY, "TERM": "dumb", **(env or {})})
    screen = b""
    with suppress(OSError):  # what Linux says when the other side is closed
        while chunk := os.read(terminal, 4096):
            screen += chunk
            if screen.endswith(b"[y/N] "):
                os.write(terminal, f"{typed}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), screen.decode().replace("\r", "")


OFFER = "chronomig: Roll back 1 and apply 1 now? [y/N] "


def test_at_a_terminal_the_hook_offers_to_roll_back_and_apply(sqlite_project: Project, git: Git) -> None:
    git("switch", "-q", "notes")
    sqlite_project.ok("migrate")
    sqlite_project.ok("hooks", "install")
    code, screen = at_a_terminal(git, "git", "switch", "-q", "colour", typed="n")
    assert (code, OFFER in screen) == (0, True)
    assert columns(sqlite_project) == ["id", "notes"]
    git("switch", "-q", "notes")
    code, screen = at_a_terminal(git, "git", "switch", "-q", "colour", typed="y")
    assert (code, OFFER in screen) == (0, True)
    assert columns(sqlite_project) == ["id", "colour"]
    assert at_a_terminal(git, "git", "switch", "-q", "main", typed="y")[1].count("Roll back 1 now? [y/N]") == 1
    assert columns(sqlite_project) == ["id"]


def test_what_asks_where_nobody_answers_would_stop_git(sqlite_project: Project, git: Git) -> None:
    """Without a terminal, in the background, with stderr elsewhere, and where the configuration says so."""
    git("switch", "-q", "notes")
    sqlite_project.ok("migrate")
    sqlite_project.ok("hooks", "install")
    background = ("bash", "-mc", "git switch -q colour & wait")
    elsewhere = ("bash", "-c", "git switch -q colour 2> ../told; cat ../told")
    for command in (background, elsewhere, ("setsid", "--wait", "git", "switch", "-q", "colour")):
        code, screen = at_a_terminal(git, *command)
        assert code == 0
        assert "1 migration is applied, but not in the tree." in screen
        assert "[y/N]" not in screen
        git("switch", "-q", "notes")
    sqlite_project.configure(extra="CHRONOMIG = {'hooks_ask': False}")
    code, screen = at_a_terminal(git, "git", "switch", "-q", "colour")
    assert ("1 migration pending." in screen, "[y/N]" in screen) == (True, False)
    assert columns(sqlite_project) == ["id", "notes"]


def test_a_question_that_nobody_answers_is_answered_with_no() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, encoding="utf-8") as silent, os.fdopen(writer, "w", encoding="utf-8"):
        began = time.monotonic()
        assert not agrees(silent, "Now?", 0.2)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_server_that_never_answers_does_not_hold_git_up(sqlite_project: Project, git: Git, engine: str) -> None:
    sqlite_project.ok("hooks", "install")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        entry = {"ENGINE": f"django.db.backends.{engine}", "NAME": "x", "USER": "x", "HOST": "127.0.0.1"}
        sqlite_project.databases = {"default": {**entry, "PORT": silent.getsockname()[1]}}
        sqlite_project.configure()
        said = told(git, "switch", "-q", "notes")
    assert said == "chronomig: The databases did not answer within 3 seconds."
    assert git("branch", "--show-current") == "notes"


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
