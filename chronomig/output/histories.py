"""Events of a history -> text and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chronomig.output.saying import heading, plural, say, seconds

if TYPE_CHECKING:  # status shall not pay for what only migrate needs
    from chronomig.history.events import Event
    from chronomig.project import Database


def say_events(database: Database, events: Sequence[Event]) -> None:
    """Print every event of one database, oldest first."""
    say(f"{heading(database)}: {plural(len(events), 'event')}")
    for event in events:
        when = f"{event.at:%Y-%m-%d %H:%M:%S} UTC" if event.at else ""
        parts = [
            when,
            f"{event.kind:<8}",
            event.direction if event.name else "",
            event.name,
            seconds(event.duration_ms),
        ]
        say("  " + "  ".join(filter(None, [*parts, event.by, in_a_line(event)])))


def in_a_line(event: Event) -> str:
    """Return the detail of an event in one line; of migrations that began together, the first and the last."""
    lines = event.detail.split("\n")
    if event.kind in ("collapsing", "squashed"):
        return f"{plural(len(lines), 'migration')}, from {lines[0]} to {lines[-1]}"
    return f"was {event.detail}" if event.kind == "renamed" else " ".join(lines)


def event_as_json(event: Event) -> dict[str, object]:
    return {
        "event": event.kind,
        "name": event.name or None,
        "direction": event.direction,
        "sha256": event.sha256 or None,
        "origin": " ".join(event.origin) if event.origin else None,
        "operation": event.operation,
        "detail": event.detail or None,
        "duration_ms": event.duration_ms,
        "at": event.at,
        "by": event.by,
        "version": event.version,
        "branch": event.branch or None,
        "commit": event.commit or None,
        "blob": event.blob or None,
    }
