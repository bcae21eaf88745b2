"""
The text of ``--to`` -> the names that are wanted.

A target other than a git ref is a cut through one order: what stands before the cut is wanted. Applied migrations
without a file have their place in that order too, by name.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chronomig.errors import TargetError, did_you_mean
from chronomig.planning.record import Record
from chronomig.timeline import format_stamp, is_second

ISO_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}(:\d{2}(:\d{2})?)?(Z|[+-]\d{2}:?\d{2})?)?")


class UnknownTarget(TargetError):
    """The text names nothing that the timeline or the history knows."""


@dataclass(frozen=True)
class Known:
    """What a target can refer to."""

    names: tuple[str, ...]
    """All names of the timeline and of the history, in ASCII order."""
    origins: Mapping[tuple[str, str], str]
    """(app label, upstream name) -> name, of vendored and adopted migrations."""

    @classmethod
    def of(cls, timeline: Sequence[str], record: Record, origins: Mapping[tuple[str, str], str]) -> Known:
        recorded = {one.origin: one.name for one in record.applied if one.origin}
        half = record.half_done.names if record.half_done else ()
        return cls(tuple(sorted({*timeline, *record.names, *half})), {**recorded, **origins})


@dataclass(frozen=True)
class Reading:
    """The half-open range of names that a target stands for."""

    first: int
    """Index of the first name that belongs to the target itself; ``--before`` cuts here."""
    end: int
    """Index after the last name that belongs to the target; ``--to`` cuts here."""


def resolve(text: str, known: Known, *, before: bool = False) -> frozenset[str]:
    """
    Return the names that are wanted when a database shall be at *text*, or just before it.

    Raise TargetError when *text* names nothing, or more than one thing.
    """
    reading = read(text.strip(), known)
    return frozenset(known.names[: reading.first if before else reading.end])


def steps(count: int, timeline: Sequence[str], record: Record) -> frozenset[str]:
    """Return what is wanted *count* migrations further (pending ones, in file order) or back (negative)."""
    applied = record.names
    half = record.half_done.names if record.half_done else ()
    if count < 0:
        return frozenset((*applied, *(name for name in half if name not in applied))[:count])
    pending = [name for name in timeline if name not in set(applied) | set(half)]
    return frozenset((*applied, *half, *pending[:count]))


def read(text: str, known: Known) -> Reading:
    """Return what *text* stands for; raise TargetError. Where a stamp and a name both fit, they mean the same."""
    if text in WORDS:
        return WORDS[text](known)
    prefix, _, rest = text.partition(":")
    if forced(text):
        found = READERS[prefix](rest, known)
    elif " " in text and not ISO_PATTERN.fullmatch(text):
        found = read_origin(text, known)
    else:
        found = read_stamp(text, known) or read_name(text, known)
    if found is None:
        raise unknown(text, known)
    return found


def read_stamp(text: str, known: Known) -> Reading | None:
    """Read 14 digits, or an ISO date or time: everything up to and including that period."""
    if re.fullmatch(r"\d{14}", text):
        if not is_second(text):
            raise TargetError(
                f"{text} is not a second that exists.",
                cause="A stamp is YYYYMMDDHHMMSS, in UTC.",
                next_step="Type a stamp, a date such as 2016-11-05, or a name.",
            )
        return _stamps(text, text, known)
    if ISO_PATTERN.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        start = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        last = start + _period(text) - timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise TargetError(
            f"{text} is not a date or time that exists.",
            cause=str(error),
            next_step="Type it as 2016-11-05 or 2016-11-05T15:10Z; without a zone it is UTC.",
        ) from error
    return _stamps(format_stamp(start), format_stamp(last), known)


def _period(text: str) -> timedelta:
    clock = re.sub(r"(Z|[+-]\d{2}:?\d{2})$", "", text[10:])
    return {0: timedelta(days=1), 3: timedelta(hours=1), 6: timedelta(minutes=1)}.get(
        len(clock), timedelta(seconds=1)
    )


def _stamps(start: str, last: str, known: Known) -> Reading:
    """``~`` sorts behind every character of a name."""
    first, end = bisect_left(known.names, start), bisect_right(known.names, f"{last}~")
    return Reading(first, end)


def read_name(text: str, known: Known) -> Reading | None:
    """Read a full name or a unique prefix of one."""
    name = text.removesuffix(".py")
    first, end = bisect_left(known.names, name), bisect_right(known.names, f"{name}~")
    if first < len(known.names) and known.names[first] == name:
        end = first + 1
    if end == first:
        return None
    if end - first > 1:
        if re.fullmatch(r"\d{14}", text):
            return None  # two migrations of one second; the stamp means both
        raise TargetError(
            f"{text!r} is the beginning of {end - first} names.",
            cause="\n".join(f"  {one}" for one in known.names[first:end][:10]),
            next_step="Type more of the name.",
        )
    return Reading(first, end)


def read_origin(text: str, known: Known) -> Reading | None:
    """Read ``<app_label> <upstream name>``, or ``<app_label> zero``."""
    app, _, upstream = text.partition(" ")
    mine = {name: file for (label, name), file in known.origins.items() if label == app}
    if upstream.strip() == "zero" and mine:
        first = bisect_left(known.names, min(mine.values()))
        return Reading(first, first)
    found = {file for name, file in mine.items() if name == upstream} or {
        file for name, file in mine.items() if name.startswith(upstream.strip())
    }
    if len(found) > 1:
        raise TargetError(
            f"{upstream!r} is the beginning of {len(found)} migrations of {app!r}.",
            cause="\n".join(f"  {app} {name}  ({mine[name]})" for name in sorted(mine) if mine[name] in found),
            next_step="Type more of the name.",
        )
    return read_name(found.pop(), known) if found else None


WORDS: Mapping[str, Callable[[Known], Reading]] = {
    "zero": lambda known: Reading(0, 0),
    "latest": lambda known: Reading(max(len(known.names) - 1, 0), len(known.names)),
}
READERS: Mapping[str, Callable[[str, Known], Reading | None]] = {"stamp": read_stamp, "name": read_name}


def forced(text: str) -> bool:
    """Whether a prefix says how *text* is to be read."""
    prefix, _, rest = text.partition(":")
    return prefix in READERS and bool(rest)


def could_be_ref(text: str, known: Known) -> bool:
    """Whether *text*, which was read as a point of the timeline, could have been meant as a branch or tag."""
    exact = text in WORDS or text.removesuffix(".py") in known.names or re.fullmatch(r"\d{14}", text)
    return not (exact or forced(text) or " " in text)


def unknown(text: str, known: Known) -> TargetError:
    """Return the error for a target that names nothing; it suggests the nearest."""
    app = text.partition(" ")[0]
    words = [name for label, name in known.origins if label == app]
    candidates = (
        [f"{app} {name}" for name in words]
        or [*known.names, *(name[15:] for name in known.names), *WORDS, *(label for label, _ in known.origins)]
    )  # fmt: skip
    return UnknownTarget(
        f"There is no migration {text!r}.",
        cause=did_you_mean(text, candidates),
        next_step="chronomig status lists all names; a target is zero, latest, a stamp, a date, a name or a git ref.",
    )
