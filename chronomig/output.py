"""
Plan, Result, Status -> text and JSON.

Plain, stable lines when the output is no terminal; colour and tables when it is. Results go to stdout, progress and
messages to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from chronomig.edits import Meaning
from chronomig.errors import ChronomigError
from chronomig.plan import Step
from chronomig.record import Applied, Direction, Renamed
from chronomig.sources import Source
from chronomig.status import Line, State, Status

if TYPE_CHECKING:  # status shall not pay for what only migrate needs
    from chronomig.events import Event
    from chronomig.lock import Holder
    from chronomig.losses import CountedLoss
    from chronomig.migrator import Journey
    from chronomig.project import Database
    from chronomig.results import Result


def say(text: str = "", *, err: bool = False) -> None:
    """Print a line; a reader who went away does not stop what runs. Nothing in it commands a terminal."""
    stream = sys.stderr if err else sys.stdout
    text = visible(text)
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        silence(stream)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


COMMANDING = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
"""What moves a cursor, changes colours or rings; names and texts may come from a database."""


def visible(text: str) -> str:
    """Return *text* with what would command a terminal written out."""
    return text.translate(COMMANDING)


def silence(stream: IO[str]) -> None:
    """Send what follows nowhere, at the descriptor too, so that closing it cannot fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say_json(kind: str, **content: object) -> None:
    """Print one object with its schema."""
    say(json.dumps({"schema": f"chronomig.{kind}/1", **content}, default=to_json))


def to_json(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"{value!r} has no JSON form")


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_terminal(stream: IO[str]) -> bool:
    """Whether colours, tables and bars make sense there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def seconds(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def ghosts(count: int) -> str:
    return f"{plural(count, 'migration')} {'is' if count == 1 else 'are'} applied, but not in the tree"


def undoing(count: int) -> str:
    return f"chronomig migrate --ghosts rollback undoes {'it' if count == 1 else 'them'}"


def heading(database: Database) -> str:
    return f"{database.alias} ({database.connection.vendor}, set {database.set.name})"


# -- errors ---------------------------------------------------------------------------------------------------------


def say_error(error: ChronomigError) -> None:
    """Print fact, cause and next step on stderr."""
    say(f"Error: {error.fact}", err=True)
    for line in error.cause.splitlines():
        say(f"  {line.removeprefix('  ')}", err=True)
    for line in error.more():
        say(f"  {line}", err=True)
    for number, line in enumerate(error.next_step.splitlines()):
        say(f"  {'  ' if number else '->'} {line}", err=True)


def error_as_json(error: ChronomigError) -> dict[str, object]:
    return {
        "kind": type(error).__name__,
        "fact": error.fact,
        "cause": error.cause,
        "next_step": error.next_step,
        "exit_code": error.exit_code,
    }


# -- plans and runs -------------------------------------------------------------------------------------------------


def say_plan(journey: Journey, losses: Sequence[CountedLoss] = ()) -> None:
    """Print what would move, in order, and what that destroys."""
    say(heading(journey.database))
    for each in journey.record.renamed:
        say(f"  rename {each.was} -> {each.name}  (in the history: its file has another name now)")
    for one in journey.adoptable:
        say(f"  adopt  {one.name}")
    for step in journey.plan:
        say(f"  {step.direction:<5}  {step.name}{resumed(step)}{code_of(step, journey)}")
    for name in journey.plan.missing:
        say(f"  stays  {name}  (applied, but without a file)")
    for loss in losses:
        say(f"  destroys  {loss}")
    if not (journey.plan or journey.adoptable or journey.record.renamed):
        say("  nothing to do")


def resumed(step: Step) -> str:
    return f"  (goes on; {step.resumed.done} operations in effect)" if step.resumed else ""


def code_of(step: Step, journey: Journey) -> str:
    """Say where the code of a step comes from, when it is neither the disk nor the target."""
    found = journey.code.found.get(step.name)
    return f"  (code: {found.source})" if found and found.source is not Source.WORKING_TREE else ""


def plan_as_json(journey: Journey) -> dict[str, object]:
    return {
        "alias": journey.database.alias,
        "set": journey.database.set.name,
        "renamed": [{"was": one.was, "name": one.name} for one in journey.record.renamed],
        "adopt": [one.name for one in journey.adoptable],
        "steps": [
            {"name": step.name, "direction": step.direction, "resumed": bool(step.resumed)} for step in journey.plan
        ],
        "missing": list(journey.plan.missing),
    }


def loss_as_json(loss: CountedLoss) -> dict[str, object]:
    """The rows are null where counting took too long."""
    return {"name": loss.migration, "direction": loss.direction, "what": loss.what, "rows": loss.rows}


def result_as_json(result: Result) -> dict[str, object]:
    return {
        "name": result.name,
        "direction": result.direction,
        "event": result.kind,
        "duration_ms": result.duration_ms,
        "notes": list(result.notes),
    }


def verb(result: Result) -> str:
    if result.kind == "faked":
        return "faked" if result.direction is Direction.UP else "unfaked"
    return result.kind.value


class PlainReporter:
    """Says what a run does, a line each, after it happened."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def waiting(self, database: Database, holder: Holder) -> None:
        say(f"{database.alias}: waiting for {holder}", err=True)

    def adopted(self, database: Database, applied: Sequence[Applied]) -> None:
        if not self.quiet:
            for one in applied:
                say(f"  adopted   {one.name}")

    def renamed(self, database: Database, names: Sequence[Renamed]) -> None:
        if not self.quiet:
            for one in names:
                say(f"  renamed   {one.was} -> {one.name}")

    def moved(self, database: Database, result: Result) -> None:
        if not self.quiet:
            say(f"  {verb(result):<8}  {result.name}  {seconds(result.duration_ms)}")
            for note in result.notes:
                say(f"            {note}")

    def remarked(self, text: str) -> None:
        say(text, err=True)

    def finishing_first(self) -> None:
        say(
            "Stopping after this migration, which cannot be rolled back as a whole; "
            "press Ctrl-C again to stop in the middle of it.",
            err=True,
        )

    def migration_begins(self, step: Step, number: int, total: int) -> None:
        """Plain output tells results only."""

    def operation_begins(self, step: Step, description: str, number: int, total: int) -> None:
        """Plain output tells results only."""

    def rows_touched(self, count: int) -> None:
        """Plain output tells results only."""

    def retrying(self, step: Step, problem: str, pause: float, number: int, total: int) -> None:
        say(f"{step.name}: {problem}; try {number} of {total} in {pause:g} s", err=True)

    def close(self) -> None:
        """Nothing is open."""


