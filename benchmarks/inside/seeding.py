"""
``python -m benchmarks.inside.seeding``: put an empty database where the base of a history leads, quickly.

The tables are created from the state at the end of the base, not by its migrations; post_migrate receivers run once,
on that state. stdin: the migrations of the base in order, as ``[[app label, name], ...]``.

``--record`` does something else: it records them in ``django_migrations``, as if stock Django had run them.
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.core.management.sql import emit_post_migrate_signal  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.migrations.loader import MigrationLoader  # noqa: E402
from django.db.migrations.recorder import MigrationRecorder  # noqa: E402

Keys = list[tuple[str, str]]


def create_tables(keys: Keys) -> None:
    state = MigrationLoader(None).project_state(list(dict(keys).items())).apps
    # In one transaction PostgreSQL would run out of locks; SQLite checks foreign keys only around one.
    with connection.schema_editor(atomic=connection.vendor == "sqlite") as editor:
        for model in state.get_models():
            if model._meta.managed and not model._meta.proxy:
                editor.create_model(model)
    emit_post_migrate_signal(0, False, "default", apps=state, plan=[])


def record(keys: Keys) -> None:
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    with transaction.atomic():
        for app, name in keys:
            recorder.record_applied(app, name)


if __name__ == "__main__":
    given = [(app, name) for app, name in json.load(sys.stdin)]
    record(given) if "--record" in sys.argv else create_tables(given)
