"""``chronomig freeze``: record what migration files import, so that the timeline outlives it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chronomig import output
from chronomig.authoring.freezing import freeze
from chronomig.authoring.writer import put_in_place
from chronomig.code.loading import Loaded
from chronomig.errors import CheckFound, LoadError, UsageError, did_you_mean
from chronomig.project import Project
from chronomig.sets import MigrationSet
from chronomig.timeline import Entry


def run(
    project: Project,
    *,
    sets: Sequence[str] = (),
    without_code: Sequence[str] = (),
    check: bool = False,
    json: bool = False,
) -> int:
    """Record the fields of all files that import what may go; return 3 when *check* found something to record."""
    chosen = project.choose_sets(sets)
    named = {one.name: [name for text in without_code if (name := full_name(text, one))] for one in chosen}
    for text in without_code:
        if not any(name.startswith(text) for names in named.values() for name in names):
            every = [name for one in chosen for name in one.timeline.names]
            raise UsageError(f"There is no migration {text!r}.", next_step=did_you_mean(text, every))
    for one in chosen:
        one.frozen.without_code.update(named[one.name])
    entries = {one.name: freeze(one, loadable(one)) or unwritten(one, named[one.name]) for one in chosen}
    if not check:
        put_in_place([entry for entry in entries.values() if entry])
    if json:
        rows = [{"set": one.name, **row(one, changed=bool(entries[one.name]))} for one in chosen]
        output.say_json("freeze", written=not check, sets=rows)
    else:
        for one in chosen:
            output.say(f"{one.name}: {told(one, changed=bool(entries[one.name]), check=check)}")
    return 3 if check and any(entries.values()) else 0


def full_name(text: str, one: MigrationSet) -> str:
    """Return the only migration whose name begins with *text*, or an empty text."""
    found = [name for name in one.timeline.names if name.startswith(text)]
    if len(found) > 1:
        raise UsageError(f"{text!r} is the beginning of {len(found)} names.", next_step="Type more of the name.")
    return found[0] if found else ""


def unwritten(one: MigrationSet, without_code: Sequence[str]) -> Entry | None:
    """Return the file of records when only the choice to leave code out is new."""
    return Entry("frozen", one.frozen.path, one.frozen.text().encode()) if without_code else None


def loadable(one: MigrationSet) -> Iterator[tuple[Entry, Loaded]]:
    """Yield every file that can be loaded; raise CheckFound that lists those that cannot, and have no record."""
    failed = []
    for entry in one.timeline:
        try:
            yield entry, one.loader.load(entry)
        except LoadError as error:
            failed.append(f"  {entry.name}: {error.cause or error.fact}")
    if failed:
        raise CheckFound(
            f"{output.plural(len(failed), 'file')} of the set {one.name!r} cannot be loaded; nothing was written.",
            cause="\n".join(failed),
            next_step="Install what they import, then run chronomig freeze again.",
        )


def row(one: MigrationSet, *, changed: bool) -> dict[str, object]:
    return {
        "path": str(one.frozen.path),
        "changed": changed,
        "without_code": sorted(one.frozen.without_code),
        "stood_in": [entry.name for entry in one.timeline if one.loader.load(entry).stood_in],
    }


def told(one: MigrationSet, *, changed: bool, check: bool) -> str:
    if not changed:
        return "everything is recorded"
    return f"{'would write' if check else 'wrote'} {one.frozen.path.name}"
