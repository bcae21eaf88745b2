"""What a person at a terminal sees beyond plain lines: tables and progress, with rich."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from chronomig.output import (
    PlainReporter,
    details,
    say,
    say_edits,
    say_leftovers,
    seconds,
    status_heading,
    verb,
    visible,
)
from chronomig.planning.plan import Step
from chronomig.project import Database
from chronomig.running.results import Result
from chronomig.status import State, Status

COLOURS = {
    State.APPLIED: "green",
    State.PENDING: "yellow",
    State.HALF_DONE: "bold red",
    State.MISSING: "red",
    State.FUTURE: "magenta",
}


def say_status(status: Status) -> None:
    """Print both lists of one database as a table; names fold in a narrow window, nothing is cut."""
    say(status_heading(status))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("state", "migration", "when", "took", ""):
        table.add_column(column, overflow="fold", header_style="dim")
    for line in status.lines:
        table.add_row(Text(line.state, style=COLOURS[line.state]), *written(line.name, *details(line)))
    Console(highlight=False).print(table)
    say_edits(status)
    say_leftovers(status)


def written(*texts: str) -> Iterator[Text]:
    """Yield what a database says, as it stands: neither markup nor what commands a terminal."""
    return (Text(visible(text)) for text in texts)


class ProgressReporter(PlainReporter):
    """A bar on stderr with the current migration and operation; results above it."""

    def __init__(self) -> None:
        super().__init__()
        self.console = Console(stderr=True, highlight=False)
        self.progress = Progress(
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._rows = 0
        self._text = ""

    def migration_begins(self, step: Step, number: int, total: int) -> None:
        if self._task is None:
            self.progress.start()
            self._task = self.progress.add_task("", total=total)
        self._rows, self._text = 0, f"{step.direction} {step.name}"
        self.progress.update(self._task, completed=number - 1, total=total, description=self._text)

    def operation_begins(self, step: Step, description: str, number: int, total: int) -> None:
        self._text = f"{step.name} {number}/{total} {description}"
        self._show()

    def rows_touched(self, count: int) -> None:
        self._rows += count
        self._show()

    def _show(self) -> None:
        if self._task is not None:
            rows = f" ({self._rows} rows)" if self._rows else ""
            self.progress.update(self._task, description=self._text + rows)

    def moved(self, database: Database, result: Result) -> None:
        self.console.print(f"  [green]{verb(result):<8}[/]  {result.name}  [dim]{seconds(result.duration_ms)}[/]")
        for note in result.notes:
            self.console.print(Text(f"            {note}"))

    def close(self) -> None:
        if self._task is not None:
            self.progress.stop()
            self._task = None


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function that moves a bar on stderr: (number, total, name of what is at hand)."""
    columns = (BarColumn(bar_width=20), TextColumn("{task.completed:.0f}/{task.total:.0f} " + what))
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, TextColumn("{task.description}", markup=False), console=console, transient=True) as bar:
        task = bar.add_task("", total=1)

        def count(number: int, total: int, name: str) -> None:
            bar.update(task, completed=number, total=total, description=name)

        yield count
