"""A failing history, made as short as it gets while it still fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.histories import History

Fails = Callable[[History], bool]


def shrunk(history: History, fails: Fails, *, seconds: float = 60) -> History:
    """Return the shortest history found within *seconds* that still fails."""
    end = time.monotonic() + seconds
    found = True
    while found:
        found = False
        for smaller in candidates(history):
            if time.monotonic() > end:
                return history
            if fails(smaller):
                history, found = smaller, True
                break
    return history


def candidates(history: History) -> Iterator[History]:
    """Yield histories that are a little shorter, the boldest first."""
    size = len(history)
    for count in {size // 2, size - 1} - {size, 0}:
        yield history.first(count)
    for place in reversed(range(size)):
        if size > 1:
            yield history.having(history.migrations[:place] + history.migrations[place + 1 :])
    for place, one in enumerate(history.migrations):
        for index in reversed(range(len(one.operations))):
            if len(one.operations) > 1:
                fewer = replace(one, operations=one.operations[:index] + one.operations[index + 1 :])
                yield history.having((*history.migrations[:place], fewer, *history.migrations[place + 1 :]))
    if history.turn:
        yield replace(history, turn=0)
