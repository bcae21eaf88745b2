"""What operations read, write and destroy; which cannot change places, and what a person reads then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.postgres import operations as postgres
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, HStoreField, IntegerRangeField
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower

from chronomig.effects import Effects, commute, effects_of, effects_of_migration, in_words, meetings, placed
from chronomig.effects.narrowing import narrows
from chronomig.state import ProjectState, is_opaque
from tests.commuting.examples import try_examples
from tests.databases import TestDatabase
from tests.inprocess import connected, set_up_django

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.code.loading import Labelled

set_up_django()

EXAMPLES = 15
"""Of pairs and of triples on each database; ``nox -s commuting`` tries thousands."""


def shop(*operations: Operation) -> list[Labelled]:
    return [("shop", operation) for operation in operations]


def foreign_key(to: str, **options: Any) -> models.Field[Any, Any]:
    return models.ForeignKey(to, models.CASCADE, **options)


def new_model(name: str, *fields: tuple[str, models.Field[Any, Any]], **options: Any) -> Operation:
    return migrations.CreateModel(name, [("id", models.BigAutoField(primary_key=True)), *fields], options)


def run_python(*_: object) -> None:
    """Code that the analysis cannot look into."""


TITLE = ("title", models.CharField(max_length=50))
AUTHOR, TAG = new_model("Author", ("name", models.TextField())), new_model("Tag")
BOOK = new_model(
    "Book",
    TITLE,
    ("pages", models.IntegerField(null=True)),
    ("author", foreign_key("shop.author", null=True)),
    ("tags", models.ManyToManyField("shop.tag")),
)
OFFICE = new_model("Desk", ("height", models.IntegerField()))


def library() -> ProjectState:
    """Return a state with authors, tags and books of the app shop, and desks of the app office."""
    state = ProjectState()
    for label, operation in [*shop(AUTHOR, TAG, BOOK), ("office", OFFICE)]:
        state = state.after(label, operation)
    return state


def effects(operation: Operation, label: str = "shop", touches: list[str] | None = None) -> Effects:
    return effects_of(operation, label, library(), touches)


def refusal(first: list[Labelled], last: list[Labelled]) -> str:
    """Return why *last*, written for the library, cannot change places with *first*."""
    state = library()
    found = list(meetings(placed(state, first)[0], placed(state, last)[0]))
    assert not found or not commute(state, first, last)
    return found[0].reason if found else ""


alter_title = migrations.AlterField("book", "title", models.CharField(max_length=80))
CLASHES = {
    "the same field altered on both sides": (
        [alter_title],
        [migrations.AlterField("book", "title", models.TextField())],
        "both have to do with the field shop.book.title",
    ),
    "a field altered here and renamed there": (
        [alter_title],
        [migrations.RenameField("book", "title", "name")],
        "both have to do with the field shop.book.title",
    ),
    "a field altered here, and its model renamed there": (
        [alter_title],
        [migrations.RenameModel("Book", "Volume")],
        "both have to do with the field shop.book.title",
    ),
    "a foreign key to a model that is deleted on the other side": (
        [migrations.RemoveField("book", "author"), migrations.DeleteModel("author")],
        [new_model("Prize", ("winner", foreign_key("shop.author")))],
        "both have to do with the field shop.author.id",
    ),
    "a constraint over a field that is removed on the other side": (
        [migrations.RemoveField("book", "pages")],
        [
            migrations.AddConstraint(
                "book", models.CheckConstraint(condition=models.Q(pages__gte=0), name="pages_positive")
            )
        ],
        "both have to do with the field shop.book.pages",
    ),
    "a unique constraint over a field that is renamed on the other side": (
        [migrations.RenameField("book", "title", "name")],
        [migrations.AddConstraint("book", models.UniqueConstraint(fields=["title"], name="one_title"))],
        "both have to do with the field shop.book.title",
    ),
    "two models with one table": (
        [new_model("Order", db_table="orders")],
        [new_model("Basket", db_table="orders")],
        "both have to do with the column id of the table orders",
    ),
    "two fields with one column": (
        [migrations.AddField("book", "isbn", models.TextField(db_column="code"))],
        [migrations.AddField("book", "ean", models.TextField(db_column="code"))],
        "both have to do with the column code of the table shop_book",
    ),
    "two indexes with one name": (
        [migrations.AddIndex("book", models.Index(fields=["title"], name="by_name"))],
        [migrations.AddIndex("author", models.Index(fields=["name"], name="by_name"))],
        "both have to do with the index by_name",
    ),
    "a proxy of a model that is deleted on the other side": (
        [migrations.DeleteModel("tag")],
        [migrations.CreateModel("Label", [], {"proxy": True}, ("shop.tag",))],
        "both have to do with the field shop.tag.id",
    ),
    "a many-to-many field to a model that is deleted on the other side": (
        [migrations.RemoveField("book", "tags"), migrations.DeleteModel("tag")],
        [migrations.AddField("author", "tags", models.ManyToManyField("shop.tag"))],
        "both have to do with the field shop.tag.id",
    ),
    "a many-to-many field whose table is that of a model on the other side": (
        [migrations.AddField("author", "tags", models.ManyToManyField("shop.tag"))],
        [new_model("Author_Tags")],
        "both have to do with the column id of the table shop_author_tags",
    ),
    "a model deleted here and altered there": (
        [migrations.DeleteModel("book")],
        [alter_title],
        "both have to do with the field shop.book.title",
    ),
    "a field and the type of the key that it refers to": (
        [migrations.AlterField("author", "id", models.BigIntegerField(primary_key=True))],
        [migrations.AddField("tag", "author", foreign_key("shop.author", null=True))],
        "both have to do with the field shop.author.id",
    ),
    "code of the user's own": (
        [migrations.RunPython(run_python)],
        [migrations.AddField("tag", "colour", models.TextField(default=""))],
        "'shop: Raw Python operation' may do anything to the data; 'touches' in its file can say what it does",
    ),
    "code of the user's own, and a new model": (
        [migrations.RunPython(run_python)],
        [new_model("Prize")],
        "'shop: Raw Python operation' may do anything to the data; 'touches' in its file can say what it does",
    ),
    "code of the user's own on both sides": (
        [migrations.RunPython(run_python)],
        [migrations.RunPython(run_python)],
        "'shop: Raw Python operation' may do anything to the data; 'touches' in its file can say what it does",
    ),
    "a constraint that names the column of a relation, which is removed on the other side": (
        [migrations.RemoveField("book", "author")],
        [
            migrations.AddConstraint(
                "book",
                models.CheckConstraint(condition=models.Q(pk__gt=models.F("author_id")), name="older_author"),
            )
        ],
        "both have to do with the field shop.book.author",
    ),
    "a computed field over a field that is renamed on the other side": (
        [
            migrations.AddField(
                "book",
                "lower",
                models.GeneratedField(expression=Lower("title"), output_field=models.TextField(), db_persist=True),
            )
        ],
        [migrations.RenameField("book", "title", "name")],
        "both have to do with the field shop.book.title",
    ),
    "an order by a relation that is removed on the other side": (
        [migrations.AlterOrderWithRespectTo("book", "author")],
        [migrations.RemoveField("book", "author")],
        "both have to do with the field shop.book.author",
    ),
    "managers of one model on both sides": (
        [migrations.AlterModelManagers("book", [("mine", models.Manager())])],
        [migrations.AlterModelManagers("book", [("theirs", models.Manager())])],
        "both have to do with the option managers of shop.book",
    ),
    "SQL of the user's own": (
        [migrations.AddField("tag", "colour", models.TextField(default=""))],
        [migrations.RunSQL("SELECT 1")],
        "'shop: Raw SQL operation' may do anything to the data; 'touches' in its file can say what it does",
    ),
}


@pytest.mark.parametrize("name", CLASHES)
def test_a_clash_is_found_and_named_whichever_side_came_first(name: str) -> None:
    one, other, reason = CLASHES[name]
    assert refusal(shop(*one), shop(*other)) == reason
    assert refusal(shop(*other), shop(*one)) == reason


COMMUTING = {
    "fields of one model": (
        migrations.AddField("book", "isbn", models.TextField(default="")),
        migrations.RemoveField("book", "pages"),
    ),
    "models that have nothing to do with each other": (new_model("Prize"), migrations.DeleteModel("book")),
    "a new model that refers to a model with a new field": (
        new_model("Prize", ("winner", foreign_key("shop.author"))),
        migrations.AddField("author", "born", models.DateField(null=True)),
    ),
    "an index and a field that is not in it": (
        migrations.AddIndex("book", models.Index(fields=["title"], name="by_title")),
        migrations.RemoveField("book", "pages"),
    ),
    "a check and a field that is not in it": (
        migrations.AddConstraint(
            "book", models.CheckConstraint(condition=models.Q(pages__gte=models.F("id")), name="long")
        ),
        migrations.RemoveField("book", "title"),
    ),
    "an index on an expression and a field that is not in it": (
        migrations.AddIndex("book", models.Index(Lower("title").desc(), name="by_lower_title")),
        migrations.RemoveField("book", "pages"),
    ),
    "a computed field and a field that is not in it": (
        migrations.AddField(
            "book",
            "lower",
            models.GeneratedField(expression=Lower("title"), output_field=models.TextField(), db_persist=True),
        ),
        migrations.RemoveField("book", "pages"),
    ),
    "a default of the database's own and another field": (
        migrations.AddField("book", "copies", models.IntegerField(db_default=models.Value(1))),
        alter_title,
    ),
    "managers and a field": (migrations.AlterModelManagers("book", [("mine", models.Manager())]), alter_title),
    "options of a model and a field of it": (migrations.AlterModelOptions("book", {"ordering": ["id"]}), alter_title),
    "code that does nothing": (migrations.RunPython(migrations.RunPython.noop), alter_title),
}


@pytest.mark.parametrize("name", COMMUTING)
def test_what_does_not_meet_can_change_places(name: str) -> None:
    one, other = COMMUTING[name]
    assert refusal(shop(one), shop(other)) == refusal(shop(other), shop(one)) == ""


def test_an_index_on_sql_of_the_users_own_stands_on_every_field() -> None:
    index = models.Index(RawSQL("lower(title)", ()), name="by_lower_title")
    reason = refusal(shop(migrations.AddIndex("book", index)), shop(migrations.RemoveField("book", "pages")))
    assert reason == "both have to do with the field shop.book.pages"


def test_where_djangos_optimizer_sees_an_order_the_cautious_answer_wins() -> None:
    together = migrations.AlterUniqueTogether("book", {("title", "pages")})
    order = migrations.AlterOrderWithRespectTo("book", "author")
    assert refusal(shop(together), shop(order)) == "Django's optimizer would not move one through the other"


def test_behind_an_operation_that_has_no_place_here_everything_may_happen() -> None:
    gone = library().after("shop", migrations.DeleteModel("book"))
    colour = migrations.AddField("tag", "colour", models.TextField())
    found, _ = placed(gone, shop(alter_title, colour))
    assert [one.effects.opaque for one in found] == [False, True]


# -- what code and SQL declare --------------------------------------------------------------------------------------

CODE = migrations.RunPython(run_python, run_python)


def test_declared_code_meets_what_changes_the_models_that_it_touches() -> None:
    declared = effects(CODE, touches=["shop.Book"])
    assert not declared.opaque
    for operation in (alter_title, migrations.AddField("book", "isbn", models.TextField()), CODE):
        assert list(declared.meetings(effects(operation, touches=["shop.book"])))
    assert not list(declared.meetings(effects(migrations.AddField("tag", "colour", models.TextField()))))
    assert not list(declared.meetings(effects(CODE, touches=["shop.Author"])))


def test_declared_code_that_touches_one_field_leaves_the_others_free() -> None:
    declared = effects(CODE, touches=["shop.Book.pages"])
    assert not list(declared.meetings(effects(alter_title)))
    assert list(declared.meetings(effects(migrations.RemoveField("book", "pages"))))
    assert list(declared.meetings(effects(CODE, touches=["shop.Book"])))


def test_code_that_declares_to_touch_nothing_commutes_with_everything() -> None:
    assert not list(effects(CODE, touches=[]).meetings(effects(migrations.RunPython(run_python))))


@pytest.mark.parametrize("text", ["shop.Bok", "shop.Book.titel", "nothing.Book"])
def test_what_is_declared_of_something_that_is_not_there_counts_as_anything(text: str) -> None:
    assert list(effects(CODE, touches=[text]).meetings(effects(alter_title)))
    state = library()
    (meeting,) = meetings(placed(state, shop(CODE), [text])[0], placed(state, shop(alter_title))[0])
    assert meeting.reason == (
        f"'touches' of 'shop: Raw Python operation' names {text!r}, which is not there, "
        "so it may do anything to the data"
    )


def test_an_operation_built_on_one_of_djangos_destroys_what_that_destroys() -> None:
    class Remove(migrations.RemoveField):
        """Somebody's own way to remove a field."""

    found = effects(Remove("book", "pages"))
    assert [one.what for one in found.destroys] == ["column pages of shop_book"]
    assert found.opaque


