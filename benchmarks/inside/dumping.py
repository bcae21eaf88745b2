"""
``python -m benchmarks.inside.dumping``: print the schema of the database as JSON.

Of SQLite it is what the database itself keeps, word for word. Django's introspection, with which the tests compare, asks
about each index with a search through all tables and indexes: for 1000 tables that takes 33 s in place of 2.
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.db import connection  # noqa: E402

from tests.schema import definitions, dump  # noqa: E402

if __name__ == "__main__":
    json.dump(
        definitions(connection) if connection.vendor == "sqlite" else dump(connection), sys.stdout, sort_keys=True
    )
