"""What ``--to``, ``--before`` and ``--steps`` say, made into what each database shall have."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chronomig.errors import TargetError, UsageError
from chronomig.migrator import Wanted
from chronomig.plan import Record
from chronomig.project import Database
from chronomig.target import resolve, steps


def wanted_from(to: str | None, before: str | None, count: int | None, databases: Sequence[Database]) -> Wanted:
    """Return the function that finds what a database shall have; raise UsageError for more than one target."""
    if sum(option is not None for option in (to, before, count)) > 1:
        raise UsageError(
            "--to, --before and --steps exclude each other.", next_step="Type one of them; each is a target."
        )
    if count is not None:
        return lambda database, record: steps(count, database.set.timeline.names, record)
    text = to if to is not None else before
    if text is None:
        return lambda database, record: None

    def wanted(database: Database, record: Record) -> Collection[str]:
        try:
            return resolve(text, database.known(record, text), before=before is not None)
        except TargetError as error:
            if len({one.set.name for one in databases}) > 1:
                error.cause = "\n".join(
                    filter(None, [error.cause, f"It was looked for in the set {database.set.name!r}."])
                )
                error.next_step += " Several sets take part; choose with --database."
            raise

    return wanted