def test_an_operation_can_declare_for_itself_what_it_touches() -> None:
    class Reindex(migrations.RunPython):
        touches = ("shop.Tag",)

    assert not list(effects(Reindex(run_python)).meetings(effects(alter_title)))


@pytest.mark.parametrize(
    "operation",
    [
        CODE,
        migrations.RunSQL("SELECT 1"),
        migrations.SeparateDatabaseAndState([migrations.RunSQL("SELECT 1")]),
        type("Own", (migrations.AddField,), {})("book", "isbn", models.TextField()),
    ],
)
def test_what_is_not_djangos_own_is_opaque_unless_it_is_declared(operation: Operation) -> None:
    assert is_opaque(operation)
    assert effects(operation).opaque
    assert not effects(operation, touches=["shop.Book"]).opaque


def test_what_only_the_state_is_told_does_nothing_to_the_database() -> None:
    told = migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("book", "pages")])
    found = effects(told)
    assert not found.to_database
    assert found.destroys == ()
    assert list(found.meetings(effects(migrations.RemoveField("book", "pages"))))


# -- what is destroyed ----------------------------------------------------------------------------------------------

UP: dict[str, tuple[Operation, list[str]]] = {
    "a model": (migrations.DeleteModel("book"), ["table shop_book_tags", "table shop_book"]),
    "a field": (migrations.RemoveField("book", "pages"), ["column pages of shop_book"]),
    "a foreign key": (migrations.RemoveField("book", "author"), ["column author_id of shop_book"]),
    "a many-to-many field": (migrations.RemoveField("book", "tags"), ["table shop_book_tags"]),
    "the end of a text": (
        migrations.AlterField("book", "title", models.CharField(max_length=20)),
        ["column title of shop_book, from CharField(50) to CharField(20)"],
    ),
    "big numbers": (
        migrations.AlterField("book", "pages", models.SmallIntegerField(null=True)),
        ["column pages of shop_book, from IntegerField to SmallIntegerField"],
    ),
    "nothing by a wider column": (alter_title, []),
    "nothing by a new model": (new_model("Prize"), []),
    "nothing by a new name": (migrations.RenameField("book", "pages", "leaves"), []),
}


