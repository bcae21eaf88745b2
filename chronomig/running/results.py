"""What a run gives out: a Result for each migration that moved, or a failure that knows them; and who listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chronomig.errors import ExecutionError, in_words
from chronomig.history.events import Kind
from chronomig.planning.plan import Step
from chronomig.planning.record import Direction
from chronomig.running.preparing import Prepared
from chronomig.running.timeouts import root_of


@dataclass(frozen=True)
class Result:
    """One migration that moved; given out after the commit."""

    name: str
    direction: Direction
    kind: Kind
    duration_ms: int | None
    """None for one of several that ran as one."""
    notes: tuple[str, ...] = ()
    """What else happened: rows that were stashed or restored."""
    warnings: tuple[str, ...] = ()
    """What somebody has to hear however quiet the run is: rows that could not come back."""


class Watcher(Protocol):
    """Hears what the executor does; a progress bar, or nothing."""

    def migration_begins(self, step: Step, number: int, total: int) -> None: ...
    def operation_begins(self, step: Step, description: str, number: int, total: int) -> None: ...
    def rows_touched(self, count: int) -> None: ...
    def retrying(self, step: Step, problem: str, pause: float, number: int, total: int) -> None: ...
    def remarked(self, text: str) -> None: ...


class Failed(ExecutionError):
    """A migration failed; knows what came before it and what is left."""

    def __init__(self, failed: Prepared, error: BaseException, done: Sequence[Result], left: Sequence[Prepared],
                 operation: str, *, half: bool, left_behind: Sequence[str] = (),
                 from_stash: bool = False) -> None:  # fmt: skip
        self.left_behind = left_behind
        self.failed, self.done, self.left = failed.step, tuple(done), tuple(one.step for one in left)
        verb = "applied" if failed.is_up else "undone"
        place = (
            "Operations before it are done and recorded; the next run goes on there."
            if half
            else "It was rolled back; the database stands as before it."
        )
        mend = f"Mend {failed.step.name}, then run the same command again. See chronomig status."
        if from_stash:
            mend += " Rows came back from the stash before it; without them: chronomig stash drop --all."
        super().__init__(
            f"{failed.step.name} was not {verb}.",
            cause="\n".join(
                filter(
                    None,
                    [
                        f"{operation}:" if operation else "",
                        root_in_words(error),
                        place,
                    ],
                )
            ),
            next_step=mend,
        )

    def more(self) -> list[str]:
        return [f"moved in this run: {in_short(self.done)}", f"left: {in_short(self.left)}", *self.left_behind]


def root_in_words(error: BaseException) -> str:
    return in_words(root_of(error))


def in_short(steps: Sequence[Result | Step]) -> str:
    """List a few names in full, of many the first and the last."""
    if len(steps) > 4:
        return f"{len(steps)} migrations, from {steps[0].name} to {steps[-1].name}"
    return ", ".join(step.name for step in steps) or "none"
