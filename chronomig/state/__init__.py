"""
The state engine: what the models were at one point of the timeline.

All that the rest of chronomig knows of it is here: a :class:`ProjectState`, states derived from it with
:meth:`~ProjectState.after`, the two calls that run an operation on a database between two states, and whether anybody
can tell what an operation does.
"""

from chronomig.state.operations import is_opaque
from chronomig.state.project import ProjectState
from chronomig.state.running import run_backwards, run_forwards

__all__ = ["ProjectState", "is_opaque", "run_backwards", "run_forwards"]
