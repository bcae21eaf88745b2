"""
``python -m benchmarks.inside.replay [FILE]``: start Django, connect, send the statements in FILE.

It is the floor: what a migrate costs that knows its SQL before it begins. Without a file, it only connects.
"""

from __future__ import annotations

import pickle
import sys
from contextlib import nullcontext
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import django


def main(file: str = "") -> None:
    django.setup()
    from django.db import connection, transaction

    connection.ensure_connection()
    statements = pickle.loads(Path(file).read_bytes()) if file else []
    for number, together in groupby(statements, key=itemgetter(3)):
        with nullcontext() if number is None else transaction.atomic(), connection.cursor() as cursor:
            for sql, params, many, _ in together:
                (cursor.executemany if many else cursor.execute)(sql, params)
                if cursor.description:
                    cursor.fetchall()


if __name__ == "__main__":
    main(*sys.argv[1:])
