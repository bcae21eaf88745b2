"""What developers do to models, at random but the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from benchmarks.history import NEEDS_USER, USER, History, Key, Model

FIELDS: dict[str, Callable[[Random], str]] = {
    "char": lambda rng: f"models.CharField(max_length={rng.randrange(20, 250)}, blank=True, default='', db_index={rng.random() < 0.2})",
    "int": lambda rng: f"models.IntegerField(default={rng.randrange(100)}, null={rng.random() < 0.5})",
    "flag": lambda rng: f"models.BooleanField(default={rng.random() < 0.5}, help_text='{rng.randrange(1000)}')",
    "when": lambda rng: f"models.DateTimeField(null=True, db_index={rng.random() < 0.3}, help_text='{rng.randrange(1000)}')",
    "price": lambda rng: f"models.DecimalField(max_digits={rng.randrange(8, 20)}, decimal_places=2, default=0)",
    "text": lambda rng: f"models.TextField(blank=True, default='', help_text='{rng.randrange(1000)}')",
}  # fmt: skip
OFTEN = {
    "add": 30, "alter": 26, "remove": 11, "relate": 8, "index": 8, "rename": 6, "unindex": 3, "constrain": 3,
    "retitle": 3, "relate_many": 2,
}  # fmt: skip
"""How often each change is made, out of a hundred."""

CODE = """\
def forwards(apps, schema_editor):
    rows = apps.get_model("{app}", "{model}").objects.using(schema_editor.connection.alias)
    rows.create(name="row {number}")
    rows.filter(name="").update(name="-")
    for row in rows.select_related({related})[:10]:
        row.save(update_fields=["name"])


