"""
What an operation costs in one process, at every size in turn.

Sizes that are measured one after the other differ by what else the machine did in these hours, which is more than
what an operation costs more at ten times the size.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.databases import stores
from benchmarks.generated import Generated
from benchmarks.measuring import Choices, Course
from benchmarks.results import CHRONOMIG, Cell, Row
from benchmarks.workloads import Task, Workload


def measured_in_turns(
    folder: Path, workloads: Iterable[Workload], vendors: Sequence[str], choices: Choices, tell: Callable[[str], None]
) -> Iterator[Row]:
    """
    Yield a row of each size of *workloads* on each database, with nothing in it but what an operation costs.

    Of workloads of one size, that with the most operations is taken.
    """
    projects = []
    by_size = {one.size: one for one in sorted(workloads, key=lambda one: one.history.operation_count)}
    for workload in by_size.values():
        tell(str(workload))
        projects.append(Generated(folder / workload.folder, workload))
    for vendor in vendors:
        with ExitStack() as stack:
            courses = []
            for project in projects:
                found, missing = stack.enter_context(stores([vendor], project.folder))
                for sentence in missing:
                    tell(sentence)
                courses += [Course(project, store, choices) for store in found]
            yield from in_turns(courses, choices.rounds)
    for project in projects:
        shutil.rmtree(project.folder)


def in_turns(courses: Sequence[Course], rounds: int) -> Iterator[Row]:
    cells = [Cell() for _ in courses]
    for course in courses:
        course.prepare_bases()
    for _ in range(rounds):
        for course, cell in zip(courses, cells, strict=True):
            course.measure_operation(cell)
    for course, cell in zip(courses, cells, strict=True):
        yield course.row(Task.FORWARD, {CHRONOMIG: cell})
