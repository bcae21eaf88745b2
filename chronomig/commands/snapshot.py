"""chronomig snapshot: states on the disk, so that migrate need not load old files."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig import output
from chronomig.code.folding import Path, fold
from chronomig.errors import ExecutionError, UsageError
from chronomig.project import Project
from chronomig.sets import MigrationSet
from chronomig.state import NotEncodable, ProjectState
from chronomig.state.cache import places


def run(project: Project, *, sets: Sequence[str] = (), json: bool = False) -> int:
    """Write snapshots of each set: at its head, and at places before it; raise UsageError for a set without."""
    chosen = project.choose_sets(sets)
    if sets:
        refuse_turned_off(chosen)
    rows = [write(one) if one.config.snapshots else unwritten(one) for one in chosen]
    if json:
        output.say_json("snapshot", sets=rows)
        return 0
    for row in rows:
        done = f"{row['written']} snapshots in {row['directory']}, {row['bytes']} bytes"
        output.say(f"{row['set']}: {row['note'] or done}")
    return 0


def refuse_turned_off(chosen: Sequence[MigrationSet]) -> None:
    """Raise UsageError when one of the sets that were named has no snapshots."""
    if names := ", ".join(one.name for one in chosen if not one.config.snapshots):
        raise UsageError(
            f"Snapshots are turned off: {names}.",
            cause="The configuration says snapshots = false; nothing would read what is written.",
            next_step="Take that setting away, or name other sets with --set.",
        )


def write(one: MigrationSet) -> dict[str, object]:
    """Write the snapshots of one set; raise ExecutionError when its head cannot be written."""
    names = one.timeline.names
    states = Path(ProjectState(), names, lambda state, name: fold(state, one.load(name)))
    written = []
    for place in reversed(places(len(names))):
        try:
            written.append(one.snapshots.write(one.contents(names[:place]), states.at(place)))
        except NotEncodable as error:
            if place == len(names):
                raise _refused(one, str(error)) from error
        except OSError as error:
            raise _refused(one, str(error)) from error
    size = sum(path.stat().st_size for path in written)
    return row_of(one, written=len(written), size=size)


def unwritten(one: MigrationSet) -> dict[str, object]:
    return row_of(one, note="snapshots are turned off (snapshots = false)")


def row_of(one: MigrationSet, *, written: int = 0, size: int = 0, note: str | None = None) -> dict[str, object]:
    directory = str(one.snapshots.directory)
    return {"set": one.name, "written": written, "directory": directory, "bytes": size, "note": note}


def _refused(one: MigrationSet, cause: str) -> ExecutionError:
    return ExecutionError(
        f"The state of the set {one.name!r} cannot be written as a snapshot.",
        cause=cause,
        next_step="migrate works without; move what is named into a module that can be imported, then try again.",
    )
