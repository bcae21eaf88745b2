"""
pre_migrate and post_migrate, as Django sends them.

Receivers see a plan of per-app migrations, because that is what they were written for: contenttypes, for one,
inserts an operation behind each RenameModel of the plan. What they insert is taken over into the run.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from itertools import groupby

from django.apps import AppConfig, apps
from django.core.management.base import OutputWrapper
from django.core.management.sql import emit_pre_migrate_signal
from django.db import transaction
from django.db.migrations.operations import RenameModel
from django.db.migrations.operations.base import Operation
from django.db.models.signals import post_migrate
from django.dispatch import Signal
from django.utils.module_loading import module_has_submodule

from chronomig.code.loading import Labelled, Loaded
from chronomig.errors import ExecutionError, in_words
from chronomig.running import permissions
from chronomig.running.preparing import Prepared
from chronomig.state import ProjectState


class PlannedMigration:
    """The share of one app in one migration, with the attributes of Django's Migration that receivers read."""

    def __init__(self, app_label: str, name: str, operations: list[Operation]) -> None:
        self.app_label = app_label
        self.name = name
        self.operations = operations

    def __str__(self) -> str:
        return f"{self.app_label}.{self.name}"


SignalPlan = list[tuple[PlannedMigration, bool]]
"""[(migration, goes down), ...], Django's form of a plan."""


def plan_for_receivers(prepared: Sequence[Prepared]) -> SignalPlan:
    """Return Django's form of the plan: one migration for each app of each step."""
    return [(share, not one.is_up) for one in prepared for share in shares(one.loaded)]


def shares(loaded: Loaded) -> list[PlannedMigration]:
    """Split a migration by app; a vendored one keeps its upstream name."""
    name = loaded.origin.name if loaded.origin else loaded.name
    labels = dict.fromkeys(label for label, _ in loaded.operations)
    return [
        PlannedMigration(label, name, [operation for app, operation in loaded.operations if app == label])
        for label in labels
    ]


def send_pre_migrate(
    prepared: Sequence[Prepared], alias: str, state: ProjectState, *, verbosity: int, interactive: bool
) -> tuple[list[Prepared], SignalPlan]:
    """Send pre_migrate; return the steps with what receivers inserted, and the plan that they saw."""
    register_receivers()
    plan = plan_for_receivers(prepared)
    with naming_receivers("pre_migrate", "nothing was run"):
        emit_pre_migrate_signal(verbosity, interactive, alias, stdout=lines(), apps=state.apps, plan=plan)
    seen = iter(plan)
    return [take_over(one, seen) for one in prepared], plan


def lines() -> OutputWrapper:
    """Return the ``stdout`` of receivers: as in Django's migrate, all that is written to it ends a line."""
    return OutputWrapper(sys.stderr)


def register_receivers() -> None:
    """Import every app's management module: that is where apps connect receivers (Django's migrate does it too)."""
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "management"):
            import_module(".management", app.name)


def take_over(one: Prepared, plan: Iterator[tuple[PlannedMigration, bool]]) -> Prepared:
    """Return the step with the operations that receivers inserted into its shares."""
    mine = [next(plan)[0] for _ in {label for label, _ in one.loaded.operations}]
    inserted = tuple(found for share in mine for found in inserted_into(share, one.loaded))
    if one.loaded.overrides_execution:
        one.loaded.source.operations = mine[0].operations if mine else []  # type: ignore[misc]
        return one
    return replace(one, loaded=replace(one.loaded, inserted=inserted)) if inserted else one


def inserted_into(share: PlannedMigration, loaded: Loaded) -> Iterator[tuple[int, Labelled]]:
    """Yield (after how many operations of the migration, what) for each operation that was not there before."""
    numbers = {id(operation): number for number, (_, operation) in enumerate(loaded.operations, 1)}
    after = 1
    for operation in share.operations:
        if id(operation) in numbers:
            after = numbers[id(operation)]
        else:
            yield after, (share.app_label, operation)


def send_post_migrate(
    plan: SignalPlan,
    alias: str,
    state: ProjectState,
    *,
    changed: Collection[str],
    verbosity: int,
    interactive: bool,
) -> None:
    """
    Send post_migrate to the receivers of every app.

    Apps that are not in *changed* have their content types and permissions: Django's own two receivers, which would
    look at each of their models, are left out for them. So they are for apps to which nobody but Django listens: the
    rows of all that stand between two others are made at once. Where that is all apps, all is one transaction (Django
    commits twice for each app); other receivers may count on being outside of one.
    """
    needless = permissions.receivers()
    with_models = [app for app in apps.get_app_configs() if app.models_module is not None]
    at_once = {app.label for app in with_models if app.label in changed and needless <= set(listening(app))}
    at_once -= renamed(plan)
    parts = [(alone, list(part)) for alone, part in groupby(with_models, only_django_listens)]
    if not (all(alone for alone, _ in parts) and at_once.issuperset(changed)):
        state.forget_rendered()  # all models may be rendered now: it would come on top
        gc.collect()
    told = {"verbosity": verbosity, "interactive": interactive, "using": alias, "stdout": lines()}
    told |= {"apps": state.apps, "plan": plan}
    together = transaction.atomic(alias) if all(alone for alone, _ in parts) else nullcontext()
    with naming_receivers("post_migrate", "the migrations before it are applied and recorded"), together:
        if at_once and not permissions.can_be_completed(state, alias):
            at_once = set()
        for alone, part in parts:
            done = [app.label for app in part if alone and app.label in at_once]
            permissions.complete(state, alias, done, verbosity)
            for app in part:
                if verbosity >= 2:
                    sys.stderr.write(f"Running post-migrate handlers for application {app.label}\n")
                left_out = app.label in done or app.label not in changed
                send(post_migrate, app, told, needless if left_out else frozenset())


def listening(app: AppConfig) -> list[object]:
    """Return the receivers of post_migrate for *app*."""
    receivers, asynchronous = post_migrate._live_receivers(app)
    return [*receivers, *asynchronous]


def only_django_listens(app: AppConfig) -> bool:
    """Whether all receivers of post_migrate for *app* are Django's own."""
    modules = (str(getattr(receiver, "__module__", "")) for receiver in listening(app))
    return all(module.startswith("django.contrib.") for module in modules)


def renamed(plan: SignalPlan) -> set[str]:
    """Return the labels of apps with renamed models: Django renames their permissions before it makes others."""
    return {share.app_label for share, _ in plan if any(isinstance(one, RenameModel) for one in share.operations)}


def send(signal: Signal, app: AppConfig, told: dict[str, object], needless: Collection[object]) -> None:
    """Send *signal* as Signal.send() does, but not to the receivers in *needless*."""
    named = {"app_config": app, **told}
    receivers, asynchronous = signal._live_receivers(app)
    if asynchronous or not needless:
        signal.send(sender=app, **named)
        return
    for receiver in receivers:
        if receiver not in needless:
            receiver(signal=signal, sender=app, **named)


@contextmanager
def naming_receivers(signal: str, standing: str) -> Iterator[None]:
    """Say that a receiver failed, in which line, and what stands."""
    try:
        yield
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise ExecutionError(
            f"A receiver of {signal} failed; {standing}.",
            cause=f"{in_words(error)} ({place.filename}, line {place.lineno})",
            next_step="Mend the receiver, then run the same command again: it sends the signal again.",
        ) from error
