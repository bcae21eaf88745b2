"""The SQL of migrations, collected and not run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration as DjangoMigration

from chronomig.executor import Move, Way
from chronomig.folding import Path, States, fold
from chronomig.loading import Loaded
from chronomig.plan import Direction
from chronomig.state import ProjectState, run_backwards, run_forwards


def sql_of(
    connection: BaseDatabaseWrapper, states: States, migrations: Sequence[Loaded], direction: Direction
) -> Iterator[tuple[Loaded, list[str]]]:
    """
    Yield (migration, statements) for *migrations* in the order in which they would run.

    *states* are those of what is applied before the first of them, whatever the direction. The database is asked for
    names of constraints where Django's schema editors ask for them; nothing in it changes.
    """
    way = Path(states.current, migrations, fold)
    places = range(len(migrations))
    for place in places if direction is Direction.UP else reversed(places):
        yield migrations[place], collect(connection, migrations[place], way.at(place), direction)


def collect(connection: BaseDatabaseWrapper, loaded: Loaded, base: ProjectState, direction: Direction) -> list[str]:
    """Return the statements and comments of one migration; *base* is the state before it."""
    with connection.schema_editor(collect_sql=True, atomic=loaded.atomic) as editor:
        if loaded.overrides_execution and isinstance(loaded.source, DjangoMigration):
            run = loaded.source.apply if direction is Direction.UP else loaded.source.unapply
            base.after_code(lambda state: run(state, editor, collect_sql=True))
        else:
            way = Way(loaded, base)
            for move in way.moves() if direction is Direction.UP else way.moves_down():
                collect_one(editor, move, direction)
    lines: list[str] = editor.collected_sql
    if connection.features.can_rollback_ddl and loaded.atomic:
        return [connection.ops.start_transaction_sql(), *lines, connection.ops.end_transaction_sql()]
    return lines


def collect_one(editor: BaseDatabaseSchemaEditor, move: Move, direction: Direction) -> None:
    """Add one operation: a heading, then its statements, or why there are none."""
    lines = editor.collected_sql
    lines += ["--", f"-- {move.operation.describe()}", "--"]
    if not move.operation.reduces_to_sql:
        lines.append("-- THIS OPERATION CANNOT BE WRITTEN AS SQL")
        return
    count = len(lines)
    run = run_forwards if direction is Direction.UP else run_backwards
    run(move.operation, move.app_label, editor, move.before, move.after)
    if len(lines) == count:
        lines.append("-- (no-op)")
