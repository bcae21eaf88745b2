"""Take one database to where it is wanted: lock, adopt, plan, prepare, tell receivers, execute, settle."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from django.db import Error as DatabaseFault

from chronomig.code.folding import States
from chronomig.code.loading import Loaded, load
from chronomig.code.sources import Aim, Code
from chronomig.config import Order, TimeoutConfig
from chronomig.errors import Interrupted, Refused
from chronomig.git.repo import Head
from chronomig.history.adoption import MisfitRefused
from chronomig.history.events import Event, Kind
from chronomig.history.recorder import django_applied
from chronomig.history.table import unreachable
from chronomig.lock import Holder, Lock, locked
from chronomig.planning.baselines import BeforeBaselineRefused, BetweenRefused, between
from chronomig.planning.plan import Plan, Step
from chronomig.planning.record import Applied, Record, Renamed
from chronomig.planning.renames import with_renames
from chronomig.project import Database
from chronomig.running import collapse
from chronomig.running.collapse import Collapse, NotEmptyRefused, tables_there
from chronomig.running.executor import Executor
from chronomig.running.garbage import collected_often
from chronomig.running.interrupts import stopping_at_an_edge
from chronomig.running.permissions import changed_apps, incomplete_apps
from chronomig.running.preparing import IrreversibleRefused, Prepared, prepare
from chronomig.running.results import Result, Watcher
from chronomig.running.signals import send_post_migrate, send_pre_migrate
from chronomig.running.stashing import keeper_for, tidy
from chronomig.running.timeouts import limited, values_for, writing_from_the_start
from chronomig.stash import Limits
from chronomig.state import ProjectState, is_opaque
from chronomig.timeline import Timeline

Wanted = Callable[[Database, Record], Collection[str] | Timeline | Aim | None]
"""What a database shall have: names of its timeline, all of another timeline, or (None) everything with a file."""


class Reporter(Watcher, Protocol):
    """Hears what a run does."""

    def waiting(self, database: Database, holder: Holder) -> None: ...
    def adopted(self, database: Database, applied: Sequence[Applied]) -> None: ...
    def renamed(self, database: Database, names: Sequence[Renamed]) -> None: ...
    def moved(self, database: Database, result: Result) -> None: ...
    def remarked(self, text: str) -> None: ...
    def finishing_first(self) -> None: ...


WORTH_A_SNAPSHOT = 100
"""Loading and folding as many files takes longer than reading a snapshot."""


@dataclass(frozen=True)
class Journey:
    """One database, where it stands, and the way from there."""

    database: Database
    record: Record
    plan: Plan
    code: Code
    adoptable: tuple[Applied, ...]

    @property
    def is_needed(self) -> bool:
        return bool(self.record.renamed) or self.runs

    @property
    def runs(self) -> bool:
        """Whether there is more to do than to call files by their names."""
        return bool(self.plan or self.adoptable or not self.record.settled)


@dataclass(frozen=True)
class Choices:
    """What was chosen for a run, the same for all its databases."""

    wanted: Wanted = field(default=lambda database, record: None)
    order: Order | None = None
    orders: Mapping[str, Order] = field(default_factory=dict)
    """What was chosen for single databases, by alias."""
    fake: bool = False
    stash: Limits | None = None
    """What the stash takes of the rows that a rollback drops; None leaves the stash alone."""
    collapse: Collapse = Collapse.NEVER
    wait_seconds: float = 0
    """How long to wait for another process; 0 waits without end."""
    timeouts: Mapping[str, TimeoutConfig] = field(default_factory=dict)
    """Alias -> how long to wait for locks."""
    verbosity: int = 1
    interactive: bool = False

    def timeouts_of(self, database: Database) -> TimeoutConfig:
        return self.timeouts.get(database.alias, TimeoutConfig())


def plan_journey(database: Database, choices: Choices, record: Record | None = None) -> Journey:
    """Plan, reading only, from *record* if it was just read; raise what refuses a plan."""
    record = database.record() if record is None else record
    if misfits := database.adoption(record).misfits:
        raise MisfitRefused(database.alias, misfits)
    wanted = choices.wanted(database, record)
    if isinstance(wanted, Timeline):
        record = with_renames(record, wanted)
    refuse_around_baseline(database, record, wanted)
    code = database.code(record, wanted)
    adoptable = tuple(one for one in record.applied if one.at is None)
    order = choices.orders.get(database.alias, choices.order)
    return Journey(database, record, database.plan(record, code, order), code, adoptable)


def refuse_around_baseline(
    database: Database, record: Record, wanted: Collection[str] | Timeline | Aim | None
) -> None:
    """Raise what refuses a way around a baseline: the files that it stands for are gone, or would come back."""
    target = wanted.target if isinstance(wanted, Aim) else wanted
    if isinstance(target, Timeline):
        stands = [one.name for one in record.applied if one.how == Kind.SQUASHED]
        if lost := [name for name in stands if name not in target.by_name]:
            raise BeforeBaselineRefused(database.alias, lost[0])
    files = target if isinstance(target, Timeline) else database.set.timeline
    have = {*record.names, *(record.half_done.names if record.half_done else ())}
    rows = partial(django_applied, database.connection)
    for name, baseline in between(files, have, rows).items():
        raise BetweenRefused(database.alias, name, baseline, record.names)


def load_journey(journey: Journey, choices: Choices) -> list[Prepared]:
    """Load the code of the plan, so that what cannot run is refused before anything does."""
    if choices.collapse is Collapse.INSIST:
        refuse_unless_empty(journey)
    values_for(journey.database.connection, choices.timeouts_of(journey.database))
    entries, loader = journey.code.entries, journey.database.set.loader
    return prepare(journey.plan, lambda name: loader.load(entries[name]), fake=choices.fake)


def load_journeys(journeys: Iterable[Journey], choices: Choices) -> list[list[Prepared]]:
    """Load the code of all plans; what cannot be undone is named at once, whichever database it is in the way of."""
    found: list[list[Prepared]] = []
    stuck: dict[str, Loaded] = {}
    for journey in journeys:
        try:
            found.append(load_journey(journey, choices))
        except IrreversibleRefused as refused:
            stuck |= {one.name: one for one in refused.irreversible}
    if stuck:
        raise IrreversibleRefused([stuck[name] for name in sorted(stuck, reverse=True)])
    return found


def refuse_unless_empty(journey: Journey) -> None:
    """Raise NotEmptyRefused, unless there is nothing to run, or what is half done is a collapse."""
    half = journey.record.half_done
    if not journey.plan or (half is not None and half.together):
        return
    applied = journey.record.names or (half.names if half else ())
    tables = tables_there(journey.database.connection)
    if applied or tables:
        raise NotEmptyRefused(journey.database.alias, applied, tables)


def may_collapse(journey: Journey, choices: Choices) -> bool:
    """Whether migrations may run several at once: into an empty database, where that is wanted."""
    if choices.collapse is not Collapse.IF_EMPTY:
        return choices.collapse is Collapse.INSIST
    record = journey.record
    return not (record.applied or record.half_done or tables_there(journey.database.connection))


def migrate(journey: Journey, choices: Choices, reporter: Reporter) -> Iterator[Result]:
    """
    Yield what moves, after each commit.

    The plan is made again inside the lock; raise Refused when it is not the one that was shown.
    """
    if not journey.is_needed:
        return
    database = journey.database

    def on_wait(holder: Holder) -> None:
        reporter.waiting(database, holder)

    with (
        naming_database_errors(database),
        locked(database.connection, timeout=choices.wait_seconds, on_wait=on_wait) as lock,
    ):
        now = plan_journey(database, choices)
        refuse_surprise(journey, now)
        prepared = load_journey(now, choices)
        if now.record.renamed:
            database.rename(now.record)
            reporter.renamed(database, now.record.renamed)
        if not now.runs:
            return
        if now.adoptable and (adopted := database.adopt()):
            reporter.adopted(database, adopted)
        yield from _run(now, prepared, choices, reporter, lock)


@contextmanager
def naming_database_errors(database: Database) -> Iterator[None]:
    """Turn what the driver raises outside of a migration into an error that names the database."""
    try:
        yield
    except DatabaseFault as error:
        raise unreachable(database.connection, error) from error


def refuse_surprise(shown: Journey, now: Journey) -> None:
    """Another process may have come first: less to do is welcome, other things to do are not."""
    expected = set(shown.plan)
    surprising = [step for step in now.plan if step not in expected and not step.resumed]
    if surprising:
        raise Refused(
            f"The database {now.database.alias!r} changed while this command waited.",
            cause="Now it would also move: " + ", ".join(step.name for step in surprising),
            next_step="Run the command again to see the new plan.",
        )


def _run(
    journey: Journey, prepared: list[Prepared], choices: Choices, reporter: Reporter, lock: Lock
) -> Iterator[Result]:
    database = journey.database
    database.history.head = partial(head_of, journey)
    code = (journey.code.entries[one.step.name] for one in prepared if one.is_up)
    if problem := database.set.shelf.keep(code):
        reporter.remarked(problem)
    states = database.states(journey.record, journey.code)
    limits = None if choices.fake else choices.stash
    keeper = keeper_for(database, prepared, journey.record.names, states.fork, limits)
    executor = Executor(
        database.connection, database.history, states, reporter, keeper,
        batch=database.set.config.batch, gather=database.set.config.batch and not journey.record.applied,
        timeouts=choices.timeouts_of(database), fresh=partial(fresh, journey),
    )  # fmt: skip
    sent = {"alias": database.alias, "verbosity": choices.verbosity, "interactive": choices.interactive}
    left = [one.step for one in prepared]
    try:
        with stopping_at_an_edge(executor, reporter.finishing_first), collected_often():
            before = states.current
            prepared, signal_plan = send_pre_migrate(prepared, state=before, **sent)  # type: ignore[arg-type]
            for result in _execute(executor, journey, prepared, choices):
                left.pop(0)
                reporter.moved(database, result)
                for warning in result.warnings:
                    reporter.remarked(f"{database.alias}: {warning}")
                yield result
                lock.insist()
            changed = _apps_to_look_at(journey, prepared, before, states.current)
            send_post_migrate(signal_plan, state=states.current, changed=changed, **sent)  # type: ignore[arg-type]
            database.history.ensure_table()
            database.history.write(Event(Kind.SETTLED, ""))
            tidy(database, limits, reporter.remarked)
            if journey.record.applied:  # a database that is made anew is often thrown away again
                _keep_snapshot(journey, states, moved=len(prepared))
            for remark in database.set.snapshots.remarks if choices.verbosity >= 2 else ():
                reporter.remarked(remark)
    except KeyboardInterrupt:
        raise stopped(database, left) from None


def fresh(journey: Journey, loaded: Loaded) -> Loaded:
    """Load a migration once more, with what receivers added to it."""
    entry = journey.code.entries[loaded.name]
    return replace(load(entry, journey.database.set.name), inserted=loaded.inserted)


def _execute(
    executor: Executor, journey: Journey, prepared: Sequence[Prepared], choices: Choices
) -> Iterator[Result]:
    with limited(executor.connection, executor.timeouts), writing_from_the_start(executor.connection):
        if choices.fake:
            yield from executor.execute(prepared, fake=True)
        else:
            yield from collapse.execute(executor, prepared, may_collapse(journey, choices))


def head_of(journey: Journey) -> Head:
    """Return the branch and commit that the run's code comes from: what is checked out, or the ref that was named."""
    target, head = journey.code.target, journey.database.set.shelf.head()
    return replace(head, branch=target.branch, commit=target.commit) if target.commit else head


