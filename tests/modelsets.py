"""
Random pairs of model sets, as real model classes: relations of every kind within and across apps, and a next version.

Everything comes from one seed. What Django's own checks refuse is drawn again, so that every set is one that a
project could have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from django.apps.registry import Apps
from django.conf import settings
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models
from django.db.migrations.state import ModelState, ProjectState

APPS = ("alpha", "beta", "gamma")
USER = "beta.User"
"""The swappable user model, where a set has it; see override_settings(AUTH_USER_MODEL)."""
NAMES = ("Item", "Box", "Tag", "Note")
SHARED = ("size", "label", "owner")
"""Names of fields that several models may have, so that one can move from a parent to a child."""

Key = str
"""``app.Model``"""


@dataclass
class Column:
    """One field: what kind, to which model, through which."""

    kind: str
    target: Key = ""
    through: Key = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_relation(self) -> bool:
        return bool(self.target)

    def build(self, owner: Key, name: str) -> models.Field[Any, Any]:
        if not self.is_relation:
            return {
                "int": lambda: models.IntegerField(default=0, **self.options),
                "char": lambda: models.CharField(max_length=20, default="", **self.options),
            }[self.kind]()
        related = f"{owner.replace('.', '_').lower()}_{name}_of"
        if self.kind == "m2m":
            through = {"through": self.through} if self.through else {}
            return models.ManyToManyField(self.target, related_name=related, **through)
        kind = models.OneToOneField if self.kind == "one" else models.ForeignKey
        options = {"null": True, **self.options}
        if options.get("primary_key"):
            del options["null"]
        return kind(self.target, models.CASCADE, related_name=related, **options)


@dataclass
class Model:
    """One model: its base, whether it is a proxy, its fields and options."""

    base: Key = ""
    proxy: bool = False
    columns: dict[str, Column] = field(default_factory=dict)
    together: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    check: str = ""
    order: str = ""

    def anchors(self) -> set[Key]:
        """Return what a model cannot lose: Django changes neither the bases of a model nor its primary key."""
        keys = {one.target for one in self.columns.values() if one.options.get("primary_key")}
        return (keys | {self.base}) - {""}

    def meta(self, key: Key, registry: Apps) -> dict[str, Any]:
        app, name = key.split(".")
        meta: dict[str, Any] = {"apps": registry, "app_label": app}
        if self.proxy:
            return {**meta, "proxy": True}
        if self.together:
            meta["unique_together"] = [self.together]
        if self.order:
            meta["order_with_respect_to"] = self.order
        if key == USER:
            meta["swappable"] = "AUTH_USER_MODEL"
        prefix = f"{app}_{name}".lower()
        if self.index:
            meta["indexes"] = [models.Index(fields=self.index, name=f"{prefix}_idx")]
        meta["constraints"] = [
            *([models.UniqueConstraint(fields=self.unique, name=f"{prefix}_uniq")] if self.unique else []),
            *(
                [models.CheckConstraint(condition=models.Q(**{f"{self.check}__gte": 0}), name=f"{prefix}_chk")]
                if self.check
                else []
            ),
        ]
        return meta


ModelSet = dict[Key, Model]


class Impossible(Exception):
    """The draw is no set of models that a project could have."""


def built(models_of: Mapping[Key, Model]) -> ProjectState:
    """Return the state of real classes; raise Impossible where Django or its checks refuse them."""
    registry = Apps(())
    made: dict[Key, type[models.Model]] = {}
    waiting = dict(models_of)
    while waiting:
        ready = [key for key, one in waiting.items() if not one.base or one.base in made]
        if not ready:
            raise Impossible
        for key in ready:
            one = waiting.pop(key)
            body = {name: column.build(key, name) for name, column in one.columns.items()}
            body |= {"__module__": "tests.modelsets", "Meta": type("Meta", (), one.meta(key, registry))}
            try:
                made[key] = type(key.split(".")[1], (made[one.base] if one.base else models.Model,), body)
            except (FieldError, FieldDoesNotExist, ValueError, TypeError) as error:
                raise Impossible from error
    try:
        wrong = any(problem.level >= 40 for model in made.values() for problem in checks_of(model))
    except AttributeError as error:  # a primary key that refers to itself through another
        raise Impossible from error
    if wrong:
        raise Impossible
    states = [ModelState.from_model(model) for model in made.values()]
    return ProjectState({(one.app_label, one.name_lower): one for one in states})


def checks_of(model: type[models.Model]) -> Iterator[Any]:
    yield from (one for one in model.check(databases=["default"]) if one.id not in ("fields.E300", "fields.E307"))


class Draw:
    """Draws sets of models, and next versions of them, from one source of randomness."""

    def __init__(self, source: int | Random, *, size: int = 7) -> None:
        self.random = source if isinstance(source, Random) else Random(source)
        self.size = size

    def pair(self) -> tuple[ProjectState, ProjectState]:
        """Return two states, the second a next version of the first."""
        first, before = self.valid(self.first)
        _, after = self.valid(lambda: self.next_of(first))
        return before, after

    def valid(self, draw: Any) -> tuple[ModelSet, ProjectState]:
        while True:
            try:
                found = draw()
                return found, built(found)
            except Impossible:
                continue

    def once(self, draw: Any) -> ProjectState:
        """Return a state, or raise Impossible."""
        return built(draw())

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def first(self) -> ModelSet:
        every = [f"{app}.{name}" for app in APPS for name in NAMES]
        keys = self.random.sample(every, self.random.randint(2, self.size))
        if self.chance(0.4):
            keys.append(USER)
        found: ModelSet = {key: Model() for key in keys}
        for key in keys:
            self.shape(key, found)
        for key in keys:
            self.decorate(found[key])
        return found

    def shape(self, key: Key, among: ModelSet) -> None:
        """Give a model its base and its fields."""
        one = among[key]
        others = [other for other in among if other != key and other < key]
        if key != USER and others and self.chance(0.35):
            one.base = self.random.choice(others)
            one.proxy = self.chance(0.5)
        if not one.proxy:
            for _ in range(self.random.randint(1, 3)):
                self.add_column(key, among)

    def add_column(self, key: Key, among: ModelSet) -> None:
        one, concrete = among[key], [other for other in among if not among[other].proxy or self.chance(0.3)]
        own = f"{key.replace('.', '_').lower()}_{self.random.randint(1, 6)}"
        name = self.random.choice(SHARED) if self.chance(0.3) else own
        if name in one.columns:
            return
        kind = self.random.choice(("int", "char", "fk", "fk", "fk", "one", "m2m", "through", "pk"))
        if kind in ("int", "char"):
            one.columns[name] = Column(kind)
            return
        target = self.random.choice(concrete)
        if kind == "pk":
            has_one = any(column.options.get("primary_key") for column in one.columns.values())
            if not one.base and not has_one and target < key:  # primary keys must not refer to each other in a circle
                one.columns[name] = Column("one", target, options={"primary_key": True})
            return
        through = ""
        if kind == "through":
            kind, through = "m2m", self.through(key, target, among)
            if not through:
                return
        one.columns[name] = Column(kind, target, through)

    def through(self, key: Key, target: Key, among: ModelSet) -> Key:
        """Make a model that already exists into the table of a many-to-many relation."""
        free = [
            other
            for other, one in among.items()
            if other not in (key, target, USER)
            and not one.base
            and not any(c.is_relation for c in one.columns.values())
        ]
        if not free or key == target:
            return ""
        found = self.random.choice(free)
        among[found].columns |= {"from_side": Column("fk", key), "to_side": Column("fk", target)}
        return found

    def decorate(self, one: Model) -> None:
        """Give a model options that stand on its own fields."""
        one.together, one.index, one.unique, one.check, one.order = (), (), (), "", ""
        names = [name for name, column in one.columns.items() if column.kind != "m2m"]
        relations = [name for name in names if one.columns[name].kind == "fk"]
        if one.proxy or not names:
            return
        if len(names) > 1 and self.chance(0.3):
            one.together = tuple(self.random.sample(names, 2))
        if self.chance(0.3):
            one.index = tuple(self.random.sample(names, self.random.randint(1, len(names))))
        if self.chance(0.3):
            one.unique = tuple(self.random.sample(names, self.random.randint(1, len(names))))
            # PostgreSQL makes one of two equal unique constraints, when both stand in CREATE TABLE.
            if [one.columns[name].kind for name in one.unique] == ["one"] or set(one.unique) == set(one.together):
                one.unique = ()
        numbers = [name for name in names if one.columns[name].kind == "int"]
        if numbers and self.chance(0.5):
            one.check = self.random.choice(numbers)
        if relations and self.chance(0.25):
            one.order = self.random.choice(relations)

    # -- the next version -------------------------------------------------------------------------------------------

    def next_of(self, before: ModelSet) -> ModelSet:
        found = deepcopy(before)
        for key in self.doomed(found):
            del found[key]
        for key in self.random.sample([f"{app}.{name}" for app in APPS for name in NAMES], 2):
            if key not in before and self.chance(0.4):
                found[key] = Model()
                self.shape(key, found)
        self.mend(found)
        for key, one in found.items():
            self.vary(key, one, found)
        return found

    def doomed(self, among: ModelSet) -> list[Key]:
        """Choose what is deleted: some models, and sometimes a whole app."""
        gone = {key for key in among if self.chance(0.3)}
        if self.chance(0.3):
            app = self.random.choice(APPS)
            gone |= {key for key in among if key.startswith(app)}
        if self.chance(0.05):
            gone = set(among)
        return [key for key in gone if key != USER or self.chance(0.2)]

    def mend(self, among: ModelSet) -> None:
        """Let nothing refer to what is gone: by dropping the relation, or by turning it elsewhere."""
        while lost := [key for key, one in among.items() if not one.anchors() <= among.keys()]:
            for key in lost:
                del among[key]
        for one in among.values():
            for name, column in list(one.columns.items()):
                if column.options.get("primary_key"):
                    continue
                if column.target and column.target not in among and not column.through and self.chance(0.4):
                    column.target = self.random.choice(list(among))
                elif (column.target and column.target not in among) or (
                    column.through and column.through not in among
                ):
                    del one.columns[name]

    def vary(self, key: Key, one: Model, among: ModelSet) -> None:
        throughs = {column.through for other in among.values() for column in other.columns.values()}
        if one.proxy or key in throughs:
            return
        changeable = {name: one.columns[name] for name in one.columns if not one.columns[name].options}
        for name, column in changeable.items():
            if self.chance(0.2):
                del one.columns[name]
            elif column.is_relation and not column.through and self.chance(0.2):
                column.target = self.random.choice(list(among))
        if self.chance(0.3):
            before = set(one.columns)
            self.add_column(key, among)
            if any(one.columns[name].options for name in one.columns.keys() - before):
                raise Impossible
        gone = {name for names in (one.together, one.index, one.unique, (one.check, one.order)) for name in names}
        if self.chance(0.4) or not gone - {""} <= set(one.columns):
            self.decorate(one)


def user_is_swapped_in(state: ProjectState) -> dict[str, Any]:
    """Return the settings under which a state has to be used."""
    key = tuple(USER.lower().split("."))
    return {"AUTH_USER_MODEL": USER} if key in state.models else {"AUTH_USER_MODEL": settings.AUTH_USER_MODEL}
