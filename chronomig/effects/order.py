"""Whether what is out of order may run where it stands: it may, if it commutes with what was applied later."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from chronomig.code.folding import States
from chronomig.code.loading import Loaded
from chronomig.effects import EVERYTHING, Effects, Meeting, Placed, meetings, placed
from chronomig.planning.plan import Clash, Quarrel, Side
from chronomig.planning.record import Direction
from chronomig.state import ProjectState


@dataclass(frozen=True)
class OrderJudge:
    """Judge clashes by the effects of operations; loads files, so it is asked only when something is out of order."""

    load: Callable[[str], Loaded]
    states: Callable[[Sequence[str]], States]
    """The states along names."""
    known: Collection[str]
    """The migrations that have code."""
    where: Callable[[str], str]
    """Names the file of a migration, and who wrote it as far as that is known."""

    def __call__(self, clashes: Sequence[Clash], settled: Sequence[str], ups: Sequence[str]) -> list[Clash]:
        """Return those of *clashes* that stand in the way, each with the first quarrel for every migration."""
        here = [name for name in settled if name in self.known]
        states = self.states(here)
        found = self._applied(states, {name for clash in clashes for name in clash.over})
        moving = self._moving(clashes, states, ups)
        judged = (replace(clash, quarrels=tuple(self._quarrels(clash, found, moving))) for clash in clashes)
        return [replace(one, over=tuple(each.other.name for each in one.quarrels)) for one in judged if one.quarrels]

    def _applied(self, states: States, concerned: set[str]) -> dict[str, list[Placed]]:
        """Return what was applied, with its effects where it was applied."""
        names = [name for name in states.names if name in concerned]
        return {name: operations_of(self.load(name), states.before(name))[0] for name in names}

    def _moving(self, clashes: Sequence[Clash], states: States, ups: Sequence[str]) -> dict[str, list[Placed]]:
        """Return what is to move, with its effects where the files have it, and where it would run now."""
        late = {clash.name for clash in clashes if clash.direction is Direction.UP}
        going = {clash.name for clash in clashes if clash.direction is Direction.DOWN}
        found = self._applied(states, going)
        if not late:
            return found
        ups = [name for name in ups if name <= max(late)]
        in_file_order, state = self.states(sorted({*states.names, *ups})), states.current
        for name in ups:
            loaded = self.load(name)
            now, state = operations_of(loaded, state)
            if name in late:
                found[name] = [*operations_of(loaded, in_file_order.before(name))[0], *now]
        return found

    def _quarrels(
        self, clash: Clash, applied: dict[str, list[Placed]], moving: dict[str, list[Placed]]
    ) -> Iterator[Quarrel]:
        for name in clash.over:
            if name not in applied:
                yield Quarrel(self._side(clash.name, ""), self._side(name, ""), f"the file of {name} is not here")
            elif meeting := next(meetings(moving[clash.name], applied[name]), None):
                yield self._quarrel(clash.name, name, meeting)

    def _quarrel(self, name: str, other: str, meeting: Meeting) -> Quarrel:
        return Quarrel(self._side(name, str(meeting.one)), self._side(other, str(meeting.other)), meeting.reason)

    def _side(self, name: str, operation: str) -> Side:
        return Side(name, operation, self.where(name) if name in self.known else "")


def operations_of(loaded: Loaded, before: ProjectState) -> tuple[list[Placed], ProjectState]:
    """Return the operations of a migration with their effects, and the state after them."""
    found, after = placed(before, loaded.operations, loaded.touches)
    if not loaded.overrides_execution:
        return found, after
    # The file brings an apply() of its own: what it does besides its operations is not known.
    opaque = Effects(writes=frozenset({EVERYTHING}), opaque=True)
    return [replace(one, effects=one.effects | opaque) for one in found], after
