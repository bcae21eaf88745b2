"""``chronomig adopt``: turn an existing project into a timeline."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence

from chronomig import output
from chronomig.authoring.adopt import Choices, Original, draft_adoption, originals
from chronomig.authoring.copying import reason_for_reference
from chronomig.authoring.drafts import Draft, SetDraft
from chronomig.authoring.writer import put_in_place
from chronomig.commands.makemigrations import frozen, shown
from chronomig.errors import DatabaseError, Refused, UsageError
from chronomig.history.adoption import Adoption, adoption_of
from chronomig.project import Database, Project
from chronomig.sets import MigrationSet
from chronomig.timeline import Entry


def run(
    project: Project,
    *,
    sets: Sequence[str] = (),
    move: bool = False,
    unsquash: Sequence[str] = (),
    dry_run: bool = False,
    interactive: bool = True,
    yes: bool = False,
    json: bool = False,
    verbosity: int = 1,
) -> int:
    """Draft the timelines of all sets, then write them, then remove the originals that shall move."""
    chosen = project.choose_sets(sets)
    refuse_to_move_for_some(project, chosen if move else project.sets.values())
    with progress_bar(wanted=not json and verbosity > 0) as progress:
        choices = Choices(unsquash, progress)
        drafted = [draft_adoption(project, one, choices) for one in chosen]
    found = originals(project, drafted) if move else []
    going = [one for one in found if not one.stays]
    records = list(frozen(drafted))
    if not dry_run:
        ask_about_originals(going, yes=yes, interactive=interactive)
        put_in_place([*(draft.entry for one in drafted for draft in one.drafts), *records])
        for one in going:
            one.path.unlink()
    if json:
        output.say_json("adopt", written=not dry_run, **as_json(project, drafted, found))
    elif verbosity:
        say(drafted, records, dry_run=dry_run)
        say_originals(found, dry_run=dry_run)
        say_databases(project, drafted)
        if any(one.drafts for one in drafted) and not dry_run:
            output.say("Next: chronomig makemigrations --check, chronomig status, chronomig migrate.")
    return 0


def refuse_to_move_for_some(project: Project, chosen: Collection[MigrationSet]) -> None:
    """A set that is not adopted yet may need an original that another one does not: raise UsageError."""
    if len(chosen) < len(project.sets):
        names = " ".join(f"--set {one.name}" for one in chosen)
        raise UsageError(
            "Originals are deleted for all sets at once, or not at all; nothing was written.",
            cause="The other sets may still need them.",
            next_step=f"Type chronomig adopt {names} to copy now, and chronomig adopt --move when all are adopted.",
        )


@contextlib.contextmanager
def progress_bar(*, wanted: bool) -> Iterator[Callable[[int, int, str], None]]:
    """Give what shows how far the drafting is: a bar on a terminal, else nothing."""
    if not wanted or not output.is_terminal(sys.stderr):
        yield lambda number, total, name: None
        return
    from chronomig.output import terminal  # rich costs start-up time

    with terminal.counting("copying") as count:
        yield count


def ask_about_originals(going: Sequence[Original], *, yes: bool, interactive: bool) -> None:
    """Nothing is deleted without a yes; raise Refused."""
    if not going or yes:
        return
    what = f"{output.plural(len(going), 'file')} of the project's own would be deleted, once the copies are written"
    listed = "\n".join(f"  {shown(one.path)}" for one in going)
    if interactive and sys.stdin.isatty():
        output.say(f"{what}:\n{listed}", err=True)
        if output.confirm("Continue?"):
            return
        raise Refused("Nothing was written.", cause="The question was answered with no.")
    raise Refused(f"{what}; nothing was written.", cause=listed, next_step="Add --yes, or --copy to keep them.")


def say(drafted: Sequence[SetDraft], records: Sequence[Entry], *, dry_run: bool) -> None:
    """Print every file, and why it refers to its original."""
    done = "would write" if dry_run else "wrote"
    for one in drafted:
        if not one.drafts:
            output.say(f"{one.set.name}: nothing to adopt")
        for draft in one.drafts:
            reason = reason_for_reference(draft.entry)
            note = f"  (refers to the original, because {reason})" if reason else ""
            output.say(f"{one.set.name}: {done} {shown(draft.entry.path)}{note}")
    for entry in records:
        output.say(f"{entry.path.parent.name}: {done} {shown(entry.path)}  (records of fields whose classes may go)")


def say_originals(found: Sequence[Original], *, dry_run: bool) -> None:
    """Print what becomes of the project's own files."""
    done = "would delete" if dry_run else "deleted"
    for one in found:
        output.say(f"{f'kept, because {one.stays}:' if one.stays else done} {shown(one.path)}")


def say_databases(project: Project, drafted: Sequence[SetDraft]) -> None:
    """Print a line for each database: what its first migrate would take over, and what it would run."""
    for database, one in databases_of(project, drafted):
        files = len(one.set.timeline) + len(one.drafts)
        try:
            adoption, rows = weighed(database, one)
        except DatabaseError as error:
            output.say(f"{database.alias}: cannot be looked at ({error.cause})")
            continue
        rest = files - len(adoption.names) - len(adoption.misfits)
        output.say(
            f"{database.alias}: django_migrations has {output.plural(rows, 'row')}; "
            f"of {output.plural(files, 'file')}, migrate would adopt {len(adoption.names)} and run {rest}"
        )
        for misfit in adoption.misfits:
            output.say(f"{database.alias}: {misfit.name} is {misfit.note}")


def databases_of(project: Project, drafted: Sequence[SetDraft]) -> Iterator[tuple[Database, SetDraft]]:
    for database in project.databases.values():
        for one in drafted:
            if one.set.name == database.set.name:
                yield database, one


def weighed(database: Database, one: SetDraft) -> tuple[Adoption, int]:
    """Return what a database would take over, and how many rows it has; raise DatabaseError."""
    return adoption_of(database.connection, [*one.set.timeline, *(draft.entry for draft in one.drafts)])


def as_json(project: Project, drafted: Sequence[SetDraft], found: Sequence[Original]) -> dict[str, object]:
    return {
        "sets": [{"set": one.set.name, "files": [file_as_json(draft) for draft in one.drafts]} for one in drafted],
        "originals": [{"path": str(one.path), "stays": one.stays or None} for one in found],
        "databases": [database_as_json(*pair) for pair in databases_of(project, drafted)],
    }


def file_as_json(draft: Draft) -> dict[str, object]:
    origin = draft.loaded.origin
    return {
        "name": draft.entry.name,
        "path": str(draft.entry.path),
        "origin": " ".join(origin.key) if origin else None,
        "refers_because": reason_for_reference(draft.entry) or None,
    }


def database_as_json(database: Database, one: SetDraft) -> dict[str, object]:
    try:
        adoption, rows = weighed(database, one)
    except DatabaseError as error:
        return {"alias": database.alias, "error": output.error_as_json(error)}
    return {
        "alias": database.alias,
        "rows": rows,
        "adoptable": list(adoption.names),
        "misfits": [{"name": misfit.name, "note": misfit.note} for misfit in adoption.misfits],
    }
