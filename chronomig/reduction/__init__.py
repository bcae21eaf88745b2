"""
Operations of a history, reduced: each table created once, in the form that it has when somebody first looks at it.

Pure: operations and states in, operations and states out. What is not known to be the same stays as it is.
"""

from chronomig.reduction.reducing import Change, Reduction

__all__ = ["Change", "Reduction"]
