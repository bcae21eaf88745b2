"""What a run leaves in memory."""

from __future__ import annotations

from tests.projects import Project

MODELS = 40
MIGRATIONS = 60
RUN = """
    import gc
    from django.db.models.base import ModelBase
    from chronomig.running import migrator
    from chronomig import output
    from chronomig.opening import current_project
    counts = []
    class Reporter(output.PlainReporter):
        def moved(self, database, result):
            counts.append(sum(type(one) is ModelBase and one.__module__ == "__fake__" for one in gc.get_objects()))
    before = gc.get_threshold()
    choices = migrator.Choices()
    journey = migrator.plan_journey(current_project().databases["default"], choices)
    moved = len(list(migrator.migrate(journey, choices, Reporter(quiet=True))))
    result = [moved, max(counts), before == gc.get_threshold() and not gc.get_freeze_count()]
"""


def test_classes_are_let_go_of_during_a_run_and_python_collects_as_before_afterwards(project: Project) -> None:
    key = '("id", models.BigAutoField(primary_key=True))'
    models = "".join(f'("shop", migrations.CreateModel("M{number}", [{key}])),' for number in range(MODELS))
    project.migration("20260101000000_models", models)
    for number in range(MIGRATIONS):
        project.migration(
            f"202601020000{number:02}_m{number}",
            f'("shop", migrations.AddField("M0", "a{number}", models.IntegerField(null=True))),'
            '("shop", migrations.RunPython(lambda apps, editor: apps.get_models())),',
        )
    moved, most, as_before = project.python(RUN, fork=False)
    assert moved == 1 + MIGRATIONS
    assert most < 500  # Python's own thresholds leave 700
    assert as_before
