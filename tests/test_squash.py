"""``chronomig squash``: many migrations in one baseline, and databases on both sides of it."""

from __future__ import annotations

import pytest

from tests.gitting import Git
from tests.projects import Project
from tests.test_collapse import BOX, ID, ITEM, LAST, LINK, NOTES, ROWS, empty, found, write_shop

BASELINE = "20260105000000_baseline"


@pytest.fixture
def shop(project: Project) -> Project:
    write_shop(project)
    return project


@pytest.mark.core
def test_an_empty_database_becomes_the_same_and_one_that_has_all_is_left_alone(shop: Project) -> None:
    shop.ok("migrate")
    before = found(shop)
    shop.ok("squash", "--to", NOTES, "--yes")
    assert shop.files() == [BASELINE, LAST]
    assert "squashed, stands for migrations that are applied" in shop.ok("status").out
    assert f"adopted   {BASELINE}" in shop.ok("migrate").out
    assert shop.applied() == [BASELINE, LAST]
    assert "nothing to do" in shop.ok("migrate").out
    assert found(shop) == before
    empty(shop)
    shop.ok("migrate")
    after = found(shop)
    assert [row[0] for row in after.pop("history")] == [BASELINE, LAST]
    del before["history"]
    assert after == before
    shop.ok("migrate", "--to", "zero", "--yes")
    assert "shop_item" not in shop.tables()


SHOP_MODELS = """
class Box(models.Model):
    id = models.BigAutoField(primary_key=True)
    size = models.IntegerField()


class Item(models.Model):
    id = models.BigAutoField(primary_key=True)
    box = models.ForeignKey(Box, models.CASCADE, null=True)
    notes = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["box"], name="box_idx")]
"""


def test_makemigrations_finds_nothing_to_do_after_a_squash(sqlite_project: Project) -> None:
    write_shop(sqlite_project)
    sqlite_project.models(SHOP_MODELS)
    assert sqlite_project.chronomig("makemigrations", "--check").code == 0
    sqlite_project.ok("squash", "--to", LAST, "--yes")
    assert sqlite_project.files() == ["20260106000000_baseline"]
    assert sqlite_project.chronomig("makemigrations", "--check").code == 0


def test_files_give_way_only_after_a_yes(sqlite_project: Project) -> None:
    write_shop(sqlite_project)
    files = sqlite_project.files()
    text = sqlite_project.ok("squash", "--to", LINK, "--dry-run").out
    assert "class Migration(chronomig.Migration):" in text
    done = sqlite_project.chronomig("squash", "--to", LINK)
    assert done.code == 4
    assert (
        f"23 files, from {files[0]} to {LINK}, would give way to 20260103000000_baseline; nothing was written."
        in done.err
    )
    assert sqlite_project.files() == files
    nothing = sqlite_project.chronomig("squash", "--to", files[0])
    assert nothing.code == 2
    assert "leaves nothing to squash." in nothing.err


def test_a_database_that_stands_in_between_is_refused_and_brought_forward_from_git(sqlite_project: Project) -> None:
    project = sqlite_project
    write_shop(project)
    project.write(".gitignore", "*.sqlite3\n")
    commit = Git.init(project.root).commit("before")
    project.ok("migrate", "--to", BOX)
    project.ok("squash", "--to", NOTES, "--yes")
    done = project.chronomig("migrate")
    assert done.code == 4
    assert (
        f"The database 'default' has 22 of the 25 migrations that {BASELINE} stands for; nothing was run." in done.err
    )
    assert f"{LINK} is the first that it lacks." in done.err
    assert f"Bring it forward: chronomig migrate --to ref:{commit}, then run chronomig migrate." in done.err
    project.ok("migrate", "--to", f"ref:{commit}")
    project.ok("migrate")
    assert project.applied() == [BASELINE, LAST]
    back = project.chronomig("migrate", "--to", f"ref:{commit}")
    assert back.code == 4
    assert f"The target does not have {BASELINE}, which the database 'default' has; nothing was run." in back.err


def test_a_baseline_can_be_squashed_again(sqlite_project: Project) -> None:
    project = sqlite_project
    write_shop(project)
    project.ok("migrate")
    project.ok("squash", "--to", LINK, "--yes")
    project.ok("squash", "--to", LAST, "--yes")
    project.ok("migrate")
    assert project.applied() == ["20260106000000_baseline"]
    before = found(project)
    empty(project)
    project.ok("migrate", "--collapse")
    after = found(project)
    assert {**after, "history": []} == {**before, "history": []}


@pytest.mark.parametrize(
    ("head", "operations", "reason"),
    [
        (
            "",
            '("shop", migrations.SeparateDatabaseAndState([migrations.RunPython(migrations.RunPython.noop)])),',
            "code inside of another operation",
        ),
        (
            "class Own(migrations.AlterModelOptions):\n    pass",
            '("shop", Own("item", {})),',
            "the file defines Own",
        ),
        (
            "",
            '("shop", migrations.RunPython(lambda apps, editor: None)),',
            "the name '<lambda>' does not lead to its code",
        ),
        (
            "def number():\n    return 1",
            '("shop", migrations.AddField("item", "n", models.IntegerField(default=number))),',
            "what was written cannot be loaded",
        ),
    ],
)
def test_what_cannot_be_kept_stops_the_squash(
    sqlite_project: Project, head: str, operations: str, reason: str
) -> None:
    sqlite_project.configure(base=["chronomig"])
    sqlite_project.migration(ITEM, f'("shop", migrations.CreateModel("Item", [{ID}])),')
    sqlite_project.migration(ROWS, operations, head=head)
    done = sqlite_project.chronomig("squash", "--to", ROWS, "--yes")
    assert done.code == 4
    assert "1 thing cannot be squashed; nothing was written." in done.err
    assert reason in done.err
    assert "Mark code that no new database needs as elidable=True" in done.err
    assert sqlite_project.files() == [ITEM, ROWS]


def test_code_that_may_go_goes(sqlite_project: Project) -> None:
    sqlite_project.configure(base=["chronomig"])
    sqlite_project.migration(ITEM, f'("shop", migrations.CreateModel("Item", [{ID}])),')
    sqlite_project.migration(ROWS, '("shop", migrations.RunPython(lambda apps, editor: None, elidable=True)),')
    sqlite_project.ok("squash", "--to", ROWS, "--yes")
    text = (sqlite_project.root / "project_migrations/default/20260104000000_baseline.py").read_text()
    assert "RunPython" not in text
    assert "atomic" not in text
