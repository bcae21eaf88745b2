"""Ctrl-C, and the polite way to end a process: stop at a migration's edge."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from chronomig.running.executor import Executor

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Edge:
    """
    Turn a signal into a stop at an edge.

    What a transaction holds together is rolled back at once. What runs in pieces is finished first, unless the
    signal comes a second time.
    """

    def __init__(self, executor: Executor, on_delay: Callable[[], None]) -> None:
        self.executor = executor
        self.on_delay = on_delay
        self.asked = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.executor.in_pieces and not self.asked:
            self.asked = True
            self.on_delay()
            return
        raise KeyboardInterrupt

    def stop_if_asked(self) -> None:
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def stopping_at_an_edge(executor: Executor, on_delay: Callable[[], None]) -> Iterator[None]:
    """Let signals stop *executor* at a migration's edge; outside of the main thread, change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    edge = Edge(executor, on_delay)
    executor.between_migrations = edge.stop_if_asked
    before = {number: signal.signal(number, edge.handle) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
