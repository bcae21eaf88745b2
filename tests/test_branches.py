"""``chronomig check`` and ``chronomig restamp`` in real repositories, with branches merged every way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.gitting import Git
from tests.projects import Project

A, B, C, D = (f"2026010{day}000000_{letter}" for day, letter in enumerate("abcd", 1))
BOOK = """
("shop", migrations.CreateModel("Book", [
    ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
    ("title", models.CharField(max_length=9)),
])),
"""
WIDEN = '("shop", migrations.AlterField("book", "title", models.CharField(max_length=20))),'
RENAME = '("shop", migrations.RenameField("book", "title", "name")),'
PAGES = '("shop", migrations.AddField("book", "pages", models.IntegerField(default=0))),'
MODELS = """
class Book(models.Model):
    title = models.CharField(max_length={length})
"""


class Repository:
    """A project with A on main, and a branch ``work`` that is out."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.git = Git.init(project.root)
        project.configure(base=("chronomig",))
        project.write(".gitignore", "__pycache__/\n*.sqlite3*\n.snapshots/\n")
        self.models(9)
        project.migration(A, BOOK)
        self.git.commit("books")
        self.git("branch", "work")

    def models(self, length: int = 9, *, field: str = "title", more: str = "") -> None:
        """Write the model as the migrations have it."""
        text = MODELS.format(length=length).replace("title", field)
        self.project.models(text + (f"    {more}\n" if more else ""))

    def on(self, branch: str, name: str, operations: str) -> None:
        """Commit a migration to *branch*; the branch is out afterwards."""
        self.git("switch", "-q", branch)
        self.project.migration(name, operations)
        self.git.commit(name)

    def findings(self, *options: str) -> list[tuple[str, str]]:
        """Return (check, name) of all that is found; the models, which these tests do not keep in step, left out."""
        done = self.project.chronomig("check", "--base", "main", "--json", *options)
        found = [(one["check"], one["name"]) for one in done.json["findings"]]
        assert done.code == (3 if found else 0), done
        return [one for one in found if one[0] != "models"]


@pytest.fixture
def repository(sqlite_project: Project) -> Repository:
    return Repository(sqlite_project)


def test_what_clashes_with_what_the_base_got_since_is_found_with_both_operations(repository: Repository) -> None:
    repository.on("main", C, RENAME)
    repository.on("work", B, WIDEN)
    done = repository.project.chronomig("check", "--base", "main")
    assert done.code == 3
    lines = [line.strip() for line in done.out.splitlines()]
    assert f"clash: project_migrations/default/{B}.py: {B} clashes with {C}." in lines
    assert "both have to do with the field shop.book.title" in lines
    commit = repository.git("rev-parse", "main")[:10]
    theirs = f"{C}  shop: Rename field title on book to name  (project_migrations/default/{C}.py, A Person, {commit})"
    assert theirs in lines  # its author is known, though the file is not here
    assert "-> Merge the base into the branch, look at both, then: chronomig restamp" in lines


@pytest.mark.parametrize(("ours", "theirs"), [(B, C), (C, B)])
def test_branches_that_have_nothing_to_do_with_each_other_pass_whichever_is_older(
    repository: Repository, ours: str, theirs: str
) -> None:
    repository.on("main", theirs, PAGES)
    repository.on("work", ours, WIDEN)
    assert repository.findings() == []


def test_a_newer_stamp_does_not_hide_a_clash(repository: Repository) -> None:
    repository.on("main", B, RENAME)
    repository.on("work", C, WIDEN)
    assert repository.findings() == [("clash", C)]


def test_the_merge_that_a_forge_checks_out_is_looked_through(repository: Repository) -> None:
    repository.on("main", B, RENAME)
    repository.on("work", C, WIDEN)
    repository.git("switch", "-qd", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "merge request", "work")
    assert repository.findings() == [("clash", C)]
    repository.git("branch", "request")
    repository.on("main", D, PAGES)  # meanwhile somebody else's is merged
    repository.git("switch", "-q", "request")
    assert repository.findings() == [("clash", C)]


