"""Bringing rows back: by primary key, as far as what they refer to is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error as DatabaseFault
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.stash import tables
from chronomig.stash.entries import FLAG, STAYS, Entries, Entry, State
from chronomig.stash.refusals import REFUSAL, Refusals, in_a_line, may_pass
from chronomig.stash.returning import CannotComeBack, Outcome, Return
from chronomig.stash.tables import execute


def bring_back(connection: BaseDatabaseWrapper, entries: Entries, entry: Entry, *, by_hand: bool = False) -> Outcome:
    """
    Bring the rows of *entry* back; what cannot come back stays in the stash, with its cause.

    In the transaction that is open, and without DDL. *by_hand*, rows of a table that are there already stay. Raises
    what the database says of the moment, not of the rows: that it is gone, busy, or full.
    """
    try:
        outcome = attempt(connection, entry, by_hand=by_hand)
    except CannotComeBack as error:
        outcome = Outcome(entry, 0, entry.rows, str(error))
    except DatabaseFault as error:
        if may_pass(connection, error):
            raise
        outcome = Outcome(entry, 0, entry.rows, in_a_line(error))
    if outcome.left:
        entries.mark(entry, State.KEPT, rows=outcome.left, cause=outcome.cause)
    else:
        entries.mark(entry, State.SPENT)
    return outcome


def attempt(connection: BaseDatabaseWrapper, entry: Entry, *, by_hand: bool) -> Outcome:
    """Bring all rows back, or, when the database refuses, those that it takes."""
    with tables.unique_at_once(connection, entry.table.name):
        try:
            with all_or_nothing(connection, entry, by_hand=by_hand):
                return Return(connection, entry, by_hand=by_hand).run()
        except REFUSAL:
            refused = find_refused(connection, Return(connection, entry, by_hand=by_hand))
            if not refused:
                raise
        with all_or_nothing(connection, entry, by_hand=by_hand):
            return Return(connection, entry, by_hand=by_hand).run(refused)


@contextmanager
def all_or_nothing(connection: BaseDatabaseWrapper, entry: Entry, *, by_hand: bool) -> Iterator[None]:
    """Roll back what refers to nothing at the end."""
    with transaction.atomic(connection.alias), connection.constraint_checks_disabled():
        yield
        if by_hand or connection.vendor != "postgresql":  # there all checks that are due would be made at once
            connection.check_constraints([entry.table.name])


def find_refused(connection: BaseDatabaseWrapper, coming: Return) -> Refusals:
    """Return the rows that the database does not take, by trying; none of a table without a primary key."""
    if not coming.there.key:
        return {}
    refused: Refusals = {}
    with transaction.atomic(connection.alias):
        with connection.constraint_checks_disabled():
            coming.recognise()
            list(coming.flag_what_stays({}))
            if keys := coming.keys():
                coming.try_out(keys, refused)
        transaction.set_rollback(True, using=connection.alias)
    return refused


def leave_changed(connection: BaseDatabaseWrapper, entry: Entry) -> None:
    """Before a change of type is made again: flag the rows whose value is not the one that undoing it left."""
    quote, column = connection.ops.quote_name, quote_of(connection, entry)
    table, after, stash = map(quote, (entry.table.name, entry.after_table, entry.rows_table))
    same = {"postgresql": "{}::text IS NOT DISTINCT FROM {}::text", "mysql": "BINARY {} <=> BINARY {}"}
    unchanged = same.get(connection.vendor, "{} IS {}").format(f"{table}.{column}", f"{after}.{column}")
    here = " AND ".join(f"{table}.{quote(one)} = {stash}.{quote(one)}" for one in entry.table.key)
    then = " AND ".join(f"{after}.{quote(one)} = {stash}.{quote(one)}" for one in entry.table.key)
    execute(
        connection,
        f"UPDATE {stash} SET {quote(FLAG)} = {STAYS} WHERE EXISTS ("
        f"SELECT 1 FROM {table}, {after} WHERE {here} AND {then} AND NOT ({unchanged}))",
    )


def quote_of(connection: BaseDatabaseWrapper, entry: Entry) -> str:
    return connection.ops.quote_name(entry.column or "")
