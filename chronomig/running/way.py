"""The operations of one migration, and the states between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.db.migrations.operations.base import Operation

from chronomig.batches.batching import Move
from chronomig.code.folding import Path
from chronomig.code.loading import Loaded
from chronomig.state import ProjectState


class Numbered(NamedTuple):
    """An operation of a migration; what receivers inserted has the number of what it follows."""

    number: int
    app_label: str
    operation: Operation


class Way:
    """The operations of one migration, and the states between them."""

    def __init__(self, loaded: Loaded, base: ProjectState) -> None:
        self.numbered = list(numbered(loaded))
        self._states = Path(base, self.numbered, lambda state, one: state.after(one.app_label, one.operation))

    def places(self, done: int, *, up: bool) -> list[int]:
        """Return the places of what is not in effect yet (up), or of what is, the last one first (down)."""
        numbers = [numbered.number for numbered in self.numbered]
        if up:
            return [place for place, number in enumerate(numbers) if number > done]
        return [place for place, number in reversed(list(enumerate(numbers))) if number <= done]

    def move(self, place: int) -> Move:
        number, app_label, operation = self.numbered[place]
        return Move(app_label, operation, self._states.at(place), self._states.at(place + 1), number)

    def moves(self) -> Iterator[Move]:
        return (self.move(place) for place in range(len(self.numbered)))

    def moves_down(self) -> Iterator[Move]:
        return (self.move(place) for place in reversed(range(len(self.numbered))))

    @property
    def end(self) -> ProjectState:
        return self._states.at(len(self.numbered))


def numbered(loaded: Loaded) -> Iterator[Numbered]:
    """Yield the operations of a migration in order, with what receivers inserted."""
    for number, labelled in enumerate(loaded.operations, 1):
        yield Numbered(number, *labelled)
        for after, inserted in loaded.inserted:
            if after == number:
                yield Numbered(number, *inserted)
