"""What a failure may have left behind in a database: INVALID indexes of PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper

# Those that are being made at the moment are invalid too, and so are those of partitioned tables until all parts have
# theirs: https://www.postgresql.org/docs/current/sql-createindex.html
INVALID_INDEXES = """
SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i'
  AND i.indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index)
ORDER BY 1
"""


@dataclass(frozen=True)
class Leftover:
    """Something that nobody uses and that costs."""

    fact: str
    next_step: str
    """What to type."""

    def __str__(self) -> str:
        return f"{self.fact}; remove it: {self.next_step}"


def leftovers(connection: BaseDatabaseWrapper) -> list[Leftover]:
    """Return what is left over; nothing when the database cannot be asked."""
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(INVALID_INDEXES)
            found = cursor.fetchall()
    except DatabaseFault:
        return []
    return [
        Leftover(
            f"INVALID index {index} on {table}, which is kept up to date and never used",
            f"DROP INDEX CONCURRENTLY {index};",
        )
        for index, table in found
    ]
