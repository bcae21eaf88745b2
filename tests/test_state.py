"""The state engine: what is shared, what is rendered, and what code that walks the models finds."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
import pytest
from django.apps.registry import Apps
from django.conf import settings
from django.core.exceptions import FieldError, ValidationError
from django.core.validators import validate_slug
from django.db import connection, migrations, models
from django.db.backends.base.schema import _related_non_m2m_objects
from django.db.migrations.exceptions import InvalidBasesError
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState as DjangoProjectState
from django.db.migrations.state import StateApps
from django.db.models.functions import Lower

from chronomig.state import ProjectState, run_backwards, run_forwards
from chronomig.state.operations import Reader, read_by, reader_of
from chronomig.state.references import ReverseIndex

pytestmark = pytest.mark.core

if not settings.configured:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()


def pk() -> tuple[str, models.Field]:
    return "id", models.BigAutoField(primary_key=True)


def fk(to: str, **options: Any) -> models.ForeignKey:
    return models.ForeignKey(to, models.CASCADE, **options)


def build(*operations: tuple[str, Operation], base: ProjectState | None = None) -> ProjectState:
    state = base or ProjectState()
    for app_label, operation in operations:
        state = state.after(app_label, operation)
    return state


def create(name: str, *fields: tuple[str, models.Field], **options: Any) -> Operation:
    return migrations.CreateModel(name, [pk(), *fields], **options)


@pytest.fixture
def tables() -> Iterator[Callable[..., ProjectState]]:
    """Return a function that runs operations on an empty database."""
    connection.close()
    connection.connection = None  # a database in memory goes with its connection

    def run(*operations: tuple[str, Operation], base: ProjectState | None = None) -> ProjectState:
        state = base or ProjectState()
        with connection.schema_editor() as editor:
            for app_label, operation in operations:
                after = state.after(app_label, operation)
                run_forwards(operation, app_label, editor, state, after)
                state = after
        return state

    connection.ensure_connection()
    yield run
    connection.close()
    connection.connection = None


LIBRARY = (
    ("lib", create("Author", ("name", models.TextField()))),
    ("lib", create("Book", ("author", fk("lib.Author")), ("title", models.TextField()))),
    ("lib", create("Shelf", ("books", models.ManyToManyField("lib.Book", related_name="shelves")))),
    ("fan", create("Club", ("favourite", fk("lib.Author", related_name="clubs")))),
    ("far", create("Island")),
)


def rendered(state: ProjectState) -> set[str]:
    return {model._meta.label for models in state.apps.rendered.values() for model in models.values()}


# What is rendered


def test_nothing_is_rendered_before_it_is_asked_for() -> None:
    state = build(*LIBRARY)
    assert rendered(state) == set()
    assert sorted(config.label for config in state.apps.get_app_configs()) == ["fan", "far", "lib"]
    assert rendered(state) == set()


def test_what_a_relation_leads_to_is_rendered_when_the_relation_is_read() -> None:
    state = build(*LIBRARY, ("lib", create("Page", ("book", fk("lib.Book")))))
    page = state.apps.get_model("lib", "Page")
    assert rendered(state) == {"lib.Page"}
    book = page._meta.get_field("book").remote_field.model
    assert book is state.apps.get_model("lib", "Book")
    assert rendered(state) == {"lib.Page", "lib.Book"}
    assert book.author.field.related_model is state.apps.get_model("lib", "Author")
    assert type(page._meta.get_field("book").remote_field) is models.ManyToOneRel


def test_both_ends_of_a_many_to_many_field_are_rendered_with_it() -> None:
    state = build(*LIBRARY)
    state.apps.get_model("lib", "Shelf")
    assert rendered(state) == {"lib.Shelf", "lib.Shelf_books", "lib.Book"}


def test_a_copied_relation_leads_to_the_class_that_its_original_leads_to() -> None:
    state = build(*LIBRARY)
    field = state.apps.get_model("lib", "Book")._meta.get_field("author")
    copied = copy.deepcopy(field)
    assert copied.remote_field.model is state.apps.get_model("lib", "Author")


def test_schema_editors_and_code_have_classes_of_their_own() -> None:
    state = build(*LIBRARY)
    with read_by(Reader.SCHEMA):
        seen_by_editor = state.apps.get_model("fan", "Club")._meta.get_field("favourite").remote_field.model
    seen_by_code = state.apps.get_model("fan", "Club")._meta.get_field("favourite").remote_field.model
    assert not hasattr(seen_by_editor, "book_set")
    assert seen_by_code.book_set.field.model._meta.label == "lib.Book"


def test_schema_editors_find_the_target_of_a_foreign_key_as_long_as_it_stays_the_same() -> None:
    def target(state: ProjectState) -> type[models.Model]:
        with read_by(Reader.SCHEMA):
            return state.apps.get_model("fan", "Club")._meta.get_field("favourite").remote_field.model

    first = build(*LIBRARY)
    other_app = first.after("far", migrations.DeleteModel("Island"))
    changed = other_app.after("lib", migrations.AlterModelTable("author", "writers"))
    assert target(first) is target(other_app)
    assert target(first)._meta.db_table == "lib_author"
    assert target(changed)._meta.db_table == "writers"
    with read_by(Reader.SCHEMA):
        own = other_app.apps.get_model("lib", "Author")
    assert own is not target(first)
    assert target(other_app) is own
    assert [one.related_model._meta.label for one in own._meta.related_objects] == ["fan.Club", "lib.Book"]


def test_the_shared_target_of_a_foreign_key_has_only_what_is_referred_to() -> None:
    name = models.CharField(max_length=9, unique=True)
    state = build(
        ("lib", create("Author", ("name", name), ("bio", models.TextField()))),
        ("lib", create("Book", ("author", fk("lib.Author")))),
        ("lib", create("Prize", ("winner", fk("lib.Author", to_field="name")))),
    )
    with read_by(Reader.SCHEMA):
        author = state.apps.get_model("lib", "Book")._meta.get_field("author")
        winner = state.apps.get_model("lib", "Prize")._meta.get_field("winner")
    found = [[one.name for one in field.remote_field.model._meta.local_fields] for field in (author, winner)]
    assert found == [["id"], ["id", "name"]]
    assert [author.db_type(connection), winner.db_type(connection)] == ["bigint", "varchar(9)"]


def test_the_target_of_a_foreign_key_whose_key_leads_on_is_rendered_anew() -> None:
    key = models.OneToOneField("a.Root", models.CASCADE, primary_key=True)
    before = build(
        ("a", migrations.CreateModel("Root", [("code", models.CharField(max_length=7, primary_key=True))])),
        ("a", migrations.CreateModel("Leaf", [("root", key)])),
        ("a", create("Note", ("leaf", fk("a.Leaf")))),
    )
    longer = models.CharField(max_length=9, primary_key=True)
    for state, kind in (
        (before, "varchar(7)"),
        (before.after("a", migrations.AlterField("root", "code", longer)), "varchar(9)"),
    ):
        with read_by(Reader.SCHEMA):
            assert state.apps.get_model("a", "Note")._meta.get_field("leaf").db_type(connection) == kind


def test_a_column_type_is_followed_through_keys_that_are_foreign_keys() -> None:
    key = models.OneToOneField("a.Root", models.CASCADE, primary_key=True)
    state = build(
        ("a", migrations.CreateModel("Root", [("code", models.CharField(max_length=7, primary_key=True))])),
        ("a", migrations.CreateModel("Leaf", [("root", key)])),
        ("a", create("Note", ("leaf", fk("a.Leaf")))),
    )
    with read_by(Reader.SCHEMA):
        field = state.apps.get_model("a", "Note")._meta.get_field("leaf")
    assert field.db_type(connection) == "varchar(7)"


def test_a_registry_is_shared_by_states_with_the_same_models_and_by_no_others() -> None:
    state = build(*LIBRARY)
    same = state.after("lib", migrations.RunPython(migrations.RunPython.noop))
    other = state.after("far", migrations.DeleteModel("Island"))
    assert state.apps is same.apps
    assert other.apps is not state.apps
    assert state.apps.get_model("lib", "Book") is not other.apps.get_model("lib", "Book")


def test_a_registry_is_one_of_djangos_for_code_that_asks() -> None:
    assert isinstance(build(*LIBRARY).apps, StateApps)


def test_a_subclass_of_an_operation_is_not_taken_for_it() -> None:
    class Counting(migrations.AddField):
        pass

    assert reader_of(migrations.AddField("a", "b", models.TextField())) is Reader.SCHEMA
    assert reader_of(Counting("a", "b", models.TextField())) is Reader.CODE
    both = migrations.SeparateDatabaseAndState([Counting("a", "b", models.TextField())])
    assert reader_of(both) is Reader.CODE


def test_a_model_that_is_not_there_is_djangos_lookup_error() -> None:
    apps = build(*LIBRARY).apps
    with pytest.raises(LookupError, match="doesn't have a 'nothing' model"):
        apps.get_model("lib", "nothing")
    with pytest.raises(LookupError, match="No installed app with label 'nowhere'"):
        apps.get_model("nowhere.Thing")


def test_a_relation_to_a_model_that_is_not_there_is_djangos_error_every_time() -> None:
    apps = build(("a", create("Note", ("to", fk("gone.Model"))))).apps
    for _ in range(2):
        with pytest.raises(ValueError, match=r"lazy reference to 'gone\.model'"):
            apps.get_model("a", "Note")


def test_bases_that_lead_nowhere_or_in_a_circle_are_named() -> None:
    state = build(("a", migrations.CreateModel("One", [], bases=("a.Two",))))
    with pytest.raises(InvalidBasesError, match=r"a\.two is not there"):
        state.apps.get_model("a", "One")
    circle = build(("a", migrations.CreateModel("Two", [], bases=("a.One",))), base=state)
    with pytest.raises(InvalidBasesError, match="Cannot resolve bases"):
        circle.apps.get_model("a", "One")


def test_validating_finds_what_laziness_hides() -> None:
    state = build(*LIBRARY, ("a", create("Note", ("to", fk("gone.Model")))))
    state.apps.get_model("lib", "Book")
    with pytest.raises(ValueError, match="lazy reference"):
        state.validate()
    build(*LIBRARY).validate()


# What code finds


def test_a_reverse_accessor_is_there_before_its_model_is(tables: Callable[..., ProjectState]) -> None:
    tables(*LIBRARY)
    state = build(*LIBRARY)
    author_class = state.apps.get_model("lib", "Author")
    author = author_class.objects.create(name="Ann")
    assert rendered(state) == {"lib.Author"}
    assert hasattr(author, "clubs")
    book = author.book_set.create(title="One")
    book.shelves.create()
    assert [one.title for one in author_class.objects.prefetch_related("book_set").get().book_set.all()] == ["One"]
    assert author_class.objects.filter(book__shelves__isnull=False).count() == 1


def test_deleting_cascades_to_models_that_nobody_asked_for(tables: Callable[..., ProjectState]) -> None:
    state = tables(*LIBRARY)
    author = state.apps.get_model("lib", "Author").objects.create(name="Ann")
    book = author.book_set.create(title="One")
    book.shelves.create()
    author.clubs.create()
    fresh = build(*LIBRARY).apps.get_model("lib", "Author").objects.get()
    assert fresh.delete() == (4, {"lib.Shelf_books": 1, "lib.Book": 1, "fan.Club": 1, "lib.Author": 1})


def test_joining_a_model_renders_none_that_refer_to_it_by_plain_foreign_keys(
    tables: Callable[..., ProjectState],
) -> None:
    badge = create("Badge", ("owner", models.OneToOneField("lib.Author", models.CASCADE)))
    whole = (*LIBRARY, ("fan", badge), ("fan", create("Secret", ("of", fk("lib.Author", related_name="+")))))
    state = tables(*whole)
    author = state.apps.get_model("lib", "Author").objects.create(name="Ann")
    author.book_set.create(title="One")
    state = build(*whole)
    book = state.apps.get_model("lib", "Book").objects.select_related("author").get()
    assert book.author.name == "Ann"
    related = type(book.author)._meta.related_objects
    assert rendered(state) == {"lib.Book", "lib.Author", "fan.Badge", "lib.Shelf", "lib.Shelf_books"}
    assert [(one.get_accessor_name(), one.field.unique) for one in related] == [
        ("clubs", False), ("badge", True), ("book_set", False),
    ]  # fmt: skip
    assert "fan.Club" in rendered(state)
    club = state.apps.get_model("fan", "Club")
    assert related[0].related_model is club
    assert related[0] == club._meta.get_field("favourite").remote_field
    assert related[0].field == club._meta.get_field("favourite")
    assert isinstance(related[0], models.ManyToOneRel)


def test_what_relates_to_a_model_is_what_django_says(tables: Callable[..., ProjectState]) -> None:
    state = tables(
        *LIBRARY,
        ("lib", migrations.CreateModel("Poet", [], bases=("lib.Author",))),
        ("lib", create("Rhyme", ("by", fk("lib.Poet")), ("to", fk("lib.Poet", related_name="odes")))),
        ("lib", migrations.CreateModel("Ghost", [], options={"proxy": True}, bases=("lib.Author",))),
        ("fan", create("Seance", ("ghost", fk("lib.Ghost")), ("guests", models.ManyToManyField("lib.Author")))),
        ("fan", create("Ticket", ("number", models.TextField(unique=True)))),
        ("fan", create("Stub", ("ticket", models.ForeignKey("fan.Ticket", models.CASCADE, to_field="number")))),
        ("fan", create("Seat", ("ticket", models.ForeignKey("fan.Ticket", models.CASCADE, unique=True)))),
    )
    ours, djangos = state.apps, state.plain().apps
    for model in djangos.get_models():
        theirs = [(str(one), one.field.name) for one in model._meta.related_objects]
        fresh = ours.get_model(model._meta.app_label, model.__name__)._meta.related_objects
        assert (model.__name__, [(str(one), one.field.name) for one in fresh]) == (model.__name__, theirs)


def test_what_is_known_of_a_relation_without_its_model_is_what_django_says() -> None:
    named = {"related_name": "%(app_label)s_%(class)ss", "related_query_name": "%(class)s_of_%(app_label)s"}
    number = models.ForeignKey("fan.Ticket", models.CASCADE, to_field="number", related_name="%(model_name)s_number")
    options = {"default_related_name": "default_%(class)s"}
    state = build(
        ("fan", create("Ticket", ("number", models.TextField(unique=True)))),
        ("fan", create("Named", ("ticket", fk("fan.Ticket", **named)), ("number", number))),
        ("fan", create("Hidden", ("ticket", fk("fan.Ticket", related_name="+")))),
        ("fan", migrations.CreateModel("Default", [("ticket", fk("fan.Ticket"))], options=options)),
        ("fan", create("Plain", ("ticket", fk("fan.Ticket")))),
    )

    def told(apps: StateApps) -> list[tuple[object, ...]]:
        relations = apps.get_model("fan", "Ticket")._meta._get_fields(forward=False, include_hidden=True)
        return [
            (one.name, one.hidden, tuple(one.field.to_fields), one.field.unique, one.field.many_to_many)
            for one in relations
        ]

    assert told(state.apps) == told(state.plain().apps)
    assert rendered(state) == {"fan.Ticket"}
    assert state.apps.get_model("fan", "Ticket")._meta.get_field("plain").related_model._meta.label == "fan.Plain"
    assert rendered(state) == {"fan.Ticket", "fan.Plain"}


def test_a_copy_of_what_stands_for_a_relation_is_a_copy_of_the_relation() -> None:
    state = build(*LIBRARY)
    (stand_in,) = (one for one in state.apps.get_model("lib", "Author")._meta.related_objects if one.name == "book")
    for copied in (copy.copy(stand_in.field), copy.deepcopy(stand_in.field)):
        copied.null = True
        assert type(copied) is models.ForeignKey
        assert not state.apps.get_model("lib", "Book")._meta.get_field("author").null
    assert type(copy.copy(stand_in)) is models.ManyToOneRel


def test_creating_a_row_renders_only_who_has_a_one_to_one_relation() -> None:
    state = build(
        *LIBRARY,
        ("fan", create("Badge", ("owner", models.OneToOneField("lib.Author", models.CASCADE)))),
        ("fan", create("Tour", ("stops", models.ManyToManyField("lib.Author")))),
        ("fan", create("Seat", ("guest", fk("lib.Author", unique=True)))),
        ("fan", create("Hidden", ("of", models.OneToOneField("lib.Author", models.CASCADE, related_name="+")))),
        ("lib", migrations.CreateModel("Poet", [], bases=("lib.Author",))),
    )
    for name in ("Author", "Poet"):
        ours, djangos = (apps.get_model("lib", name)._meta for apps in (state.apps, state.plain().apps))
        assert ours._reverse_one_to_one_field_names == djangos._reverse_one_to_one_field_names
    assert not {"fan.Tour", "fan.Seat", "lib.Book"} & rendered(state)


def test_altering_what_many_refer_to_renders_those_that_refer_to_the_field() -> None:
    before = build(
        ("fan", create("Ticket", ("number", models.TextField(unique=True)))),
        ("fan", create("Stub", ("ticket", models.ForeignKey("fan.Ticket", models.CASCADE, to_field="number")))),
        *(("fan", create(f"Seat{number}", ("ticket", fk("fan.Ticket")))) for number in range(20)),
    )
    alter = migrations.AlterField("Ticket", "number", models.CharField(max_length=9, unique=True))
    after = before.after("fan", alter)
    with read_by(Reader.SCHEMA):
        fields = [one.apps.get_model("fan", "Ticket")._meta.get_field("number") for one in (before, after)]
        pairs = _related_non_m2m_objects(*fields)
        assert [(old.related_model._meta.label, new.field.name) for old, new in pairs] == [("fan.Stub", "ticket")]
        assert rendered(before) == rendered(after) == {"fan.Ticket", "fan.Stub"}


def test_all_models_are_listed_with_their_through_models() -> None:
    apps = build(*LIBRARY).apps
    assert sorted(model._meta.label for model in apps.get_models(include_auto_created=True)) == [
        "fan.Club", "far.Island", "lib.Author", "lib.Book", "lib.Shelf", "lib.Shelf_books",
    ]  # fmt: skip
    assert build(*LIBRARY).apps.get_model("lib", "shelf_books")._meta.auto_created._meta.label == "lib.Shelf"


def test_children_and_proxies_are_found_from_their_parent(tables: Callable[..., ProjectState]) -> None:
    link = models.OneToOneField("lib.Book", models.CASCADE, parent_link=True, primary_key=True, auto_created=True)
    state = tables(
        *LIBRARY,
        ("lib", migrations.CreateModel("Novel", [("book_ptr", link)], bases=("lib.Book",))),
        ("lib", migrations.CreateModel("Star", [], options={"proxy": True}, bases=("lib.Author",))),
        ("fan", create("Poster", ("star", fk("lib.Star")))),
    )
    author_class = state.apps.get_model("lib", "Author")
    author = author_class.objects.create(name="Ann")
    state.apps.get_model("lib", "Novel").objects.create(author=author, title="One")
    state.apps.get_model("fan", "Poster").objects.create(star_id=author.pk)
    fresh = build(base=state).apps.get_model("lib", "Author").objects.get()
    assert fresh.book_set.get().novel.title == "One"
    assert fresh.poster_set.count() == 1
    assert fresh.delete()[0] == 4


def test_relations_come_in_the_order_in_which_django_renders_models() -> None:
    """Rows that are deleted with others go in that order."""
    link = models.OneToOneField("a.Root", models.CASCADE, parent_link=True, primary_key=True)
    state = build(
        ("a", create("Root")),
        ("a", create("First")),
        ("a", migrations.CreateModel("Leaf", [("root", link)], bases=("a.Root",))),
        ("a", create("Last", ("root", fk("a.Root")))),
        ("a", migrations.AddField("first", "root", fk("a.Root"))),
        ("a", migrations.AddField("root", "itself", fk("a.Root", null=True))),
        ("a", migrations.RenameModel("Root", "Trunk")),
    )
    found = [one.related_model._meta.object_name for one in state.apps.get_model("a", "Trunk")._meta.related_objects]
    plain = DjangoProjectState({key: one.clone() for key, one in state.models.items()}).apps.get_model("a", "Trunk")
    assert found == [one.related_model._meta.object_name for one in plain._meta.related_objects]
    assert found == ["First", "Last", "Trunk", "Leaf"]


def test_a_swapped_model_gives_way_to_its_replacement(settings_with: Callable[..., Any]) -> None:
    settings_with(AUTH_USER_MODEL="people.Person")
    state = build(
        ("auth", create("User", options={"swappable": "AUTH_USER_MODEL"})),
        ("people", create("Person")),
        ("blog", create("Post", ("author", fk("people.Person")))),
    )
    assert state.apps.get_model("blog", "Post")._meta.get_field("author").related_model._meta.label == "people.Person"
    assert state.apps.get_model("auth", "User")._meta.swapped == "people.Person"
    assert "auth.User" not in {model._meta.label for model in state.apps.get_models()}


@pytest.fixture
def settings_with() -> Iterator[Callable[..., None]]:
    from django.test import override_settings

    entered: list[Any] = []

    def change(**values: Any) -> None:
        entered.append(override_settings(**values))
        entered[-1].enable()

    yield change
    for one in reversed(entered):
        one.disable()


def test_a_custom_manager_comes_along() -> None:
    from django.contrib.auth.models import UserManager

    state = build(("a", create("Person", managers=[("people", UserManager())])))
    assert type(state.apps.get_model("a", "Person").people).__name__ == "UserManager"


def test_a_class_that_other_code_registers_is_related_to(tables: Callable[..., ProjectState]) -> None:
    apps = build(*LIBRARY).apps
    author = apps.get_model("lib", "Author")
    meta = type("Meta", (), {"app_label": "own", "apps": apps})
    type("Extra", (models.Model,), {"Meta": meta, "__module__": "own", "author": fk("lib.Author")})
    assert "extra" in {relation.name for relation in author._meta.related_objects}


# What is shared, and stays as it is


def test_renaming_a_field_leaves_older_states_and_operations_alone() -> None:
    target = create("Target", ("code", models.TextField(unique=True)))
    source = create("Source", ("to", fk("a.Target", to_field="code")))
    first = build(("a", target), ("a", source))
    second = first.after("a", migrations.RenameField("target", "code", "number"))
    assert first.models["a", "source"].fields["to"].remote_field.field_name == "code"
    assert dict(source.fields)["to"].remote_field.field_name == "code"
    assert second.models["a", "source"].fields["to"].remote_field.field_name == "number"


def test_a_relation_that_is_renamed_stays_the_same_field() -> None:
    first = build(*LIBRARY)
    second = first.after("lib", migrations.RenameField("book", "author", "writer"))
    assert second.models["lib", "book"].fields["writer"] is first.models["lib", "book"].fields["author"]


def test_a_registry_is_not_ready_during_a_bulk_update_as_in_django() -> None:
    apps = build(*LIBRARY).apps
    with pytest.raises(KeyError), apps.bulk_update():
        assert not apps.ready
        raise KeyError
    assert apps.ready


def test_renaming_the_parent_of_another_model_takes_its_children_along(tables: Callable[..., ProjectState]) -> None:
    link = models.OneToOneField("lib.Author", models.CASCADE, parent_link=True, primary_key=True, auto_created=True)
    child = migrations.CreateModel("Poet", [("author_ptr", link)], bases=("lib.Author",))
    state = tables(*LIBRARY, ("lib", child), ("lib", migrations.RenameModel("Author", "Writer")))
    assert state.models["lib", "poet"].bases == ("lib.Writer",)
    state.apps.get_model("lib", "Poet").objects.create(name="Ann")
    assert state.apps.get_model("lib", "Writer").objects.get().poet.name == "Ann"


def test_a_field_that_knows_its_name_takes_the_one_that_it_is_given() -> None:
    field = models.TextField()
    field.set_attributes_from_name("old")
    state = ProjectState().after(
        "a", migrations.CreateModel("M", [("id", models.AutoField(primary_key=True)), ("old", field)])
    )
    renamed = state.after("a", migrations.RenameField("m", "old", "new"))
    assert [one.name for one in renamed.apps.get_model("a", "M")._meta.fields] == ["id", "new"]
    assert renamed.apps.get_model("a", "M")._meta.get_field("new").column == "new"


def test_code_run_backwards_sees_the_models_as_they_are_there(tables: Callable[..., ProjectState]) -> None:
    """Django hands out what it rendered earlier (RunPython.database_backwards)."""
    seen = []

    def look(apps: Apps, editor: object) -> None:
        seen.append(sorted(field.name for field in apps.get_model("lib", "Author")._meta.get_fields()))

    before = tables(*LIBRARY)
    operations = [
        ("lib", migrations.RemoveField("book", "author")),
        ("lib", migrations.RunPython(look, look)),
        ("fan", migrations.DeleteModel("Club")),
    ]
    states = [before]
    for app_label, operation in operations:
        states.append(states[-1].after(app_label, operation))
    with connection.schema_editor() as editor:
        for place, (app_label, operation) in enumerate(operations):
            run_forwards(operation, app_label, editor, states[place], states[place + 1])
        for place, (app_label, operation) in reversed(list(enumerate(operations))):
            run_backwards(operation, app_label, editor, states[place], states[place + 1])
    assert seen == [["clubs", "id", "name"], ["clubs", "id", "name"]]


class SetsTable(Operation):
    """Assigns into what it finds in the state, as some packages do."""

    reduces_to_sql = False

    def state_forwards(self, app_label: str, state: Any) -> None:
        state.models[app_label, "author"].options["db_table"] = "writers"

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        from_state.models[app_label, "author"].options["db_table"] = "broken"
        self.seen = to_state.apps.get_model(app_label, "Author")._meta.db_table


def test_an_operation_that_changes_a_state_in_place_reaches_only_its_own(tables: Callable[..., ProjectState]) -> None:
    operation = SetsTable()
    before = tables(*LIBRARY)
    after = tables(("lib", operation), base=before)
    assert after.models["lib", "author"].options["db_table"] == "writers"
    assert "db_table" not in before.models["lib", "author"].options
    assert operation.seen == "writers"
    assert after.models["lib", "book"] is before.models["lib", "book"]
    nested = before.after("lib", migrations.SeparateDatabaseAndState(state_operations=[SetsTable()]))
    assert nested.models["lib", "author"].options["db_table"] == "writers"
    assert "db_table" not in before.models["lib", "author"].options


def test_a_foreign_key_may_outlive_its_target_for_schema_operations_only() -> None:
    state = build(*LIBRARY, ("lib", migrations.DeleteModel("Author")))
    with read_by(Reader.SCHEMA):
        assert state.apps.get_model("lib", "Book")._meta.get_field("author").related_model._meta.label == "lib.Author"
    with pytest.raises(ValueError, match="lazy reference"):
        build(base=state).after("far", migrations.DeleteModel("Island")).apps.get_model("lib", "Book")


def test_columns_come_in_the_order_of_the_states_whatever_is_rendered_first(
    tables: Callable[..., ProjectState],
) -> None:
    before = tables(*LIBRARY)
    operation = migrations.AddField("book", "year", models.IntegerField(default=0))
    after = before.after("lib", operation)
    newer = after.apps.get_model("lib", "Book")
    older = before.apps.get_model("lib", "Book")
    assert max(field.creation_counter for field in older._meta.local_fields if not field.auto_created) < min(
        field.creation_counter for field in newer._meta.local_fields if not field.auto_created
    )
    assert models.IntegerField().creation_counter > newer._meta.get_field("year").creation_counter


def test_the_link_to_a_parent_stays_the_first_column_when_a_field_comes_back(
    tables: Callable[..., ProjectState],
) -> None:
    """Links are marked as auto-created, and Django puts such fields before all others."""
    link = models.OneToOneField("lib.Author", models.CASCADE, parent_link=True, primary_key=True, auto_created=True)
    child = migrations.CreateModel(
        "Poet", [("author_ptr", link), ("age", models.IntegerField())], bases=("lib.Author",)
    )
    before = tables(*LIBRARY, ("lib", child))
    operation = migrations.RemoveField("poet", "age")
    after = tables(("lib", operation), base=before)
    with connection.schema_editor() as editor:
        run_backwards(operation, "lib", editor, before, after)
    with connection.cursor() as cursor:
        found = connection.introspection.get_table_description(cursor, "lib_poet")
    assert [column.name for column in found] == ["author_ptr_id", "age"]


def test_the_index_of_references_is_kept_right_through_random_changes() -> None:
    rng = random.Random(5)
    state = build(*LIBRARY)
    assert state.apps.get_model("lib", "Author")._meta.related_objects  # from here on the index is kept, not made
    for number in range(200):
        names = [(label, model.name) for (label, _), model in state.models.items()]
        label, name = rng.choice(names)
        to = ".".join(rng.choice(names))
        relations = [one for one, field in state.models[label, name.lower()].fields.items() if field.is_relation]
        operation: Operation = rng.choice(
            [
                migrations.CreateModel(f"M{number}", [pk(), ("to", fk(to, related_name="+"))]),
                migrations.AddField(name, f"f{number}", models.ManyToManyField(to, related_name="+")),
                migrations.RenameModel(name, f"R{number}"),
                migrations.RemoveField(name, rng.choice(relations)) if relations else migrations.RunSQL(""),
                migrations.AlterModelTable(name, f"t{number}"),
            ]
        )
        state = state.after(label, operation)
        kept, made = state._freeze().reverse, ReverseIndex.of(state.models)
        for key in state.models:
            assert set(kept.sources(key)) == set(made.sources(key)), (number, key)


def test_a_field_that_is_not_there_is_djangos_error() -> None:
    state = build(*LIBRARY)
    with pytest.raises(KeyError):
        state.after("lib", migrations.RemoveField("book", "nothing"))
    with pytest.raises(FieldError):
        state.apps.get_model("lib", "Book").objects.filter(nothing=1)


# What code may do


def test_fields_keep_the_validators_that_they_make_when_they_are_made() -> None:
    fields = ("short", models.CharField(max_length=3)), ("raw", models.BinaryField(max_length=3))
    model = build(("lib", create("Note", *fields))).apps.get_model("lib", "Note")
    with pytest.raises(ValidationError, match="at most 3 characters"):
        model(short="long", raw=b"1").full_clean()
    assert [type(one).__name__ for one in model._meta.get_field("raw").validators] == ["MaxLengthValidator"]


def test_what_code_appends_to_the_lists_of_a_field_stays_in_its_state() -> None:
    field = models.CharField(max_length=3, choices=[("a", "A")], validators=[validate_slug])
    before = build(("lib", create("Note", ("short", field))))
    after = build(("lib", create("Other")), base=before)
    changed: Any = before.apps.get_model("lib", "Note")._meta.get_field("short")
    for each in (changed.choices, changed.validators, changed._validators):
        each.append("mine")
    kept: Any = after.apps.get_model("lib", "Note")._meta.get_field("short")
    assert kept.choices == [("a", "A")]
    assert "mine" not in [*kept.validators, *kept._validators]


class AddInPlace(Operation):
    """Adds a field to a model state that it finds, and looks at the models before and after."""

    def __init__(self, name: str, target: str = "") -> None:
        self.name, self.target = name, target
        self.seen: list[bool] = []

    def state_forwards(self, app_label: str, state: Any) -> None:
        self._look(app_label, state)
        field = fk(self.target, related_name=self.name) if self.target else models.IntegerField(default=1)
        field.name = self.name
        state.models[app_label, "island"].fields[self.name] = field
        state.reload_model(app_label, "island")
        self._look(app_label, state)

    def _look(self, app_label: str, state: Any) -> None:
        found = state.apps.get_model(app_label, "Island")._meta.get_fields()
        self.seen.append(self.name in {field.name for field in found})

    def database_forwards(self, app_label: str, editor: Any, before: Any, after: Any) -> None:
        model = after.apps.get_model(app_label, "Island")
        editor.add_field(before.apps.get_model(app_label, "Island"), model._meta.get_field(self.name))


def test_code_that_changes_a_model_state_in_place_finds_its_change(tables: Callable[..., ProjectState]) -> None:
    operation = AddInPlace("size")
    state = tables(*LIBRARY, ("far", operation))
    assert operation.seen == [False, True]
    assert state.apps.get_model("far", "Island").objects.create().size == 1


def test_code_in_a_container_finds_its_change(tables: Callable[..., ProjectState]) -> None:
    both = migrations.SeparateDatabaseAndState([AddInPlace("size")], [AddInPlace("size")])
    state = tables(*LIBRARY, ("far", both))
    assert state.apps.get_model("far", "Island").objects.create().size == 1


def test_a_relation_that_code_adds_in_place_is_known_from_its_other_end() -> None:
    before = build(*LIBRARY)
    assert not hasattr(before.apps.get_model("far", "Island"), "owner")
    after = build(("far", AddInPlace("owner", "lib.Author")), base=before)
    assert not hasattr(before.apps.get_model("lib", "Author"), "owner")
    assert hasattr(after.apps.get_model("lib", "Author"), "owner")


def test_models_can_be_asked_for_in_threads() -> None:
    names = [f"Model{number}" for number in range(60)]
    links = [("next", fk(f"lib.Model{(number + 1) % 60}")) for number in range(60)]
    texts = [(f"text{number}", models.CharField(max_length=9)) for number in range(20)]
    state = build(*(("lib", create(name, link, *texts)) for name, link in zip(names, links, strict=True)))

    def ask(name: str) -> str:
        model = state.apps.get_model("lib", name)
        after: Any = model._meta.get_field("next").related_model
        back = getattr(after, f"{name.lower()}_set")
        return f"{model.__name__} {[one.name for one in model._meta.related_objects]} {back.field.name}"

    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(ask, [*names, *reversed(names)]))
    assert asked[:60] == list(reversed(asked[60:]))
    assert asked[7].startswith("Model7 ['model6']")


class LooksAhead(models.UniqueConstraint):
    """A constraint that looks at another column of what a foreign key leads to."""

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        target = model._meta.get_field("author").related_model
        assert target._meta.get_field("name").db_type(schema_editor.connection)
        assert {one.name for one in target._meta.related_objects} == {"book", "clubs"}
        return super().create_sql(model, schema_editor)

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        assert model._meta.get_field("author").related_model._meta.get_field("name")
        return super().remove_sql(model, schema_editor)


def test_an_index_or_a_constraint_of_another_class_sees_all_of_what_a_foreign_key_leads_to(
    tables: Callable[..., ProjectState],
) -> None:
    constraint = LooksAhead(Lower("title"), name="ahead")
    before = tables(*LIBRARY)
    after = tables(("lib", migrations.AddConstraint("book", constraint)), base=before)
    tables(("lib", migrations.RemoveConstraint("book", "ahead")), base=after)
    with connection.schema_editor() as editor:
        run_forwards(migrations.AddConstraint("book", constraint), "lib", editor, before, after)
        run_backwards(migrations.AddConstraint("book", constraint), "lib", editor, before, after)


def test_a_registry_can_be_looked_into_as_djangos() -> None:
    apps = build(*LIBRARY).apps
    assert apps.all_models["lib"]["book"]._meta.label == "lib.Book"
    assert sorted(apps.all_models["lib"]) == ["author", "book", "shelf", "shelf_books"]
    assert dict(apps.all_models["nowhere"]) == {}
    assert {"lib", "fan", "far"} <= {*apps.all_models}
    assert build(*LIBRARY).apps.get_registered_model("fan", "Club")._meta.label == "fan.Club"
    with pytest.raises(LookupError, match=r"Model 'fan\.Nobody' not registered\."):
        apps.get_registered_model("fan", "Nobody")
    called: list[Any] = []
    build(*LIBRARY).apps.lazy_model_operation(lambda *found: called.extend(found), ("fan", "club"), ("lib", "author"))
    assert [model._meta.label for model in called] == ["fan.Club", "lib.Author"]


def test_a_model_that_code_defines_takes_the_place_of_the_one_of_the_state() -> None:
    apps = build(*LIBRARY).apps
    meta = type("Meta", (), {"app_label": "far", "apps": apps})
    island: Any = type("Island", (models.Model,), {"__module__": "far", "Meta": meta})
    assert apps.get_model("far", "Island") is island


class Marked(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key that leaves something of its own at its target."""

    def contribute_to_related_class(self, cls: Any, related: Any) -> None:
        super().contribute_to_related_class(cls, related)
        cls.marked_by = related.related_model._meta.label


