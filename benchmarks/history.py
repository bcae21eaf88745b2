"""A made-up project in memory: its apps and models, and the migrations that led to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Key = tuple[str, str]
"""(app label, name of a migration)"""

USER = "settings.AUTH_USER_MODEL"
NEEDS_USER: Key = ("", "AUTH_USER_MODEL")
"""Stands for the first migration of whatever app holds the user model."""
ID = 'models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")'


@dataclass
class Model:
    """A model as it stands at the end of what was written so far; fields are kept as the source that makes them."""

    app: str
    name: str
    fields: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)
    constraints: dict[str, str] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=lambda: {"name"})
    """Fields that stay, because an index, a constraint or code names them."""
    _used: int = 0

    def unused(self, prefix: str) -> str:
        """Return a name that this model never had."""
        self._used += 1
        return f"{prefix}_{self._used}"

    def relation(self, column: str, target: str, kind: str = "ForeignKey") -> str:
        """Return the source of a relation to *target*, which is an expression."""
        related = f'related_name="{self.app}_{self.name.lower()}_{column}"'
        if kind == "ManyToManyField":
            return f"models.ManyToManyField({target}, {related})"
        return f"models.{kind}({target}, on_delete=django.db.models.deletion.CASCADE, {related}, null=True)"

    @property
    def reference(self) -> str:
        return f'"{self.app}.{self.name}"'

    def create(self) -> str:
        """Return the source of the CreateModel that makes it as it stands."""
        lines = [f'            ("{name}", {source}),' for name, source in {"id": ID, **self.fields}.items()]
        return "\n".join([f'migrations.CreateModel("{self.name}", [', *lines, "        ])"])

    def source(self) -> str:
        """Return the class as it stands in models.py."""
        lists = {"indexes": self.indexes, "constraints": self.constraints}
        meta = {**self.options, **{key: f"[{', '.join(one.values())}]" for key, one in lists.items() if one}}
        lines = [f"    {name} = {source}" for name, source in self.fields.items()]
        if meta:
            lines += ["", "    class Meta:", *(f"        {key} = {value}" for key, value in meta.items())]
        return f"class {self.name}(models.Model):\n" + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Migration:
    """One migration as an app of stock Django has it."""

    app: str
    name: str
    operations: tuple[str, ...]
    needs: frozenset[Key]
    code: str = ""
    """What stands above the class: the functions of a RunPython."""

    @property
    def key(self) -> Key:
        return self.app, self.name


class History:
    """Migrations in the order in which they were written; the *base* is there before a measurement, the *tail* moves."""

    def __init__(self, apps: Sequence[str]) -> None:
        self.models: dict[str, list[Model]] = {app: [] for app in apps}
        self.migrations: list[Migration] = []
        self.base_count = 0
        self._newest: dict[str, tuple[int, Key]] = {}
        """{app label: (how many migrations it has, the last of them)}"""

    @property
    def apps(self) -> list[str]:
        return list(self.models)

    @property
    def base(self) -> list[Migration]:
        return self.migrations[: self.base_count]

    @property
    def tail(self) -> list[Migration]:
        return self.migrations[self.base_count :]

    @property
    def operation_count(self) -> int:
        """How many operations the tail has."""
        return sum(len(one.operations) for one in self.tail)

    @property
    def model_count(self) -> int:
        return sum(map(len, self.models.values()))

    def begin_tail(self) -> None:
        """Make what is written from here on the tail."""
        self.base_count = len(self.migrations)

    def model(self, app: str, name: str) -> Model:
        made = Model(app, name)
        self.models[app].append(made)
        return made

    def latest(self, app: str) -> Key | None:
        """Return the newest migration of *app*, None when there is none."""
        return self._newest[app][1] if app in self._newest else None

    def write(
        self, app: str, slug: str, operations: Sequence[str], needs: Iterable[Key] = (), code: str = ""
    ) -> Migration:
        """Append a migration of *app*, which also needs the one before it."""
        number, before = self._newest.get(app, (0, None))
        together = frozenset(needs) | ({before} if before else set())
        made = Migration(app, f"{number + 1:04}_{slug}", tuple(operations), together, code)
        self.migrations.append(made)
        self._newest[app] = number + 1, made.key
        return made
