"""What ``--to``, ``--before`` and ``--steps`` say, made into what each database shall have."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from chronomig.errors import GitError, TargetError, UsageError, did_you_mean
from chronomig.planning.record import Record
from chronomig.planning.target import Known, UnknownTarget, could_be_ref, forced, resolve, steps
from chronomig.project import Database
from chronomig.running.migrator import Wanted
from chronomig.timeline import Timeline

REF = "ref:"
ONLY_A_REF = re.compile(r"[~^@{/]")
"""What no name of a migration and no date has."""


def wanted_from(to: str | None, before: str | None, count: int | None, databases: Sequence[Database]) -> Wanted:
    """Return the function that finds what a database shall have; raise UsageError for more than one target."""
    if sum(option is not None for option in (to, before, count)) > 1:
        raise UsageError(
            "--to, --before and --steps exclude each other.", next_step="Type one of them; each is a target."
        )
    if count is not None:
        return lambda database, record: steps(count, database.set.timeline.names, record)
    text = (to if to is not None else before or "").strip()
    if to is None and before is None:
        return lambda database, record: None

    def wanted(database: Database, record: Record) -> Collection[str] | Timeline:
        try:
            return at(text, database, record) if before is None else before_(text, database, record)
        except TargetError as error:
            if len({one.set.name for one in databases}) > 1:
                error.cause = "\n".join(
                    filter(None, [error.cause, f"It was looked for in the set {database.set.name!r}."])
                )
                error.next_step += " Several sets take part; choose with --database."
            raise

    return wanted


def at(text: str, database: Database, record: Record) -> Collection[str] | Timeline:
    """Return what *text* stands for: a point of the timeline, or else a git ref. Raise TargetError, GitError."""
    if text.startswith(REF):
        return at_ref(text.removeprefix(REF), database, record)
    known = database.known(record, text)
    try:
        names = resolve(text, known)
    except UnknownTarget as unknown:
        if forced(text) or not database.set.trees.in_repository:
            raise
        return at_ref(text, database, record, unknown)
    except TargetError:
        refuse_two_readings(text, known, database)
        raise
    refuse_two_readings(text, known, database)
    return names


def before_(text: str, database: Database, record: Record) -> Collection[str]:
    """Return what stands before *text*; raise TargetError, also for a git ref."""
    if text.startswith(REF):
        raise TargetError(
            f"--before {text} has no meaning.",
            cause="A git ref is a set of migrations, not a point in time.",
            next_step="Use --to with the ref, or with the commit before it.",
        )
    known = database.known(record, text)
    names = resolve(text, known, before=True)
    refuse_two_readings(text, known, database)
    return names


def at_ref(ref: str, database: Database, record: Record, instead: UnknownTarget | None = None) -> Timeline:
    """Return the timeline of the set at *ref*; where git does not know it, raise *instead* if there is one."""
    trees = database.set.trees
    try:
        commit = trees.commit(ref)
    except GitError as error:
        if instead is None or ONLY_A_REF.search(ref):
            raise TargetError(
                error.fact, cause=error.cause, next_step=error.next_step or suggest(ref, database)
            ) from error
        instead.cause = "\n".join(filter(None, [instead.cause, f"As a git ref: {error.fact} {error.cause}".strip()]))
        raise instead from error
    known = (*database.set.timeline.names, *record.names)
    return trees.timeline(commit, database.set.name, known=known, ref=ref)


def suggest(ref: str, database: Database) -> str:
    """Return the nearest branch or tag as a question, else how to list them."""
    names = [name.split("/", 2)[-1] for name in database.set.trees.repository.refs]
    return did_you_mean(ref, names) or "git branch --all and git tag list what there is."


def refuse_two_readings(text: str, known: Known, database: Database) -> None:
    """Raise TargetError when *text* is a point of the timeline and the name of a branch or tag as well."""
    trees = database.set.trees
    if not could_be_ref(text, known) or not trees.in_repository:
        return
    try:
        refs = trees.repository.names_of(text)
    except GitError:
        return  # without git there is one reading
    if refs:
        kind = "name" if any(name.startswith(text) for name in known.names) else "stamp"
        raise TargetError(
            f"{text!r} can be read in two ways.",
            cause=f"  {kind}:{text}  a point of the timeline\n  ref:{text}  {', '.join(refs)}",
            next_step="Type it with the prefix that is meant.",
        )
