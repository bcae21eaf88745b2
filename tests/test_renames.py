"""Files that got another name after a database applied them: recognised by their bytes, never run twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chronomig.history.events import Event, Kind, fold
from chronomig.planning.record import Applied, Direction, HalfDone, Record, Renamed
from chronomig.planning.renames import with_renames
from chronomig.timeline import Entry, Timeline
from tests.conftest import sqlite_settings
from tests.gitting import Git
from tests.projects import Project

A, B, C, D = (f"2026010{day}000000_{letter}" for day, letter in enumerate("abcd", 1))
E = "20260105000000_b"
BOOK = """
("shop", migrations.CreateModel("Book", [
    ("id", models.BigAutoField(primary_key=True)), ("title", models.CharField(max_length=9)),
])),
"""
PAGES = '("shop", migrations.AddField("book", "pages", models.IntegerField(default=0))),'
NOTES = '("shop", migrations.AddField("book", "notes", models.TextField(null=True))),'

# -- names, pure ----------------------------------------------------------------------------------------------------


def files(**contents: str) -> Timeline:
    """Return a timeline of {name: text}."""
    entries = (Entry(name, Path(f"{name}.py"), text.encode()) for name, text in sorted(contents.items()))
    return Timeline("default", Path(), tuple(entries))


def of(name: str, text: str) -> Applied:
    return Applied(name, Entry(name, Path(), text.encode()).sha256)


def test_the_same_bytes_under_a_new_name_are_the_same_migration() -> None:
    record = with_renames(Record((of(A, "a"), of(B, "b"))), files(**{A: "a", C: "c", E: "b"}))
    assert record.names == (A, E)
    assert record.renamed == (Renamed(B, E),)


@pytest.mark.parametrize(
    ("applied", "there"),
    [
        ([of(B, "b")], {B: "b", E: "b"}),
        ([of(B, "b")], {D: "b", E: "b"}),
        ([of(B, "b"), of(C, "b")], {E: "b"}),
        ([of(B, "b"), of(E, "b")], {E: "b"}),
        ([of(B, "b")], {E: "b, edited"}),
        ([Applied(B, "")], {E: ""}),
    ],
    ids=["a copy", "two copies", "applied twice", "known already", "edited too", "no hash"],
)
def test_what_is_not_certain_is_not_called_a_new_name(applied: list[Applied], there: dict[str, str]) -> None:
    record = Record(tuple(applied))
    assert with_renames(record, files(**there)) == record


def test_a_name_that_came_back_is_no_new_name() -> None:
    record = with_renames(Record((of(B, "b"),)), files(**{E: "b"}))
    assert with_renames(record, files(**{B: "b"})) == Record((of(B, "b"),))


def test_what_is_half_done_and_what_was_undone_are_followed_too() -> None:
    half = HalfDone(C, Direction.UP, 1, of(C, "c").sha256)
    record = with_renames(Record((), half, undone=(of(B, "b"),)), files(**{D: "c", E: "b"}))
    assert record.half_done == replace(half, name=D)
    assert [one.name for one in record.undone] == [E]
    assert record.renamed == (Renamed(C, D), Renamed(B, E))


def test_the_event_keeps_the_place_in_the_order_of_application() -> None:
    events = [Event(Kind.APPLIED, name) for name in (A, B, C)]
    record = fold([*events, Event(Kind.SETTLED, ""), Event(Kind.RENAMED, E, detail=B)])
    assert (record.names, record.settled) == ((A, E, C), True)


# -- as a user ------------------------------------------------------------------------------------------------------


def rename(project: Project, was: str, name: str) -> None:
    folder = project.root / "project_migrations/default"
    (folder / f"{was}.py").rename(folder / f"{name}.py")


def events(project: Project) -> list[tuple[str, str]]:
    (one,) = project.ok("history", "--json").json["databases"]
    left_out = ("started", "progress", "settled")
    return [(event["event"], event["name"]) for event in one["events"] if event["event"] not in left_out]


@pytest.fixture
def colleague(project: Project) -> tuple[Project, Git]:
    """Somebody who tried the branch ``work`` before it was restamped; their settings are no part of it."""
    git = Git.init(project.root)
    project.write(".gitignore", "__pycache__/\n*.sqlite3*\n.snapshots/\nsite_settings.py\nmanage.py\n")
    project.migration(A, BOOK)
    git.commit("books")
    git("switch", "-qc", "work")
    project.migration(B, NOTES)
    git.commit("notes")
    project.ok("migrate")
    project.rows("INSERT INTO shop_book (title, notes) VALUES ('Emma', 'read')")
    return project, git


def test_a_database_elsewhere_recognises_what_was_restamped_and_runs_nothing_twice(
    colleague: tuple[Project, Git], tmp_path: Path
) -> None:
    theirs, git = colleague
    ours = Project(tmp_path / "ours", {"default": sqlite_settings(tmp_path, "ours")})
    mine = Git.init(ours.root)
    mine("remote", "add", "origin", str(theirs.root))
    mine("fetch", "-q")
    (ours.root / "shop/__init__.py").unlink()
    mine("switch", "-q", "main")
    ours.migration(C, PAGES)
    mine.commit("pages")
    mine("switch", "-q", "work")
    ours.ok("restamp", "--base", "main")
    name = ours.files()[-1]
    mine.commit("restamped")
    mine("merge", "-q", "-m", "main", "main")
    git("pull", "-q", "--no-rebase", str(ours.root), "work")

    assert theirs.states() == {A: "applied", C: "pending", name: "applied"}
    assert f"the history calls it {B} until the next migrate" in theirs.ok("status").out
    planned = theirs.ok("plan").out
    assert f"rename {B} -> {name}  (in the history: its file has another name now)" in planned
    assert f"up     {C}" in planned
    (one,) = theirs.ok("plan", "--json").json["databases"]
    assert one["renamed"] == [{"was": B, "name": name}]
    done = theirs.ok("migrate").out
    assert f"renamed   {B} -> {name}" in done
    assert theirs.applied() == [A, C, name]
    assert theirs.rows("SELECT title, notes, pages FROM shop_book") == [["Emma", "read", "0"]]
    assert events(theirs) == [("applied", A), ("applied", B), ("renamed", name), ("applied", C)]
    assert f"was {B}" in theirs.ok("history").out
    assert "nothing to do" in theirs.ok("migrate").out
    theirs.ok("migrate", "--to", "zero", "--yes")
    assert "shop_book" not in theirs.tables()


def test_a_new_name_alone_is_written_down_without_a_run(colleague: tuple[Project, Git]) -> None:
    theirs, _ = colleague
    rename(theirs, B, E)
    assert theirs.chronomig("migrate", "--check").code == 3
    assert f"renamed   {B} -> {E}" in theirs.ok("migrate").out
    assert theirs.chronomig("migrate", "--check").code == 0
    rename(theirs, E, B)
    theirs.ok("migrate")
    assert events(theirs)[-2:] == [("renamed", E), ("renamed", B)]


def test_the_order_gate_goes_by_the_new_name(colleague: tuple[Project, Git]) -> None:
    theirs, _ = colleague
    rename(theirs, B, E)
    theirs.migration(C, '("shop", migrations.DeleteModel("book")),')
    refused = theirs.chronomig("migrate")
    assert refused.code == 4
    assert f"{C} is pending, but older than {E}, which is applied" in refused.err


def test_what_was_undone_and_restamped_gets_its_rows_back(colleague: tuple[Project, Git]) -> None:
    theirs, _ = colleague
    assert "stashed   shop_book.notes: 1 row" in theirs.ok("migrate", "--before", B).out
    rename(theirs, B, E)
    assert "restored  shop_book.notes: 1 row" in theirs.ok("migrate").out
    assert theirs.rows("SELECT notes FROM shop_book") == [["read"]]


def test_what_is_half_done_goes_on_under_its_new_name(project: Project) -> None:
    project.migration(A, BOOK)
    project.migration(
        B, NOTES + '("shop", migrations.RunPython(needs_a_book, migrations.RunPython.noop)),',
        head="def needs_a_book(apps, editor):\n    assert apps.get_model('shop', 'Book').objects.exists()",
        body="atomic = False",
    )  # fmt: skip
    assert project.chronomig("migrate").code == 1
    assert project.states()[B] == "half done"
    project.rows("INSERT INTO shop_book (title) VALUES ('Emma')")
    rename(project, B, E)
    assert project.states() == {A: "applied", E: "half done"}
    project.ok("migrate")
    assert project.states() == {A: "applied", E: "applied"}


@pytest.mark.parametrize("command", [["switch", "restamped"], ["migrate", "--to", "ref:restamped"]])
def test_another_branch_that_has_it_under_another_name_undoes_nothing(
    colleague: tuple[Project, Git], command: list[str]
) -> None:
    theirs, git = colleague
    git("switch", "-qc", "restamped")
    rename(theirs, B, E)
    theirs.migration(D, PAGES)
    git.commit("restamped")
    git("switch", "-q", "work")
    done = theirs.ok(*command).out
    assert "reverted" not in done
    assert f"renamed   {B} -> {E}" in done
    assert theirs.rows("SELECT notes, pages FROM shop_book") == [["read", "0"]]
    git("switch", "-q", "restamped")
    assert theirs.applied() == [A, D, E]
