"""Plan -> steps with their code: what cannot run is refused before anything does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chronomig.code.loading import Loaded
from chronomig.errors import Refused
from chronomig.planning.plan import Plan, Step
from chronomig.planning.record import Direction, HalfDone


@dataclass(frozen=True)
class Prepared:
    """A step of a plan with its code."""

    step: Step
    loaded: Loaded

    @property
    def is_up(self) -> bool:
        return self.step.direction is Direction.UP


class IrreversibleRefused(Refused):
    """Migrations that cannot be undone stand in the way."""

    def __init__(self, irreversible: Sequence[Loaded]) -> None:
        self.irreversible = tuple(irreversible)
        self.names = tuple(loaded.name for loaded in irreversible)
        super().__init__(
            f"{len(irreversible)} migration{'s' * (len(irreversible) != 1)} cannot be undone; nothing was run.",
            cause="\n".join(
                f"  {loaded.name}: {operation.describe()}"
                for loaded in irreversible
                for operation in loaded.irreversible
            ),
            next_step="Give the operation a reverse (reverse_code, reverse_sql), or choose a target after it.",
        )


class VanishedRefused(Refused):
    """Migrations need code that is gone."""

    def __init__(self, gone: Sequence[Loaded]) -> None:
        super().__init__(
            f"{len(gone)} migration{'s need' if len(gone) != 1 else ' needs'} code that is gone; nothing was run.",
            cause="\n".join(f"  {one.name}: {', '.join(one.vanished)}" for one in gone),
            next_step=(
                "Install the package again. Or leave that code out for good, if no database needs what it did: "
                f"chronomig freeze {' '.join(f'--without-code {one.name}' for one in gone)}."
            ),
        )


def prepare(plan: Plan, load: Callable[[str], Loaded], *, fake: bool = False) -> list[Prepared]:
    """Load the code of every step; raise LoadError, IrreversibleRefused, or Refused for an edited half-done file."""
    prepared = [Prepared(step, load(step.name)) for step in plan]
    if fake:
        return prepared
    if gone := [one.loaded for one in prepared if one.loaded.vanished]:
        raise VanishedRefused(gone)
    irreversible = [one.loaded for one in prepared if not one.is_up and one.loaded.irreversible]
    if irreversible:
        raise IrreversibleRefused(irreversible)
    for one in prepared:
        if one.step.resumed is not None:
            _check_resumable(one, one.step.resumed)
    return prepared


def _check_resumable(one: Prepared, half: HalfDone) -> None:
    """What is recorded as done must still stand at the head of the file; what ran as one is checked where it runs."""
    if half.together:
        return
    now = tuple(operation.describe() for _, operation in one.loaded.operations)[: half.done]
    if half.described and half.described[: half.done] != now:
        raise Refused(
            f"{one.step.name} is half done, and its first {half.done} operations were edited since.",
            cause="\n".join(f"  done: {text}" for text in half.described[: half.done]),
            next_step="Restore those operations in the file; the ones after them can be changed.",
        )