@pytest.mark.parametrize("way", ["merge", "rebase"])
def test_a_branch_that_took_the_base_in_has_seen_it_and_only_what_is_older_clashes(
    repository: Repository, way: str
) -> None:
    repository.on("main", C, RENAME)
    repository.on("work", B, WIDEN)
    repository.on("work", D, WIDEN.replace("title", "name"))
    repository.git(way, "-q", *(["-m", "main"] if way == "merge" else []), "main")
    assert repository.findings() == [("clash", B)]


def test_what_was_squashed_or_picked_into_the_base_is_no_longer_the_branchs_own(repository: Repository) -> None:
    repository.on("work", B, WIDEN)
    repository.on("work", C, PAGES)
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--squash", "work~1")
    repository.git.commit("squashed")
    repository.git("cherry-pick", "work")
    repository.on("main", D, RENAME)
    repository.git("switch", "-q", "work")
    assert repository.findings() == []


def merge_base_into_branch(git: Git) -> None:
    git("switch", "-q", "work")
    git("merge", "-q", "-m", "main", "main")


def merge_branch_into_base(git: Git) -> None:
    git("switch", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "work", "work")


def rebase_branch(git: Git) -> None:
    git("switch", "-q", "work")
    git("rebase", "-q", "main")


def squash_branch_into_base(git: Git) -> None:
    git("switch", "-q", "main")
    git("merge", "-q", "--squash", "work")
    git.commit("squashed")


def pick_into_base(git: Git) -> None:
    git("switch", "-q", "main")
    git("cherry-pick", "work")


JOINED = [merge_base_into_branch, merge_branch_into_base, rebase_branch, squash_branch_into_base, pick_into_base]


@pytest.mark.parametrize("join", JOINED)
def test_however_branches_are_joined_what_commutes_runs_where_it_stands(
    project: Project, join: Callable[[Git], None]
) -> None:
    repository = Repository(project)
    repository.on("main", C, PAGES)
    project.ok("migrate")
    repository.on("work", B, WIDEN)
    join(repository.git)
    assert project.states() == {A: "applied", B: "pending", C: "applied"}
    project.ok("migrate")
    assert project.applied() == [A, B, C]
    columns = {name: kind for name, kind, *_ in project.schema()["shop_book"]["columns"]}
    assert columns.keys() == {"id", "title", "pages"}
    assert "20" in columns["title"]


@pytest.mark.parametrize("join", JOINED)
def test_however_branches_are_joined_a_clash_is_refused_with_the_ways_out(
    project: Project, join: Callable[[Git], None]
) -> None:
    repository = Repository(project)
    repository.on("main", C, RENAME)
    project.ok("migrate")
    repository.on("work", B, WIDEN)
    join(repository.git)
    refused = project.chronomig("migrate")
    assert refused.code == 4
    shown = [line.strip() for line in refused.err.splitlines()]
    assert shown[0] == "Error: 1 migration is out of order; nothing was run."
    assert shown[1] == f"{B} is pending, but older than {C}, which is applied"
    assert shown[2].startswith(
        f"{B}  shop: Alter field title on book  (project_migrations/default/{B}.py, A Person, "
    )
    assert shown[3].startswith(f"{C}  shop: Rename field title on book to name  (project_migrations/default/{C}.py, A Person, ")  # fmt: skip
    assert shown[4] == "both have to do with the field shop.book.title"
    assert [line.split("  #")[0].strip() for line in shown[5:]] == [
        "-> chronomig migrate --order apply",
        "chronomig migrate --order rewind",
        f"chronomig restamp {B}",
    ]
    project.ok("migrate", "--order", "rewind", "--yes")
    assert project.applied() == [A, B, C]


def test_what_was_edited_or_taken_away_after_it_landed_is_found(repository: Repository) -> None:
    repository.on("main", B, PAGES)
    repository.on("main", C, RENAME)
    repository.git("switch", "-q", "work")
    repository.git("merge", "-q", "--ff-only", "main")
    path = repository.project.migration(B, PAGES + "  # later")
    (path.parent / f"{C}.py").unlink()
    assert repository.findings() == [("edited", B), ("gone", C)]
    repository.git("checkout", "-q", ".")
    assert repository.findings() == []


