"""chronomig snapshot: states on the disk, so that migrate need not load old files."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig import output
from chronomig.code.folding import Path, fold
from chronomig.errors import ExecutionError
from chronomig.project import Project
from chronomig.sets import MigrationSet
from chronomig.state import NotEncodable, ProjectState
from chronomig.state.cache import places


def run(project: Project, *, sets: Sequence[str] = (), json: bool = False) -> int:
    """Write snapshots of each set: at its head, and at places before it."""
    rows = [write(one) for one in project.choose_sets(sets)]
    if json:
        output.say_json("snapshot", sets=rows)
        return 0
    for row in rows:
        output.say(f"{row['set']}: {row['written']} snapshots in {row['directory']}, {row['bytes']} bytes")
    return 0


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
    return {"set": one.name, "written": len(written), "directory": str(one.snapshots.directory), "bytes": size}


def _refused(one: MigrationSet, cause: str) -> ExecutionError:
    return ExecutionError(
        f"The state of the set {one.name!r} cannot be written as a snapshot.",
        cause=cause,
        next_step="migrate works without; move what is named into a module that can be imported, then try again.",
    )
