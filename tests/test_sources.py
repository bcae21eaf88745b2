"""Where the code of applied migrations is found again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from chronomig.code.sources import Shelf, Source
from chronomig.code.vault import Vault
from chronomig.git.repo import blob_id
from chronomig.git.trees import Trees
from chronomig.planning.record import Applied
from chronomig.timeline import Entry, Timeline
from tests.gitting import Git
from tests.projects import Project
from tests.test_refs import COLOUR, NOTES, A, B, C, columns, in_git

NAME = "20260101000000_items"
CODE = b"class Migration:\n    operations = []\n"


def applied(content: bytes, name: str = NAME, *, blob: bool = True) -> Applied:
    """Return what the history says of *content* when it was applied."""
    return Applied(name, hashlib.sha256(content).hexdigest(), blob=blob_id(content, "sha1") if blob else "")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    made = Git.init(tmp_path / "repo")
    (made.root / "project_migrations/default").mkdir(parents=True)
    made.commit("empty")
    return made


@pytest.fixture
def shelf(git: Git) -> Shelf:
    return Shelf(Trees(git.root, "project_migrations"))


def put(git: Git, content: bytes, path: str = f"project_migrations/default/{NAME}.py") -> str:
    (git.root / path).parent.mkdir(parents=True, exist_ok=True)
    (git.root / path).write_bytes(content)
    return git.commit()


def forget_everything(git: Git) -> None:
    """Go back to an empty tree, and let no reflog reach what was there."""
    git("switch", "-q", "--orphan", "fresh")
    git.commit("fresh")
    git("branch", "-q", "-D", "main")
    git("reflog", "expire", "--expire=all", "--expire-unreachable=all", "--all")


def find(shelf: Shelf, one: Applied, *files: Entry) -> tuple[Source, bytes] | None:
    found = shelf.find([one], Timeline("default", shelf.trees.root, files)).get(one.name)
    return (found.source, found.entry.source) if found else None


def test_the_file_of_the_working_tree_comes_first(git: Git, shelf: Shelf) -> None:
    put(git, CODE)
    file = Entry(NAME, git.root / f"project_migrations/default/{NAME}.py")
    assert find(shelf, applied(CODE), file) == (Source.WORKING_TREE, CODE)


def test_an_edited_file_is_passed_over_for_the_bytes_that_were_applied(git: Git, shelf: Shelf) -> None:
    put(git, CODE)
    put(git, CODE + b"# edited\n")
    file = Entry(NAME, git.root / f"project_migrations/default/{NAME}.py")
    assert find(shelf, applied(CODE), file) == (Source.GIT, CODE)


def test_git_has_the_bytes_when_no_branch_reaches_them_any_more(git: Git, shelf: Shelf) -> None:
    put(git, CODE)
    forget_everything(git)
    assert find(shelf, applied(CODE)) == (Source.GIT, CODE)


def test_the_vault_has_them_when_git_threw_them_away(git: Git, shelf: Shelf) -> None:
    put(git, CODE)
    file = Entry(NAME, git.root / f"project_migrations/default/{NAME}.py")
    assert shelf.keep([file]) == ""
    forget_everything(git)
    git("gc", "-q", "--prune=now")
    assert find(shelf, applied(CODE)) == (Source.VAULT, CODE)
    (git.root / ".git/chronomig" / f"{file.sha256}.py").write_bytes(CODE + b"import os\n")
    assert find(shelf, applied(CODE)) is None


def test_what_was_recorded_without_an_id_is_found_by_its_name_in_any_commit(git: Git, shelf: Shelf) -> None:
    put(git, b"class Migration:\n    '''an earlier version'''\n", f"old/place/{NAME}.py")
    put(git, CODE, f"old/place/{NAME}.py")
    put(git, b"class Migration:\n    '''a later version'''\n", f"old/place/{NAME}.py")
    git("switch", "-qc", "other", "HEAD~3")
    git("branch", "-q", "-D", "main")
    assert find(shelf, applied(CODE, blob=False)) == (Source.GIT, CODE)


def test_a_merge_that_resolved_a_conflict_is_searched_too(git: Git, shelf: Shelf) -> None:
    git("switch", "-qc", "topic")
    put(git, b"class Migration:\n    '''topic'''\n")
    git("switch", "-q", "main")
    put(git, b"class Migration:\n    '''main'''\n")
    git("merge", "-q", "topic", code=1)
    put(git, CODE)
    put(git, b"class Migration:\n    '''later'''\n")
    assert find(shelf, applied(CODE, blob=False)) == (Source.GIT, CODE)


def test_a_row_cannot_make_code_of_what_git_and_the_vault_do_not_hold(git: Git, shelf: Shelf) -> None:
    put(git, CODE)
    stored = put(git, b"import os\nos.system('true')\n", "tools/clean.py")
    blob = git("rev-parse", f"{stored}:tools/clean.py")
    evil = b"class Migration:\n    evil = True\n"
    assert find(shelf, applied(evil)) is None
    assert find(shelf, Applied(NAME, applied(evil).sha256, blob=applied(CODE).blob)) is None, "other bytes"
    script = (git.root / "tools/clean.py").read_bytes()
    assert find(shelf, Applied(NAME, hashlib.sha256(script).hexdigest(), blob=blob)) is None, "no migration"


@pytest.mark.parametrize(
    "one",
    [
        Applied("../../../etc/passwd", applied(CODE).sha256, blob=applied(CODE).blob),
        Applied(f"{NAME}\n", applied(CODE).sha256, blob=applied(CODE).blob),
        Applied(NAME, "../" * 30, blob=applied(CODE).blob),
        Applied(NAME, "", blob=applied(CODE).blob),
        Applied(NAME, applied(b"nothing").sha256, blob="--batch-all-objects"),
        Applied(NAME, applied(b"nothing").sha256, blob=f"HEAD\n{applied(CODE).blob}"),
    ],
)
def test_a_row_with_odd_values_finds_nothing(git: Git, shelf: Shelf, one: Applied) -> None:
    put(git, CODE)
    assert find(shelf, one) is None


def test_linked_worktrees_share_one_vault(git: Git, shelf: Shelf, tmp_path: Path) -> None:
    put(git, CODE)
    shelf.keep([Entry(NAME, git.root / f"project_migrations/default/{NAME}.py")])
    git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked", "HEAD~1")
    linked = Shelf(Trees(tmp_path / "linked", "project_migrations"))
    assert linked.vault is not None
    assert linked.vault.get(applied(CODE).sha256) == CODE
    assert linked.head().branch == "linked"


def test_a_vault_that_cannot_be_written_is_said_and_stops_nobody(git: Git, shelf: Shelf) -> None:
    put(git, CODE)
    (git.root / ".git/chronomig").write_text("in the way")
    told = shelf.keep([Entry(NAME, git.root / f"project_migrations/default/{NAME}.py")])
    assert told.startswith("No copies of the migrations are kept in the vault: ")


def test_a_vault_keeps_a_file_whole_or_not_at_all(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    entry = Entry(NAME, tmp_path / "x.py", CODE)
    vault.keep([entry, entry])
    vault.keep([entry])
    assert [path.name for path in vault.directory.iterdir()] == [f"{entry.sha256}.py"]
    assert vault.get(entry.sha256) == CODE
    assert vault.get("../x") is vault.get("0" * 64) is None


# -- through the command line ---------------------------------------------------------------------------------------


def test_a_migration_of_another_branch_is_undone_with_the_code_that_git_has(project: Project) -> None:
    git = in_git(project)
    git("switch", "-q", "notes")
    project.ok("migrate")
    commit = git("rev-parse", "HEAD")
    git("switch", "-q", "main")
    status = project.ok("status").out
    assert f"code: git, came with notes {commit[:12]}" in status
    assert f"down   {B}  (code: git)" in project.ok("plan", "--to", "HEAD").out
    project.ok("migrate", "--to", "HEAD", "--yes")
    assert columns(project) == ["id"]
    events = project.ok("history", "--json").json["databases"][0]["events"]
    up = next(event for event in events if event["name"] == B and event["event"] == "applied")
    assert (up["branch"], up["commit"]) == ("notes", commit)
    assert up["blob"] == git("rev-parse", f"{commit}:project_migrations/default/{B}.py")


def test_after_a_forced_push_and_gc_an_uncommitted_version_is_undone_from_the_vault(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    sqlite_project.migration(B, NOTES)
    sqlite_project.ok("migrate")
    (sqlite_project.root / f"project_migrations/default/{B}.py").unlink()
    git("branch", "-q", "-D", "notes", "colour")
    git("reflog", "expire", "--expire=all", "--expire-unreachable=all", "--all")
    git("gc", "-q", "--prune=now")
    (one,) = (line for line in sqlite_project.ok("status", "--json").json["databases"][0]["migrations"] if line["name"] == B)  # fmt: skip
    assert (one["state"], one["code"], one["branch"]) == ("future", "vault", "main")
    sqlite_project.ok("migrate", "--to", "HEAD", "--yes")
    assert columns(sqlite_project) == ["id"]


def test_what_another_branch_applied_counts_in_the_state(sqlite_project: Project) -> None:
    """Without the code of the ghost, the new column of its table could not be known."""
    git = in_git(sqlite_project)
    git("switch", "-q", "notes")
    sqlite_project.ok("migrate")
    git("switch", "-q", "colour")
    sqlite_project.ok("migrate")
    assert columns(sqlite_project) == ["id", "notes", "colour"], "SQLite makes the table anew from the state"


def test_code_that_is_nowhere_is_named_with_what_it_came_with(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    sqlite_project.migration(B, NOTES)
    sqlite_project.ok("migrate")
    (sqlite_project.root / f"project_migrations/default/{B}.py").unlink()
    for kept in (sqlite_project.root / ".git/chronomig").iterdir():
        kept.unlink()
    git("branch", "-q", "-D", "notes")
    git("reflog", "expire", "--expire=all", "--expire-unreachable=all", "--all")
    git("gc", "-q", "--prune=now")
    assert "code: nowhere, came with main" in sqlite_project.ok("status").out
    done = sqlite_project.chronomig("migrate", "--to", A, "--yes")
    assert done.code == 4
    assert f"{B}: it is applied, but has no file; it came with main {git('rev-parse', 'HEAD')[:12]}" in done.err
    assert "Neither the working tree, nor git, nor the vault has the bytes that were applied." in done.err
    assert sqlite_project.chronomig("migrate").code == 0


def test_a_row_made_by_hand_runs_no_code(sqlite_project: Project) -> None:
    git = in_git(sqlite_project)
    sqlite_project.ok("migrate")
    marker = sqlite_project.root.parent / "ran"
    evil = f"open({str(marker)!r}, 'w').close()\n\n\nclass Migration:\n    operations = []\n"
    sqlite_project.rows(
        "INSERT INTO chronomig_history (set_name, name, kind, direction, sha256, app_label, upstream_name, detail, at, "
        f"\"by\", version, blob) VALUES ('default', '{C}', 'applied', 'up', '{hashlib.sha256(evil.encode()).hexdigest()}', "
        f"'', '', '{evil.replace(chr(39), chr(34))}', '2026-01-01T00:00:00.000000Z', 'x', 'x', '{blob_id(evil.encode(), 'sha1')}')"
    )
    assert "code: nowhere" in sqlite_project.ok("status").out
    sqlite_project.ok("migrate")
    assert sqlite_project.chronomig("migrate", "--to", A, "--yes").code == 4
    assert sqlite_project.chronomig("migrate", "--to", "colour", "--yes").code == 0
    assert not marker.exists()
    assert git("status", "--porcelain") == ""


def test_an_older_history_is_read_as_it_is_and_gets_the_new_columns_at_the_first_write(project: Project) -> None:
    git = in_git(project)
    git("switch", "-q", "notes")
    project.ok("migrate")
    project.python(
        """
        from django.db import connection
        quote = connection.ops.quote_name
        for column in ("branch", "commit", "blob"):
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE chronomig_history DROP COLUMN {quote(column)}")
        result = None
        """
    )
    git("switch", "-q", "main")
    assert "code: vault" in project.ok("status").out
    project.ok("plan")
    with_old = project.ok("history", "--json").json["databases"][0]["events"]
    assert {event["commit"] for event in with_old} == {None}
    project.migration("20260104000000_more", COLOUR)
    project.ok("migrate", "--order", "apply")
    events = project.ok("history", "--json").json["databases"][0]["events"]
    assert [event["branch"] for event in events] == [None] * len(with_old) + ["main"] * (len(events) - len(with_old))
    project.ok("migrate", "--to", "zero", "--yes")
    assert columns(project) == []