def test_an_edit_of_the_base_itself_is_not_the_branchs(repository: Repository) -> None:
    repository.on("main", A, BOOK + "# mended\n")
    repository.git("switch", "-q", "work")
    assert repository.findings() == []


def test_equal_and_future_stamps_and_broken_files_are_found(repository: Repository) -> None:
    repository.on("main", B, PAGES)
    repository.git("switch", "-q", "work")
    repository.git("merge", "-q", "--ff-only", "main")
    twin = B.replace("_b", "_twin")
    repository.project.migration(twin, "")
    soon = f"{datetime.now(UTC) + timedelta(hours=20):%Y%m%d%H%M%S}_soon"
    repository.project.migration(soon, "", head="x = (")
    assert repository.findings() == [("same-stamp", twin), ("future-stamp", soon), ("unloadable", soon)]


def test_what_stands_behind_a_future_stamp_of_the_base_has_to_have_one(repository: Repository) -> None:
    base, ours = (f"{datetime.now(UTC) + timedelta(hours=hours):%Y%m%d%H%M%S}_ahead" for hours in (3, 4))
    repository.on("main", base, PAGES)
    repository.on("work", ours, "")
    assert repository.findings() == [("future-stamp", ours)]
    repository.project.ok("restamp", ours, "--base", "main")
    assert repository.project.files()[-1][:14] > base[:14]
    assert repository.findings() == []


def test_models_that_differ_from_the_files_are_found_without_a_base_too(repository: Repository) -> None:
    done = repository.project.ok("check")
    assert "0 findings, against no base (name one with --base)" in done.out
    repository.models(12)
    done = repository.project.chronomig("check")
    assert done.code == 3
    assert "The models of the set 'default' differ from its migrations." in done.out
    assert "    ~ Alter field title on book" in done.out


def test_github_gets_annotations(repository: Repository) -> None:
    repository.on("main", C, RENAME)
    repository.on("work", B, WIDEN)
    done = repository.project.chronomig("check", "--base", "main", "--format", "github")
    (line,) = [line for line in done.out.splitlines() if "title=chronomig clash" in line]
    assert line.startswith(f"::error file=project_migrations/default/{B}.py,title=chronomig clash::{B} clashes with")
    assert "%0Aboth have to do with the field shop.book.title%0A" in line


def test_annotations_stand_at_files_of_the_repository_wherever_the_project_lies_in_it(
    sqlite_project: Project,
) -> None:
    git = Git.init(sqlite_project.root.parent)
    sqlite_project.migration(A, BOOK)
    git.commit()
    sqlite_project.migration(B, "", head="x = (")
    done = sqlite_project.chronomig("check", "--base", "main", "--format", "github")
    assert done.out.startswith(f"::error file=site/project_migrations/default/{B}.py,title=chronomig unloadable::")


def test_the_policy_fail_lets_nothing_older_in(repository: Repository) -> None:
    repository.on("main", C, PAGES)
    repository.on("work", B, WIDEN)
    repository.project.configure(
        base=("chronomig",), extra="CHRONOMIG = {'sets': {'default': {'databases': ['default'], 'order': 'fail'}}}"
    )
    assert repository.findings() == [("order", B)]


@pytest.mark.parametrize("ref", ["nowhere", "--evil"])
def test_a_base_that_git_does_not_know_is_a_usage_error(repository: Repository, ref: str) -> None:
    done = repository.project.chronomig("check", f"--base={ref}")
    assert done.code == 2
    assert f"{ref!r}" in done.err
    assert "-> Name a branch, a tag or a commit that this clone has." in done.err