@pytest.mark.parametrize("name", UP)
def test_what_is_lost_on_the_way_up_is_named(name: str) -> None:
    operation, lost = UP[name]
    assert [one.what for one in effects(operation).destroys] == lost


DOWN: dict[str, tuple[Operation, list[str]]] = {
    "a model": (new_model("Prize"), ["table shop_prize"]),
    "a field": (migrations.AddField("book", "isbn", models.TextField()), ["column isbn of shop_book"]),
    "a many-to-many field": (
        migrations.AddField("author", "tags", models.ManyToManyField("shop.tag")),
        ["table shop_author_tags"],
    ),
    "the end of a text": (alter_title, ["column title of shop_book, from CharField(80) to CharField(50)"]),
    "an order": (migrations.AlterOrderWithRespectTo("book", "author"), ["column _order of shop_book"]),
    "nothing by bringing a model back": (migrations.DeleteModel("book"), []),
}


@pytest.mark.parametrize("name", DOWN)
def test_what_is_lost_on_the_way_down_is_named(name: str) -> None:
    operation, lost = DOWN[name]
    assert [one.what for one in effects(operation).destroys_backwards] == lost


def test_the_losses_of_a_migration_are_those_of_its_operations_the_last_first_on_the_way_down() -> None:
    found = effects_of_migration(
        shop(new_model("Prize"), migrations.AddField("prize", "sum", models.IntegerField())), library()
    )
    assert [one.what for one in found.destroys_backwards] == ["column sum of shop_prize", "table shop_prize"]


