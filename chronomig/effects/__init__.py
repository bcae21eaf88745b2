"""
What operations read, write and destroy, and whether two of them can change places.

Pure functions of an operation, the label of its app, and the state before it; no database is asked. Where the
analysis does not know, it says no.
"""

from chronomig.effects.analysis import DESTROYING_UP, effects_of, effects_of_migration
from chronomig.effects.clashes import Meeting, Placed, commute, meetings, placed
from chronomig.effects.names import Names
from chronomig.effects.things import EVERYTHING, Effects, Loss, Thing, in_words

__all__ = [
    "DESTROYING_UP",
    "EVERYTHING",
    "Effects",
    "Loss",
    "Meeting",
    "Names",
    "Placed",
    "Thing",
    "commute",
    "effects_of",
    "effects_of_migration",
    "in_words",
    "meetings",
    "placed",
]
