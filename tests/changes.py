"""Random operations that could come next after a state, most of them valid; names are few, so that they meet."""

from __future__ import annotations

from random import Random
from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

from chronomig.code.loading import Labelled
from chronomig.state import ProjectState

FIELDS = ("extra", "more", "size", "label", "_order")
MODELS = ("Fresh", "Other", "Item")
TABLES = ("one_table", "alpha_item", "beta_fresh")
INDEXES = ("new_idx", "other_idx", "alpha_item_idx", "alpha_item_uniq")


class Declared(migrations.RunPython):
    """Code that says what it touches: puts into one field what another holds, or its own idea."""

    def __init__(self, label: str, name: str, field: str, source: str) -> None:
        def fill(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
            rows = apps.get_model(label, name)._base_manager.using(editor.connection.alias)
            rows.update(**{field: models.F(source) if source else 7})

        super().__init__(fill, migrations.RunPython.noop)
        self.touches = [f"{label}.{name}.{one}" for one in (field, source) if one]

    def describe(self) -> str:
        return f"Fill {', from '.join(self.touches)}"


class Changes:
    """Draws one operation at a time for a state."""

    def __init__(self, random: Random, state: ProjectState) -> None:
        self.random = random
        self.state = state
        self.keys = sorted(state.models)

    def operation(self) -> Labelled:
        """Return (app label, operation); it need not be one that runs."""
        label, name = self.random.choice(self.keys)
        made = self.random.choice(self.makers())(label, name)
        return made if isinstance(made, tuple) else (label, made)

    def makers(self) -> list[Any]:
        fields = (
            [self.add_field] * 3
            + [self.add_generated]
            + [self.remove_field] * 2
            + [self.alter_field] * 3
            + [self.rename_field] * 2
        )
        models_of = (
            [self.create] * 3 + [self.delete] * 2 + [self.rename] * 2 + [self.table, self.options, self.managers]
        )
        options = [self.together, self.order, self.comment]
        return (
            fields
            + models_of
            + options
            + [self.add_index, self.add_constraint, self.drop, self.drop, self.rename_index, self.apart]
            + [self.alter_constraint, self.fill, self.fill]
        )

    def target(self) -> str:
        return ".".join(self.random.choice(self.keys))

    def names(self, label: str, name: str) -> list[str]:
        return list(self.state.models[label, name].fields)

    def numbers(self, label: str, name: str) -> list[str]:
        """Return the names of the fields that hold a number, and are no key."""
        fields = self.state.models[label, name].fields
        return [
            one for one, field in fields.items() if isinstance(field, models.IntegerField) and not field.primary_key
        ]

    def field(self) -> models.Field[Any, Any]:
        column = {"db_column": "shared"} if self.random.random() < 0.15 else {}
        target = self.target()
        return self.random.choice(
            [
                lambda: models.IntegerField(default=3, **column),
                lambda: models.BigIntegerField(null=True, **column),
                lambda: models.IntegerField(db_default=5, **column),
                lambda: models.CharField(max_length=30, default="x", **column),
                lambda: models.CharField(max_length=9, null=True, db_index=True, **column),
                lambda: models.ForeignKey(target, models.CASCADE, null=True, related_name="+", **column),
                lambda: models.OneToOneField(target, models.CASCADE, null=True, related_name="+", **column),
                lambda: models.ManyToManyField(target, related_name="+"),
            ]
        )()

    # -- fields -----------------------------------------------------------------------------------------------------

    def add_field(self, label: str, name: str) -> Operation:
        return migrations.AddField(name, self.random.choice(FIELDS), self.field())

    def add_generated(self, label: str, name: str) -> Operation:
        from_what = self.random.choice(self.numbers(label, name) or ["id"])
        made = models.GeneratedField(
            expression=models.F(from_what) + 1, output_field=models.BigIntegerField(), db_persist=True
        )
        return migrations.AddField(name, self.random.choice(FIELDS[:4]), made)

    def fill(self, label: str, name: str) -> Operation:
        numbers = self.numbers(label, name) or ["id"]
        return Declared(label, name, self.random.choice(numbers), self.random.choice(["", *numbers]))

    def remove_field(self, label: str, name: str) -> Operation:
        names = [one for one in self.names(label, name) if one != "id"]
        return migrations.RemoveField(name, self.random.choice(names or ["id"]))

    def alter_field(self, label: str, name: str) -> Operation:
        chosen = self.random.choice(self.names(label, name) or ["id"])
        if chosen == "id":
            kind = self.random.choice([models.AutoField, models.BigAutoField, models.SmallAutoField])
            return migrations.AlterField(name, "id", kind(primary_key=True))
        old = self.state.models[label, name].fields.get(chosen)
        if old is not None and old.remote_field and not old.many_to_many and self.random.random() < 0.6:
            new = old.clone()
            new.remote_field.model = self.target()
            return migrations.AlterField(name, chosen, new)
        return migrations.AlterField(name, chosen, self.field())

    def rename_field(self, label: str, name: str) -> Operation:
        return migrations.RenameField(
            name, self.random.choice(self.names(label, name) or ["id"]), self.random.choice((*FIELDS, "renamed"))
        )

    # -- models -----------------------------------------------------------------------------------------------------

    def create(self, label: str, name: str) -> Labelled:
        app, made = self.random.choice(("alpha", "beta")), self.random.choice(MODELS)
        kind = self.random.random()
        options = {"db_table": self.random.choice(TABLES)} if self.random.random() < 0.2 else {}
        if kind < 0.2:
            return app, migrations.CreateModel(made, [], {"proxy": True}, (f"{label}.{name}",))
        fields = [(one, self.field()) for one in self.random.sample(FIELDS[:4], self.random.randint(0, 2))]
        if kind < 0.3:
            both = [(one, models.IntegerField()) for one in FIELDS[:2]]
            return app, migrations.CreateModel(
                made, [("pk", models.CompositePrimaryKey(*FIELDS[:2])), *both], options
            )
        if kind < 0.45:
            link = models.OneToOneField(
                f"{label}.{name}",
                models.CASCADE,
                auto_created=True,
                parent_link=True,
                primary_key=True,
                serialize=False,
            )
            return app, migrations.CreateModel(made, [("link", link), *fields], options, (f"{label}.{name}",))
        return app, migrations.CreateModel(made, [("id", models.BigAutoField(primary_key=True)), *fields], options)

    def delete(self, label: str, name: str) -> Operation:
        return migrations.DeleteModel(name)

    def rename(self, label: str, name: str) -> Operation:
        return migrations.RenameModel(self.state.models[label, name].name, self.random.choice(MODELS))

    def table(self, label: str, name: str) -> Operation:
        return migrations.AlterModelTable(name, self.random.choice((*TABLES, None)))

    def options(self, label: str, name: str) -> Operation:
        chosen = self.random.choice([{"verbose_name": "thing"}, {"ordering": ["id"]}, {"managed": False}])
        return migrations.AlterModelOptions(name, chosen)

    def managers(self, label: str, name: str) -> Operation:
        return migrations.AlterModelManagers(name, [("things", models.Manager())])

    def comment(self, label: str, name: str) -> Operation:
        return migrations.AlterModelTableComment(name, "told")

    def some_fields(self, label: str, name: str, count: int) -> tuple[str, ...]:
        names = self.names(label, name) or ["id"]
        return tuple(self.random.sample(names, min(count, len(names))))

    def together(self, label: str, name: str) -> Operation:
        chosen = {self.some_fields(label, name, 2)} if self.random.random() < 0.7 else set()
        return migrations.AlterUniqueTogether(name, chosen)

    def order(self, label: str, name: str) -> Operation:
        relations = [one for one in self.names(label, name) if self.state.models[label, name].fields[one].many_to_one]
        return migrations.AlterOrderWithRespectTo(name, self.random.choice([*relations, None]))

    def apart(self, label: str, name: str) -> Labelled:
        inner_label, inner = self.operation()
        return inner_label, migrations.SeparateDatabaseAndState(state_operations=[inner])

    # -- indexes ----------------------------------------------------------------------------------------------------

    def add_index(self, label: str, name: str) -> Operation:
        chosen = list(self.some_fields(label, name, self.random.randint(1, 2)))
        return migrations.AddIndex(name, models.Index(fields=chosen, name=self.random.choice(INDEXES)))

    def add_constraint(self, label: str, name: str) -> Operation:
        chosen, called = self.some_fields(label, name, 2), self.random.choice(INDEXES)
        if self.random.random() < 0.5:
            return migrations.AddConstraint(name, models.UniqueConstraint(fields=chosen, name=called))
        check = models.Q(**{f"{chosen[0]}__isnull": False}) | models.Q(pk__gte=0)
        return migrations.AddConstraint(name, models.CheckConstraint(condition=check, name=called))

    def alter_constraint(self, label: str, name: str) -> Labelled:
        found: list[Labelled] = []
        for (app, model), state in sorted(self.state.models.items()):
            for one in state.options.get("constraints", ()):
                new = one.clone()
                new.violation_error_message = "told"
                found.append((app, migrations.AlterConstraint(model, one.name, new)))
        return self.random.choice(found or [(label, self.options(label, name))])

    def drop(self, label: str, name: str) -> Labelled:
        found: list[Labelled] = []
        for (app, model), state in sorted(self.state.models.items()):
            found += [(app, migrations.RemoveIndex(model, one.name)) for one in state.options.get("indexes", ())]
            found += [
                (app, migrations.RemoveConstraint(model, one.name)) for one in state.options.get("constraints", ())
            ]
        return self.random.choice(found or [(label, self.options(label, name))])

    def rename_index(self, label: str, name: str) -> Labelled:
        found: list[Labelled] = [
            (app, migrations.RenameIndex(model, self.random.choice(INDEXES), old_name=one.name))
            for (app, model), state in sorted(self.state.models.items())
            for one in state.options.get("indexes", ())
        ]
        return self.random.choice(found or [(label, self.options(label, name))])
