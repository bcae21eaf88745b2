"""Plan, Result -> text and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chronomig.code.sources import Source
from chronomig.output.saying import heading, say, seconds
from chronomig.planning.plan import Step
from chronomig.planning.record import Applied, Direction, Renamed

if TYPE_CHECKING:  # status shall not pay for what only migrate needs
    from chronomig.lock import Holder
    from chronomig.project import Database
    from chronomig.running.losses import CountedLoss
    from chronomig.running.migrator import Journey
    from chronomig.running.results import Result


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
