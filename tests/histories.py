"""
Random histories that every database can run: models and fields that come, change and go, in two apps.

Everything comes from one seed. Values are never cast between kinds, because the databases do not agree on casts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from chronomig.code.loading import Labelled
from chronomig.state import ProjectState

Key = tuple[str, str]


class HistoryDraw:
    """Draws operations one by one; each is valid in the state after those before it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.state = ProjectState()
        self.operations: list[Labelled] = []
        self.count = 0

    def draw(self, length: int) -> list[Labelled]:
        """Return *length* operations."""
        self.put("alpha", self.create("alpha", "Item"))
        while len(self.operations) < length:
            label, name = self.random.choice(sorted(self.state.models))
            operation = self.random.choice(self.makers())(label, name)
            if operation is not None:
                self.put(label, operation)
        return self.operations

    def put(self, label: str, operation: Operation) -> None:
        self.operations.append((label, operation))
        self.state = self.state.after(label, operation)

    def makers(self) -> list[Callable[[str, str], Operation | None]]:
        often = [
            self.new_model,
            self.add_field,
            self.add_field,
            self.add_relation,
            self.alter_kind,
            self.alter_a_little,
        ]
        common = [
            self.rename_field,
            self.remove_field,
            self.options,
            self.add_index,
            self.drop_named,
            self.add_unique,
        ]
        rare = [self.add_many, self.together, self.delete, self.comment, self.rename_index, self.add_check]
        wide = [self.rename_model, self.move_table, self.order, self.primary_key, self.apart]
        return [*often * 6, *common * 3, *rare * 2, *wide]

    def new_name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def fields(self, label: str, name: str, *, bare: bool = False) -> list[str]:
        """Return the names of plain fields; *bare* ones are neither indexed nor part of anything."""
        model = self.state.models[label, name]
        plain = [one for one, field in model.fields.items() if not field.is_relation and not field.primary_key]
        if not bare:
            return plain
        used = set(self.names_in_use(model))
        return [one for one in plain if one not in used and not is_indexed(model.fields[one])]

    def names_in_use(self, model: Any) -> Iterator[str]:
        for one in (*model.options["indexes"], *model.options["constraints"]):
            yield from getattr(one, "fields", ()) or model.fields
        for names in model.options.get("unique_together") or ():
            yield from names

    # -- models -----------------------------------------------------------------------------------------------------

    def create(self, label: str, name: str) -> Operation:
        auto = self.random.choice([models.AutoField, models.BigAutoField])
        fields = [(self.new_name("f"), self.field()) for _ in range(self.random.randint(0, 2))]
        return migrations.CreateModel(name, [("id", auto(primary_key=True)), *fields])

    def new_model(self, label: str, name: str) -> Operation | None:
        self.put(self.random.choice(["alpha", "beta"]), self.create(label, self.new_name("Model")))
        return None

    def delete(self, label: str, name: str) -> Operation | None:
        free = not self.state.is_referred_to((label, name)) and len(self.state.models) > 1
        return migrations.DeleteModel(name) if free else None

    def rename_model(self, label: str, name: str) -> Operation:
        return migrations.RenameModel(self.state.models[label, name].name, self.new_name("Model"))

    def move_table(self, label: str, name: str) -> Operation:
        return migrations.AlterModelTable(name, self.new_name("table_"))

    def options(self, label: str, name: str) -> Operation:
        return migrations.AlterModelOptions(name, {"verbose_name": self.new_name("thing ")})

    def comment(self, label: str, name: str) -> Operation:
        return migrations.AlterModelTableComment(name, self.new_name("told "))

    def order(self, label: str, name: str) -> Operation | None:
        model = self.state.models[label, name]
        links = [one for one, field in model.fields.items() if field.many_to_one]
        if not links or model.options.get("order_with_respect_to"):
            return None
        return migrations.AlterOrderWithRespectTo(name, self.random.choice(links))

    def together(self, label: str, name: str) -> Operation | None:
        names = self.fields(label, name)
        now = {tuple(one) for one in self.state.models[label, name].options.get("unique_together") or ()}
        if now and self.random.random() < 0.5:
            return migrations.AlterUniqueTogether(name, set())
        if len(names) < 2:
            return None
        return migrations.AlterUniqueTogether(name, {*now, tuple(self.random.sample(names, 2))})

    def apart(self, label: str, name: str) -> Operation:
        field = models.CharField(max_length=8, default="")
        add = migrations.AddField(name, self.new_name("f"), field)
        return migrations.SeparateDatabaseAndState(database_operations=[add], state_operations=[add])

    # -- fields -----------------------------------------------------------------------------------------------------

    def field(self) -> models.Field[Any, Any]:
        return self.random.choice(
            [
                lambda: models.IntegerField(default=3),
                lambda: models.BigIntegerField(null=True, db_index=True),
                lambda: models.PositiveIntegerField(default=1),
                lambda: models.CharField(max_length=30, default="x"),
                lambda: models.SlugField(max_length=20, default="x"),
                lambda: models.CharField(max_length=9, null=True, unique=True),
                lambda: models.TextField(default=""),
                lambda: models.DecimalField(max_digits=6, decimal_places=2, null=True),
                lambda: models.JSONField(default=dict),
                lambda: models.BooleanField(db_default=False),
            ]
        )()

    def add_field(self, label: str, name: str) -> Operation:
        return migrations.AddField(name, self.new_name("f"), self.field(), preserve_default=False)

    def add_relation(self, label: str, name: str) -> Operation:
        kind = self.random.choice([models.ForeignKey, models.ForeignKey, models.OneToOneField])
        link = kind(self.target(), models.CASCADE, null=True, related_name="+")
        return migrations.AddField(name, self.new_name("link"), link)

    def add_many(self, label: str, name: str) -> Operation:
        return migrations.AddField(
            name, self.new_name("many"), models.ManyToManyField(self.target(), related_name="+")
        )

    def target(self) -> str:
        return ".".join(self.random.choice(sorted(self.state.models)))

    def alter_kind(self, label: str, name: str) -> Operation | None:
        wider = {
            models.IntegerField: models.BigIntegerField(default=5),
            models.CharField: models.TextField(default="y"),
            models.AutoField: models.BigAutoField(primary_key=True),
        }
        fields = self.state.models[label, name].fields
        names = [one for one in self.fields(label, name, bare=True) if type(fields[one]) in wider]
        if not names:
            return None
        chosen = self.random.choice(names)
        return migrations.AlterField(name, chosen, wider[type(fields[chosen])].clone())

    def primary_key(self, label: str, name: str) -> Operation | None:
        old = self.state.models[label, name].fields["id"]
        new = models.BigAutoField(primary_key=True)
        return migrations.AlterField(name, "id", new) if type(old) is models.AutoField else None

    def alter_a_little(self, label: str, name: str) -> Operation | None:
        fields = self.state.models[label, name].fields
        names = [one for one, field in fields.items() if not field.primary_key and not field.many_to_many]
        if not names:
            return None
        chosen = self.random.choice(names)
        kwargs = fields[chosen].deconstruct()[3]
        kwargs["verbose_name"] = self.new_name("called ")
        change = self.random.choice(["name", "null", "length", "index"])
        if change == "null" and "db_default" not in kwargs:
            kwargs["null"] = True
        if change == "length" and "max_length" in kwargs:
            kwargs["max_length"] += 3
        if change == "index" and type(fields[chosen]) in (models.IntegerField, models.CharField):
            kwargs["db_index"] = not kwargs.get("db_index")
        return migrations.AlterField(name, chosen, type(fields[chosen])(**kwargs))

    def rename_field(self, label: str, name: str) -> Operation | None:
        constraints = self.state.models[label, name].options["constraints"]
        checked = any(isinstance(one, models.CheckConstraint) for one in constraints)
        names = self.fields(label, name, bare=checked or self.random.random() < 0.8)
        return migrations.RenameField(name, self.random.choice(names), self.new_name("f")) if names else None

    def remove_field(self, label: str, name: str) -> Operation | None:
        model = self.state.models[label, name]
        used = {*self.names_in_use(model), "id", model.options.get("order_with_respect_to")}
        names = [one for one in model.fields if one not in used]
        return migrations.RemoveField(name, self.random.choice(names)) if names else None

    # -- indexes and constraints ------------------------------------------------------------------------------------

    def short(self, label: str, name: str) -> list[str]:
        """Return the names of fields that every database can index."""
        fields = self.state.models[label, name].fields
        kinds = (models.IntegerField, models.CharField, models.ForeignKey)
        return [one for one, field in fields.items() if isinstance(field, kinds) and one != "id"]

    def add_index(self, label: str, name: str) -> Operation | None:
        names = self.short(label, name)
        if not names:
            return None
        chosen = self.random.sample(names, min(len(names), self.random.randint(1, 2)))
        return migrations.AddIndex(name, models.Index(fields=chosen, name=self.new_name("idx_")))

    def rename_index(self, label: str, name: str) -> Operation | None:
        found = self.state.models[label, name].options["indexes"]
        if not found:
            return None
        return migrations.RenameIndex(name, self.new_name("idx_"), old_name=self.random.choice(found).name)

    def add_unique(self, label: str, name: str) -> Operation | None:
        names = self.short(label, name)
        if not names:
            return None
        chosen = self.random.sample(names, min(len(names), self.random.randint(1, 2)))
        return migrations.AddConstraint(name, models.UniqueConstraint(fields=chosen, name=self.new_name("uq_")))

    def add_check(self, label: str, name: str) -> Operation | None:
        fields = self.state.models[label, name].fields
        names = [one for one, field in fields.items() if isinstance(field, models.IntegerField) and one != "id"]
        if not names:
            return None
        condition = models.Q(**{f"{self.random.choice(names)}__gte": 0})
        check = models.CheckConstraint(condition=condition, name=self.new_name("check_"))
        return migrations.AddConstraint(name, check)

    def drop_named(self, label: str, name: str) -> Operation | None:
        options = self.state.models[label, name].options
        found: list[Operation] = [migrations.RemoveIndex(name, one.name) for one in options["indexes"]]
        found += [migrations.RemoveConstraint(name, one.name) for one in options["constraints"]]
        return self.random.choice(found) if found else None


def is_indexed(field: Any) -> bool:
    return bool(field.db_index or field.unique)
