"""
A state in the hands of code that we do not know, which may change the model states that it finds there.

Some operations assign into ``state.models[key].options``, or add a field to ``state.models[key].fields``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

from django.db.migrations.state import ModelState

from chronomig.state.copies import is_same, private_copy
from chronomig.state.project import ProjectState
from chronomig.state.references import Key
from chronomig.state.version import Version

Changes = dict[Key, ModelState | None]
"""What takes the place of model states; None takes one away."""


class PrivateModels(MutableMapping[Key, ModelState]):
    """Models of which whatever is read is a copy of its own."""

    def __init__(self, before: Mapping[Key, ModelState]) -> None:
        self._before = before
        self._order = dict.fromkeys(before)
        self._private: dict[Key, ModelState] = {}
        """What code was given, or put here, and may change at any time."""

    def fork(self) -> PrivateModels:
        """Return another one with the same models, in copies of its own."""
        made = PrivateModels(self._before)
        made._order = dict(self._order)
        made._private = {key: private_copy(model) for key, model in self._private.items()}
        return made

    def changes(self) -> Changes:
        """Return what is different now."""
        gone: Changes = {}
        if len(self._order) - sum(key not in self._before for key in self._private) < len(self._before):
            gone = {key: None for key in self._before if key not in self._order}
        return gone | {
            key: model
            for key, model in self._private.items()
            if key not in self._before or not is_same(self._before[key], model)
        }

    def __getitem__(self, key: Key) -> ModelState:
        if key not in self._private:
            if key not in self._order:
                raise KeyError(key)
            self._private[key] = private_copy(self._before[key])
        return self._private[key]

    def __setitem__(self, key: Key, model: ModelState) -> None:
        self._order[key] = None
        self._private[key] = model

    def __delitem__(self, key: Key) -> None:
        del self._order[key]
        self._private.pop(key, None)

    def __contains__(self, key: object) -> bool:
        return key in self._order

    def __iter__(self) -> Iterator[Key]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def copy(self) -> dict[Key, ModelState]:
        return dict(self.items())


class GuardedState(ProjectState):
    """A state whose model states can be changed in place, as Django's; :meth:`settled` is the common one."""

    models: MutableMapping[Key, ModelState]

    def __init__(self, before: ProjectState) -> None:
        super().__init__(None, set(before.real_apps))
        self._before = self._settled = before
        self.models = PrivateModels(before.models)
        self._changes: Changes = {}
        """What the settled state has."""

    def clone(self) -> GuardedState:
        made = GuardedState(self._before)
        made.real_apps = set(self.real_apps)
        made.models = self._private_models().fork()
        made._changes, made._settled = self._changes, self._settled
        return made

    def guarded(self) -> GuardedState:
        return self.clone()

    def settled(self) -> ProjectState:
        """Return the common state with what was changed up to now."""
        changes = self._private_models().changes()
        if not is_as(self._changes, changes):
            self._changes = {key: None if model is None else private_copy(model) for key, model in changes.items()}
            self._settled = self._before.with_changes(self._changes)
        return self._settled

    def _private_models(self) -> PrivateModels:
        """Return the models; code may have put a mapping of its own in their place."""
        if isinstance(self.models, PrivateModels):
            return self.models
        given, self.models = self.models, PrivateModels(self._before.models)
        for key in [key for key in self.models if key not in given]:
            del self.models[key]
        self.models.update(given)
        return self.models

    def _freeze(self) -> Version:
        return self.settled()._freeze()

    def _replace(self, key: Key, new: ModelState | None) -> None:
        self._relations = None
        if new is not None:
            self.models[key] = new
        else:
            self.models.pop(key, None)


def is_as(one: Changes, other: Changes) -> bool:
    """Whether *other*, made later, says the same as *one*."""
    if one.keys() != other.keys():
        return False
    pairs = ((before, other[key]) for key, before in one.items())
    return all(before is after or (before and after and is_same(before, after)) for before, after in pairs)
