"""
Two long-lived branches with overlapping schema, switched many times with rows written in between.

A model of all rows stands beside the database. It knows columns by where they came from, whatever they are called now
and whether the branch that is out has them, and what was last written to each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any

import pytest

from tests.databases import TestDatabase
from tests.gitting import Git
from tests.inprocess import connected, set_up_django
from tests.projects import Project
from tests.schema import dump
from tests.test_switching import switch

set_up_django()

from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402

from chronomig.stash import tables  # noqa: E402

Step = tuple[str, ...]
"""What a migration does to names: (verb, table, names…)."""

MAIN: list[tuple[str, str, list[Step]]] = [
    (
        "20260101000000_main",
        """
        ("shop", migrations.CreateModel("Owner", [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=20)), ("remark", models.TextField(default=""))])),
        ("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("code", models.CharField(max_length=20, unique=True)), ("n", models.IntegerField()), ("price", models.DecimalField(max_digits=9, decimal_places=3)), ("owner", models.ForeignKey("shop.Owner", models.CASCADE)), ("spare", models.ForeignKey("shop.Owner", models.SET_NULL, null=True, related_name="+"))])),
        ("shop", migrations.CreateModel("Old", [("id", models.BigAutoField(primary_key=True)), ("item", models.ForeignKey("shop.Item", models.CASCADE)), ("text", models.CharField(max_length=20))])),
        """,
        [
            ("create", "shop_owner", "name", "remark"),
            ("create", "shop_item", "code", "n", "price", "owner_id", "spare_id"),
            ("create", "shop_old", "item_id", "text"),
        ],
    ),
]  # fmt: skip
LEFT: list[tuple[str, str, list[Step]]] = [
    (
        "20260102000000_left_a",
        '("shop", migrations.AddField("item", "notes", models.TextField(default=""))),',
        [("add", "shop_item", "notes")],
    ),
    (
        "20260104000000_left_b",
        """
        ("shop", migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True)), ("item", models.ForeignKey("shop.Item", models.CASCADE)), ("owner", models.ForeignKey("shop.Owner", models.SET_NULL, null=True)), ("items", models.ManyToManyField("shop.Item", related_name="+"))])),
        ("shop", migrations.AddField("item", "size", models.IntegerField(default=3, db_index=True))),
        """,
        [
            ("create", "shop_box", "item_id", "owner_id"),
            ("create", "shop_box_items", "box_id", "item_id"),
            ("add", "shop_item", "size"),
        ],
    ),
    (
        "20260106000000_left_c",
        """
        ("shop", migrations.RemoveField("owner", "remark")),
        ("shop", migrations.RemoveField("item", "n")),
        ("shop", migrations.RemoveField("item", "spare")),
        """,
        [("remove", "shop_owner", "remark"), ("remove", "shop_item", "n"), ("remove", "shop_item", "spare_id")],
    ),
    (
        "20260108000000_left_d",
        """
        ("shop", migrations.RenameModel("Owner", "Person")),
        ("shop", migrations.RenameField("person", "name", "title")),
        """,
        [("rename", "shop_owner", "shop_person"), ("call", "shop_person", "name", "title")],
    ),
    (
        "20260110000000_left_e",
        '("shop", migrations.AlterField("item", "notes", models.CharField(max_length=40, null=True, db_index=True))),',
        [],
    ),
]  # fmt: skip
RIGHT: list[tuple[str, str, list[Step]]] = [
    (
        "20260103000000_right_a",
        '("shop", migrations.AddField("item", "notes", models.IntegerField(null=True))),',
        [("add", "shop_item", "notes")],
    ),
    (
        "20260105000000_right_b",
        '("shop", migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True)), ("code", models.CharField(max_length=20)), ("things", models.ManyToManyField("shop.Item"))])),',
        [("create", "shop_box", "code"), ("create", "shop_box_things", "box_id", "item_id")],
    ),
    ("20260107000000_right_c", '("shop", migrations.DeleteModel("Old")),', [("drop", "shop_old")]),
    (
        "20260109000000_right_d",
        """
        ("shop", migrations.RenameField("item", "n", "amount")),
        ("shop", migrations.AlterField("item", "amount", models.CharField(max_length=20))),
        """,
        [("call", "shop_item", "n", "amount")],
    ),
    (
        "20260111000000_right_e",
        """
        ("shop", migrations.AlterField("item", "price", models.DecimalField(max_digits=9, decimal_places=1))),
        ("shop", migrations.AddField("owner", "items", models.ManyToManyField("shop.Item", related_name="+"))),
        """,
        [("round", "shop_item", "price"), ("create", "shop_owner_items", "owner_id", "item_id")],
    ),
]  # fmt: skip
REFS = {
    "main": MAIN,
    "left": [*MAIN, *LEFT],
    "right": [*MAIN, *RIGHT],
    "left~2": [*MAIN, *LEFT[:-2]],
    "right~1": [*MAIN, *RIGHT[:-1]],
}


@dataclass
class Names:
    """What the tables and columns of a ref are called, and where they came from."""

    tables: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    rounded: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, ref: str) -> Names:
        found = cls()
        for migration, _, steps in REFS[ref]:
            for step in steps:
                found.take(migration, *step)
        return found

    def take(self, migration: str, verb: str, table: str, *names: str) -> None:
        match verb:
            case "create":
                self.tables[table] = f"{migration}: {table}"
                self.columns[table] = {name: f"{migration}: {table}.{name}" for name in names}
            case "drop":
                del self.tables[table], self.columns[table]
            case "rename":
                self.tables[names[0]], self.columns[names[0]] = self.tables.pop(table), self.columns.pop(table)
            case "add":
                self.columns[table][names[0]] = f"{migration}: {table}.{names[0]}"
            case "remove":
                del self.columns[table][names[0]]
            case "call":
                self.columns[table][names[1]] = self.columns[table].pop(names[0])
            case "round":
                self.rounded.add(self.columns[table][names[0]])


class Rows:
    """Every row that was written, with the value that was last written to each of its columns."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.number = 1_000
        self.rows: dict[str, dict[int, dict[str, Any]]] = {}
        self.refers: dict[str, str] = {}
        """Column -> the table that it refers to."""

    # -- looking ----------------------------------------------------------------------------------------------------

    def check(self, connection: BaseDatabaseWrapper, names: Names) -> None:
        """Compare with the database; what was never written is learned."""
        for table, origin in names.tables.items():
            columns = names.columns[table]
            there = self.read(connection, table, list(columns))
            known = self.rows.setdefault(origin, {})
            assert set(there) == set(known), table
            for key, values in there.items():
                for name, value in values.items():
                    column = columns[name]
                    rounded = column in names.rounded
                    if column in known[key]:
                        assert same(value, known[key][column], rounded=rounded), (table, key, name)
                    elif not rounded:
                        known[key][column] = value

    def read(self, connection: BaseDatabaseWrapper, table: str, columns: list[str]) -> dict[int, dict[str, Any]]:
        quoted = ", ".join(map(connection.ops.quote_name, ["id", *columns]))
        found = tables.query(connection, f"SELECT {quoted} FROM {table}")
        return {key: dict(zip(columns, values, strict=True)) for key, *values in found}

    # -- writing ----------------------------------------------------------------------------------------------------

    def write(self, connection: BaseDatabaseWrapper, names: Names) -> None:
        """Add, change and delete a few rows of each table."""
        for table in names.tables:
            for _ in range(self.random.randint(0, 2) if self.rows[names.tables[table]] else 2):
                self.add(connection, names, table)
            if self.random.random() < 0.6:
                self.change(connection, names, table)
        for table in names.tables:
            if self.random.random() < 0.2:
                self.delete(connection, names, table)

    def add(self, connection: BaseDatabaseWrapper, names: Names, table: str) -> None:
        values = {name: self.value(connection, names, table, name) for name in names.columns[table]}
        pairs = [{name: row.get(origin) for name, origin in names.columns[table].items()} for row in self.of(names, table).values()]  # fmt: skip
        if len(values) == 2 and set(values) <= {"box_id", "item_id", "owner_id"} and values in pairs:
            return  # a many-to-many table has each pair once
        quoted = ", ".join(map(connection.ops.quote_name, values))
        marks = ", ".join(["%s"] * len(values))
        tables.execute(connection, f"INSERT INTO {table} ({quoted}) VALUES ({marks})", list(values.values()))
        ((key,),) = tables.query(connection, f"SELECT MAX(id) FROM {table}")
        assert key not in self.of(names, table), "a number is not given twice"
        self.of(names, table)[key] = {names.columns[table][name]: value for name, value in values.items()}

    def change(self, connection: BaseDatabaseWrapper, names: Names, table: str) -> None:
        plain = [name for name in names.columns[table] if not name.endswith("_id")]
        if not plain or not self.of(names, table):
            return
        key, name = self.random.choice(sorted(self.of(names, table))), self.random.choice(plain)
        value = self.value(connection, names, table, name)
        quoted = connection.ops.quote_name(name)
        tables.execute(connection, f"UPDATE {table} SET {quoted} = %s WHERE id = %s", [value, key])
        self.of(names, table)[key][names.columns[table][name]] = value

    def delete(self, connection: BaseDatabaseWrapper, names: Names, table: str) -> None:
        """Delete a row that nothing refers to, on no branch."""
        origin = names.tables[table]
        referred = {
            row[column]
            for rows in self.rows.values()
            for row in rows.values()
            for column, target in self.refers.items()
            if target == origin and column in row
        }
        if free := sorted(set(self.of(names, table)) - referred):
            key = self.random.choice(free)
            tables.execute(connection, f"DELETE FROM {table} WHERE id = %s", [key])
            del self.of(names, table)[key]

    def of(self, names: Names, table: str) -> dict[int, dict[str, Any]]:
        return self.rows[names.tables[table]]

    def value(self, connection: BaseDatabaseWrapper, names: Names, table: str, name: str) -> Any:
        """Return a value; texts are of digits, so that they can become numbers."""
        described = tables.read(connection, table)
        assert described is not None
        for relation in described.relations:
            if relation.column == name:
                self.refers[names.columns[table][name]] = names.tables[relation.table]
                return self.random.choice(sorted(self.rows[names.tables[relation.table]]))
        self.number += 1
        kind = described.columns[name].kind
        if kind.startswith(("decimal", "numeric")):
            digits = 1 if names.columns[table][name] in names.rounded else 3
            return Decimal(self.number * 1000 + self.random.randint(0, 999)).scaleb(-3).quantize(Decimal(1).scaleb(-digits))  # fmt: skip
        return self.number if kind.startswith(("int", "bigint")) else str(self.number)


