"""Drift: the schema of a database against what its history says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.test.utils import override_settings

from chronomig.drift import Difference
from chronomig.drift.finding import differences
from chronomig.state import ProjectState
from tests.databases import TestDatabase
from tests.inprocess import apply, connected, drop_everything, set_up_django
from tests.modelsets import USER, Draw
from tests.projects import Project
from tests.test_detect import found

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.code.loading import Labelled

set_up_django()

BATCHES = int(os.environ.get("CHRONOMIG_TEST_BATCHES", "2"))
PAIRS = 6


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[BaseDatabaseWrapper]:
    with connected(database.settings()) as one:
        yield one


def create(name: str, *fields: tuple[str, models.Field[Any, Any]], **options: Any) -> Labelled:
    return "shop", migrations.CreateModel(name, [("id", models.BigAutoField(primary_key=True)), *fields], options)


def to(model: str, **options: Any) -> models.ForeignKey[Any, Any]:
    return models.ForeignKey(f"shop.{model}", models.CASCADE, **options)


SHOP = (
    create("Buyer", ("code", models.CharField(max_length=20, unique=True)), ("age", models.PositiveIntegerField())),
    create(
        "Order",
        ("buyer", to("Buyer")),
        ("total", models.DecimalField(max_digits=10, decimal_places=2)),
        ("placed", models.DateTimeField(null=True)),
        ("number", models.IntegerField(db_index=True)),
        indexes=[models.Index(fields=["placed", "number"], name="order_placed")],
        constraints=[
            models.CheckConstraint(condition=Q(total__gte=0), name="order_total"),
            models.UniqueConstraint(fields=["buyer", "number"], name="order_once"),
        ],
    ),
)


def texts(differing: list[Difference]) -> list[str]:
    return [f"{one.table}.{one.column}: {one.text}".replace(".:", ":") for one in differing]


def drifted(connection: BaseDatabaseWrapper, *statements: str, operations: tuple[Labelled, ...] = SHOP) -> list[str]:
    """Return the differences after *statements* on the tables of *operations*."""
    state = apply(connection, ProjectState(), operations)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    return texts(differences(connection, state)[0])


# No false alarms


EVERY_FIELD = {
    "small": models.SmallIntegerField(),
    "big": models.BigIntegerField(db_index=True),
    "positive": models.PositiveBigIntegerField(),
    "small_positive": models.PositiveSmallIntegerField(null=True),
    "flag": models.BooleanField(default=False, db_index=True),
    "day": models.DateField(unique_for_date="big"),
    "time": models.TimeField(),
    "span": models.DurationField(),
    "number": models.FloatField(),
    "price": models.DecimalField(max_digits=7, decimal_places=3),
    "name": models.CharField(max_length=30, db_index=True),
    "text": models.TextField(),
    "slug": models.SlugField(unique=True),
    "link": models.URLField(),
    "file": models.FileField(),
    "ip": models.GenericIPAddressField(),
    "data": models.JSONField(),
    "bytes": models.BinaryField(),
    "uuid": models.UUIDField(),
    "renamed": models.IntegerField(db_column="Other Name"),
    "self": models.ForeignKey("self", models.SET_NULL, null=True),
    "friends": models.ManyToManyField("self"),
    "loose": models.ForeignKey("self", models.DO_NOTHING, db_constraint=False, related_name="+", default=1),
    "bare": models.ForeignKey("self", models.DO_NOTHING, db_index=False, related_name="+", default=1),
    "by_slug": models.ForeignKey("self", models.DO_NOTHING, to_field="slug", related_name="+", null=True),
}


DOUBLE = models.GeneratedField(expression=F("one") * 2, output_field=models.IntegerField(), db_persist=True)


def test_every_field_and_kind_of_key_is_found_as_it_was_made(connection: BaseDatabaseWrapper) -> None:
    indexes = [
        models.Index(Lower("name"), name="by_lower_name"),
        models.Index(fields=["-big", "small"], name="by_two"),
        models.Index(fields=["small"], condition=Q(big__gt=1), name="by_part"),
    ]
    constraints: list[Any] = [
        models.UniqueConstraint(fields=["big", "day"], condition=Q(small__gt=1), name="once_in_part"),
        models.UniqueConstraint(Lower("name"), "big", name="once_by_expression"),
        models.UniqueConstraint(fields=["price", "number"], deferrable=models.Deferrable.DEFERRED, name="once_later"),
        models.UniqueConstraint(fields=["uuid", "flag"], include=["big"], name="once_covering"),
        models.UniqueConstraint(fields=["ip", "flag"], nulls_distinct=False, name="once_nulls"),
        models.CheckConstraint(condition=Q(small__gte=0) | Q(big__gte=F("small")), name="either"),
    ]
    operations = (
        create("Every", *EVERY_FIELD.items(), indexes=indexes, constraints=constraints, unique_together={("small", "link")}),
        ("shop", migrations.AlterOrderWithRespectTo("every", "self")),
        ("shop", migrations.CreateModel("Child", [], bases=("shop.Every",))),
        ("shop", migrations.CreateModel("Stand", [], {"proxy": True}, bases=("shop.Every",))),
        ("shop", migrations.CreateModel("View", [("id", models.AutoField(primary_key=True))], {"managed": False})),
        create("Twice", ("one", models.IntegerField()), ("double", DOUBLE)),
        ("shop", migrations.CreateModel("Key", [("every", models.OneToOneField("shop.Every", models.CASCADE, primary_key=True))])),
    )  # fmt: skip
    state = apply(connection, ProjectState(), operations)
    differing, compared = differences(connection, state)
    assert texts(differing) == []
    assert compared == 5  # Every, its friends, Child, Twice, Key


def test_what_was_changed_by_migrations_is_as_they_say(connection: BaseDatabaseWrapper) -> None:
    later = (
        migrations.RemoveConstraint("order", "order_once"),
        migrations.RenameModel("Buyer", "Customer"),
        migrations.RenameField("order", "buyer", "customer"),
        migrations.AlterField("customer", "code", models.TextField()),
        migrations.AlterField("customer", "age", models.IntegerField(null=True)),
        migrations.AlterField("order", "number", models.CharField(max_length=9, null=True)),
        migrations.AddField("order", "notes", models.CharField(max_length=5, default="", db_index=True)),
        migrations.AlterField("order", "notes", models.CharField(max_length=5, default="", unique=True)),
        migrations.AlterField("order", "customer", to("Customer", db_constraint=False)),
        migrations.RenameIndex("order", "order_when", old_name="order_placed"),
        migrations.AlterModelTable("order", "orders"),
    )
    state = apply(connection, ProjectState(), SHOP)
    for operation in later:
        state = apply(connection, state, [("shop", operation)])
        assert texts(differences(connection, state)[0]) == [], operation


def test_an_index_whose_field_was_renamed_since_is_no_difference(connection: BaseDatabaseWrapper) -> None:
    renamed = ("shop", migrations.RenameField("order", "placed", "ordered"))
    assert drifted(connection, operations=(*SHOP, renamed)) == []


def test_a_virtual_table_of_sqlite_is_no_difference(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("for SQLite only")
    text = create("Text", ("body", models.TextField()))
    made = "CREATE VIRTUAL TABLE shop_text USING fts5(id, body)"
    assert drifted(connection, "DROP TABLE shop_text", made, operations=(text,)) == []


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_histories_raise_no_false_alarm(connection: BaseDatabaseWrapper, batch: int) -> None:
    for seed in range(batch * PAIRS, (batch + 1) * PAIRS):
        first, second = Draw(seed).pair()
        drop_everything(connection)
        user = USER if ("beta", "user") in first.models else "auth.User"
        with override_settings(AUTH_USER_MODEL=user):
            state = ProjectState()
            for wanted in (first, second):
                state = apply(connection, state, found(state, wanted))
                assert texts(differences(connection, state)[0]) == [], seed


def test_what_postgresql_alone_can_do_is_found_as_it_was_made(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("for PostgreSQL only")
    from django.contrib.postgres import constraints, fields, indexes, operations, search

    stay = (
        ("shop", operations.BtreeGistExtension()),
        ("shop", operations.CITextExtension()),
        create(
            "Stay",
            ("during", fields.DateTimeRangeField()),
            ("room", models.IntegerField()),
            ("tags", fields.ArrayField(models.CharField(max_length=9), default=list)),
            ("words", search.SearchVectorField(null=True)),
            ("name", models.CharField(max_length=9)),
            indexes=[
                indexes.GinIndex(fields=["words"], name="stay_words"),
                indexes.BrinIndex(fields=["room"], name="stay_room"),
                models.Index(fields=["name"], name="stay_name", opclasses=["varchar_pattern_ops"]),
                models.Index(fields=["room"], name="stay_covers", include=["name"]),
            ],
            constraints=[
                constraints.ExclusionConstraint(name="stay_once", expressions=[("during", "&&"), ("room", "=")]),
            ],
        ),
    )  # fmt: skip
    assert drifted(connection, operations=stay) == []
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE shop_stay DROP CONSTRAINT stay_once")
        cursor.execute("ALTER TABLE shop_stay ALTER COLUMN tags TYPE varchar(10)[]")
    state = ProjectState()
    for label, operation in stay:
        state = state.after(label, operation)
    assert texts(differences(connection, state)[0]) == [
        "shop_stay: constraint 'stay_once' is missing",
        "shop_stay.tags: type is character varying(10)[], should be varchar(9)[]",
    ]


def test_a_name_that_postgresql_cuts_off_is_found_as_it_was_made(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("for PostgreSQL only")
    constraint = models.UniqueConstraint(fields=["buyer", "placed"], name="only_one_order_of_a_buyer_" + "ä" * 30)
    assert drifted(connection, operations=(*SHOP, ("shop", migrations.AddConstraint("order", constraint)))) == []


# What differs


def test_a_table_that_is_missing_is_named(connection: BaseDatabaseWrapper) -> None:
    assert drifted(connection, "DROP TABLE shop_order") == ["shop_order: table is missing"]


def test_columns_that_are_missing_or_not_in_the_models_are_named(connection: BaseDatabaseWrapper) -> None:
    statements = ("ALTER TABLE shop_buyer ADD COLUMN legacy integer", "ALTER TABLE shop_order DROP COLUMN total")
    if connection.vendor == "sqlite":
        statements = (
            "ALTER TABLE shop_buyer ADD COLUMN legacy integer",
            "ALTER TABLE shop_order ADD COLUMN late text",
        )
    assert drifted(connection, *statements) == {
        "sqlite": [
            "shop_buyer.legacy: column is not in the models",
            "shop_order.late: column is not in the models",
        ],
    }.get(
        connection.vendor,
        [
            "shop_buyer.legacy: column is not in the models",
            "shop_order: check constraint 'order_total' is missing",
            "shop_order.total: column is missing",
        ],
    )


CHANGES = {
    "postgresql": (
        "ALTER TABLE shop_buyer ALTER COLUMN code TYPE varchar(30)",
        "ALTER TABLE shop_order ALTER COLUMN number DROP NOT NULL",
        "ALTER TABLE shop_order ALTER COLUMN placed SET NOT NULL",
        "ALTER TABLE shop_order ALTER COLUMN total TYPE numeric(12, 2)",
    ),
    "mysql": (
        "ALTER TABLE shop_buyer MODIFY code varchar(30) NOT NULL",
        "ALTER TABLE shop_order MODIFY number int NULL",
        "ALTER TABLE shop_order MODIFY placed datetime(6) NOT NULL",
        "ALTER TABLE shop_order MODIFY total decimal(12, 2) NOT NULL",
    ),
    "sqlite": (
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'varchar(20)', 'varchar(30)') WHERE name = 'shop_buyer'",
        "UPDATE sqlite_master SET sql = replace(sql, '\"number\" integer NOT NULL', '\"number\" integer NULL') "
        "WHERE name = 'shop_order'",
        "UPDATE sqlite_master SET sql = replace(sql, '\"placed\" datetime NULL', '\"placed\" datetime NOT NULL') "
        "WHERE name = 'shop_order'",
        "UPDATE sqlite_master SET sql = replace(sql, '\"total\" decimal', '\"total\" REAL') WHERE name = 'shop_order'",
        "PRAGMA writable_schema = RESET",
    ),
}


def test_types_and_nullability_that_differ_are_named(connection: BaseDatabaseWrapper) -> None:
    wrong = {"postgresql": "numeric(12,2)", "mysql": "decimal(12,2)", "sqlite": "REAL"}[connection.vendor]
    long = {"postgresql": "character varying(30)"}.get(connection.vendor, "varchar(30)")
    right = "decimal" if connection.vendor == "sqlite" else "numeric(10, 2)"
    assert drifted(connection, *CHANGES[connection.vendor]) == [
        f"shop_buyer.code: type is {long}, should be varchar(20)",
        "shop_order.number: allows NULL, should not",
        "shop_order.placed: does not allow NULL, should",
        f"shop_order.total: type is {wrong}, should be {right}",
    ]


def test_indexes_that_are_missing_renamed_or_not_in_the_models_are_named(connection: BaseDatabaseWrapper) -> None:
    on = " ON shop_order" if connection.vendor == "mysql" else ""
    assert drifted(
        connection,
        f"DROP INDEX order_placed{on}",
        "CREATE INDEX by_hand ON shop_order (placed, number)",
        "CREATE INDEX extra ON shop_buyer (age)",
    ) == [
        "shop_buyer: index 'extra' on (age) is not in the models",
        "shop_order: index 'by_hand' on (placed, number) should have the name 'order_placed'",
    ]


def test_an_index_with_the_right_name_on_other_columns_is_named(connection: BaseDatabaseWrapper) -> None:
    on = " ON shop_order" if connection.vendor == "mysql" else ""
    assert drifted(
        connection, f"DROP INDEX order_placed{on}", "CREATE INDEX order_placed ON shop_order (number, placed)"
    ) == ["shop_order: index 'order_placed' on (number, placed) should be: index 'order_placed' on (placed, number)"]


def test_constraints_that_are_missing_are_named(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite cannot drop a constraint")
    keys = dict.fromkeys(("code", "buyer_id"), "")
    with_tables = drifted(connection)
    assert with_tables == []
    for name, one in constraints_of(connection, "shop_buyer").items():
        if one["unique"] and one["columns"] == ["code"]:
            keys["code"] = name
    for name, one in constraints_of(connection, "shop_order").items():
        if one["foreign_key"]:
            keys["buyer_id"] = name
    kind = "FOREIGN KEY" if connection.vendor == "mysql" else "CONSTRAINT"
    unique = "INDEX" if connection.vendor == "mysql" else "CONSTRAINT"
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE shop_order DROP {kind} {keys['buyer_id']}")
        cursor.execute(f"ALTER TABLE shop_buyer DROP {unique} {keys['code']}")
        cursor.execute("ALTER TABLE shop_order DROP CONSTRAINT order_total")
    state = ProjectState()
    for label, operation in SHOP:
        state = state.after(label, operation)
    assert texts(differences(connection, state)[0]) == [
        "shop_buyer: unique constraint on (code) is missing",
        "shop_order: foreign key on (buyer_id) to shop_buyer.id is missing",
        "shop_order: check constraint 'order_total' is missing",
    ]


def test_a_foreign_key_that_refers_to_something_else_is_named(connection: BaseDatabaseWrapper) -> None:
    others = (create("Other"), create("Line", ("order", to("Other"))))
    assert drifted(connection, operations=others) == []
    state = ProjectState()
    for label, operation in (create("Other"), create("Third"), create("Line", ("order", to("Third")))):
        state = state.after(label, operation)
    (name,) = (name for name, one in constraints_of(connection, "shop_line").items() if one["foreign_key"])
    shown = "" if connection.vendor == "sqlite" else f"{name!r} "
    assert texts(differences(connection, state)[0]) == [
        "shop_line: foreign key on (order_id) to shop_third.id is missing",
        f"shop_line: foreign key {shown}on (order_id) to shop_other.id is not in the models",
        "shop_third: table is missing",
    ]


def constraints_of(connection: BaseDatabaseWrapper, table: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, table)


def test_constraints_that_are_not_in_the_models_are_named(connection: BaseDatabaseWrapper) -> None:
    statements = ["CREATE UNIQUE INDEX once ON shop_buyer (age)"]
    found = ["shop_buyer: unique constraint 'once' on (age) is not in the models"]
    if connection.vendor != "sqlite":
        statements.append("ALTER TABLE shop_order ADD CONSTRAINT positive CHECK (number > 0)")
        found.append("shop_order: check constraint 'positive' on (number) is not in the models")
    assert drifted(connection, *statements) == found


# The command


MODELS = """
class Order(models.Model):
    number = models.IntegerField()