def test_an_unmanaged_model_and_a_proxy_have_nothing_to_lose() -> None:
    state = library().after("shop", new_model("View", managed=False))
    state = state.after("shop", migrations.CreateModel("Paperback", [], {"proxy": True}, ("shop.book",)))
    for name in ("view", "paperback"):
        found = effects_of(migrations.DeleteModel(name), "shop", state)
        assert (found.destroys, found.to_database) == ((), False)


# -- keys of several fields, computed fields ------------------------------------------------------------------------


def with_lines() -> ProjectState:
    """Return the library with a model whose key has two fields."""
    fields = [(name, models.IntegerField()) for name in ("order", "number", "amount")]
    key = ("pk", models.CompositePrimaryKey("order", "number"))
    return library().after("shop", migrations.CreateModel("Line", [key, *fields]))


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RemoveField("line", "number"),
        migrations.RenameField("line", "number", "place"),
        migrations.AlterField("line", "number", models.BigIntegerField()),
    ],
)
def test_a_field_of_a_key_of_several_is_what_its_model_stands_on(operation: Operation) -> None:
    found = effects_of(operation, "shop", with_lines())
    other = effects_of(migrations.AddField("line", "notes", models.TextField(null=True)), "shop", with_lines())
    assert "the model shop.line" in map(in_words, found.meetings(other))


