"""What becomes of ghosts: migrations that are applied, but not in the tree."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from chronomig import output
from chronomig.code.sources import Found, applied_or_begun
from chronomig.config import Ghosts
from chronomig.errors import Refused
from chronomig.planning.record import Applied, Record
from chronomig.project import Database
from chronomig.running.migrator import Choices, plan_journey


@dataclass(frozen=True)
class Haunted:
    """A database with ghosts."""

    database: Database
    record: Record
    ghosts: tuple[Applied, ...]
    """What was applied last first."""
    found: Mapping[str, Found]
    """Those whose code was found."""

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.ghosts]

    @property
    def undoable(self) -> list[str]:
        """The ghosts that can go down: up to the first one whose code is nowhere."""
        names = self.names
        return names[: next((place for place, name in enumerate(names) if name not in self.found), len(names))]


def decide(records: Sequence[tuple[Database, Record]], choices: Choices, policy: Ghosts, *, may_ask: bool) -> Choices:
    """Return the choices with what becomes of ghosts; raise Refused under ``fail``."""
    haunted = [one for database, record in records if (one := look(database, record)).ghosts]
    if not haunted or policy is Ghosts.KEEP:
        return choices
    if policy is Ghosts.FAIL:
        raise Refused(
            f"{described(haunted)}; nothing was run.",
            cause=listed(haunted),
            next_step="Undo them with --ghosts rollback, or leave them with --ghosts keep.",
        )
    if policy is Ghosts.ROLLBACK:
        return without({one.database.alias: one.names for one in haunted}, choices)
    if may_ask:
        return ask(haunted, choices)
    if choices.verbosity:
        undoing = output.undoing(count_of(haunted))
        output.say(f"{described(haunted)}: {undoing}, --ghosts keep leaves this line out.", err=True)
    return choices


def look(database: Database, record: Record) -> Haunted:
    """Find the ghosts of one database and their code."""
    files = database.set.timeline
    ghosts = [one for one in reversed(applied_or_begun(record)) if one.name not in files.by_name]
    return Haunted(database, record, tuple(ghosts), database.set.shelf.find(ghosts, files))


def without(chosen: Mapping[str, Collection[str]], choices: Choices) -> Choices:
    """Return the choices with the way down for what is *chosen*."""

    def wanted(database: Database, record: Record) -> Collection[str]:
        in_effect = [one.name for one in applied_or_begun(record)]
        return {*database.set.timeline.names, *in_effect} - set(chosen.get(database.alias, ()))

    return replace(choices, wanted=wanted)


def ask(haunted: Sequence[Haunted], choices: Choices) -> Choices:
    """Offer to roll back what can be, on the terminal."""
    output.say(f"{described(haunted)}:\n{listed(haunted)}", err=True)
    chosen = {one.database.alias: one.undoable for one in haunted if one.undoable}
    rolling_back = without(chosen, choices)
    try:
        for one in haunted:
            plan_journey(one.database, rolling_back, one.record)
    except Refused as refused:
        output.say(f"They cannot be rolled back. {refused.fact}\n{refused.cause}", err=True)
        return choices
    count = sum(len(names) for names in chosen.values())
    if chosen and output.confirm(f"Roll back {output.plural(count, 'migration')}, the newest first?"):
        return rolling_back
    return choices


def described(haunted: Sequence[Haunted]) -> str:
    return output.ghosts(count_of(haunted))


def count_of(haunted: Sequence[Haunted]) -> int:
    return sum(len(one.ghosts) for one in haunted)


def listed(haunted: Sequence[Haunted]) -> str:
    """Return a line for each ghost: where its code is, and what it came with."""
    lines = []
    for one in haunted:
        for ghost in one.ghosts:
            source = one.found[ghost.name].source if ghost.name in one.found else "nowhere"
            came = f", came with {ghost.whence}" if ghost.whence else ""
            lines.append(f"  {one.database.alias}: {ghost.name}  (code: {source}{came})")
    return "\n".join(lines)