def test_what_a_field_of_another_class_does_to_its_target_is_there(tables: Callable[..., ProjectState]) -> None:
    state = build(*LIBRARY, ("fan", create("Letter", ("to", Marked("lib.Author", models.CASCADE)))))
    assert state.apps.get_model("lib", "Author").marked_by == "fan.Letter"
    assert rendered(state) == {"lib.Author", "fan.Letter"}


def test_a_many_to_many_field_to_its_own_model_stays_one_sided(tables: Callable[..., ProjectState]) -> None:
    follows = models.ManyToManyField("self", symmetrical=False, related_name="followers")
    person: Any = tables(("fan", create("Person", ("follows", follows)))).apps.get_model("fan", "Person")
    one, other = person.objects.create(), person.objects.create()
    one.follows.add(other)
    assert [*other.followers.all()] == [one]
    assert [*other.follows.all()] == []


class Code(Operation):
    """An operation whose state_forwards is a function."""

    def __init__(self, change: Callable[[Any], object]) -> None:
        self.change = change

    def state_forwards(self, app_label: str, state: Any) -> None:
        self.change(state)


SHIP = ("far", create("Ship", ("island", fk("far.Island"))))


def test_code_may_take_a_relation_away_in_place_and_look() -> None:
    def change(state: Any) -> None:
        assert hasattr(state.apps.get_model("far", "Island"), "ship_set")
        del state.models["far", "ship"].fields["island"]
        assert not hasattr(state.apps.get_model("far", "Island"), "ship_set")
        state.add_field("lib", "author", "age", models.IntegerField(null=True), True)
        assert not hasattr(state.apps.get_model("far", "Island"), "ship_set")

    before = build(*LIBRARY, SHIP)
    after = before.after("far", Code(change))
    assert hasattr(before.apps.get_model("far", "Island"), "ship_set")
    assert not hasattr(after.apps.get_model("far", "Island"), "ship_set")
    assert "age" in after.models["lib", "author"].fields


