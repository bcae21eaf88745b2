"""What ``django_migrations`` of each database lacks, so that Django finds nothing to run there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from django.db import transaction

from chronomig.code.origins import Key
from chronomig.errors import Refused
from chronomig.history.recorder import django_applied, ensure_django_table, record_in_step
from chronomig.lock import OnWait, locked
from chronomig.planning.record import Record
from chronomig.project import Database


@dataclass(frozen=True)
class Standing:
    """How one database stands to its timeline, and to Django."""

    database: Database
    missing: tuple[Key, ...]
    """What ``django_migrations`` does not record yet."""
    problems: tuple[str, ...]
    """Why it cannot be handed over as it is."""


def standings(databases: Sequence[Database], rows: Collection[Key]) -> list[Standing]:
    """Return how each database stands; raise DatabaseError."""
    return [standing(one, rows) for one in databases]


def standing(database: Database, rows: Collection[Key]) -> Standing:
    missing = sorted(set(rows) - django_applied(database.connection))
    return Standing(database, tuple(missing), tuple(problems(database, database.record())))


def problems(database: Database, found: Record) -> Iterator[str]:
    """Yield why a database is not at the head of its timeline."""
    names = database.set.timeline.names
    if found.half_done:
        yield f"{database.alias}: {found.half_done.name} is half done. Run chronomig migrate."
    if pending := [name for name in names if name not in found.names]:
        yield f"{database.alias}: {len(pending)} pending, from {pending[0]} on. Run chronomig migrate."
    if lost := [name for name in found.names if name not in names]:
        yield f"{database.alias}: {lost[0]} is applied, but has no file. Restore it, or undo it (migrate --ghosts)."


def record(one: Standing, rows: Collection[Key], *, timeout: float, on_wait: OnWait) -> None:
    """Write what is missing; look again inside the lock. Raise Refused when the database moved meanwhile."""
    database = one.database
    with locked(database.connection, timeout=timeout, on_wait=on_wait):
        if standing(database, rows).problems != one.problems:
            raise Refused(
                f"The database {database.alias!r} changed while this command waited; nothing was recorded in it.",
                next_step="Run the command again.",
            )
        ensure_django_table(database.connection)
        with transaction.atomic(database.alias):
            record_in_step(database.connection, one.missing)
