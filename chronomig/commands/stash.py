"""``chronomig stash``: what lies in the stashes of the databases; let it go, or bring it back by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from django.db import transaction

from chronomig import output
from chronomig.config import StashAction
from chronomig.errors import Refused, UsageError
from chronomig.lock import Holder, locked
from chronomig.project import Database, Project
from chronomig.stash import Entry, Outcome, bring_back, told

Found = tuple[Database, Entry]


def run(
    project: Project,
    action: StashAction = StashAction.LIST,
    *,
    ids: Sequence[int] = (),
    databases: Sequence[str] = (),
    every: bool = False,
    expired: bool = False,
    yes: bool = False,
    interactive: bool = True,
    json: bool = False,
) -> int:
    """List, drop or restore; return 1 when something could not be brought back in full."""
    chosen = project.choose_databases(databases)
    if action is StashAction.LIST:
        if ids or every or expired:
            raise UsageError("stash list takes no numbers.", next_step="Use --database to choose a database.")
        return show(project, chosen, json=json)
    found = select(project, chosen, ids, every=every, expired=expired)
    if action is StashAction.DROP:
        return drop(project, found, yes=yes, interactive=interactive, json=json)
    return restore(project, found, yes=yes, interactive=interactive, json=json)


def select(
    project: Project, databases: Sequence[Database], ids: Sequence[int], *, every: bool, expired: bool
) -> list[Found]:
    """Return what *ids* name, or all, or what is too old; raise UsageError."""
    if bool(ids) + every + expired != 1:
        raise UsageError("Say which: numbers, --all, or --expired.", next_step="chronomig stash lists the numbers.")
    days = project.config.stash_days
    lying = [
        (one, entry) for one in databases for entry in (one.stash.older_than(days) if expired else one.stash.all())
    ]
    if not ids:
        return lying
    for number in ids:
        aliases = [database.alias for database, entry in lying if entry.id == number]
        if len(aliases) != 1:
            raise UsageError(
                f"{number} is in the stash of {' and '.join(aliases)}."
                if aliases
                else f"There is no {number} in the stash.",
                next_step="Choose with --database." if aliases else "chronomig stash lists the numbers.",
            )
    return [(database, entry) for database, entry in lying if entry.id in ids]


def show(project: Project, databases: Sequence[Database], *, json: bool) -> int:
    found = [(database, database.stash.all()) for database in databases]
    if json:
        rows = [{"alias": one.alias, "entries": [as_json(entry) for entry in entries]} for one, entries in found]
        output.say_json("stash", databases=rows)
        return 0
    for database, entries in found:
        size = sum(entry.size for entry in entries)
        off = "" if database.stashes else "; off: rows that are dropped here are gone"
        output.say(f"{output.heading(database)}: {len(entries)} in the stash, {size / 1e6:.1f} MB{off}")
        for entry in entries:
            output.say("  " + in_a_line(entry, project.config.stash_days))
    return 0


def in_a_line(entry: Entry, days: float) -> str:
    until = f"until {entry.at + timedelta(days=days):%Y-%m-%d}" if days else ""
    parts = [
        f"{entry.id:>4}",
        f"{entry.state:<10}",
        entry.place,
        output.plural(entry.rows, "row"),
        f"{entry.migration} ({entry.direction})",
    ]
    return "  ".join(filter(None, [*parts, f"{entry.at:%Y-%m-%d %H:%M:%S} UTC", until, entry.cause]))


def as_json(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "state": entry.state,
        "table": entry.table.name,
        "column": entry.column,
        "rows": entry.rows,
        "bytes": entry.size,
        "migration": entry.migration,
        "direction": entry.direction,
        "at": entry.at,
        "cause": entry.cause or None,
    }


def drop(project: Project, found: Sequence[Found], *, yes: bool, interactive: bool, json: bool) -> int:
    """Let rows go, after a yes."""
    listed = "\n".join(f"  {database.alias}: {in_a_line(entry, 0).strip()}" for database, entry in found)
    ask(
        f"{len(found)} of the stash would be gone for good",
        listed,
        needed=bool(found),
        yes=yes,
        interactive=interactive,
    )
    for database in dict.fromkeys(database for database, _ in found):
        with holding(project, database):
            database.stash.drop(entry for one, entry in found if one is database)
    if json:
        output.say_json("stash-drop", dropped=[{"alias": one.alias, "id": entry.id} for one, entry in found])
        return 0
    for database, entry in found:
        output.say(f"dropped   {database.alias}: {entry.id}  {entry.place}: {output.plural(entry.rows, 'row')}")
    if not found:
        output.say("nothing to drop")
    return 0


def restore(project: Project, found: Sequence[Found], *, yes: bool, interactive: bool, json: bool) -> int:
    """Bring rows back where their table or column is; rows of a table that are there stay as they are."""
    columns = [(database, entry) for database, entry in found if entry.column is not None]
    listed = "\n".join(f"  {database.alias}: {in_a_line(entry, 0).strip()}" for database, entry in columns)
    ask(
        "Values that the columns hold now would be replaced",
        listed,
        needed=bool(columns),
        yes=yes,
        interactive=interactive,
    )
    outcomes: list[tuple[Database, Outcome]] = []
    for database in dict.fromkeys(database for database, _ in found):
        with holding(project, database):
            for one, entry in reversed(found):  # what was put aside last refers to nothing that came before it
                if one is database:
                    with transaction.atomic(database.alias):
                        outcomes.append((one, bring_back(one.connection, one.stash, entry, by_hand=True)))
            database.stash.sweep()
    if json:
        rows = [
            {"alias": one.alias, "id": outcome.entry.id, "restored": outcome.back, "left": outcome.left,
             "cause": outcome.cause or None}
            for one, outcome in outcomes
        ]  # fmt: skip
        output.say_json("stash-restore", entries=rows)
    else:
        for database, outcome in outcomes:
            output.say(f"{database.alias}: {told(outcome)}")
    return 1 if any(outcome.left for _, outcome in outcomes) else 0


@contextmanager
def holding(project: Project, database: Database) -> Iterator[None]:
    """Nobody migrates meanwhile."""

    def on_wait(holder: Holder) -> None:
        output.say(f"{database.alias}: waiting for {holder}", err=True)

    with locked(database.connection, timeout=project.config.database_timeout, on_wait=on_wait):
        yield


def ask(what: str, listed: str, *, needed: bool, yes: bool, interactive: bool) -> None:
    """Raise Refused without a yes."""
    if not needed or yes:
        return
    if interactive and sys.stdin.isatty():
        output.say(f"{what}:\n{listed}", err=True)
        if output.confirm("Continue?"):
            return
        raise Refused("Nothing was done.", cause="The question was answered with no.")
    raise Refused(f"{what}; nothing was done.", cause=listed, next_step="Add --yes to do it.")
