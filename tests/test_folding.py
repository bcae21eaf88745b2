"""States along a timeline, and states that share what they do not change."""

from __future__ import annotations

import pytest

from tests.projects import Project

FILES = 6
SHARED = """
from django.db import migrations, models
from chronomig.state import ProjectState

field = lambda: ("id", models.BigAutoField(primary_key=True))
first = ProjectState().after("shop", migrations.CreateModel("Item", [field(), ("n", models.IntegerField())], options={"unique_together": {("id", "n")}}))
first = first.after("shop", migrations.CreateModel("Box", [field(), ("item", models.ForeignKey("shop.Item", models.CASCADE, to_field="n"))]))
def view(state):
    return {
        f"{key[0]}.{key[1]}": [
            {name: str(one.deconstruct()[1:]) for name, one in model.fields.items()},
            {name: str(sorted(map(str, value)) if isinstance(value, (set, list)) else value) for name, value in model.options.items()},
        ]
        for key, model in state.models.items()
    }
"""


@pytest.mark.parametrize(
    "operation",
    [
        'migrations.AddField("item", "m", models.TextField(default=""))',
        'migrations.RemoveField("item", "n")',
        'migrations.AlterField("item", "n", models.TextField())',
        'migrations.RenameField("item", "n", "amount")',
        'migrations.RenameModel("Item", "Thing")',
        'migrations.DeleteModel("Box")',
        'migrations.AlterUniqueTogether("item", set())',
        'migrations.AlterModelOptions("item", {"verbose_name": "x"})',
        'migrations.AlterModelTable("item", "things")',
        'migrations.AddIndex("item", models.Index(fields=["n"], name="i"))',
        'migrations.AddConstraint("item", models.UniqueConstraint(fields=["n"], name="c"))',
        'migrations.AlterModelManagers("item", [("things", models.Manager())])',
        'migrations.SeparateDatabaseAndState(state_operations=[migrations.RenameField("item", "n", "amount")])',
    ],
)
def test_a_derived_state_leaves_the_one_it_came_from_as_it_was(sqlite_project: Project, operation: str) -> None:
    code = (
        SHARED
        + f"before = view(first)\nafter = first.after('shop', {operation})\nresult = [before == view(first), view(after) != before, 'managers' if after.models.get(('shop', 'item')) and after.models['shop', 'item'].managers else '']"
    )
    unchanged, differs, managers = sqlite_project.python(code)
    assert unchanged
    assert differs or managers


def test_a_derived_state_shares_the_models_that_do_not_change(sqlite_project: Project) -> None:
    code = (
        SHARED
        + "after = first.after('shop', migrations.AddField('box', 'm', models.TextField(default='')))\nresult = [after.models['shop', 'item'] is first.models['shop', 'item'], after.models['shop', 'box'] is first.models['shop', 'box']]"
    )
    assert sqlite_project.python(code) == [True, False]


def test_the_state_after_each_move_is_the_state_of_what_is_applied(sqlite_project: Project) -> None:
    for number in range(FILES):
        sqlite_project.migration(
            f"2026010{number + 1}000000_m{number}",
            f'("shop", migrations.CreateModel("M{number}", [("id", models.BigAutoField(primary_key=True))])),',
        )
    code = """
    from chronomig.code.folding import States
    from chronomig.opening import current_project
    one = current_project().sets["default"]
    names = one.timeline.names
    def models(state):
        return sorted(name for _, name in state.models)
    states = States(names, one.load)
    result = [models(states.current)]
    for name in (names[5], names[3], names[4]):
        result.append(models(states.without(name)))
    from chronomig.code.folding import fold
    states.add(names[4], fold(states.current, one.load(names[4])))
    result.append(models(states.current))
    result.append(models(states.without(names[0])))
    """
    assert sqlite_project.python(code) == [
        ["m0", "m1", "m2", "m3", "m4", "m5"],
        ["m0", "m1", "m2", "m3", "m4"],
        ["m0", "m1", "m2", "m4"],
        ["m0", "m1", "m2"],
        ["m0", "m1", "m2", "m4"],
        ["m1", "m2", "m4"],
    ]


def test_an_overridden_apply_runs_in_place_of_ours_both_ways(project: Project) -> None:
    project.write(
        "project_migrations/default/20260101000000_own.py",
        """
        from django.db import migrations, models


        class Migration(migrations.Migration):
            operations = [migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True))])]

            def apply(self, project_state, schema_editor, collect_sql=False):
                state = super().apply(project_state, schema_editor, collect_sql)
                schema_editor.execute("CREATE TABLE extra (n integer)")
                return state

            def unapply(self, project_state, schema_editor, collect_sql=False):
                schema_editor.execute("DROP TABLE extra")
                return super().unapply(project_state, schema_editor, collect_sql)


        ORIGIN = {"app": "shop", "name": "0001_own", "distribution": "", "version": "", "sha256": ""}
        """,
    )
    project.migration(
        "20260102000000_more", '("shop", migrations.AddField("item", "n", models.IntegerField(default=0))),'
    )
    assert "CREATE TABLE extra" in project.ok("sql", "20260101000000_own").out
    project.ok("migrate")
    assert project.tables() == ["extra", "shop_item"]
    project.ok("migrate", "--to", "zero", "--yes")
    assert project.tables() == []


FORKS = """
from chronomig.code.folding import Path

applied = []
def apply(state, change):
    applied.append(change)
    return state + change
"""


def test_paths_along_the_same_changes_apply_each_once_until_one_of_them_is_changed(sqlite_project: Project) -> None:
    code = FORKS + (
        "path = Path('', 'abcdef', apply)\n"
        "down, again = path.fork(), path.fork()\n"
        "down.remove(4)\n"
        "result = [down.at(5), again.at(6), path.at(6), path.fork().at(5), ''.join(applied)]"
    )
    assert sqlite_project.python(code) == ["abcdf", "abcdef", "abcdef", "abcde", "abcdfef"]


def test_a_migration_of_which_only_the_state_was_wanted_is_not_kept(sqlite_project: Project) -> None:
    sqlite_project.migration("20260101000000_a", "")
    code = (
        "from chronomig.opening import open_project\n"
        "(one,) = open_project().sets.values()\n"
        "(entry,) = one.timeline\n"
        "one.states([entry.name]).current\n"
        "seen = one.loader.look_at(entry)\n"
        "result = [seen is one.loader.look_at(entry), one.load(entry.name) is one.loader.look_at(entry)]"
    )
    assert sqlite_project.python(code) == [False, True]
