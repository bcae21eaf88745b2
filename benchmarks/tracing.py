"""What a traced run tells, see :mod:`benchmarks.inside.tracing`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.results import Cell

SCHEMA_CHANGES = ("CREATE", "ALTER", "DROP")
Statement = tuple[str, Any, bool, int | None, float, float]
"""(SQL, parameters, many, transaction, when it began, when it ended)"""


def summary(statements: Sequence[Statement]) -> Cell:
    """
    Return the number of statements and the seconds between the changes of the schema.

    Between the first and the last of these a migrate does nothing but run operations: start-up, the import of
    files and the receivers lie outside.
    """
    changes = [one for one in statements if one[0].lstrip().upper().startswith(SCHEMA_CHANGES)]
    if not changes:
        return Cell(statements=len(statements))
    first, last = changes[0][4], changes[-1][5]
    sql = sum(ended - began for *_, began, ended in statements if began >= first and ended <= last)
    return Cell(statements=len(statements), between=last - first - sql)
