"""Effects while they are gathered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Field

from chronomig.effects.looking import (
    Key,
    View,
    column_of,
    field_thing,
    model_thing,
    option_thing,
    own_table_of,
)
from chronomig.effects.things import Effects, Loss, Thing


@dataclass
class Sketch:
    """The parts of :class:`Effects`, to be added to; what operations have in common is said here once."""

    reads: set[Thing] = field(default_factory=set)
    reads_all: set[Thing] = field(default_factory=set)
    writes: set[Thing] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)
    losses_backwards: list[Loss] = field(default_factory=list)
    slips: list[str] = field(default_factory=list)
    to_database: bool = False

    def finished(self, *, reversible: bool, opaque: bool = False) -> Effects:
        return Effects(
            frozenset(self.reads),
            frozenset(self.reads_all),
            frozenset(self.writes),
            tuple(self.losses),
            tuple(self.losses_backwards),
            reversible,
            opaque,
            tuple(self.slips),
            self.to_database,
        )

    def reads_table(self, view: View, key: Key) -> None:
        """The model has to be there, and its table under the name that it has."""
        self.reads |= {model_thing(key), option_thing(key, "db_table"), option_thing(key, "managed")}
        if view.is_in_database(key):
            self.reads.add(("table", view.table(key)))

    def changes_table(self, view: View, key: Key) -> bool:
        """Read the table of a model that is about to change; return whether it has one."""
        self.reads_table(view, key)
        changes = view.is_in_database(key)
        self.to_database |= changes
        return changes

    def reads_fields(self, key: Key, names: Iterable[str]) -> None:
        self.reads_all |= {field_thing(key, name) for name in names}

    def reads_targets(self, view: View, owner: Key, one: Field[Any, Any]) -> None:
        """What a field refers to has to be there, with the field that it refers to, and with its type."""
        for target in view.targets(owner, one):
            for key in {target} | view.ancestors(view.bases(target)):
                self.reads.add(model_thing(key))
                self.reads_fields(key, {view.primary_key(key), *view.to_fields(one)})
            if one.many_to_many:
                self.reads_fields(owner, {view.primary_key(owner)})

    def reads_type(self, one: Any) -> None:
        """What does not come from Django's core may need an extension of the database."""
        if not type(one).__module__.startswith("django.db.models."):
            self.reads_all.add(("extension",))
        if any(getattr(one, name, None) for name in ("expressions", "condition", "expression", "opclasses")):
            self.reads_all.add(("extension",))
        if name := getattr(one, "db_collation", None):
            self.reads_all.add(("collation", name))

    def writes_field(self, view: View, key: Key, name: str, one: Field[Any, Any] | None, table: str = "") -> None:
        """A field, and its column or its own table; *table* is that of a model that is not in the state yet."""
        self.writes.add(field_thing(key, name))
        if one is None or not (table or view.is_in_database(key)):
            return
        table = table or view.table(key)
        if own := own_table_of(name, one, table):
            self.writes.add(("table", own))
        elif not one.many_to_many and (column := column_of(name, one)):
            self.writes.add(("table", table, "column", column))

    def loss_of(self, name: str, one: Field[Any, Any], table: str) -> list[Loss]:
        """Return what goes with a field; what the database computes can be computed again."""
        if getattr(one, "generated", False):
            return []
        if own := own_table_of(name, one, table):
            return [Loss(f"table {own}", own)]
        column = None if one.many_to_many else column_of(name, one)
        return [Loss(f"column {column} of {table}", table, column)] if column else []
