"""
What people and machines read.

Plain, stable lines when the output is no terminal; colour and tables when it is. Results go to stdout, progress and
messages to stderr.
"""

from chronomig.output.histories import event_as_json, in_a_line, say_events
from chronomig.output.runs import (
    PlainReporter,
    code_of,
    loss_as_json,
    plan_as_json,
    result_as_json,
    resumed,
    say_plan,
    verb,
)
from chronomig.output.saying import (
    ask,
    confirm,
    error_as_json,
    ghosts,
    heading,
    is_terminal,
    iso,
    plural,
    say,
    say_error,
    say_json,
    seconds,
    silence,
    to_json,
    undoing,
    visible,
)
from chronomig.output.statuses import (
    details,
    edited,
    line_as_json,
    say_edits,
    say_leftovers,
    say_status,
    status_as_json,
    status_heading,
    whence,
)

__all__ = [
    "PlainReporter",
    "ask",
    "code_of",
    "confirm",
    "details",
    "edited",
    "error_as_json",
    "event_as_json",
    "ghosts",
    "heading",
    "in_a_line",
    "is_terminal",
    "iso",
    "line_as_json",
    "loss_as_json",
    "plan_as_json",
    "plural",
    "result_as_json",
    "resumed",
    "say",
    "say_edits",
    "say_error",
    "say_events",
    "say_json",
    "say_leftovers",
    "say_plan",
    "say_status",
    "seconds",
    "silence",
    "status_as_json",
    "status_heading",
    "to_json",
    "undoing",
    "verb",
    "visible",
    "whence",
]
