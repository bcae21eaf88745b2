"""
``python -m benchmarks.inside.recording NAME``: record the timeline up to NAME as applied, and run nothing.

As ``chronomig migrate --fake --to NAME`` does, but without folding states and without signals, so that it takes the
same few seconds whatever the engine costs.
"""

from __future__ import annotations

import sys

from django.db import transaction

from chronomig.history.events import Event, Kind
from chronomig.history.recorder import ensure_django_table, keep_in_step
from chronomig.opening import open_project
from chronomig.planning.record import Direction


def main(last: str) -> None:
    (database,) = open_project().databases.values()
    origins = {name: key for key, name in database.set.origins.items()}
    database.history.ensure_table()
    ensure_django_table(database.connection)
    with transaction.atomic():
        for entry in database.set.timeline:
            if entry.name <= last:
                origin = origins.get(entry.name)
                database.history.write(Event(Kind.FAKED, entry.name, sha256=entry.sha256, origin=origin))
                if origin:
                    keep_in_step(database.connection, {origin}, Direction.UP)
        database.history.write(Event(Kind.SETTLED, ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
