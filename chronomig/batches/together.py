"""Which operations run as one on a database, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from chronomig.batches.batching import Group, Move, groups
from chronomig.batches.editing import FollowingEditor
from chronomig.batches.joining import Joined, can_join, pays
from chronomig.batches.remaking import Statements, can_remake, remade
from chronomig.planning.record import Direction


@dataclass(frozen=True)
class Batch:
    """Operations that run together: several in one change of their table, or one as it stands."""

    moves: tuple[Move, ...]
    change: Statements | Joined | None = None
    again: bool = False
    """Whether it may be half there."""

    def make_ready(self, connection: BaseDatabaseWrapper, direction: Direction) -> bool:
        """Do beforehand what can be; return whether that was most of it, so that others are made ready too."""
        if self.change is not None:
            return isinstance(self.change, Statements)
        alias = connection.alias
        return connection.vendor == "postgresql" and all(move.render(alias, direction) for move in self.moves)

    def run(self, editor: BaseDatabaseSchemaEditor, direction: Direction) -> None:
        if self.change is not None:
            self.change.run(editor)
            return
        for move in self.moves:
            move.run(editor, direction)


def grouped(
    connection: BaseDatabaseWrapper, moves: Iterable[Move], *, batch: bool, in_one: bool = False
) -> Iterator[Group]:
    """
    Yield *moves* in their order, those that can go together on this database in one.

    With *in_one*, all of them are in effect, or none.
    """
    remakes = can_remake(connection)
    return groups(moves, batch=batch and (remakes or can_join(connection)), apart=in_one and remakes)


def batches(editor: BaseDatabaseSchemaEditor, group: Group, direction: Direction) -> list[Batch]:
    """Return *group* as one batch where that is quicker, else as one for each operation."""
    if isinstance(editor, FollowingEditor):
        change = remade(editor, group, direction)
        return [Batch(group.moves, change)] if change else alone(group)
    if can_join(editor.connection) and pays(editor.connection, group):
        return [Batch(group.moves, Joined(group.moves, direction))]
    return alone(group)


def alone(group: Group) -> list[Batch]:
    """Return a batch for each operation."""
    return [Batch((move,)) for move in group.moves]
