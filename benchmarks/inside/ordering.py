"""
``python -m benchmarks.inside.ordering``: print the order in which stock Django runs the migrations, as JSON.

stdin: the migrations of the base, as ``[[app label, name], ...]``. stdout: ``{"base": [...], "tail": [...]}`` of
``[app label, name, path]``.
"""

from __future__ import annotations

import inspect
import json
import sys

import django

django.setup()

from django.db import connection  # noqa: E402
from django.db.migrations import Migration  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402


def main() -> None:
    executor = MigrationExecutor(connection)
    given = {tuple(key) for key in json.load(sys.stdin)}
    base = run_order(executor, newest_of_each_app(executor, given)) if given else []
    executor.loader.applied_migrations = {(one.app_label, one.name): one for one in base}
    tail = run_order(executor, executor.loader.graph.leaf_nodes())
    json.dump({"base": [*map(described, base)], "tail": [*map(described, tail)]}, sys.stdout)


def newest_of_each_app(executor: MigrationExecutor, given: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the targets of a migrate that applies *given*, and everything of apps that it says nothing about."""
    others = {key for key in executor.loader.graph.leaf_nodes() if key[0] in ("auth", "contenttypes")}
    children = executor.loader.graph.node_map
    newest = {key for key in given if not any(child.key in given and child.key[0] == key[0] for child in children[key].children)}  # fmt: skip
    return sorted(others | newest)


def run_order(executor: MigrationExecutor, targets: list[tuple[str, str]]) -> list[Migration]:
    return [migration for migration, _ in executor.migration_plan(targets)]


def described(migration: Migration) -> list[str]:
    return [migration.app_label, migration.name, inspect.getfile(type(migration))]


if __name__ == "__main__":
    main()
