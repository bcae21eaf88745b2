"""Status -> text and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from chronomig.code.edits import Meaning
from chronomig.output.saying import say, seconds
from chronomig.status import Line, State, Status


def say_status(status: Status) -> None:
    """Print both lists of one database."""
    say(status_heading(status))
    width = max((len(line.name) for line in status.lines), default=0)
    for line in status.lines:
        say("  " + "  ".join(filter(None, [f"{line.state:<9}", f"{line.name:<{width}}", *details(line)])).rstrip())
    say_edits(status)
    say_leftovers(status)


def status_heading(status: Status) -> str:
    counts = [f"{count} {state}" for state in State if (count := status.counts[state])]
    return f"{status.alias} ({status.vendor}, set {status.set_name}): {', '.join(counts) or 'no migrations'}"


def details(line: Line) -> list[str]:
    """Return when, how long, and what is unusual."""
    when = f"{line.at:%Y-%m-%d %H:%M:%S} UTC" if line.at else ""
    how = line.how if line.how != "applied" else ""
    flags = [
        how,
        edited(line),
        "out of order" if line.out_of_order else "",
        line.note,
        whence(line),
    ]
    return [when, seconds(line.duration_ms), ", ".join(filter(None, flags))]


def edited(line: Line) -> str:
    if line.edit is not None and line.edit.meaning is Meaning.SAME:
        return "edited (the same operations)"
    return "edited" if line.edited else ""


def say_edits(status: Status) -> None:
    """Print what was done to files since they were applied, where it is more than their form."""
    for line in status.lines:
        if line.edit is not None and line.edit.meaning is not Meaning.SAME:
            for text in line.edit.diff or [f"{line.name} was edited; what was applied is nowhere to be found"]:
                say(f"  | {text}")


def say_leftovers(status: Status) -> None:
    """Print what a failure left behind, with what to type."""
    for one in status.leftovers:
        say(f"  {one}")


def whence(line: Line) -> str:
    """Say where the code of a migration without its file would come from, and what it came with."""
    if not line.is_ghost and not line.edited:
        return ""
    came = " ".join(filter(None, [line.branch, line.commit[:12]]))
    return f"code: {line.source}" + (f", came with {came}" if came else "")


def status_as_json(status: Status) -> dict[str, object]:
    return {
        "alias": status.alias,
        "set": status.set_name,
        "vendor": status.vendor,
        "settled": status.settled,
        "migrations": [line_as_json(line) for line in status.lines],
        "leftovers": [asdict(one) for one in status.leftovers],
    }


def line_as_json(line: Line) -> Mapping[str, Any]:
    return {
        "name": line.name,
        "state": line.state,
        "how": line.how or None,
        "at": line.at,
        "duration_ms": line.duration_ms,
        "edited": line.edited,
        "edit": {"meaning": line.edit.meaning, "diff": list(line.edit.diff)} if line.edit else None,
        "out_of_order": line.out_of_order,
        "note": line.note or None,
        "code": line.source,
        "branch": line.branch or None,
        "commit": line.commit or None,
    }