def _keep_snapshot(journey: Journey, states: States, moved: int) -> None:
    """Spare the next run what this one had to load; what goes wrong is a remark of the snapshots."""
    one = journey.database.set
    names, state = states.checkpoint
    if one.config.snapshots and names and states.folded + moved >= WORTH_A_SNAPSHOT:
        one.snapshots.write_quietly(one.contents(names, journey.code.entries), state)


def _apps_to_look_at(
    journey: Journey, prepared: Sequence[Prepared], before: ProjectState, after: ProjectState
) -> frozenset[str]:
    """Return the labels of the apps whose content types and permissions may have to be made."""
    if journey.adoptable or not journey.record.settled:
        return frozenset(label for label, _ in after.models)
    changed = changed_apps(before, after)
    if any(is_opaque(operation) for one in prepared for _, operation in one.loaded.operations):
        return changed | incomplete_apps(after, journey.database.alias)
    return changed


def stopped(database: Database, left: Sequence[Step]) -> Interrupted:
    """Say where the database stands after a stop."""
    record = database.history.read()
    last = f"after {record.applied[-1].name}" if record.applied else "at zero"
    half = record.half_done
    where = f"in the middle of {half.name}, {half.done} operations in effect" if half else last
    return Interrupted(
        f"Stopped. The database {database.alias!r} stands {where}.",
        cause=f"Left to do: {', '.join(step.name for step in left)}." if left else "All migrations had moved.",
        next_step="Run the same command again to go on.",
    )
