"""The four workloads, each a history and the tasks that are measured on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from benchmarks.changes import Developer
from benchmarks.history import NEEDS_USER, USER, History, Key

TABLES_PER_APP = 9


class Task(StrEnum):
    """What is measured; ``base`` and ``head`` are the states of the database before and after the tail."""

    FORWARD = "forward"
    """Apply the tail, from the base."""
    BACKWARD = "backward"
    """Undo the tail, from the head."""
    NOTHING = "nothing to do"
    """Migrate, at the head."""
    STATUS = "status"
    CHECK = "makemigrations --check"

    @property
    def writes(self) -> bool:
        return self in (Task.FORWARD, Task.BACKWARD)


@dataclass(frozen=True)
class Workload:
    """A history, and what is done to it."""

    name: str
    size: int
    """The number that grows: tables for hub, migrations for the others."""
    history: History
    tasks: tuple[Task, ...]

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.size}-{self.history.operation_count}"

    @property
    def undo_target(self) -> Key:
        """(app label, migration or zero): where stock Django's migrate undoes the tail, which is of one app."""
        app = self.history.tail[0].app
        before = [one.key for one in self.history.base if one.app == app]
        return before[-1] if before else (app, "zero")

    def __str__(self) -> str:
        made = self.history
        return (
            f"{self.name}: {len(made.apps)} apps, {made.model_count} models, {len(made.migrations)} migrations, "
            f"of which {len(made.tail)} with {made.operation_count} operations move"
        )


def hub(tables: int, changed: int = TABLES_PER_APP) -> Workload:
    """Tables that all refer to one user table; then four operations on each of *changed* of them."""
    rng = Random(tables)
    labels = [f"a{number:03}" for number in range(-(-tables // TABLES_PER_APP))]
    history = History(["core", *labels])
    tenant = history.model("core", "Tenant")
    tenant.fields["name"] = "models.CharField(max_length=100)"
    history.write("core", "initial", [tenant.create()])
    for label in labels:
        write_tables(history, rng, label, min(TABLES_PER_APP, tables + 1 - history.model_count))
    history.begin_tail()
    removes, adds = [], []
    for table in history.models[labels[0]][:changed]:
        for column in ("approved_by", "deleted_by", "legacy_code"):
            del table.fields[column]
            removes.append(f'migrations.RemoveField("{table.name}", "{column}")')
        table.fields["tenant"] = table.relation("tenant", tenant.reference)
        adds.append(f'migrations.AddField("{table.name}", "tenant", {table.fields["tenant"]})')
    needs = [one.key for one in history.base if one.app == "core"]
    history.write(labels[0], "tenants", [*removes, *adds], needs)
    return Workload("hub", tables, history, (Task.FORWARD,))


def write_tables(history: History, rng: Random, label: str, count: int) -> None:
    """Write an app whose tables refer to the user four times, and to up to two tables of earlier apps."""
    earlier = [model for app, models in history.models.items() if app not in ("core", label) for model in models]
    needs = {NEEDS_USER}
    for _ in range(count):
        table = history.model(label, f"Table{history.model_count - 1:04}")
        table.fields = {
            "name": "models.CharField(max_length=100)",
            "legacy_code": "models.CharField(max_length=20)",
            "amount": "models.DecimalField(max_digits=12, decimal_places=2)",
            "created_at": "models.DateTimeField()",
        }
        for column in ("created_by", "updated_by", "deleted_by", "approved_by"):
            table.fields[column] = table.relation(column, USER)
        for other in rng.sample(earlier, min(len(earlier), rng.choice((0, 1, 1, 2)))):
            column = table.unused("parent")
            table.fields[column] = table.relation(column, other.reference)
            needs |= {key for key in [history.latest(other.app)] if key}
    history.write(label, "initial", [table.create() for table in history.models[label]], needs)


def write_long_history(developer: Developer, models: int, migrations: int, code: float) -> None:
    """
    Write *migrations* migrations that lead to *models* models, a share *code* of them with RunPython.

    Every app begins with the models that it had on its first day; the others come one by one, between changes, of
    which a few apps get most.
    """
    history, rng = developer.history, developer.rng
    apps = history.apps
    owners = [*apps, *rng.choices(apps, k=models - len(apps))]
    later = min(int(models * 0.6), (migrations - len(apps)) // 3, models - len(apps))
    first_day = owners[: models - later]
    for app in apps:
        developer.create_models(app, first_day.count(app))
    tasks = ["model"] * later + ["code"] * round(migrations * code)
    tasks += ["change"] * (migrations - len(apps) - len(tasks))
    rng.shuffle(tasks)
    waiting = owners[models - later :]
    for task in tasks:
        write_one(developer, task, waiting.pop() if task == "model" else rng.choices(apps, busy(len(apps)))[0])


def write_one(developer: Developer, task: str, app: str) -> None:
    match task:
        case "model":
            developer.create_models(app, 1, slug="")
        case "code":
            developer.run_code(app)
        case _:
            developer.change(app)


def busy(apps: int) -> list[float]:
    """Return how busy each app is: the first most."""
    return [1 / (rank + 2) for rank in range(apps)]


def deep(apps: int, models: int, migrations: int) -> Workload:
    """A long history, and one new model that has to do with nothing."""
    history = History([f"a{number:03}" for number in range(apps)])
    write_long_history(Developer(history), models, migrations, code=0.02)
    history.begin_tail()
    history.models["island"] = []
    island = history.model("island", "Island")
    island.fields["name"] = "models.CharField(max_length=100)"
    history.write("island", "initial", [island.create()])
    return Workload("deep", migrations, history, tuple(Task))


def suite(apps: int, models: int, migrations: int) -> Workload:
    """What a test run does first: everything, from an empty database; every tenth migration uses the ORM."""
    history = History([f"a{number:03}" for number in range(apps)])
    write_long_history(Developer(history), models, migrations, code=0.1)
    return Workload("suite", migrations, history, (Task.FORWARD,))


def undo(apps: int, models: int, migrations: int, last: int) -> Workload:
    """Undo the *last* migrations of a long history; they are of one app, so that stock Django can in one command."""
    history = History([f"a{number:03}" for number in range(apps)])
    developer = Developer(history)
    write_long_history(developer, models - last // 10, migrations - last, code=0.02)
    history.begin_tail()
    for number in range(last):
        write_one(developer, {0: "model", 5: "code"}.get(number % 10, "change"), history.apps[0])
    return Workload("undo", migrations, history, (Task.BACKWARD,))


MAKERS: Mapping[str, Callable[..., Workload]] = {"hub": hub, "deep": deep, "suite": suite, "undo": undo}
