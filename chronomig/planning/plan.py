"""
Timeline + applied + wanted + policy -> Plan.

Everything here is pure: no I/O, no Django, no clock. All that is refused is refused here, before the first
statement runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from chronomig.config import Order
from chronomig.errors import ChronomigError, Refused
from chronomig.planning.record import Direction, HalfDone, Record


@dataclass(frozen=True)
class Step:
    """Move one migration up or down."""

    name: str
    direction: Direction
    resumed: HalfDone | None = None
    """Where it goes on, when it began already."""


@dataclass(frozen=True)
class Plan:
    """Which migrations move, in which order: what is half done first, then downs, then ups."""

    steps: tuple[Step, ...] = ()
    missing: tuple[str, ...] = ()
    """Applied, but without a file; they stay as they are."""

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def downs(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.direction is Direction.DOWN)

    @property
    def ups(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.direction is Direction.UP)


@dataclass(frozen=True)
class Side:
    """One of two migrations that cannot change places, and the operation of it that stands in the way."""

    name: str
    operation: str
    where: str = ""
    """Its file, and who wrote it as far as that is known."""

    def __str__(self) -> str:
        return f"{self.name}  {self.operation}" + (f"  ({self.where})" if self.where else "")


@dataclass(frozen=True)
class Quarrel:
    """Why two migrations cannot change places."""

    one: Side
    other: Side
    reason: str


@dataclass(frozen=True)
class Clash:
    """A migration that would move under one that was applied later, or stands later in the timeline."""

    name: str
    direction: Direction
    over: tuple[str, ...] = field(default=())
    quarrels: tuple[Quarrel, ...] = ()
    """What a judge found, one for each name in *over* that really stands in the way."""


Judge = Callable[[Sequence[Clash], Sequence[str], Sequence[str]], Sequence[Clash]]
"""
Takes what is out of order, what is applied (in the order of application) and what is to go up (in file order);
returns what cannot run where it stands, with the reasons.
"""


class OutOfOrderRefused(Refused):
    """A migration would move where the order of the files and of the application disagree."""

    def __init__(self, clashes: Sequence[Clash]) -> None:
        self.clashes = tuple(clashes)
        super().__init__(
            f"{_count(clashes)} out of order; nothing was run.",
            cause="\n".join(line for clash in clashes for line in lines_of(clash)),
        )
        self.offer("chronomig migrate")

    def offer(self, command: str) -> None:
        """Name the ways out, with *command* as it was typed."""
        ways = [
            (f"{command} --order apply", "run it where it stands"),
            (f"{command} --order rewind", "undo what was applied later, run all in order"),
        ]
        if names := [clash.name for clash in self.clashes if clash.direction is Direction.UP]:
            ways.append((f"chronomig restamp {' '.join(names)}", "give it a newer stamp, if nobody else has it"))
        width = max(len(way) for way, _ in ways)
        self.next_step = "\n".join(f"{way:<{width}}  # {what}" for way, what in ways)


class MissingCodeRefused(Refused):
    """A migration has to go down, and its code is not here."""

    def __init__(self, names: Sequence[str], edited: Collection[str], whence: Mapping[str, str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"The code to undo {len(names)} migration{'s' * (len(names) != 1)} is not here; nothing was run.",
            cause="\n".join(
                f"  {name}: "
                + ("its file was edited since it was applied" if name in edited else "it is applied, but has no file")
                + (f"; it came with {whence[name]}" if whence.get(name) else "")
                for name in names
            ),
            next_step=(
                "Neither the working tree, nor git, nor the vault has the bytes that were applied. "
                "Restore the files as they were, or fetch the branch, then run the command again."
            ),
        )


class HalfCollapsedRefused(Refused):
    """Migrations that ran as one are half done, and not all of them are wanted."""

    def __init__(self, half: HalfDone, unwanted: Sequence[str]) -> None:
        count, first, last = len(half.together), half.together[0], half.together[-1]
        super().__init__(
            f"{count} migrations, from {first} to {last}, ran as one and are half done; nothing was run.",
            cause=f"The target leaves out {len(unwanted)} of them, {unwanted[0]} the first.",
            next_step="Finish them with chronomig migrate --to latest, or begin again with an empty database.",
        )


class UnknownWanted(ChronomigError):
    """A name is wanted that is neither in the timeline nor applied."""


def plan(
    timeline: Sequence[str],
    record: Record,
    wanted: Collection[str],
    *,
    order: Order = Order.FAIL,
    judge: Judge | None = None,
    edited: Collection[str] = (),
    elsewhere: Collection[str] = (),
    unrelated: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Plan:
    """
    Return the steps that make what is applied equal to *wanted*.

    *timeline* holds the names of the files, in order; *edited* the applied names whose file has other bytes now;
    *elsewhere* the names that are not in the timeline, but whose code is at hand; *unrelated* the applied names that
    do not stand on a pending one, whatever the order of the files. The *judge* is asked only when something is out of
    order, and the policy goes by what operations do.
    Raise OutOfOrderRefused, MissingCodeRefused, or UnknownWanted.
    """
    files, wanted, applied = set(timeline), set(wanted), record.names
    at_hand = files.union(elsewhere)
    half = record.half_done
    begun = set(half.names) if half else set()
    settled = [name for name in applied if name not in begun]
    if unknown := wanted - files - set(applied) - begun:
        raise UnknownWanted(f"There is no migration {min(unknown)!r}.")
    in_effect = set(settled)
    resumed = _resume(half, wanted) if half else []
    downs = [Step(name, Direction.DOWN) for name in reversed(settled) if name not in wanted]
    pending = (name for name in timeline if name in wanted and name not in in_effect)
    ups = [Step(name, Direction.UP) for name in pending if name not in begun]
    steps = [*resumed, *downs, *ups]
    whence = {one.name: one.whence for one in record.applied}
    _refuse_missing_code(steps, at_hand, edited, whence)
    stays = [name for name in settled if name in wanted]
    clashes = list(_clashes(downs, ups, settled, stays, unrelated))
    _refuse_to_step_over(clashes, at_hand)
    if clashes and order is Order.REWIND:
        return _rewound(resumed, downs, ups, clashes, settled, at_hand, edited, whence)
    if clashes and judge is not None and order in (Order.ASK, Order.COMMUTING):
        clashes = list(judge(clashes, settled, [step.name for step in ups]))
    if clashes and order is not Order.APPLY:
        raise OutOfOrderRefused(clashes)
    return Plan(tuple(steps), tuple(sorted(set(stays) - files)))


def _refuse_to_step_over(clashes: Sequence[Clash], files: Collection[str]) -> None:
    """What has no file cannot be judged, and is never stepped over on the way down."""
    found = [one for one in clashes if one.direction is Direction.DOWN and not set(files).issuperset(one.over)]
    if found:
        raise OutOfOrderRefused(found)


def _rewound(
    resumed: Sequence[Step], downs: Sequence[Step], ups: Sequence[Step], clashes: Sequence[Clash],
    settled: Sequence[str], files: Collection[str], edited: Collection[str], whence: Mapping[str, str],
) -> Plan:  # fmt: skip
    """Undo all that was applied since the first that stands in the way; then run everything in file order."""
    first = min(settled.index(name) for clash in clashes for name in clash.over)
    going = {step.name for step in downs}
    again = [name for name in settled[first:] if name not in going]
    down = [Step(name, Direction.DOWN) for name in reversed(settled) if name in going or name in again]
    up = [Step(name, Direction.UP) for name in sorted([*again, *(step.name for step in ups)])]
    steps = (*resumed, *down, *up)
    _refuse_missing_code(steps, files, edited, whence)
    stays = {name for name in settled if name not in going and name not in again}
    return Plan(steps, tuple(sorted(stays - set(files))))


def _resume(half: HalfDone, wanted: Collection[str]) -> list[Step]:
    if not half.together:
        return [Step(half.name, Direction.UP if half.name in wanted else Direction.DOWN, half)]
    if unwanted := [name for name in half.together if name not in wanted]:
        raise HalfCollapsedRefused(half, unwanted)
    return [Step(name, Direction.UP, half) for name in half.together]


def _refuse_missing_code(
    steps: Sequence[Step], files: Collection[str], edited: Collection[str], whence: Mapping[str, str]
) -> None:
    """A half-done migration may have been edited: mending it is how it gets finished."""
    found = (
        step.name
        for step in steps
        if step.name not in files or (step.direction is Direction.DOWN and not step.resumed and step.name in edited)
    )
    if missing := list(dict.fromkeys(found)):
        raise MissingCodeRefused(missing, [name for name in missing if name in files], whence)


def _clashes(
    downs: Sequence[Step],
    ups: Sequence[Step],
    settled: Sequence[str],
    stays: Sequence[str],
    unrelated: Mapping[str, Collection[str]],
) -> Iterator[Clash]:
    """Yield what moves under a migration that stays: applied later (downs), or later in file order (ups)."""
    staying = set(stays)
    position = {name: index for index, name in enumerate(settled)}
    last = max((position[name] for name in stays), default=-1)
    for step in downs:
        if position[step.name] < last:
            later = (name for name in settled[position[step.name] + 1 :] if name in staying)
            yield Clash(step.name, Direction.DOWN, tuple(later))
    newest = max(stays, default="")
    for step in ups:
        free = set(unrelated.get(step.name, ()))
        if step.name < newest and (over := sorted(name for name in stays if name > step.name and name not in free)):
            yield Clash(step.name, Direction.UP, tuple(over))


def explain(clash: Clash) -> str:
    """Say in a line which migration is out of order, and against which."""
    others = clash.over[0] + (f" and {len(clash.over) - 1} more" if len(clash.over) > 1 else "")
    one = len(clash.over) == 1
    if clash.direction is Direction.UP:
        return f"{clash.name} is pending, but older than {others}, which {'is' if one else 'are'} applied"
    applied = "was applied after it and stays" if one else "were applied after it and stay"
    return f"{clash.name} would go down, but {others} {applied}"


def lines_of(clash: Clash) -> Iterator[str]:
    """Yield what a person reads of one clash: both sides of each quarrel, and why."""
    yield f"  {explain(clash)}"
    for quarrel in clash.quarrels:
        yield f"    {quarrel.one}"
        yield f"    {quarrel.other}"
        yield f"    {quarrel.reason}"


def _count(clashes: Sequence[Clash]) -> str:
    return f"{len(clashes)} migration is" if len(clashes) == 1 else f"{len(clashes)} migrations are"
