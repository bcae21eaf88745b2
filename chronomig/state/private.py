"""
Models in the hands of code that we do not know, which may change the model states that it finds there.

Some operations assign into ``state.models[key].options``, or add a field to ``state.models[key].fields``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

from django.db.migrations.state import ModelState

from chronomig.state.copies import is_same, private_copy
from chronomig.state.references import Key

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


def is_as(one: Changes, other: Changes) -> bool:
    """Whether *other*, made later, says the same as *one*."""
    if one.keys() != other.keys():
        return False
    pairs = ((before, other[key]) for key, before in one.items())
    return all(before is after or (before and after and is_same(before, after)) for before, after in pairs)
