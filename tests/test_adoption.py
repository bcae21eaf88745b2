"""What django_migrations says of the files of a timeline."""

from __future__ import annotations

import pytest

from chronomig.code.origins import Origin
from chronomig.history.adoption import Adoption, Ancestry, MisfitRefused, Needs, weigh, weigh_tables

SQUASH = Origin("shop", "0001_squashed_0002", "", "", "", replaces={"shop.0001_a": {}, "shop.0002_b": {}})
PARTS = [Origin("shop", name, "", "", "", squashes=("shop.0001_squashed_0002",)) for name in ("0001_a", "0002_b")]
NESTED = Origin(
    "shop", "0001_all", "", "", "", replaces={"shop.0001_squashed_0002": dict(SQUASH.replaces), "shop.0003_c": {}}
)


def weighed(*recorded: str, origin: Origin = SQUASH) -> Adoption:
    return weigh({"squash": origin}, {("shop", name) for name in recorded})


def test_what_is_recorded_is_adopted_and_other_rows_are_no_matter() -> None:
    plain = Origin("shop", "0001_a", "", "", "")
    found = weigh({"one": plain, "two": Origin("shop", "0002_b", "", "", "")}, {("shop", "0001_a"), ("gone", "0001")})
    assert found == Adoption(("one",), ())


@pytest.mark.parametrize(
    "recorded",
    [
        ("0001_a", "0002_b"),
        ("0001_squashed_0002",),
        ("0001_a", "0002_b", "0001_squashed_0002"),
        ("0001_a", "0002_b", "0009_newer"),
    ],
)
def test_a_squash_is_applied_when_all_its_parts_are_or_it_alone_is(recorded: tuple[str, ...]) -> None:
    assert weighed(*recorded) == Adoption(("squash",), ())


def test_a_squash_of_which_nothing_is_recorded_is_pending() -> None:
    assert weighed() == Adoption((), ())


@pytest.mark.parametrize("recorded", [("0001_a",), ("0001_a", "0001_squashed_0002")])
def test_a_squash_of_which_a_part_is_recorded_does_not_fit(recorded: tuple[str, ...]) -> None:
    (misfit,) = weighed(*recorded).misfits
    assert misfit.note == (
        "a squash of which django_migrations has only a part: shop.0001_a recorded, shop.0002_b not"
    )
    told = str(MisfitRefused("default", [misfit]))
    assert "The database 'default' cannot be adopted as it stands; nothing was run." in told
    assert "--unsquash shop" in told


def test_a_squash_of_squashes_is_weighed_through() -> None:
    assert weighed("0001_a", "0002_b", "0003_c", origin=NESTED).names == ("squash",)
    assert weighed("0001_squashed_0002", "0003_c", origin=NESTED).names == ("squash",)
    assert weighed("0001_squashed_0002", origin=NESTED).misfits


def test_the_parts_of_a_squash_are_applied_where_only_the_squash_is_recorded() -> None:
    files = dict(zip(("one", "two"), PARTS, strict=True))
    assert weigh(files, {("shop", "0001_squashed_0002")}).names == ("one", "two")
    assert weigh(files, {("shop", "0001_squashed_0002"), ("shop", "0001_a")}).names == ("one",)
    assert weigh(files, {("shop", "0001_a")}).names == ("one",)


def test_what_stands_on_what_comes_from_the_dependencies_of_the_files() -> None:
    keys = {"1": ("a", "0001"), "2": ("a", "0002"), "3": ("b", "0001"), "4": ("c", "0001"), "5": ("c", "0002")}
    origins = {name: Origin(*key, "", "", "") for name, key in keys.items()}
    needs = {
        "1": Needs([], []),
        "2": Needs([("a", "0001")], [("c", "0001")]),
        "3": Needs([("a", "__latest__"), ("gone", "0001")], []),
        "4": Needs([("c", "__first__")], []),
        "5": Needs([("c", "0001"), ("b", "__first__")], []),
    }
    ancestry = Ancestry(origins, needs)
    assert ancestry.of("3") == {"1", "2"}
    assert ancestry.of("4") == {"1", "2"}
    assert ancestry.of("5") == {"1", "2", "3", "4"}


def test_a_file_that_stands_for_tables_is_applied_where_all_of_them_are() -> None:
    files = {"one": ["a", "b"], "two": ["c"]}
    assert weigh_tables(files, {"a", "b", "x"}).names == ("one",)
    (misfit,) = weigh_tables(files, {"a"}).misfits
    assert misfit.note == "of apps without migrations: the tables a are there, b are not"
    told = str(MisfitRefused("default", [misfit]))
    assert "with Django's own migrate --run-syncdb of the code before chronomig adopt." in told
    assert "anew" not in told