# -- status ---------------------------------------------------------------------------------------------------------


def say_status(status: Status) -> None:
    """Print both lists of one database."""
    say(status_heading(status))
    width = max((len(line.name) for line in status.lines), default=0)
    for line in status.lines:
        say("  " + "  ".join(filter(None, [f"{line.state:<9}", f"{line.name:<{width}}", *details(line)])).rstrip())
    say_edits(status)
    say_leftovers(status)


def status_heading(status: Status) -> str:
    counts = [f"{count} {state}" for state in State if (count := status.counts[state])]
    return f"{status.alias} ({status.vendor}, set {status.set_name}): {', '.join(counts) or 'no migrations'}"


def details(line: Line) -> list[str]:
    """Return when, how long, and what is unusual."""
    when = f"{line.at:%Y-%m-%d %H:%M:%S} UTC" if line.at else ""
    how = line.how if line.how != "applied" else ""
    flags = [
        how,
        edited(line),
        "out of order" if line.out_of_order else "",
        line.note,
        whence(line),
    ]
    return [when, seconds(line.duration_ms), ", ".join(filter(None, flags))]


def edited(line: Line) -> str:
    if line.edit is not None and line.edit.meaning is Meaning.SAME:
        return "edited (the same operations)"
    return "edited" if line.edited else ""


def say_edits(status: Status) -> None:
    """Print what was done to files since they were applied, where it is more than their form."""
    for line in status.lines:
        if line.edit is not None and line.edit.meaning is not Meaning.SAME:
            for text in line.edit.diff or [f"{line.name} was edited; what was applied is nowhere to be found"]:
                say(f"  | {text}")


def say_leftovers(status: Status) -> None:
    """Print what a failure left behind, with what to type."""
    for one in status.leftovers:
        say(f"  {one}")


def whence(line: Line) -> str:
    """Say where the code of a migration without its file would come from, and what it came with."""
    if not line.is_ghost and not line.edited:
        return ""
    came = " ".join(filter(None, [line.branch, line.commit[:12]]))
    return f"code: {line.source}" + (f", came with {came}" if came else "")


def status_as_json(status: Status) -> dict[str, object]:
    return {
        "alias": status.alias,
        "set": status.set_name,
        "vendor": status.vendor,
        "settled": status.settled,
        "migrations": [line_as_json(line) for line in status.lines],
        "leftovers": [asdict(one) for one in status.leftovers],
    }


def line_as_json(line: Line) -> Mapping[str, Any]:
    return {
        "name": line.name,
        "state": line.state,
        "how": line.how or None,
        "at": line.at,
        "duration_ms": line.duration_ms,
        "edited": line.edited,
        "edit": {"meaning": line.edit.meaning, "diff": list(line.edit.diff)} if line.edit else None,
        "out_of_order": line.out_of_order,
        "note": line.note or None,
        "code": line.source,
        "branch": line.branch or None,
        "commit": line.commit or None,
    }


# -- history --------------------------------------------------------------------------------------------------------


def say_events(database: Database, events: Sequence[Event]) -> None:
    """Print every event of one database, oldest first."""
    say(f"{heading(database)}: {plural(len(events), 'event')}")
    for event in events:
        when = f"{event.at:%Y-%m-%d %H:%M:%S} UTC" if event.at else ""
        parts = [
            when,
            f"{event.kind:<8}",
            event.direction if event.name else "",
            event.name,
            seconds(event.duration_ms),
        ]
        say("  " + "  ".join(filter(None, [*parts, event.by, in_a_line(event)])))


def in_a_line(event: Event) -> str:
    """Return the detail of an event in one line; of migrations that began together, the first and the last."""
    lines = event.detail.split("\n")
    if event.kind in ("collapsing", "squashed"):
        return f"{plural(len(lines), 'migration')}, from {lines[0]} to {lines[-1]}"
    return f"was {event.detail}" if event.kind == "renamed" else " ".join(lines)


def event_as_json(event: Event) -> dict[str, object]:
    return {
        "event": event.kind,
        "name": event.name or None,
        "direction": event.direction,
        "sha256": event.sha256 or None,
        "origin": " ".join(event.origin) if event.origin else None,
        "operation": event.operation,
        "detail": event.detail or None,
        "duration_ms": event.duration_ms,
        "at": event.at,
        "by": event.by,
        "version": event.version,
        "branch": event.branch or None,
        "commit": event.commit or None,
        "blob": event.blob or None,
    }


# -- questions ------------------------------------------------------------------------------------------------------


def ask(question: str) -> str:
    """Ask on the terminal; return what was typed, in lower case."""
    print(f"{question} ", end="", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline().strip().lower()


def confirm(question: str) -> bool:
    """Ask on the terminal; anything but a yes is a no."""
    return ask(f"{question} [y/N]") in ("y", "yes")
