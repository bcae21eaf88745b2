"""``chronomig check``: what should not be merged."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from chronomig import output
from chronomig.commands import drift
from chronomig.commands.makemigrations import shown
from chronomig.config import CheckFormat
from chronomig.drift import drift_of
from chronomig.errors import DatabaseError, GitError
from chronomig.project import Database, Project
from chronomig.review.branches import Base, find_base
from chronomig.review.findings import Finding, edited_since, left_behind, review


def run(
    project: Project,
    *,
    base: str | None = None,
    sets: Sequence[str] = (),
    databases: Sequence[str] = (),
    prove: bool = False,
    format: CheckFormat = CheckFormat.TEXT,
    json: bool = False,
) -> int:
    """Print what should not be merged into *base*, and the drift of *databases*; return 3 when there is anything."""
    compared, chosen = find_base(project.trees, base), project.choose_sets(sets)
    proving = output.PlainReporter(quiet=True) if prove else None
    drifting = [drift_finding(project.database(alias)) for alias in dict.fromkeys(databases)]
    reviewed = list(review(project, chosen, compared, proving=proving))
    unordered = {one.set_name for one in reviewed if one.check == "timeline"}
    there = in_databases(project, {one.name for one in chosen} - unordered, databases)
    found = [*reviewed, *there, *filter(None, drifting)]
    if json:
        rows = [as_json(one) for one in found]
        output.say_json("check", base=compared and {"ref": compared.ref, "commit": compared.commit}, findings=rows)
    elif format is CheckFormat.GITHUB:
        for one in found:
            output.say(annotation(one, in_repository(project, one.path)))
    else:
        say(found, compared)
    return 3 if found else 0


def in_databases(project: Project, sets: Collection[str], named: Sequence[str]) -> Iterator[Finding]:
    """Yield what was edited since it was applied, and what is left over; who is not *named* need not be there."""
    for database in project.databases.values():
        if database.set.name in sets:
            try:
                yield from edited_since(database)
                yield from left_behind(database)
            except DatabaseError as error:
                if database.alias in named:
                    raise
                output.say(f"{database.alias}: not looked at, because it does not answer: {error.cause}", err=True)


def drift_finding(database: Database) -> Finding | None:
    """Return what differs between the schema of *database* and its history as one finding."""
    found = drift_of(database)
    if not found.differences:
        return None
    message = f"The schema of {database.alias!r} is not as its history says: {drift.summary(found)}."
    hint = f"chronomig drift --database {database.alias}"
    return Finding(
        "drift", database.set.name, "", database.set.directory, message, tuple(drift.lines(found)), hint
    )  # fmt: skip


def say(found: Sequence[Finding], base: Base | None) -> None:
    against = f"against {base.ref} ({base.commit[:10]})" if base else "against no base (name one with --base)"
    for one in found:
        output.say(f"{one.check}: {shown(one.path)}: {one.message}")
        for line in one.details:
            output.say(f"    {line.strip()}")
        if one.hint:
            output.say(f"    -> {one.hint}")
    output.say(f"{output.plural(len(found), 'finding')}, {against}", err=bool(found))


def in_repository(project: Project, path: Path) -> str:
    """Return *path* from the top of the repository, where there is one; else from here."""
    with suppress(GitError, ValueError):
        if project.trees.in_repository:
            return project.trees.repository.inside(path)
    return shown(path)


def annotation(one: Finding, path: str) -> str:
    """Return a line that GitHub shows at the file at *path*; its syntax wants some characters escaped."""
    text = "\n".join(filter(None, [one.message, *one.details, one.hint]))
    title = f"chronomig {one.check}"
    return f"::error file={escaped(path, ':,')},title={escaped(title, ':,')}::{escaped(text)}"


def escaped(text: str, more: str = "") -> str:
    for letter in f"%\r\n{more}":
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def as_json(one: Finding) -> dict[str, object]:
    return {
        "check": one.check,
        "set": one.set_name,
        "name": one.name or None,
        "path": str(one.path),
        "message": one.message,
        "details": [line.strip() for line in one.details],
        "hint": one.hint or None,
    }