def test_a_mutator_sees_what_code_changed_in_place_before() -> None:
    def change(state: Any) -> None:
        state.models["far", "island"].fields["owner"] = fk("lib.Author")
        state.rename_model("lib", "Author", "Writer")

    after = build(*LIBRARY).after("far", Code(change))
    assert after.models["far", "island"].fields["owner"].remote_field.model == "lib.Writer"
    assert hasattr(after.apps.get_model("lib", "Writer"), "island_set")


def test_what_code_changed_and_changed_back_leaves_nothing() -> None:
    def change(state: Any) -> None:
        options = state.models["far", "island"].options
        options["db_table"] = "elsewhere"
        assert state.apps.get_model("far", "Island")._meta.db_table == "elsewhere"
        del options["db_table"]

    before = build(*LIBRARY)
    after = before.after("far", Code(change))
    assert after.models["far", "island"] is before.models["far", "island"]
    assert after.apps.get_model("far", "Island")._meta.db_table == "far_island"


def test_changes_in_place_stay_out_of_other_states() -> None:
    clones: list[Any] = []

    def change(state: Any) -> None:
        kept = state.models["far", "island"]
        clones.append(state.clone())
        kept.options["db_table"] = "changed"
        kept.options["indexes"].append(models.Index(fields=["id"], name="mine"))
        dict(state.models)["lib", "book"].options["db_table"] = "books"

    before = build(*LIBRARY)
    after = before.after("far", Code(change))
    for state in (before, clones[0]):
        assert state.apps.get_model("far", "Island")._meta.db_table == "far_island"
        assert state.apps.get_model("far", "Island")._meta.indexes == []
        assert state.apps.get_model("lib", "Book")._meta.db_table == "lib_book"
    assert after.apps.get_model("far", "Island")._meta.db_table == "changed"
    assert [one.name for one in after.apps.get_model("far", "Island")._meta.indexes] == ["mine"]


