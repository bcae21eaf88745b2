"""What a person is told of what came back."""

from __future__ import annotations

from chronomig.stash.returning import Outcome
from chronomig.stash.tables import plural


def told(outcome: Outcome) -> str:
    """Say in a line what became of an entry."""
    entry = outcome.entry
    text = f"restored  {entry.place}: {plural(outcome.back)}"
    if not outcome.left:
        return text
    return f"{text}; {outcome.left} stay in the stash as {entry.id}: {outcome.cause}"


def warning(outcome: Outcome) -> str:
    """Say what stays in the stash, why, and what to do with it."""
    entry = outcome.entry
    return (
        f"{plural(outcome.left)} of {entry.place} {'stays' if outcome.left == 1 else 'stay'} in the stash, "
        f"in {entry.rows_table}: {outcome.cause}. "
        f"chronomig stash lists what is there; chronomig stash restore {entry.id} tries again, "
        f"chronomig stash drop {entry.id} lets go."
    )
