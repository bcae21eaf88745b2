"""
The stash: rows that a migration drops, on the way down or up, kept in the same database until it goes the other way.

The list of what lies there is a table, ``chronomig_stash``; each entry has its rows in a table of its own. Both are
written in the transaction of the migration where there is one.
"""

from chronomig.stash.back import bring_back
from chronomig.stash.entries import TABLE, Entries, Entry, State
from chronomig.stash.gaps import RemovedField
from chronomig.stash.keeper import Keeper, NothingKept
from chronomig.stash.limits import Limits, TooMuch
from chronomig.stash.places import fills_again, what_goes
from chronomig.stash.returning import Outcome
from chronomig.stash.tables import can_stash
from chronomig.stash.telling import told

__all__ = [
    "TABLE",
    "Entries",
    "Entry",
    "Keeper",
    "Limits",
    "NothingKept",
    "Outcome",
    "RemovedField",
    "State",
    "TooMuch",
    "bring_back",
    "can_stash",
    "fills_again",
    "told",
    "what_goes",
]