def test_code_may_put_other_models_in_their_place() -> None:
    def change(state: Any) -> None:
        state.models = {key: model for key, model in state.models.items() if key[0] == "lib"}
        state.models["lib", "book"].options["db_table"] = "books"

    after = build(*LIBRARY).after("far", Code(change))
    assert {key[0] for key in after.models} == {"lib"}
    assert after.apps.get_model("lib", "Book")._meta.db_table == "books"
    with pytest.raises(LookupError):
        after.apps.get_model("far", "Island")


def test_many_fields_of_another_class_are_rendered_with_their_target() -> None:
    sources = [
        ("fan", create(f"Letter{number}", ("to", Marked("lib.Author", models.CASCADE)))) for number in range(1200)
    ]
    assert build(*LIBRARY, *sources).apps.get_model("lib", "Author").marked_by == "fan.Letter1199"


class Curious(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key that looks at its target when it gets there."""

    def contribute_to_related_class(self, cls: Any, related: Any) -> None:
        super().contribute_to_related_class(cls, related)
        cls.known = [field.name for field in cls._meta.get_fields()]


def test_a_field_that_looks_at_its_target_while_its_model_is_made_finds_what_is_there() -> None:
    state = build(*LIBRARY, ("fan", create("Letter", ("to", Curious("far.Island", models.CASCADE)))))
    assert state.apps.get_model("far", "Island").known == ["letter", "id"]


def test_a_container_hands_a_constraint_of_another_class_whole_targets(tables: Callable[..., ProjectState]) -> None:
    constraint = LooksAhead(Lower("title"), name="ahead")
    add, remove = migrations.AddConstraint("book", constraint), migrations.RemoveConstraint("book", "ahead")
    before = tables(*LIBRARY)
    both = migrations.SeparateDatabaseAndState([add], [add])
    after = tables(("lib", both), base=before)
    with connection.schema_editor() as editor:
        run_backwards(both, "lib", editor, before, after)
    tables(("lib", add), ("lib", migrations.SeparateDatabaseAndState([remove], [remove])), base=before)