"""
RUN_CODE = "migrations.RunPython(forwards, migrations.RunPython.noop)"


class Developer:
    """Writes migrations into a history."""

    def __init__(self, history: History, seed: int = 0) -> None:
        self.history = history
        self.rng = Random(seed)
        self.pool: list[Model] = []
        """Models that others may refer to: their migration is written."""

    def create_models(self, app: str, count: int, slug: str = "initial") -> None:
        """Write one migration that creates *count* new models."""
        made = [self._new_model(app) for _ in range(count)]
        needs = {need for _, needed in made for need in needed}
        self.history.write(app, slug or made[0][0].name.lower(), [model.create() for model, _ in made], needs)

    def change(self, app: str) -> None:
        """Write one migration with one to three changes of one model of *app*."""
        model = self.rng.choice(self.history.models[app])
        operations, needs = [], set()
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            operation, needed = self._change(model)
            operations.append(f"migrations.{operation}")
            needs |= needed
        self.history.write(app, f"change_{model.name.lower()}", operations, needs)

    def run_code(self, app: str) -> None:
        """Write one migration with a RunPython that uses the ORM: insert, update, follow a relation, save."""
        model = self.rng.choice(self.history.models[app])
        related = next((name for name, source in model.fields.items() if "ForeignKey(" in source), "")
        code = CODE.format(
            app=app,
            model=model.name,
            number=len(self.history.migrations),
            related=f'"{related}"' if related else "",
        )
        self.history.write(app, f"fill_{model.name.lower()}", [RUN_CODE], code=code)

    def _new_model(self, app: str) -> tuple[Model, set[Key]]:
        model = self.history.model(app, f"Model{self.history.model_count:04}")
        model.fields["name"] = "models.CharField(max_length=100)"
        for kind in self.rng.choices(list(FIELDS), k=self.rng.randrange(3, 9)):
            model.fields[model.unused(kind)] = FIELDS[kind](self.rng)
        needs: set[Key] = set()
        if self.rng.random() < 0.4:
            column = model.unused("user")
            model.fields[column] = model.relation(column, USER)
            needs.add(NEEDS_USER)
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            needs |= self._relate(model)[1]
        self.pool.append(model)
        return model, needs

    def _change(self, model: Model) -> tuple[str, set[Key]]:
        """Make one change; return its operation and what else that needs."""
        kind = self.rng.choices(list(OFTEN), list(OFTEN.values()))[0]
        if kind in ("relate", "relate_many"):
            column, needs = self._relate(model, "ManyToManyField" if kind == "relate_many" else "ForeignKey")
            if column:
                return f'AddField("{model.name}", "{column}", {model.fields[column]})', needs
        makers = {
            "alter": self._alter, "remove": self._remove, "rename": self._rename, "index": self._index,
            "unindex": self._unindex, "constrain": self._constrain, "retitle": self._retitle,
        }  # fmt: skip
        return makers.get(kind, self._add)(model) or self._add(model), set()

    def _relate(self, model: Model, kind: str = "ForeignKey") -> tuple[str, set[Key]]:
        """Refer to a model, every second time one of the same app; return the field and what it needs."""
        near = [other for other in self.pool if other.app == model.app]
        targets = near if near and self.rng.random() < 0.5 else self.pool
        if not targets:
            return "", set()
        target = self.rng.choice(targets)
        column = model.unused("many" if kind == "ManyToManyField" else "link")
        model.fields[column] = model.relation(column, target.reference, kind)
        latest = self.history.latest(target.app)
        return column, {latest} if latest and target.app != model.app else set()

    def _add(self, model: Model) -> str:
        kind = self.rng.choice(list(FIELDS))
        column = model.unused(kind)
        model.fields[column] = FIELDS[kind](self.rng)
        return f'AddField("{model.name}", "{column}", {model.fields[column]})'

    def _alter(self, model: Model) -> str:
        column = self._plain_column(model)
        if not column:
            return ""
        before = model.fields[column]
        while model.fields[column] == before:
            model.fields[column] = FIELDS[column.partition("_")[0]](self.rng)
        return f'AlterField("{model.name}", "{column}", {model.fields[column]})'

    def _remove(self, model: Model) -> str:
        free = [column for column in model.fields if column not in model.pinned]
        if not free:
            return ""
        column = self.rng.choice(free)
        del model.fields[column]
        return f'RemoveField("{model.name}", "{column}")'

    def _rename(self, model: Model) -> str:
        old = self._plain_column(model)
        if not old:
            return ""
        new = model.unused(old.partition("_")[0])
        model.fields[new] = model.fields.pop(old)
        return f'RenameField("{model.name}", "{old}", "{new}")'

    def _index(self, model: Model) -> str:
        column = self._plain_column(model)
        if not column:
            return ""
        model.pinned.add(column)
        name = f"{model.app}_{model.name.lower()}_{model.unused('i')}"
        model.indexes[name] = f'models.Index(fields=["{column}"], name="{name}")'
        return f'AddIndex("{model.name}", {model.indexes[name]})'

    def _unindex(self, model: Model) -> str:
        if not model.indexes:
            return ""
        name = self.rng.choice(list(model.indexes))
        del model.indexes[name]
        return f'RemoveIndex("{model.name}", "{name}")'

    def _constrain(self, model: Model) -> str:
        column = self._plain_column(model)
        if not column:
            return ""
        model.pinned.add(column)
        name = f"{model.app}_{model.name.lower()}_{model.unused('u')}"
        model.constraints[name] = f'models.UniqueConstraint(fields=["name", "{column}"], name="{name}")'
        return f'AddConstraint("{model.name}", {model.constraints[name]})'

    def _retitle(self, model: Model) -> str:
        model.options["verbose_name"] = f'"{model.unused("title")}"'
        return f'AlterModelOptions("{model.name}", {{"verbose_name": {model.options["verbose_name"]}}})'

    def _plain_column(self, model: Model) -> str:
        """Return a field that is no relation and that nothing names, or an empty text."""
        free = [name for name in model.fields if name not in model.pinned and name.partition("_")[0] in FIELDS]
        return self.rng.choice(free) if free else ""
