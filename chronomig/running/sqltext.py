"""The SQL of migrations, collected and not run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration as DjangoMigration

from chronomig.batches.editing import schema_editor
from chronomig.batches.remaking import Statements
from chronomig.batches.together import Batch, batches, grouped
from chronomig.code.folding import Path, States, fold
from chronomig.code.loading import Loaded
from chronomig.errors import ChronomigError, LoadError, in_words
from chronomig.planning.record import Direction
from chronomig.running.way import Way
from chronomig.state import ProjectState


def sql_of(
    connection: BaseDatabaseWrapper,
    states: States,
    migrations: Sequence[Loaded],
    direction: Direction,
    *,
    batch: bool,
) -> Iterator[tuple[Loaded, list[str]]]:
    """
    Yield (migration, statements) for *migrations* in the order in which they would run.

    *states* are those of what is applied before the first of them, whatever the direction. The database is asked for
    names of constraints where Django's schema editors ask for them, and how big a table is that is remade; nothing in
    it changes.
    """
    way = Path(states.current, migrations, fold)
    places = range(len(migrations))
    for place in places if direction is Direction.UP else reversed(places):
        with naming(migrations[place]):
            lines = collect(connection, migrations[place], way.at(place), direction, batch=batch)
        yield migrations[place], lines


@contextmanager
def naming(loaded: Loaded) -> Iterator[None]:
    """Name the migration whose SQL cannot be had: its operations do not fit the state, or the schema."""
    try:
        yield
    except (ChronomigError, DatabaseFault):
        raise
    except Exception as error:
        raise LoadError(
            f"The SQL of {loaded.name} cannot be collected.",
            cause=in_words(error),
            next_step="Mend the file, or restore those that it stands on: chronomig status.",
        ) from error


def collect(
    connection: BaseDatabaseWrapper, loaded: Loaded, base: ProjectState, direction: Direction, *, batch: bool
) -> list[str]:
    """Return the statements and comments of one migration; *base* is the state before it."""
    in_one = connection.features.can_rollback_ddl and loaded.atomic
    with schema_editor(connection, collect_sql=True, atomic=loaded.atomic) as editor:
        if loaded.overrides_execution and isinstance(loaded.source, DjangoMigration):
            run = loaded.source.apply if direction is Direction.UP else loaded.source.unapply
            base.after_code(lambda state: run(state, editor, collect_sql=True))
        else:
            way = Way(loaded, base)
            moves = way.moves() if direction is Direction.UP else way.moves_down()
            for group in grouped(connection, moves, batch=batch, in_one=in_one):
                for one in batches(editor, group, direction):
                    collect_one(editor, one, direction, in_transaction=in_one)
    lines: list[str] = editor.collected_sql
    return in_a_transaction(connection, lines) if in_one else lines


def in_a_transaction(connection: BaseDatabaseWrapper, lines: list[str]) -> list[str]:
    return [connection.ops.start_transaction_sql(), *lines, connection.ops.end_transaction_sql()]


def collect_one(
    editor: BaseDatabaseSchemaEditor, batch: Batch, direction: Direction, *, in_transaction: bool
) -> None:
    """Add what runs together: a heading, then its statements, or why there are none."""
    lines = editor.collected_sql
    lines += ["--", *(f"-- {move.operation.describe()}" for move in batch.moves), "--"]
    if not batch.moves[0].operation.reduces_to_sql:
        lines.append("-- THIS OPERATION CANNOT BE WRITTEN AS SQL")
        return
    count = len(lines)
    batch.run(editor, direction)
    if len(lines) == count:
        lines.append("-- (no-op)")
    elif isinstance(batch.change, Statements) and not in_transaction:
        lines[count:] = in_a_transaction(editor.connection, lines[count:])