def same(one: Any, other: Any, *, rounded: bool) -> bool:
    """Compare values that may have gone from text to number and back."""
    try:
        numbers = [Decimal(str(value)) for value in (one, other)]
    except InvalidOperation:
        return bool(one == other)
    return abs(numbers[0] - numbers[1]) <= (Decimal("0.06") if rounded else 0)


def schema_of(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return the schema but for the order of columns, which no ALTER TABLE gives back, and hashes in names."""
    return {
        name: {"columns": sorted(table["columns"]), "constraints": sorted(map(str, table["constraints"].values()))}
        for name, table in dump(connection).items()
        if name.startswith("shop_")
    }


def repository(project: Project) -> Git:
    git = Git.init(project.root)
    project.write(".gitignore", "__pycache__/\n*.sqlite3*\n.snapshots/\nsite_settings.py\n")
    for branch, found in (("main", MAIN), ("left", LEFT), ("right", RIGHT)):
        if branch != "main":
            git("switch", "-qc", branch, "main")
        for name, operations, _ in found:
            project.migration(name, operations)
            git.commit(name)
    git("switch", "-q", "main")
    return git


def schemas_from_scratch(project: Project, database: TestDatabase) -> dict[str, Any]:
    found = {}
    for number, ref in enumerate(REFS):
        entry = database.settings(f"_scratch{number}")
        project.databases = {"default": entry}
        project.configure()
        project.ok("migrate", "--to", f"ref:{ref}")
        with connected(entry, "looking") as connection:
            found[ref] = schema_of(connection)
    project.databases = {"default": database.settings()}
    project.configure()
    return found


@pytest.mark.parametrize("seed", [1])
def test_twenty_switches_with_rows_written_in_between_leave_the_schema_of_each_branch_and_every_row(
    database: TestDatabase, project: Project, seed: int
) -> None:
    repository(project)
    scratch = schemas_from_scratch(project, database)
    project.ok("migrate")
    rows, chooser, here = Rows(seed), Random(seed), "main"
    with connected(database.settings(), "rows") as connection:
        rows.check(connection, Names.of(here))
        for _ in range(20):
            rows.write(connection, Names.of(here))
            connection.close()
            here = chooser.choice([ref for ref in REFS if ref != here])
            switch(project, *(["--detach"] if "~" in here else []), here)
            assert schema_of(connection) == scratch[here], here
            rows.check(connection, Names.of(here))
    (found,) = project.ok("stash", "--json").json["databases"]
    causes = {entry["cause"].partition(" ")[2] for entry in found["entries"] if entry["cause"]}
    assert causes <= {"changed meanwhile"}, "what was written to a rounded price stays, and the other one is kept"
