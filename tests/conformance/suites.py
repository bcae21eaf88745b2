"""Which of Django's test suites are run."""

from __future__ import annotations

SUITES = (
    "apps",
    "auth_tests",
    "backends",
    "composite_pk",
    "constraints",
    "contenttypes_tests",
    "db_functions",
    "flatpages_tests",
    "indexes",
    "introspection",
    "migrate_signals",
    "migration_test_data_persistence",
    "migrations",
    "model_indexes",
    "model_options",
    "proxy_model_inheritance",
    "redirects_tests",
    "schema",
    "sites_tests",
    "swappable_models",
)
"""Those that use migrations, states, or a schema editor, and those whose apps are migrated before their tests."""

QUICK = (
    "contenttypes_tests",
    "indexes",
    "introspection",
    "migrate_signals",
    "migration_test_data_persistence",
    "migrations",
    "model_options",
    "proxy_model_inheritance",
    "schema",
    "swappable_models",
)
"""Those in which the two runs can differ most, for a check of each change."""

LONGEST = {"auth_tests", "backends", "migrations", "postgres_tests", "schema"}
"""They begin first."""
ONLY_ON = {"postgresql": ("postgres_tests",)}


def suites_for(database: str, *, quick: bool) -> list[str]:
    found = (*(QUICK if quick else SUITES), *ONLY_ON.get(database, ()))
    return sorted(found, key=lambda suite: suite not in LONGEST)
