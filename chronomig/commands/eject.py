"""``chronomig eject``: give the project back to stock Django."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from chronomig import output
from chronomig.authoring.writer import put_in_place
from chronomig.commands.makemigrations import shown
from chronomig.commands.questions import insist_on_yes
from chronomig.commands.records import waiting
from chronomig.eject import Ejection, Fate, Page, Standing, draft_ejection, record, standings
from chronomig.errors import Refused
from chronomig.project import Project
from chronomig.timeline import Entry


def run(
    project: Project,
    *,
    databases: Sequence[str] = (),
    files_only: bool = False,
    record_in: Sequence[str] = (),
    dry_run: bool = False,
    interactive: bool = True,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Draft everything; then write the files, delete what is squashed, and record it all in the databases."""
    chosen = [] if files_only else project.choose_databases([*databases, *record_in] if databases else ())
    ejection = draft_ejection(project)
    found = standings(chosen, ejection.rows)
    refuse(ejection, found)
    if not dry_run:
        ask_about_files(ejection, yes=yes, interactive=interactive)
        ask_about_databases(found, record_in, interactive=interactive)
        write(ejection)
        for one in found:
            timeout = project.config.database_timeout
            record(one, ejection.rows, timeout=timeout, on_wait=waiting(one.database))
    if json:
        output.say_json("eject", written=not dry_run, **as_json(ejection, found))
    else:
        say(ejection, found, dry_run=dry_run)
    return 0


def refuse(ejection: Ejection, found: Sequence[Standing]) -> None:
    """Raise Refused for all that stands in the way."""
    told = [*ejection.problems, *(problem for one in found for problem in one.problems)]
    if told:
        raise Refused(
            "The project cannot be given back to Django as it stands; nothing was written.",
            cause="\n".join(f"  {problem}" for problem in told),
            next_step="Settle what is listed, then run chronomig eject again.",
        )


def ask_about_files(ejection: Ejection, *, yes: bool, interactive: bool) -> None:
    """Nothing is overwritten or deleted without a yes; raise Refused."""
    going = ejection.of(Fate.CHANGED, Fate.DELETED)
    if not going or yes:
        return
    what = f"{output.plural(len(going), 'file')} would be overwritten or deleted"
    listed = "\n".join(f"  {shown(one.path)} ({one.fate})" for one in going)
    insist_on_yes(what, listed, interactive=interactive)


def ask_about_databases(found: Sequence[Standing], record_in: Sequence[str], *, interactive: bool) -> None:
    """A protected database wants its name; raise Refused."""
    for one in found:
        alias = one.database.alias
        if not one.missing or not one.database.config.protected or alias in record_in:
            continue
        what = f"{output.plural(len(one.missing), 'row')} would be added to django_migrations of {alias!r}"
        if not interactive or not sys.stdin.isatty():
            raise Refused(
                f"{what}, a protected database; nothing was written.",
                next_step=f"Add --record-in {alias} to do it, or --files-only to leave databases alone.",
            )
        output.say(f"{what}.", err=True)
        if output.ask(f"Type the name of the protected database {alias!r} to do it:") != alias.lower():
            raise Refused("Nothing was written.", cause="The question was answered with no.")


def write(ejection: Ejection) -> None:
    pages = ejection.of(Fate.NEW, Fate.CHANGED)
    put_in_place([Entry(page.path.stem, page.path, page.content) for page in pages])
    for page in ejection.of(Fate.DELETED):
        page.path.unlink()


# -- told -----------------------------------------------------------------------------------------------------------


def say(ejection: Ejection, found: Sequence[Standing], *, dry_run: bool) -> None:
    """Print every file, every database, and what is left to do by hand."""
    for page in ejection.of(Fate.NEW, Fate.CHANGED, Fate.DELETED):
        output.say(line_of(page, dry_run=dry_run))
    if there := len(ejection.of(Fate.SAME)):
        output.say(f"{output.plural(there, 'file')} already there")
    for note in ejection.notes:
        output.say(f"note: {note}")
    for one in found:
        done = "would be added" if dry_run else "added"
        output.say(f"{one.database.alias}: {output.plural(len(one.missing), 'row')} of django_migrations {done}")
    if not dry_run:
        for line in left_to_do(ejection):
            output.say(line)


def line_of(page: Page, *, dry_run: bool) -> str:
    words: dict[Fate, tuple[str, str]] = {
        Fate.NEW: ("would write", "wrote"),
        Fate.CHANGED: ("would overwrite", "overwrote"),
        Fate.DELETED: ("would delete", "deleted"),
    }
    return f"{words[page.fate][0 if dry_run else 1]} {shown(page.path)}{f'  ({page.file})' if page.file else ''}"


def left_to_do(ejection: Ejection) -> Iterator[str]:
    """Yield what only a person can do."""
    number = counting()
    yield "Next:"
    if ejection.modules:
        yield f"  {number()}. Add this to the settings: MIGRATION_MODULES = {ejection.modules!r}"
    yield f"  {number()}. Release this to the other databases, and run chronomig eject there in place of migrate."
    yield f"  {number()}. Take chronomig out of INSTALLED_APPS, and its configuration out of the project."
    yield f"  {number()}. manage.py makemigrations --check; manage.py migrate --check"
    yield f"  {number()}. Then project_migrations, and the tables whose names begin with chronomig_, can go."


def counting() -> Callable[[], int]:
    return iter(range(1, 100)).__next__


def as_json(ejection: Ejection, found: Sequence[Standing]) -> dict[str, object]:
    return {
        "files": [{"path": str(page.path), "fate": page.fate, "from": page.file or None} for page in ejection.pages],
        "migration_modules": ejection.modules,
        "notes": ejection.notes,
        "databases": [{"alias": one.database.alias, "rows": [" ".join(key) for key in one.missing]} for one in found],
    }
