"""
The state engine: what the models were at one point of the timeline.

All that the rest of chronomig knows of it is here: a :class:`ProjectState`, states derived from it with
:meth:`~ProjectState.after`, the two calls that run an operation on a database between two states, whether anybody can
tell what an operation does, and states as text.
"""

from chronomig.state.encoding import NotEncodable
from chronomig.state.operations import Reader, is_opaque, read_by, reader_of
from chronomig.state.project import ProjectState
from chronomig.state.running import run_backwards, run_forwards
from chronomig.state.snapshot import Unusable
from chronomig.state.snapshot import dump as dump_state
from chronomig.state.snapshot import load as load_state

__all__ = [
    "NotEncodable",
    "ProjectState",
    "Reader",
    "Unusable",
    "dump_state",
    "is_opaque",
    "load_state",
    "read_by",
    "reader_of",
    "run_backwards",
    "run_forwards",
]
