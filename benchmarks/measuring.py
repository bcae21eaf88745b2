"""One workload on one database: prepare, check that all end alike, then measure in turn."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Contender, as_python, last_line
from benchmarks.databases import Store
from benchmarks.generated import Generated
from benchmarks.results import BARE, CHRONOMIG, FASTMIG, OWN, STOCK, Cell, Row
from benchmarks.running import Ran, Site
from benchmarks.workloads import Task


@dataclass(frozen=True)
class Choices:
    """What holds for all measurements."""

    contenders: Sequence[Contender]
    rounds: int
    limit: float
    """Seconds that one process may take."""
    enough: float
    """Seconds after which a contender sits out the other rounds of a task."""


@dataclass(frozen=True)
class Entry:
    """A contender in one task: what is run, where, and from which copy of the database."""

    name: str
    site: Site
    command: Sequence[str]
    start: str


class Course:
    """One workload on one database."""

    def __init__(self, generated: Generated, store: Store, choices: Choices) -> None:
        self.generated, self.store, self.choices = generated, store, choices
        self.sites = {one.name: generated.site(one) for one in choices.contenders}
        self.heads: dict[str, Cell] = {}
        """The run of each contender from the base to the head, which all tasks need."""
        self.ends: dict[tuple[str, Task], str] = {}
        """The schema that a contender's task led to."""

    def rows(self) -> Iterator[Row]:
        """Measure every task; end the program when the contenders do not end in the same schema."""
        self.prepare_bases()
        self._reach_heads()
        for task in self.generated.workload.tasks:
            yield self._measured(task)

    def prepare_bases(self) -> None:
        """Make the tables once, and record in the way of each framework that its migrations are applied."""
        generated, store = self.generated, self.store
        store.clear()
        if generated.base:
            generated.helper.helped("seeding", database=store.settings(), given=generated.base)
        store.save("tables")
        if generated.base:
            generated.helper.helped("seeding", "--record", database=store.settings(), given=generated.base)
        store.save(f"{STOCK}_base")
        store.restore("tables")
        if generated.base:
            self.sites[CHRONOMIG].helped("recording", generated.base_name, database=store.settings())
        store.save(f"{CHRONOMIG}_base")

    def _reach_heads(self) -> None:
        """Take every contender through the tail once; all later tasks begin there."""
        for contender in self.choices.contenders:
            self.heads[contender.name] = cell = self._warmed_up(contender, Task.FORWARD)
            if not cell.note:
                self.store.save(f"{contender.name}_head")
        self._compare(Task.FORWARD, self.heads)

    def _schema(self) -> str:
        return self.generated.helper.helped("dumping", database=self.store.settings())

    def _compare(self, task: Task, cells: Mapping[str, Cell]) -> None:
        """All that ran have to have come to the same schema; end the program if chronomig did not."""
        ended = {name: schema for (name, done), schema in self.ends.items() if done is task}
        if STOCK not in ended or CHRONOMIG not in ended:
            print(f"  {task}: stock Django or chronomig has no schema to compare", file=sys.stderr)
        elif ended[STOCK] != ended[CHRONOMIG]:
            sys.exit(f"{task}: stock Django and chronomig end in different schemas:\n{difference(ended)}")
        if STOCK in ended and ended.get(FASTMIG, ended[STOCK]) != ended[STOCK]:
            cells[FASTMIG].note = "ends in another schema than stock Django"

    def _measured(self, task: Task) -> Row:
        """Run all contenders in turn, each round beginning with another one."""
        cells = {one.name: self._warm_cell(one, task) for one in self.choices.contenders}
        if task is Task.BACKWARD:
            self._compare(task, cells)
        able = [one for one in self.choices.contenders if not cells[one.name].note]
        entries = [self._entry(one, task) for one in able]
        if source := next((one for one in able if one.name != FASTMIG), None):
            entries.append(self._bare_entry(BARE, source, task))
            its_own = source.name == STOCK or not task.writes
            cells[BARE] = Cell(note="" if its_own else f"the statements of {source.name}")
            other = next((one for one in able if one.name == CHRONOMIG and one is not source), None)
            if other and task.writes:
                entries.append(self._bare_entry(OWN, other, task))
                cells[OWN] = Cell()
        for number in range(self.choices.rounds):
            shift = number % max(len(entries), 1)
            for entry in [*entries[shift:], *entries[:shift]]:
                self._run_counted(entry, task, number, cells[entry.name])
        if task is Task.FORWARD and not cells[CHRONOMIG].note:
            for _ in range(self.choices.rounds):
                self.measure_operation(cells[CHRONOMIG])
        return self.row(task, cells)

    def row(self, task: Task, cells: dict[str, Cell]) -> Row:
        """Return what was measured of *task*."""
        workload = self.generated.workload
        operations = workload.history.operation_count if task.writes else 0
        return Row(workload.name, workload.size, self.store.vendor, task, operations, cells)

    def measure_operation(self, cell: Cell) -> None:
        """Add to *cell* what each operation of the tail costs chronomig in one process."""
        cell.operation_ms.append(self._operation_ms())
        if self.store.has_server:
            cell.unsent_ms.append(self._operation_ms("--unsent"))

    def _operation_ms(self, *arguments: str) -> float:
        self.store.restore(f"{CHRONOMIG}_base")
        return float(self.sites[CHRONOMIG].helped("operations", *arguments, database=self.store.settings()))

    def _warm_cell(self, contender: Contender, task: Task) -> Cell:
        head = self.heads[contender.name]
        if task is Task.FORWARD or contender.missing:
            return head
        return Cell(note=f"no start: forward {head.note}") if head.note else self._warmed_up(contender, task)

    def _warmed_up(self, contender: Contender, task: Task) -> Cell:
        """Run once without counting: caches fill, and what is sent is kept."""
        if contender.missing:
            return Cell(note=contender.missing)
        entry = self._entry(contender, task)
        trace = self._trace(contender.name, task)
        command = self._command(contender, task)
        traced = ["-m", "benchmarks.inside.tracing", str(trace), *command] if task.writes else as_python(command)
        ran = self._run(Entry(entry.name, entry.site, traced, entry.start), task)
        if ran.timed_out:
            return Cell(note=f"> {self.choices.limit:g} s")
        if not ran.succeeded and contender.name == FASTMIG:
            return Cell(note=f"failed: {last_line(ran.output)}")
        self._must(ran, f"{contender.name}: {' '.join(command)}")
        if not task.writes:
            return Cell()
        self.ends[contender.name, task] = self._schema()
        return Cell(statements=len(pickle.loads(trace.read_bytes())))

    def _run_counted(self, entry: Entry, task: Task, number: int, cell: Cell) -> None:
        if sum(cell.seconds.values()) > self.choices.enough:
            return
        ran = self._run(entry, task)
        if ran.timed_out:
            cell.note = f"> {self.choices.limit:g} s"
            return
        self._must(ran, f"{entry.name}: {' '.join(entry.command)}")
        cell.seconds[number] = ran.seconds
        cell.cpu.append(ran.cpu)
        cell.peak_mb = max(cell.peak_mb, ran.peak_mb)

    def _run(self, entry: Entry, task: Task) -> Ran:
        """What writes runs on a fresh copy, what reads on the kept one itself."""
        if task.writes:
            self.store.restore(entry.start)
        database = self.store.settings("" if task.writes else entry.start)
        return entry.site.measured(entry.command, database, self.choices.limit)

    def _entry(self, contender: Contender, task: Task) -> Entry:
        command = as_python(self._command(contender, task))
        start = f"{contender.project}_base" if task is Task.FORWARD else f"{contender.name}_head"
        return Entry(contender.name, self.sites[contender.name], command, start)

    def _command(self, contender: Contender, task: Task) -> list[str]:
        return contender.command(task, self.generated.workload.undo_target, self.generated.base_name)

    def _bare_entry(self, name: str, source: Contender, task: Task) -> Entry:
        """The bare SQL is stock Django's, or chronomig's where stock did not run; chronomig's own is measured too."""
        files = [str(self._trace(source.name, task))] if task.writes else []
        command = ["-m", "benchmarks.inside.replay", *files]
        bare = Entry(name, self.generated.helper, command, self._entry(source, task).start)
        if task.writes:
            self._check_replay(bare, task, source.name)
        return bare

    def _check_replay(self, bare: Entry, task: Task, source: str) -> None:
        """The floor is one only if it does the work: the replay has to end where its original ended."""
        self._must(self._run(bare, task), "the replay")
        if self._schema() != self.ends[source, task]:
            sys.exit(f"{task}: the statements of {source}, replayed, end in another schema than they did")

    def _trace(self, name: str, task: Task) -> Path:
        return self.generated.folder / f"{self.store.vendor}-{task.name.lower()}-{name}.pickle"

    def _must(self, ran: Ran, what: str) -> None:
        if not ran.succeeded:
            reason = f"took more than {self.choices.limit:g} s" if ran.timed_out else f"failed:\n{ran.output}"
            sys.exit(f"{what} {reason}")


def difference(schemas: Mapping[str, str]) -> str:
    """Return the first lines in which two schemas differ."""
    import difflib
    import json

    one, two = (json.dumps(json.loads(schemas[name]), indent=1).splitlines() for name in (STOCK, CHRONOMIG))
    return "\n".join(list(difflib.unified_diff(one, two, STOCK, CHRONOMIG, lineterm="", n=2))[:40])
