"""What accept, forget and mark share: they change what the history says, and run nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from chronomig import output
from chronomig.commands.questions import insist_on_yes
from chronomig.errors import Refused, TargetError, did_you_mean
from chronomig.history.events import Event, Kind
from chronomig.history.recorder import ensure_django_table, keep_in_step
from chronomig.lock import Holder, locked
from chronomig.planning.record import Record
from chronomig.project import Database, Project


@dataclass(frozen=True)
class Change:
    """One event that is to be written."""

    database: Database
    event: Event
    what: str
    """For a person, before and after."""
    needs_yes: bool = True


Find = Callable[[Database, Record], list[Change]]
"""Returns what is to be changed in one database; raises what refuses it."""


def change(
    project: Project,
    databases: Sequence[str],
    find: Find,
    kind: str,
    *,
    yes: bool,
    interactive: bool,
    json: bool,
) -> int:
    """Find out what is to be written to all databases, ask, then write it; look again inside each lock."""
    chosen = project.choose_databases(databases)
    changes = [one for database in chosen for one in find(database, database.history.read())]
    ask([one for one in changes if one.needs_yes], yes=yes, interactive=interactive)
    for database in dict.fromkeys(one.database for one in changes):
        shown = [one for one in changes if one.database is database]
        with locked(database.connection, timeout=project.config.database_timeout, on_wait=waiting(database)):
            now = find(database, database.history.read())
            if [one.what for one in now] != [one.what for one in shown]:
                raise Refused(
                    f"The database {database.alias!r} changed while this command waited; nothing was written to it.",
                    next_step="Run the command again.",
                )
            write(database, now)
    if json:
        rows = [{"alias": one.database.alias, "name": one.event.name, "event": one.event.kind} for one in changes]
        output.say_json(kind, changes=rows)
        return 0
    for one in changes:
        output.say(f"{one.database.alias}: {one.what}")
    if not changes:
        output.say("nothing to do")
    return 0


def write(database: Database, changes: Sequence[Change]) -> None:
    """Write the events in one transaction; django_migrations is kept in step for vendored files."""
    database.history.ensure_table()
    if any(one.event.origin for one in changes):
        ensure_django_table(database.connection)
    files = database.set.timeline.by_name
    database.set.shelf.keep(files[one.event.name] for one in changes if one.event.kind is Kind.ACCEPTED)
    with transaction.atomic(database.alias):
        for one in changes:
            database.history.write(one.event)
            if one.event.origin:
                keep_in_step(database.connection, {one.event.origin}, one.event.direction)


def waiting(database: Database) -> Callable[[Holder], None]:
    return lambda holder: output.say(f"{database.alias}: waiting for {holder}", err=True)


def ask(changes: Sequence[Change], *, yes: bool, interactive: bool) -> None:
    """Raise Refused without a yes."""
    if not changes or yes:
        return
    listed = "\n".join(f"  {one.database.alias}: {one.what}" for one in changes)
    what = "This changes what the history says, and runs nothing"
    insist_on_yes(what, listed, interactive=interactive)


def full_name(text: str, known: Sequence[str], database: Database) -> str:
    """Return the name that *text* is, or the only one that it begins; raise TargetError."""
    found = [name for name in dict.fromkeys(known) if name.startswith(text)]
    if text in found or len(found) == 1:
        return text if text in found else found[0]
    raise TargetError(
        f"{text!r} is the beginning of {len(found)} migrations." if found
        else f"There is no migration {text!r} in the database {database.alias!r} or its set.",
        cause="\n".join(f"  {name}" for name in found[:5]),
        next_step="Type more of the name." if found
        else did_you_mean(text, known) or "chronomig status lists all names.",
    )  # fmt: skip


def names_of(database: Database, record: Record) -> list[str]:
    half = record.half_done.names if record.half_done else ()
    return [*database.set.timeline.names, *record.names, *half]