def test_beside_a_key_of_several_fields_the_others_are_free() -> None:
    one, other = (
        migrations.RemoveField("line", "amount"),
        migrations.AddField("line", "notes", models.TextField(null=True)),
    )
    assert commute(with_lines(), shop(one), shop(other))


@pytest.mark.parametrize(
    "operation", [migrations.RenameField("book", "title", "name"), migrations.RemoveField("book", "title")]
)
def test_what_is_computed_names_its_field_when_that_is_gone(operation: Operation) -> None:
    computed = models.GeneratedField(expression=Lower("title"), output_field=models.TextField(), db_persist=True)
    state = library().after("shop", migrations.AddField("book", "lower", computed))
    other = migrations.AddField("book", "isbn", models.TextField(null=True))
    assert not commute(state, shop(operation), shop(other))
    assert commute(library(), shop(operation), shop(other))


# -- PostgreSQL's own -----------------------------------------------------------------------------------------------


def test_extensions_come_before_what_may_need_them() -> None:
    extension = effects(postgres.TrigramExtension())
    assert [in_words(one) for one in extension.writes] == ["the extension pg_trgm"]
    index = models.Index(fields=["title"], name="by_title", opclasses=["gin_trgm_ops"])
    assert list(extension.meetings(effects(postgres.AddIndexConcurrently("book", index))))
    assert not list(extension.meetings(effects(alter_title)))


def test_an_exclusion_constraint_stands_on_the_fields_of_its_expressions_and_its_condition() -> None:
    constraint = ExclusionConstraint(
        name="one_at_a_time",
        expressions=[("pages", "="), (models.F("title"), "<>")],
        condition=models.Q(author__isnull=False),
    )
    added = effects(migrations.AddConstraint("book", constraint))
    for name in ("pages", "title", "author"):
        assert list(added.meetings(effects(migrations.RemoveField("book", name)))), name
    assert not list(added.meetings(effects(migrations.RemoveField("book", "tags"))))