def test_a_clone_without_the_common_commit_says_what_to_fetch(repository: Repository, tmp_path: Path) -> None:
    repository.on("main", B, PAGES)
    repository.on("work", C, WIDEN)
    repository.git("clone", "-q", "--depth", "1", "--no-single-branch", repository.project.root.as_uri(), str(tmp_path / "clone"))  # fmt: skip
    done = repository.project.chronomig("check", "--base", "origin/main", cwd=tmp_path / "clone")
    assert done.code == 1
    assert "have no commit in common in this clone." in done.err
    assert "git fetch --unshallow, or fetch-depth: 0" in done.err


# -- restamp --------------------------------------------------------------------------------------------------------


def test_restamping_moves_what_only_the_branch_has_behind_the_base_and_keeps_its_order(
    repository: Repository,
) -> None:
    repository.on("main", C, PAGES)
    repository.on("work", B, WIDEN)
    repository.on("work", D, RENAME)
    assert "would rename" in repository.project.ok("restamp", "--base", "main", "--dry-run").out
    assert repository.project.files() == [A, B, D]
    repository.project.ok("restamp", "--base", "main")
    first, b, d = repository.project.files()
    assert (first, b[15:], d[15:]) == (A, "b", "d")
    assert C < b < d
    assert int(d[:14]) - int(b[:14]) in (1, 41, 4041)  # the next second
    shown = repository.git("status", "--short")
    assert f"R  project_migrations/default/{B}.py -> project_migrations/default/{b}.py" in shown
    repository.git.commit("restamped")
    repository.git("merge", "-q", "-m", "main", "main")
    assert repository.findings() == []
    assert "nothing to restamp" in repository.project.ok("restamp", "--base", "main").out
    repository.project.ok("migrate")
    assert repository.project.applied() == [A, C, b, d]


def test_what_a_database_or_the_base_has_keeps_its_stamp(repository: Repository) -> None:
    repository.on("main", C, PAGES)
    repository.on("work", B, WIDEN)
    repository.project.ok("migrate")
    done = repository.project.chronomig("restamp", "--base", "main")
    assert done.code == 4
    assert f"{B} in the database 'default'" in done.err
    assert f"-> Undo them first: chronomig migrate --before {B}" in done.err
    done = repository.project.chronomig("restamp", A, "--base", "main")
    assert done.code == 4
    assert "1 migration is on the base; nothing was renamed." in done.err
    assert repository.project.files() == [A, B]


def test_when_one_file_cannot_be_renamed_all_keep_their_names(repository: Repository) -> None:
    repository.on("main", C, PAGES)
    repository.on("work", B, WIDEN)
    repository.project.migration(D, RENAME)  # not committed: renamed first, and without git
    lock = repository.project.write(".git/index.lock", "")
    done = repository.project.chronomig("restamp", "--base", "main")
    assert done.code == 1
    assert f"{B}.py could not be renamed; all files have the names that they had." in done.err
    assert "index.lock" in done.err
    assert "-> Mend that, then run the command again." in done.err
    assert repository.project.files() == [A, B, D]
    lock.unlink()
    repository.project.ok("restamp", "--base", "main")
    assert repository.project.files()[1][15:] == "b"


def test_outside_of_a_repository_names_are_needed(sqlite_project: Project) -> None:
    sqlite_project.migration(A, BOOK)
    sqlite_project.migration(B, WIDEN)
    done = sqlite_project.chronomig("restamp")
    assert done.code == 2
    assert "Without a base nobody knows which migrations are this branch's." in done.err
    assert sqlite_project.chronomig("restamp", "20260109000000_x").code == 2
    sqlite_project.ok("restamp", A)
    assert [name[15:] for name in sqlite_project.files()] == ["b", "a"]


def test_a_branch_without_a_commit_has_nothing_in_common_with_a_base(repository: Repository) -> None:
    repository.git("checkout", "-q", "--orphan", "new")
    for command in ("check", "restamp", "prove"):
        done = repository.project.chronomig(command, "--base", "main")
        assert done.code == 1
        assert done.err.splitlines() == [
            "Error: This branch has no commit yet.",
            "  So nobody knows what it has in common with main.",
            "  -> Commit, or switch to a branch that has a commit; then run the command again.",
        ]
    assert "against no base" in repository.project.ok("check").out
