"""Files that were edited after they were applied, and the verbs that correct the history."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inprocess import set_up_django
from tests.projects import Project

set_up_django()

from chronomig.code.edits import Meaning, compare  # noqa: E402
from chronomig.code.loading import load  # noqa: E402
from chronomig.timeline import Entry  # noqa: E402

A, B = "20260101000000_items", "20260102000000_notes"
BEFORE = '''
from django.core.validators import RegexValidator
from django.db import migrations, models

import chronomig

SIZE = 20


def helper(item):
    return item.n + 1


def fill(apps, editor, step=1):
    for item in apps.get_model("shop", "Item").objects.all():
        item.n = helper(item) + step
        item.save()


class Seeds:
    first = ["a", "b"]


def seed(apps, editor):
    print(Seeds.first, [one for one in Seeds.first if one != "x"])


class Migration(chronomig.Migration):
    operations = [
        ("shop", migrations.AddField("item", "code", models.CharField(max_length=SIZE, validators=[RegexValidator("[a-z]+")]))),
        ("shop", migrations.RunPython(fill, migrations.RunPython.noop)),
        ("shop", migrations.RunPython(seed, lambda apps, editor: None)),
    ]
'''  # fmt: skip
SAME = {
    "a comment": ("SIZE = 20", "SIZE = 20  # characters"),
    "other quotes": ('"shop", "Item"', "'shop', 'Item'"),
    "keywords": ('AddField("item", "code", ', 'AddField(model_name="item", name="code", field='),
    "another import": ("from django.db import migrations, models", "from django.db import migrations\nfrom django.db import models"),
    "a constant in its place": ("max_length=SIZE", "max_length=20"),
    "a name for a lambda's argument that is the same": ("lambda apps, editor: None", "(lambda apps, editor: None)"),
}  # fmt: skip
CHANGED = {
    "a constant": ("SIZE = 20", "SIZE = 21"),
    "code": ("+ step", "- step"),
    "what code calls": ("item.n + 1", "item.n + 2"),
    "a default": ("step=1", "step=2"),
    "what a class holds": ('["a", "b"]', '["a", "c"]'),
    "what a comprehension compares with": ('"x"', '"y"'),
    "a validator": ("[a-z]+", "[a-z]*"),
    "a reverse": ("lambda apps, editor: None", "lambda apps, editor: 1"),
    "atomic": ("    operations = [", "    atomic = False\n    operations = ["),
    "the order": ('("shop", migrations.RunPython(fill', '("shop", migrations.RunSQL("")), ("shop", migrations.RunPython(fill'),
    "a mistake": ("operations = [", "operations = [[["),
}  # fmt: skip


def meaning_of(old: str, new: str) -> Meaning:
    assert old in BEFORE
    texts = BEFORE, BEFORE.replace(old, new)
    was, now = (Entry(B, Path(f"{B}.py"), text.encode()) for text in texts)
    return compare(was, now, lambda entry: load(entry, "default")).meaning


@pytest.mark.parametrize("what", SAME)
def test_another_form_is_told_from(what: str) -> None:
    assert meaning_of(*SAME[what]) is Meaning.SAME


@pytest.mark.parametrize("what", CHANGED)
def test_another_meaning_is_seen_in(what: str) -> None:
    assert meaning_of(*CHANGED[what]) is Meaning.CHANGED


def test_without_what_was_applied_nothing_is_known() -> None:
    now = Entry(B, Path(f"{B}.py"), BEFORE.encode())
    edit = compare(None, now, lambda entry: load(entry, "default"))
    assert (edit.meaning, edit.diff) == (Meaning.UNKNOWN, ())


CREATE = '("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True))])),'
NOTES = '("shop", migrations.AddField("item", "notes", models.TextField(default=""))),'


@pytest.fixture
def two(project: Project) -> Project:
    """Two migrations in a repository, applied; git has lost them, the vault has not."""
    project.migration(A, CREATE)
    project.migration(B, NOTES)
    assert project.run(["git", "init", "-q"]).code == 0
    project.ok("migrate")
    return project


def lines(project: Project) -> dict[str, dict[str, object]]:
    return {one["name"]: one for one in project.ok("status", "--json").json["databases"][0]["migrations"]}


def test_an_edit_is_shown_with_its_diff_and_accepted(two: Project) -> None:
    two.migration(A, CREATE, head="# a comment")
    two.migration(B, NOTES.replace('default=""', 'default="-"'))
    shown = two.ok("status").out
    assert "edited (the same operations), code: vault" in shown
    assert '  | -        ("shop", migrations.AddField' in shown
    assert 'default="-"' in shown
    assert "# a comment" not in shown
    refused = two.chronomig("accept", "--all")
    assert refused.code == 4
    assert "This changes what the history says, and runs nothing; nothing was written." in refused.err
    assert f"default: accept {B} as its file is now (other operations than those that were run)" in refused.err
    assert f"accept {A}" not in refused.err
    assert f"accept {A} as its file is now (the same operations)" in two.ok("accept", "20260101").out
    assert [one["edited"] for one in lines(two).values()] == [False, True]
    two.ok("accept", "--all", "--yes")
    assert [one["edited"] for one in lines(two).values()] == [False, False]
    assert two.ok("accept", B).out == "nothing to do\n"
    assert two.ok("history").out.count("  accepted  ") == 2
    assert "nothing to do" in two.ok("migrate").out
    two.ok("migrate", "--to", "zero", "--yes")
    assert two.applied() == []


def test_check_finds_what_means_something_else_than_a_database_applied(two: Project) -> None:
    def edits() -> list[str]:
        found = two.chronomig("check", "--json").json["findings"]
        return [one["name"] for one in found if one["check"] == "edited"]

    two.migration(A, CREATE, head="# a comment")
    assert edits() == []
    two.migration(B, NOTES.replace('default=""', 'default="-"'))
    assert edits() == [B]
    done = two.chronomig("check")
    assert done.code == 3
    shown = [line.strip() for line in done.out.splitlines()]
    assert (
        f"edited: project_migrations/default/{B}.py: {B} was edited since the database 'default' applied it." in shown
    )
    assert any(line.startswith("| -") and 'default=""' in line for line in shown)
    assert any(line.startswith("| +") and 'default="-"' in line for line in shown)
    remedy = f"Restore it, and put the change into a new migration. Or let it stand: chronomig accept {B}"
    assert f"-> {remedy}" in shown


def test_check_passes_a_database_over_that_does_not_answer_unless_it_is_named(sqlite_project: Project) -> None:
    gone = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/at/all/db", "OPTIONS": {"uri": True}}
    sqlite_project.databases["default"] = {**gone, "NAME": "file:/nowhere/at/all/db?mode=ro"}
    sqlite_project.configure(apps=[], base=("chronomig",))
    (sqlite_project.root / "project_migrations/default").mkdir(parents=True)
    done = sqlite_project.ok("check")
    assert "default: not looked at, because it does not answer: unable to open database file" in done.err
    assert "The database 'default' cannot be used." in sqlite_project.chronomig("check", "--database", "default").err


def test_reading_makes_no_file_of_sqlite(sqlite_project: Project) -> None:
    sqlite_project.migration(A, CREATE)
    for command in ("status", "plan", "check", "history"):
        assert sqlite_project.chronomig(command).code in (0, 3)
    assert list(sqlite_project.root.parent.glob("*.sqlite3")) == []


def test_what_has_no_file_is_forgotten_and_stays_in_the_database(two: Project) -> None:
    (two.root / f"project_migrations/default/{B}.py").unlink()
    has_file = two.chronomig("forget", A, "--yes")
    assert has_file.code == 2
    assert f"{A} has a file, and would be applied again by the next migrate." in has_file.err
    assert f"Type chronomig mark {A} unapplied" in has_file.err
    refused = two.chronomig("forget", B)
    assert (refused.code, f"default: forget {B}; what it made stays in the database" in refused.err) == (4, True)
    two.ok("forget", B, "--yes")
    assert list(lines(two)) == [A]
    assert [column[0] for column in two.schema()["shop_item"]["columns"]] == ["id", "notes"]
    assert "forgotten" in two.ok("history").out
    unknown = two.chronomig("forget", B, "--yes")
    assert unknown.code == 2
    assert f"There is no migration '{B}' in the database 'default' or its set." in unknown.err


def test_a_migration_is_marked_both_ways_without_running(two: Project) -> None:
    schema = two.schema()
    assert two.chronomig("mark", B, "unapplied").code == 4
    two.ok("mark", B, "unapplied", "--yes")
    assert two.states() == {A: "applied", B: "pending"}
    assert two.ok("mark", B, "unapplied").out == "nothing to do\n"
    assert f"default: mark {B} as applied" in two.ok("mark", "20260102", "applied", "--yes").out
    assert two.states() == {A: "applied", B: "applied"}
    assert two.schema() == schema
    assert two.chronomig("mark", "2026", "applied", "--yes").err.startswith(
        "Error: '2026' is the beginning of 2 migrations."
    )
    (two.root / f"project_migrations/default/{B}.py").unlink()
    assert f"{B} has no file." in two.chronomig("mark", B, "unapplied", "--yes").err
    assert two.chronomig("mark", B, "sideways").code == 2


def test_what_is_half_done_can_be_marked(two: Project) -> None:
    name = "20260103000000_half"
    two.migration(
        name, NOTES.replace("notes", "more") + '\n("shop", migrations.RunSQL("no sql")),', body="atomic = False"
    )
    assert two.chronomig("migrate").code == 1
    assert two.states()[name] == "half done"
    two.ok("mark", name, "applied", "--yes")
    assert two.states()[name] == "applied"


def test_each_of_the_three_corrections_is_an_event_with_its_direction(two: Project) -> None:
    path = two.root / f"project_migrations/default/{A}.py"
    path.write_text(path.read_text() + "\n# edited\n")
    for command in (["accept", A], ["mark", B, "unapplied"], ["mark", B, "applied"]):
        two.ok(*command, "--yes")
    (two.root / f"project_migrations/default/{B}.py").unlink()
    two.ok("forget", B, "--yes")
    events = two.rows("SELECT kind, direction, name FROM chronomig_history ORDER BY id")
    assert [one[2] for one in events[-4:]] == [A, B, B, B]
    assert [one[:2] for one in events[-4:]] == [
        ["accepted", "up"], ["faked", "down"], ["faked", "up"], ["forgotten", "down"],
    ]  # fmt: skip
