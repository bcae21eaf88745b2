"""``chronomig squash``: the first migrations of a set, in one baseline."""

from __future__ import annotations

import sys

from chronomig import output
from chronomig.authoring.squash import check, render_baseline, squash
from chronomig.authoring.writer import format_text, put_in_place
from chronomig.code.loading import Loaded
from chronomig.errors import Refused, UsageError
from chronomig.planning.record import Record
from chronomig.planning.target import Known, read
from chronomig.project import Project
from chronomig.sets import MigrationSet
from chronomig.timeline import Entry


def run(
    project: Project,
    *,
    to: str,
    set_name: str | None = None,
    dry_run: bool = False,
    interactive: bool = True,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Write the baseline and remove the files that it stands for, after a yes; raise CannotSquash, Refused."""
    one = only_set(project, set_name)
    names = names_up_to(one, to)
    migrations = [one.load(name) for name in names]
    entry, operations = baseline_of(project, one, migrations)
    if not dry_run:
        ask(entry, names, interactive=interactive, yes=yes)
        replace_files(one, entry, names)
    if json:
        row = {
            "set": one.name,
            "name": entry.name,
            "replaces": names,
            "operations": operations,
            "written": not dry_run,
        }
        output.say_json("squash", **row)
    elif dry_run:
        output.say(entry.source.decode())
    else:
        output.say(
            f"{entry.path}: {output.plural(operations, 'operation')} for {output.plural(len(names), 'migration')}"
        )
    return 0


def only_set(project: Project, name: str | None) -> MigrationSet:
    chosen = project.choose_sets([name] if name else [])
    if len(chosen) == 1:
        return chosen[0]
    raise UsageError(
        "There are several sets.",
        cause=f"They are: {', '.join(project.sets)}.",
        next_step="Choose one with --set.",
    )


def names_up_to(one: MigrationSet, to: str) -> list[str]:
    """Return what is squashed; raise TargetError, UsageError."""
    known = Known.of(one.timeline.names, Record(), one.origins if " " in to else {})
    names = list(one.timeline.names[: read(to, known).end])
    if len(names) > 1:
        return names
    raise UsageError(
        f"{to!r} leaves nothing to squash.",
        cause=f"It comes after {output.plural(len(names), 'migration')}.",
        next_step="chronomig status lists all names.",
    )


def baseline_of(project: Project, one: MigrationSet, migrations: list[Loaded]) -> tuple[Entry, int]:
    """Return the file and how many operations it has; it was loaded and compared."""
    made = squash(migrations)
    name = f"{migrations[-1].name[:14]}_baseline"
    path = one.directory / f"{name}.py"
    text = format_text(render_baseline(made, migrations, one.shelf.head().commit), path, project.root)
    entry = Entry(name, path, text.encode())
    check(entry, made, one.name)
    return entry, len(made.operations)


def ask(entry: Entry, names: list[str], *, interactive: bool, yes: bool) -> None:
    """Files are deleted: that needs a yes. Raise Refused without one."""
    what = f"{output.plural(len(names), 'file')}, from {names[0]} to {names[-1]}, would give way to {entry.name}"
    if yes:
        return
    if interactive and sys.stdin.isatty():
        output.say(f"{what}.", err=True)
        if output.confirm("Continue?"):
            return
        raise Refused("Nothing was written.", cause="The question was answered with no.")
    raise Refused(f"{what}; nothing was written.", next_step="Add --yes to do it, or --dry-run to see the text.")


def replace_files(one: MigrationSet, entry: Entry, names: list[str]) -> None:
    """Put the baseline in place, then remove what it stands for; copies of that go to the vault first."""
    gone = [one.timeline.by_name[name] for name in names]
    if problem := one.shelf.keep(gone):
        output.say(problem, err=True)
    put_in_place([entry])
    for old in gone:
        if old.path != entry.path:
            old.path.unlink()
