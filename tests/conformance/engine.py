"""
Put chronomig's state engine in Django's place, in this process only.

``ProjectState`` is replaced wherever Django holds it. Operations, called by Django's ``Migration`` and its executor or
by a test itself, go the way that they go in chronomig: through ``ProjectState.after()``, ``run_forwards()`` and
``run_backwards()``, which decide how deep models are rendered.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.migrations import autodetector, executor, graph, state
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations.base import Operation

from chronomig.state import ProjectState, run_backwards, run_forwards

HOLDERS = (autodetector, executor, graph, state)
"""Imported here, so that they are there when their ProjectState is replaced."""

_inside: ContextVar[bool] = ContextVar("inside the engine", default=False)


def install() -> None:
    """Replace Django's states, and take its operations through the engine."""
    _replace_states()
    _hand_copies_to_autodetector()
    for kind in (Operation, *_subclasses(Operation)):
        _take_through_engine(kind)
    Operation.__init_subclass__ = classmethod(  # type: ignore[assignment]
        lambda cls, **options: _take_through_engine(cls)
    )


def _replace_states() -> None:
    stock = state.ProjectState
    # Django's executor deletes what is rendered, so that it need not be kept up to date; there is no such need here.
    ProjectState.apps = ProjectState.apps.deleter(lambda self: None)  # type: ignore[method-assign]
    for name, module in list(sys.modules.items()):
        if name.startswith("django.") and getattr(module, "ProjectState", None) is stock:
            module.ProjectState = ProjectState  # type: ignore[attr-defined]


def _hand_copies_to_autodetector() -> None:
    """Django's autodetector takes options out of the states that it is given; chronomig gives it copies."""
    init = MigrationAutodetector.__init__

    def __init__(self: Any, from_state: Any, to_state: Any, *args: Any, **kwargs: Any) -> None:
        init(self, _plain(from_state), _plain(to_state), *args, **kwargs)

    MigrationAutodetector.__init__ = __init__  # type: ignore[method-assign]


def _plain(given: Any) -> Any:
    return given.plain() if isinstance(given, ProjectState) else given


def _subclasses(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def _take_through_engine(kind: type) -> None:
    for name, way in WAYS.items():
        if method := kind.__dict__.get(name):
            setattr(kind, name, _outermost(method, way))


def _outermost(method: Callable[..., Any], way: Callable[..., None]) -> Callable[..., Any]:
    """Return *method*, which takes *way* unless it is called by the engine."""

    @functools.wraps(method)
    def called(self: Operation, app_label: str, *args: Any, **kwargs: Any) -> Any:
        states = [one for one in (*args, *kwargs.values()) if isinstance(one, state.ProjectState)]
        if _inside.get() or not all(isinstance(one, ProjectState) for one in states):
            return method(self, app_label, *args, **kwargs)
        with _in_engine():
            return way(self, app_label, *args, **kwargs)

    return called


@contextmanager
def _in_engine() -> Iterator[None]:
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


def _change(operation: Operation, app_label: str, state: ProjectState) -> None:
    """Make *state* the one after *operation*; Django's interface changes it in place."""
    after = state.after(app_label, operation)
    vars(state).update(vars(after))


def _forwards(operation: Operation, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
    run_forwards(operation, app_label, schema_editor, from_state, to_state)


def _backwards(operation: Operation, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
    run_backwards(operation, app_label, schema_editor, to_state, from_state)


WAYS: dict[str, Callable[..., None]] = {
    "state_forwards": _change,
    "database_forwards": _forwards,
    "database_backwards": _backwards,
}
