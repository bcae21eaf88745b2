"""What the gates cost in a timeline of 5,000 migrations, when nothing is out of order."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chronomig.config import Order, SetConfig
from chronomig.git.trees import Trees
from chronomig.planning.baselines import with_standing
from chronomig.planning.plan import plan
from chronomig.planning.record import Applied, Record
from chronomig.review.branches import Branch, find_base
from chronomig.sets import MigrationSet
from chronomig.timeline import Timeline
from tests.gitting import Git

COUNT = 5000
ROUNDS = 5
GOAL = 0.2
"""Seconds of CPU for the gates together."""
TIMES_READING = 7
"""On a machine that is slow or busy: how often the timeline could be read from the disk meanwhile. Measured: 4."""


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it ran, git's."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def least(work: Callable[[], object]) -> float:
    """Return the CPU time of the quickest round: what else runs on a machine only ever adds to it."""

    def rounds() -> Iterator[float]:
        for _ in range(ROUNDS):
            began = cpu_seconds()
            work()
            yield cpu_seconds() - began

    return min(rounds())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose main has got two migrations since ``work``, which is out and has two of its own, left it."""
    git = Git.init(tmp_path_factory.mktemp("many"))
    folder = git.root / "project_migrations/default"
    folder.mkdir(parents=True)

    def write(first: int, last: int) -> None:
        for number in range(first, last):
            name = f"{datetime(2024, 1, 1) + timedelta(hours=number):%Y%m%d%H%M%S}_m{number}"
            (folder / f"{name}.py").write_text(f"{'# as long as a short migration ' * 10}\n{number}\n")

    write(0, COUNT - 4)
    git.commit("all")
    git("switch", "-qc", "work")
    write(COUNT - 2, COUNT)
    git.commit("ours")
    git("switch", "-q", "main")
    write(COUNT - 4, COUNT - 2)
    git.commit("theirs")
    git("switch", "-q", "work")
    return git.root


def migration_set(root: Path) -> MigrationSet:
    return MigrationSet(
        "default", root / "project_migrations/default", SetConfig(databases=("default",)), Trees(root, "project_migrations")
    )  # fmt: skip


def order_gate(timeline: Timeline) -> None:
    """Plan the last of all migrations, with baselines looked for, as ``migrate`` does."""
    record = with_standing(Record(tuple(map(Applied, timeline.names[:-1]))), timeline)
    assert len(plan(timeline.names, record, timeline.names, order=Order.COMMUTING)) == 1


def merge_gate(one: MigrationSet) -> None:
    """Look for the base, read both sides from git, and compare names and bytes, as ``check`` does."""
    base = find_base(one.trees, "main")
    assert base is not None
    branch = Branch.of(one, base)
    assert (len(branch.ours), len(branch.theirs), branch.edited, branch.gone) == (2, 2, (), ())
    assert [clash.over for clash in branch.late()] == [branch.theirs] * 2


def test_five_thousand_migrations_pass_all_gates_in_a_fifth_of_a_second(root: Path) -> None:
    def gates() -> None:
        one = migration_set(root)
        began = cpu_seconds()
        order_gate(one.timeline)
        merge_gate(one)
        taken.append(cpu_seconds() - began - reading)

    taken: list[float] = []
    reading = least(lambda: migration_set(root).timeline)
    least(gates)
    assert min(taken) < max(GOAL, TIMES_READING * reading), (taken, reading)
