"""``chronomig sql``: the SQL of migrations, without running it."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig import output
from chronomig.code.folding import States
from chronomig.errors import UsageError
from chronomig.planning.record import Direction, Record
from chronomig.planning.target import Known, read
from chronomig.project import Database, Project
from chronomig.running.sqltext import sql_of


def run(
    project: Project,
    *,
    migrations: Sequence[str] = (),
    database: str | None = None,
    backwards: bool = False,
    json: bool = False,
) -> int:
    """Print the SQL of one migration, of the range between two, or of all that is pending."""
    chosen = project.database(database) if database else _only(project)
    direction = Direction.DOWN if backwards else Direction.UP
    before, selected = select(chosen, migrations)
    loaded = [chosen.set.load(name) for name in selected]
    states = States(before, chosen.set.load)
    collected = sql_of(chosen.connection, states, loaded, direction, batch=chosen.set.config.batch)
    if json:
        rows = [{"name": one.name, "sql": lines} for one, lines in collected]
        output.say_json("sql", alias=chosen.alias, direction=direction, migrations=rows)
        return 0
    for one, lines in collected:
        output.say(f"-- {one.name} ({direction})")
        output.say("\n".join(lines))
    return 0


def _only(project: Project) -> Database:
    if len(project.databases) != 1:
        raise UsageError(
            "There are several databases.",
            cause=f"They are: {', '.join(project.databases)}.",
            next_step="Choose one with --database.",
        )
    return next(iter(project.databases.values()))


def select(database: Database, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (what stands before, what is asked for); without *texts*, what is pending in the database."""
    if not texts:
        applied = database.record()
        before = [name for name in applied.names if name in database.set.timeline.by_name]
        selected = [name for name in database.set.timeline.names if name not in set(before)]
    else:
        names = database.set.timeline.names
        places = [_place(database, text) for text in texts]
        first, end = min(first for first, _ in places), max(end for _, end in places)
        before, selected = list(names[:first]), list(names[first:end])
    return before, selected


def _place(database: Database, text: str) -> tuple[int, int]:
    """Return the range of the timeline that *text* names; raise TargetError, UsageError."""
    origins = database.set.origins if " " in text else {}
    reading = read(text, Known.of(database.set.timeline.names, Record(), origins))
    if reading.end == reading.first:
        raise UsageError(f"{text!r} names no migration.", next_step="chronomig status lists all names.")
    return reading.first, reading.end
