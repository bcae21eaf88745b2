"""``python -m benchmarks.inside.dumping``: print the schema of the database as JSON, as the tests compare it."""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.db import connection  # noqa: E402

from tests.schema import dump  # noqa: E402

if __name__ == "__main__":
    json.dump(dump(connection), sys.stdout, sort_keys=True)