@pytest.mark.parametrize(
    "field", [ArrayField(models.IntegerField()), HStoreField(), IntegerRangeField(), SearchVectorField(null=True)]
)
def test_a_field_of_postgresqls_own_may_need_an_extension_and_can_be_lost(field: models.Field[Any, Any]) -> None:
    added, removed = migrations.AddField("book", "own", field), migrations.RemoveField("book", "own")
    assert list(effects(added).meetings(effects(postgres.BtreeGistExtension())))
    found = effects_of(removed, "shop", library().after("shop", added)).destroys
    assert [one.what for one in found] == ["column own of shop_book"]


@pytest.mark.parametrize(
    ("before", "after", "keeps"),
    [
        (models.IntegerField(), models.FloatField(), True),
        (models.BigIntegerField(), models.FloatField(), False),
        (models.IntegerField(), models.DecimalField(max_digits=12, decimal_places=2), True),
        (models.IntegerField(), models.DecimalField(max_digits=11, decimal_places=2), False),
        (models.FloatField(), models.IntegerField(), False),
        (models.DateTimeField(), models.DateField(), False),
    ],
)
def test_a_number_is_kept_by_a_type_that_has_room_for_all_of_its_digits(
    before: models.Field[Any, Any], after: models.Field[Any, Any], keeps: bool
) -> None:
    assert narrows(before, after) is not keeps


def test_an_array_narrows_when_what_it_holds_does() -> None:
    state = library().after("shop", migrations.AddField("book", "marks", ArrayField(models.FloatField())))
    narrower, longer = ArrayField(models.IntegerField()), ArrayField(models.FloatField(), size=9)
    lost = [
        [one.what for one in effects_of(migrations.AlterField("book", "marks", to), "shop", state).destroys]
        for to in (narrower, longer)
    ]
    assert lost == [["column marks of shop_book, from ArrayField(FloatField) to ArrayField(IntegerField)"], []]


def test_a_collation_comes_before_a_field_that_has_it() -> None:
    collation = effects(postgres.CreateCollation("german", "de-x-icu", provider="icu"))
    sorted_title = migrations.AlterField("book", "title", models.CharField(max_length=50, db_collation="german"))
    assert list(collation.meetings(effects(sorted_title)))
    assert not list(collation.meetings(effects(alter_title)))


def test_a_constraint_is_validated_after_it_was_added() -> None:
    check = models.CheckConstraint(condition=models.Q(pages__gte=0), name="pages_positive")
    added = effects(postgres.AddConstraintNotValid("book", check))
    assert list(added.meetings(effects(postgres.ValidateConstraint("book", "pages_positive"))))


@pytest.mark.core
def test_every_operation_of_django_is_known_to_the_analysis() -> None:
    from django.contrib.postgres import operations as of_postgres
    from django.db.migrations import operations as of_django

    from chronomig.effects.analysis import POSTGRES, READERS

    special = {"RunPython", "RunSQL", "SeparateDatabaseAndState"}
    assert set(of_django.__all__) - special <= {kind.__name__ for kind in READERS}
    found = [one for one in vars(of_postgres).values() if isinstance(one, type) and issubclass(one, Operation)]
    ours = [one for one in found if one.__module__ == of_postgres.__name__ and one.__name__ != "CollationOperation"]
    assert ours
    for kind in ours:
        assert any(base.__name__ in POSTGRES for base in kind.__mro__), kind


# -- on real databases ----------------------------------------------------------------------------------------------


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[BaseDatabaseWrapper]:
    if database.vendor == "mariadb":
        pytest.skip("MariaDB cannot take a change of the schema back, and a database per example takes hours")
    with connected(database.settings()) as one:
        yield one


@pytest.mark.parametrize("count", [2, 3])
def test_what_the_analysis_calls_commuting_leads_to_one_state_schema_and_rows(
    connection: BaseDatabaseWrapper, count: int
) -> None:
    tally = try_examples(connection, count, EXAMPLES)
    assert 0 < tally.right_yes.total() < len(tally)  # both answers are given
