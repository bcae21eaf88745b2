"""Files of this branch get newer stamps, behind those of the base; their order among themselves stays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chronomig.errors import Refused, UsageError, did_you_mean
from chronomig.project import Database
from chronomig.review.branches import Base, Branch
from chronomig.sets import MigrationSet
from chronomig.timeline import format_stamp, next_stamp, parse_stamp


@dataclass(frozen=True)
class Restamp:
    """One file that gets a newer stamp."""

    old: Path
    new: Path

    @property
    def names(self) -> tuple[str, str]:
        return self.old.stem, self.new.stem


def restamps(
    one: MigrationSet, names: Sequence[str], base: Base | None, databases: Sequence[Database]
) -> list[Restamp]:
    """
    Return what has to be renamed so that *names*, or all that only this branch has, stand behind everything else.

    Nothing has to be when they stand there already. Raise Refused for what the base or a database has.
    """
    branch = Branch.of(one, base) if base else None
    chosen = sorted(names) if names else late_ones(branch)
    refuse_what_others_have(one, chosen, branch, databases)
    others = [name for name in (*one.timeline.names, *(branch.base.names if branch else ())) if name not in chosen]
    newest = max(others, default="")
    if not chosen or (chosen[0] > newest and not names):
        return []
    first = next_stamp(newest[:14] or None, datetime.now(UTC))
    return [
        Restamp(one.timeline.by_name[name].path, one.directory / f"{stamp}_{name[15:]}.py")
        for name, stamp in zip(chosen, seconds_from(first), strict=False)
    ]


def late_ones(branch: Branch | None) -> list[str]:
    """Return all that only this branch has, if any of it stands before something of the base."""
    if branch is None:
        raise UsageError(
            "Without a base nobody knows which migrations are this branch's.",
            next_step="Name the migrations, or the base: chronomig restamp --base main.",
        )
    return list(branch.ours) if branch.late() else []


def refuse_what_others_have(
    one: MigrationSet, names: Collection[str], branch: Branch | None, databases: Sequence[Database]
) -> None:
    """A name that is out in the world stays as it is. Raise UsageError for one that is not here."""
    for name in names:
        if name not in one.timeline.by_name:
            raise UsageError(
                f"There is no migration {name!r} in the set {one.name!r}.",
                next_step=did_you_mean(name, one.timeline.names) or "chronomig status lists them.",
            )
    published = [name for name in names if branch and name in branch.base.by_name]
    if published and branch:
        raise Refused(
            f"{len(published)} migration{'s are' if len(published) > 1 else ' is'} on the base; nothing was renamed.",
            cause="\n".join(f"  {name}" for name in published),
            next_step="Others may have applied them. Restamp what only this branch has: chronomig restamp.",
        )
    applied = [(name, database.alias) for database in databases for name in in_database(database) if name in names]
    if applied:
        raise Refused(
            f"{len(applied)} migration{'s are' if len(applied) > 1 else ' is'} applied; nothing was renamed.",
            cause="\n".join(f"  {name} in the database {alias!r}" for name, alias in applied),
            next_step=f"Undo them first: chronomig migrate --before {min(name for name, _ in applied)}",
        )


def in_database(database: Database) -> Iterator[str]:
    record = database.record()
    yield from record.names
    if record.half_done:
        yield from record.half_done.names


def seconds_from(stamp: str) -> Iterator[str]:
    moment = parse_stamp(stamp)
    while True:
        yield format_stamp(moment)
        moment += timedelta(seconds=1)
