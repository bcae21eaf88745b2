"""
Files that have another name than when they were applied: the same bytes, under a name that is new to the database.

``chronomig restamp`` gives new names to what no configured database has; a colleague's or a staging server's may.
Bytes that several files or several migrations have identify nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from chronomig.planning.record import Applied, HalfDone, Record, Renamed
from chronomig.timeline import Timeline


def with_renames(record: Record, files: Timeline) -> Record:
    """Return *record* with the names that its migrations have among *files*."""
    half = record.half_done
    known = {*record.names, *(half.names if half else ())}
    begun = [Applied(half.name, half.sha256)] if half and not half.together else []
    found = renames([*record.applied, *begun], files, known)
    found |= renames(record.undone, files, known.union(found.values()))
    return with_names(record, found) if found else record


def renames(ones: Collection[Applied], files: Timeline, known: Collection[str]) -> dict[str, str]:
    """Return {what it was called: what it is called now} of those of *ones* that have no file under their name."""
    gone = by_bytes((one.sha256, one.name) for one in ones if one.sha256 and one.name not in files.by_name)
    there = by_bytes((one.sha256, one.name) for one in files) if gone else {}
    pairs = ((was, there[sha256]) for sha256, was in gone.items() if sha256 in there)
    return {was[0]: now[0] for was, now in pairs if len(was) == len(now) == 1 and now[0] not in known}


def by_bytes(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return {sha256: names}."""
    found: dict[str, list[str]] = {}
    for sha256, name in pairs:
        found.setdefault(sha256, []).append(name)
    return found


def with_names(record: Record, names: Mapping[str, str]) -> Record:
    """Return *record* with other *names*, {was: is}, and what was renamed since the history was written."""
    known = {one.name: one.was for one in record.renamed}
    since = {**known, **{now: known.get(was, was) for was, now in names.items()}}
    current = {names.get(one.name, one.name) for one in record.renamed} | set(names.values())
    return replace(
        record,
        applied=called(record.applied, names),
        undone=called(record.undone, names),
        half_done=half_called(record.half_done, names),
        renamed=tuple(Renamed(was, now) for now, was in since.items() if now in current and now != was),
    )


def called(ones: Iterable[Applied], names: Mapping[str, str]) -> tuple[Applied, ...]:
    return tuple(replace(one, name=names.get(one.name, one.name)) for one in ones)


def half_called(half: HalfDone | None, names: Mapping[str, str]) -> HalfDone | None:
    return half and replace(half, name=names.get(half.name, half.name))
