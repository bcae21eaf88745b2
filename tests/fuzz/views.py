"""What is compared after every migration: the statements, the models as code sees them, the rows, the schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from django.apps.registry import Apps
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.batches.gathering import BETWEEN
from tests import schema
from tests.fuzz.support import JOURNAL

OUR_OWN = ("chronomig_history", "django_migrations")
TABLE_LISTS = (
    "WHERE type in ('table', 'view')",
    "obj_description(c.oid, 'pg_class')",
    "FROM information_schema.tables",
)
"""How a framework finds out whether its own table is there."""
BRACKETS = ("SAVEPOINT", "RELEASE", "ROLLBACK TO", "BEGIN", "PRAGMA foreign_key")
"""What opens and closes a transaction, or a schema editor: chronomig records inside of it, Django partly after it."""


@dataclass
class Picture:
    """All that is compared after one migration went up or down."""

    number: int
    up: bool
    statements: list[str]
    journal: list[str]
    models: dict[str, Any]
    rows: dict[str, list[str]]
    schema: dict[str, Any]

    @property
    def place(self) -> str:
        return f"{'after' if self.up else 'after undoing'} migration {self.number}"


PARTS = ("statements", "journal", "models", "rows", "schema")


@dataclass
class Listener:
    """Collects the statements of a migration, those of the frameworks' own tables left out."""

    statements: list[str] = field(default_factory=list)

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        text = str(sql)
        if not text.startswith(BRACKETS) and not any(name in text for name in (*OUR_OWN, *TABLE_LISTS)):
            self.statements += [f"{one} -- {stable(params)}" for one in text.split(BETWEEN)]
        return execute(sql, params, many, context)


@contextmanager
def listening(connection: BaseDatabaseWrapper) -> Iterator[Listener]:
    """Collect statements and the journal of what runs inside."""
    listener = Listener()
    JOURNAL.clear()
    with connection.execute_wrapper(listener):
        yield listener


def take(
    connection: BaseDatabaseWrapper, number: int, up: bool, apps: Apps, listener: Listener, seed: int
) -> Picture:
    """Return the picture of where the database stands now."""
    return Picture(
        number,
        up,
        in_one_order(listener.statements),
        list(JOURNAL),
        view(apps, seed),
        rows(connection),
        schema_of(connection),
    )


def in_one_order(statements: list[str]) -> list[str]:
    """
    Sort the remakes of tables that follow each other on SQLite.

    Where the type of a key changes, Django 5.2 remakes the tables that refer to it in the order of a set of classes,
    which is another one in every process (sqlite3/schema.py, _alter_field). What keeps the keys of a table counting
    stands around a remake, on both sides alike, and is left out.
    """
    found: list[str] = []
    remakes: list[list[str]] = []
    for statement in statements:
        if "sqlite_sequence" in statement:
            continue
        if statement.startswith('CREATE TABLE "new__'):
            remakes.append([])
        if remakes and (len(remakes[-1]) < REMAKE or is_index_of(statement, remakes[-1])):
            remakes[-1].append(statement)
        else:
            found += [one for remake in sorted(remakes) for one in remake]
            remakes = []
            found.append(statement)
    return found + [one for remake in sorted(remakes) for one in remake]


def is_index_of(statement: str, remake: list[str]) -> bool:
    """Whether *statement* makes an index of the table that was remade; the next operation may make one of another."""
    quoted = remake[2].split('"')[1]  # of: DROP TABLE "old"
    return statement.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX")) and f' ON "{quoted}" ' in statement


REMAKE = 4
"""Make a table, fill it, drop the old one, rename it."""


KNOWN: dict[tuple[str, ...], dict[str, Any]] = {}
"""SQLite's introspection parses the text of a table: {texts of a table and its indexes: what it found}."""


def schema_of(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return what introspection finds; on SQLite, a table whose text is known is not parsed again."""
    if connection.vendor != "sqlite":
        return schema.dump(connection)
    texts: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        for table, sql in cursor.fetchall():
            if not table.startswith(schema.OUR_TABLES):
                texts.setdefault(table, []).append(sql)
        for table in texts:
            if tuple(texts[table]) not in KNOWN:
                KNOWN[tuple(texts[table])] = schema.describe(connection, cursor, table)
    return {table: KNOWN[tuple(sql)] for table, sql in sorted(texts.items())}


def rows(connection: BaseDatabaseWrapper) -> dict[str, list[str]]:
    """Return the rows of every table, in no order."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        found = {}
        for table in sorted(connection.introspection.table_names(cursor)):
            if table.startswith(schema.OUR_TABLES):
                continue
            cursor.execute(f"SELECT * FROM {quote(table)}")
            names = [one[0] for one in cursor.description]
            found[table] = sorted(str(sorted(zip(names, map(stable, row), strict=True))) for row in cursor.fetchall())
        return found


def view(apps: Apps, seed: int) -> dict[str, Any]:
    """Return what code finds, the models asked for in an order that *seed* decides."""
    labels = sorted(model._meta.label for model in apps.get_models(include_auto_created=True, include_swapped=True))
    Random(seed).shuffle(labels)
    found = {label: describe(apps.get_model(label)) for label in labels}
    return dict(sorted(found.items()))


def describe(model: type[models.Model]) -> dict[str, Any]:
    """Return what can be asked of a historical model."""
    meta = model._meta
    return {
        "table": meta.db_table,
        "bases": [base.__name__ for base in model.__mro__],
        "pk": meta.pk.name if meta.pk else None,
        "concrete": str(meta.concrete_model._meta.label) if meta.concrete_model else None,
        "flags": f"{meta.proxy} {meta.swapped} {meta.managed} {bool(meta.auto_created)}",
        "parents": sorted(f"{parent._meta.label} {link and link.name}" for parent, link in meta.parents.items()),
        "fields": [described(one) for one in (*meta.concrete_fields, *meta.many_to_many)],
        "related": sorted(related(one) for one in meta.related_objects),
        "hidden": sorted(related(one) for one in meta._get_fields(forward=False, include_hidden=True)),  # type: ignore[attr-defined]
        "managers": [f"{one.name} {type(one).__name__} {getattr(one, 'limit', '')}" for one in meta.managers],
        "default manager": model._default_manager.name,
        "accessors": sorted(name for name in map(accessor_of, meta.related_objects) if name and hasattr(model, name)),
        "options": {name: stable(value) for name, value in sorted(meta.original_attrs.items()) if name != "apps"},
        "order": str(meta.order_with_respect_to),
    }


def described(one: Any) -> str:
    name, path, args, kwargs = one.deconstruct()
    ends = [getattr(one.remote_field, "model", None), getattr(one.remote_field, "through", None)]
    labels = [end._meta.label if isinstance(end, type) else str(end) for end in ends]
    validators = [f"{type(each).__name__} {getattr(each, 'limit_value', '')}" for each in one.validators]
    options = f"{stable(args)} {stable(sorted(kwargs.items()))}"
    return f"{name} {path} {one.column} {options} {validators} {labels} {one.model._meta.label}"


def related(one: Any) -> str:
    return f"{one.name} {one.related_model._meta.label}.{one.field.name} {accessor_of(one)} {one.__class__.__name__}"


def accessor_of(one: Any) -> str | None:
    name: str | None = one.get_accessor_name()
    return name


def stable(value: Any) -> str:
    """Return a text of *value* that holds no address; sets and dicts in one order."""
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(stable, value)))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(stable, value))}]"
    if isinstance(value, memoryview):
        return repr(bytes(value))
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