"""


def test_a_database_as_its_history_says_is_exit_code_0(project: Project) -> None:
    project.models(MODELS)
    project.ok("makemigrations")
    project.ok("migrate")
    done = project.ok("drift")
    assert "tables as the history says" in done.out


def test_what_a_migrations_own_sql_made_is_no_difference(sqlite_project: Project) -> None:
    project = sqlite_project
    project.migration(
        "20260101000000_order",
        """
        ("shop", migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True))])),
        ("shop", migrations.RunSQL([("CREATE INDEX by_hand ON shop_order (id)", None)])),
        ("shop", migrations.SeparateDatabaseAndState(
            [migrations.RunSQL("ALTER TABLE shop_order ADD COLUMN search text")]
        )),
        """,
    )
    project.ok("migrate")
    assert project.ok("drift").out == "default (sqlite, set default): 1 table as the history says\n"


def test_an_applied_migration_without_a_file_is_noted(sqlite_project: Project) -> None:
    project = sqlite_project
    project.models(MODELS)
    project.ok("makemigrations", "--no-vendor")
    project.ok("migrate")
    (name,) = project.files()
    (project.root / f"project_migrations/default/{name}.py").unlink()
    done = project.ok("drift")
    assert done.out == (
        "default (sqlite, set default): its history makes no tables\n"
        f"  note: {name} is applied, but has no file: what it changed counts as different.\n"
    )


def test_what_differs_is_shown_with_exit_code_3(sqlite_project: Project) -> None:
    project = sqlite_project
    project.models(MODELS)
    project.ok("makemigrations", "--no-vendor")
    project.ok("migrate")
    project.rows("ALTER TABLE shop_order ADD COLUMN late integer")
    done = project.chronomig("drift")
    assert done.code == 3
    assert "default (sqlite, set default): 1 difference in 1 table" in done.out
    assert "  shop_order.late  column is not in the models" in done.out
    (shown,) = project.chronomig("drift", "--json").json["databases"]
    assert shown["differences"] == [
        {"table": "shop_order", "column": "late", "difference": "column is not in the models"}
    ]
    checked = project.chronomig("check", "--database", "default")
    assert checked.code == 3
    assert "The schema of 'default' is not as its history says: 1 difference in 1 table." in checked.out
    assert (
        "    shop_order.late  column is not in the models\n    -> chronomig drift --database default" in checked.out
    )


def test_a_schema_that_may_not_be_read_is_an_error(project: Project) -> None:
    settings = project.databases["default"]
    if "postgresql" not in settings["ENGINE"]:
        pytest.skip("for PostgreSQL only")
    project.models(MODELS)
    project.ok("makemigrations", "--no-vendor")
    project.ok("migrate")
    role = f"{settings['NAME']}_reader"
    project.rows(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    project.rows(f"GRANT SELECT ON chronomig_history TO {role}")
    try:
        project.databases["default"] = {**settings, "USER": role, "PASSWORD": "secret"}
        project.configure()
        done = project.chronomig("drift")
    finally:
        project.databases["default"] = settings
        project.configure()
        project.rows(f"REVOKE ALL ON chronomig_history FROM {role}")
        project.rows(f"DROP ROLE {role}")
    assert done.code == 1
    assert done.err.splitlines() == [
        "Error: The schema of 'default' cannot be read.",
        "  permission denied for table shop_order",
        "  -> Connect as a user that may read every table.",
    ]
