"""
A stream of operations, reduced.

A model that is created is held back, and what follows is folded into it, until something needs its table. So nothing
ever moves before anything: tables are created later than in the files, in the form that they have by then, and what
is in between does not look at them. The database always is what the state says, but for the tables held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState

from chronomig.reduction.looking import Key, needs
from chronomig.reduction.rules import folds, model_of, stays_in_its_table
from chronomig.state import ProjectState


class Change(NamedTuple):
    """One operation that is left, between the two states around it."""

    app_label: str
    operation: Operation
    before: ProjectState
    after: ProjectState


class Reduction:
    """Takes operations one by one, and gives those that have to run."""

    def __init__(self, state: ProjectState) -> None:
        self.state = state
        """After all that was taken."""
        self._held: dict[Key, list[str]] = {}
        """{model without a table yet: its fields, as its columns would stand}, in the order of creation."""

    def take(self, app_label: str, operation: Operation) -> Iterator[Change]:
        """Yield what has to run by now; exhaust it before the next call."""
        before, self.state = self.state, self.state.after(app_label, operation)
        if self._hold(app_label, operation, before) or self._fold(app_label, operation, before):
            return
        yield from self._let_go(self._looked_at(app_label, operation, before), before)
        yield Change(app_label, operation, before, self.state)

    def rest(self) -> Iterator[Change]:
        """Yield what is still held back: afterwards the database is what the state says."""
        return self._let_go(list(self._held), self.state)

    def _hold(self, app_label: str, operation: Operation, before: ProjectState) -> bool:
        if type(operation) is not ops.CreateModel:
            return False
        key = app_label, operation.name_lower
        if key in before.models or not self._can_wait(key):
            return False
        self._held[key] = list(self.state.models[key].fields)
        return True

    def _fold(self, app_label: str, operation: Operation, before: ProjectState) -> bool:
        if type(operation) is ops.DeleteModel:
            return self._forget((app_label, operation.name_lower), before)
        key = model_of(operation, app_label)
        if key not in self._held or not folds(operation, key, before, self.state) or not self._can_wait(key):
            return False
        self._held[key] = columns_after(operation, self._held[key])
        return True

    def _forget(self, key: Key, before: ProjectState) -> bool:
        """A table that nobody looked at need not be made to be dropped."""
        if key not in self._held or before.is_referred_to(key):
            return False
        del self._held[key]
        return True

    def _can_wait(self, key: Key) -> bool:
        """Whether all that the model needs is there, and nothing that is held back needs it in turn."""
        wanted = needs(self.state.models[key])
        return wanted <= self.state.models.keys() and not self._leads_to(wanted, key)

    def _leads_to(self, keys: Iterable[Key], goal: Key) -> bool:
        todo, seen = [key for key in keys if key in self._held], set()
        while todo:
            key = todo.pop()
            if key == goal:
                return True
            if key not in seen:
                seen.add(key)
                todo += [one for one in needs(self.state.models[key]) if one in self._held]
        return False

    def _looked_at(self, app_label: str, operation: Operation, before: ProjectState) -> list[Key]:
        """Return the models whose tables have to be there for an operation."""
        key = model_of(operation, app_label)
        if key is None or key not in before.models or not stays_in_its_table(operation, key, before):
            return list(self._held)
        return [key, *sorted(needs(self.state.models[key]))]

    def _let_go(self, keys: Iterable[Key], state: ProjectState) -> Iterator[Change]:
        """Create the tables of *keys* that are held back, after those that they need."""
        for key in keys:
            if key in self._held:
                columns, model = self._held.pop(key), state.models[key]
                yield from self._let_go(sorted(needs(model)), state)
                create = creation(model, columns)
                in_order = columns == list(model.fields)
                yield Change(key[0], create, state, state if in_order else state.after(key[0], create))


def columns_after(operation: Operation, columns: list[str]) -> list[str]:
    """Return the columns after *operation*, in order; a state puts a renamed field last, a database does not."""
    match operation:
        case ops.AddField(name=name):
            return [*columns, name]
        case ops.RemoveField(name=name):
            return [one for one in columns if one != name]
        case ops.RenameField(old_name=old, new_name=new):
            return [new if one == old else one for one in columns]
    return columns


def creation(model: ModelState, columns: list[str]) -> ops.CreateModel:
    """Return the operation that creates a model as it stands."""
    options = {
        name: value for name, value in model.options.items() if value or name not in ("indexes", "constraints")
    }
    fields = [(name, model.fields[name]) for name in columns]
    return ops.CreateModel(model.name, fields, options, model.bases, list(model.managers))
