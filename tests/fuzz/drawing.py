"""Random histories, each from one seed; what Django's state or checks refuse is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ModelState, ProjectState
from django.test.utils import override_settings

from chronomig.state.copies import with_base_renamed
from tests.fuzz.columns import NUMBERS, Columns, quoted
from tests.fuzz.histories import History, Written, operation_of
from tests.fuzz.stock import copied
from tests.modelsets import checks_of

APPS = ("alpha", "beta", "gamma")
NAMES = ("Item", "Box", "Tag", "Note", "Leaf")
USER = "beta.User"
CODE = (
    "creating",
    "creating",
    "creating",
    "updating",
    "deleting",
    "emptying",
    "relating",
    "walking",
    "walking",
    "looking",
)
SCALARS = ("CharField", "TextField", "IntegerField", "BigIntegerField", "SmallIntegerField")
"""Types whose values can be turned into those of the others, as far as the database agrees."""


class NoWay(Exception):
    """What was drawn is not possible here."""


TRIES = 100
"""After so many draws that Django does not accept, the models are such that it will accept none."""


class Draw:
    """Draws one history for one kind of database."""

    def __init__(self, seed: int, connection: BaseDatabaseWrapper, *, size: int = 12) -> None:
        self.random = Random(f"{seed} {connection.vendor}")
        self.seed = seed
        self.connection = connection
        self.size = size
        self.columns = Columns(self.random)
        self.chance = self.columns.chance
        self.state = ProjectState()
        self.app = ""
        self.user = self.random.choice(("auth.User", USER, USER))

    def history(self) -> History:
        with override_settings(AUTH_USER_MODEL=self.user):
            drawn = [self.migration() for _ in range(self.random.randint(3, self.size))]
        written = tuple(one for one in drawn if one.operations)
        return History(self.seed, written, self.random.randrange(len(written)), self.user)

    def migration(self) -> Written:
        self.app = self.random.choice(APPS)
        count = self.random.choice((1, 1, 2, 2, 3, 4, 6))
        operations = [text for _ in range(count) for text in self.operations()]
        return Written(self.app, tuple(operations), atomic=self.chance(0.85))

    def operations(self) -> list[str]:
        """Draw what Django accepts at this point: an operation, or some that belong together; none at a dead end."""
        for _ in range(TRIES):
            try:
                texts = self.random.choice(self.choices())()
                self.state = self.after(texts)
            except Exception:  # whatever a field, a state or a registry raises: it is not valid here
                continue
            return texts
        return []

    def after(self, texts: list[str]) -> ProjectState:
        """Return the state after the operations, their models checked; raise what is wrong with them."""
        state = ProjectState({key: copied(model) for key, model in self.state.models.items()})
        for text in texts:
            operation = operation_of(text)
            if "RenameModel(" in text:  # Django leaves the bases of children as they were
                for model in state.models.values():
                    model.bases = with_base_renamed(
                        model, (self.app, operation.old_name_lower), f"{self.app}.{operation.new_name}"
                    )
            operation.state_forwards(self.app, state)
        changed = [key for key, model in state.models.items() if self.is_other(key, model)]
        for key in changed:
            problems = checks_of(state.apps.get_model(*key))
            if any(problem.level >= 40 for problem in problems):
                raise NoWay
        self.refuse_same_tables(state)
        return state

    def refuse_same_tables(self, state: ProjectState) -> None:
        models = state.apps.get_models(include_auto_created=True)
        tables = [one._meta.db_table.lower() for one in models if not one._meta.proxy]
        if len(set(tables)) < len(tables):
            raise NoWay

    def is_other(self, key: tuple[str, str], model: ModelState) -> bool:
        return key not in self.state.models or repr(model.__dict__) != repr(self.state.models[key].__dict__)

    def choices(self) -> list[Callable[[], list[str]]]:
        few = len(self.mine()) < 2
        return [
            *[self.create_model] * (8 if few else 3),
            *[self.add_field] * 4,
            *[self.alter_field] * 4,
            *[self.run_python] * 6,
            *[self.remove_field, self.rename_field, self.rename_model] * 2,
            self.delete_model,
            self.alter_table,
            self.alter_together,
            self.alter_options,
            self.alter_managers,
            self.alter_order,
            self.alter_comment,
            self.add_index,
            self.remove_index,
            self.rename_index,
            self.add_constraint,
            self.remove_constraint,
            self.separate,
            self.state_only,
            self.into_through,
            self.run_sql,
        ]  # fmt: skip

    # What there is

    def mine(self) -> list[ModelState]:
        return [one for one in self.there() if one.app_label == self.app]

    def there(self) -> list[ModelState]:
        """Return the models, seldom those without a table: not managed, or swapped for another."""
        odd = self.chance(0.03)
        return [one for one in self.state.models.values() if odd or self.has_table(one)]

    def has_table(self, model: ModelState) -> bool:
        swapped = "swappable" in model.options and f"{model.app_label}.{model.name}".lower() != self.user.lower()
        return not swapped and bool(model.options.get("managed", True))

    def some(self, *, proxy: bool = False) -> ModelState:
        found = [one for one in self.mine() if proxy or not one.options.get("proxy")]
        return self.random.choice(found)

    def labels(self) -> list[str]:
        return [f"{one.app_label}.{one.name}" for one in self.there()]

    def target(self) -> str:
        """Draw a model that a relation can lead to."""
        if self.user == USER and ("beta", "user") in self.state.models and self.chance(0.3):
            return "settings.AUTH_USER_MODEL"
        return self.random.choice(self.labels())

    def fields(self, model: ModelState, *kinds: str) -> list[str]:
        return [
            name
            for name, field in model.fields.items()
            if not field.primary_key and (not kinds or type(field).__name__ in kinds)
        ]

    def stored(self, model: ModelState) -> list[str]:
        return [name for name in self.fields(model) if not model.fields[name].many_to_many]

    def free_name(self, model: ModelState) -> str:
        return self.random.choice([name for name in map("f{}".format, range(1, 10)) if name not in model.fields])

    # Models

    def create_model(self) -> list[str]:
        taken = {model.name for model in self.mine()}
        names = [name for name in (*NAMES, *(["User"] if self.app == "beta" else [])) if name not in taken]
        name = self.random.choice(names)
        kind = self.random.choice(("plain",) * 6 + ("child", "child", "proxy", "through"))
        return [getattr(self, f"create_{kind}")(name)]

    def create_plain(self, name: str) -> str:
        fields = [] if self.chance(0.03) else [f"('id', {self.columns.key()})"]
        if self.chance(0.05):
            fields = [
                "('pk', models.CompositePrimaryKey('f8', 'f9'))",
                "('f8', models.IntegerField(default=1))",
                "('f9', models.IntegerField(default=1))",
            ]
        fields += self.new_fields(name, self.random.randint(0, 4))
        bases = self.random.choice(
            ("", "", "", "", ", bases=(support.Plain, models.Model)", ", bases=(support.Marked,)")
        )
        return f"migrations.CreateModel({name!r}, [{', '.join(fields)}]{self.options(name, fields)}{bases}{self.managers()})"

    def new_fields(self, name: str, count: int) -> list[str]:
        numbers = self.random.sample(range(1, 8), count)
        return [f"('f{number}', {self.new_field(name)})" for number in numbers]

    def new_field(self, name: str = "") -> str:
        if not self.state.models or self.chance(0.5):
            return self.columns.plain()
        target = f"{self.app}.{name}" if name and self.chance(0.1) else self.target()
        if self.chance(0.25):
            return self.columns.many(target)
        return self.columns.relation(target, self.unique_field_of(target) if self.chance(0.2) else "")

    def unique_field_of(self, target: str) -> str:
        label, _, name = target.partition(".")
        model = self.state.models.get((label, name.lower()))
        names = [one for one in self.fields(model) if model.fields[one].unique] if model else []
        return self.random.choice(names) if names else ""

    def create_child(self, name: str) -> str:
        base = self.random.choice(self.labels())
        link = f"{base.partition('.')[2].lower()}_ptr"
        options = "auto_created=True, on_delete=models.CASCADE, parent_link=True, primary_key=True, serialize=False"
        fields = [f"({link!r}, models.OneToOneField({base!r}, {options}))"] if self.chance(0.8) else []
        fields += [
            f"('g{self.random.randint(1, 9)}', {self.columns.plain()})" for _ in range(self.random.randint(0, 1))
        ]
        return f"migrations.CreateModel({name!r}, [{', '.join(fields)}], bases=({base!r},))"

    def create_proxy(self, name: str) -> str:
        base = self.random.choice(self.labels())
        return f"migrations.CreateModel({name!r}, [], options={{'proxy': True}}, bases=({base!r},){self.managers()})"

    def create_through(self, name: str) -> str:
        ends = [
            f"('{end}', models.ForeignKey({quoted(self.target())}, models.CASCADE, related_name='+'))"
            for end in ("left", "right")
        ]
        return f"migrations.CreateModel({name!r}, [('id', {self.columns.key()}), {', '.join(ends)}])"

    def options(self, name: str, fields: list[str]) -> str:
        own = [one.split("'")[1] for one in fields if "Key(primary" not in one and "ManyToMany" not in one]
        own = [one for one in own if one != "pk"]
        drawn = []
        if len(own) > 1 and self.chance(0.15):
            drawn.append(f"'unique_together': {{{tuple(own[:2])!r}}}")
        if own and self.chance(0.15):
            drawn.append(f"'indexes': [models.Index(fields={own[-1:]!r}, name={self.name_of('ix')!r})]")
        if own and self.chance(0.15):
            drawn.append(
                f"'constraints': [models.UniqueConstraint(fields={own[-2:]!r}, name={self.name_of('uq')!r})]"
            )
        if self.chance(0.1):
            drawn.append(f"'db_table': 'table_{self.random.randint(1, 20)}'")
        if self.chance(0.1):
            drawn.append("'db_table_comment': 'of a table'")
        if own and self.chance(0.15):
            drawn.append(f"'ordering': [{own[0]!r}]")
        if name == "User" or self.chance(0.03):
            drawn.append("'swappable': 'AUTH_USER_MODEL'")
        if self.chance(0.05):
            drawn.append("'default_related_name': 'of_%(model_name)s'")
        return f", options={{{', '.join(drawn)}}}" if drawn else ""

    def managers(self) -> str:
        if self.chance(0.8):
            return ""
        kind = self.random.choice(("support.Keeper(limit=3)", "support.ShoutingKeeper()", "models.Manager()"))
        return f", managers=[('{self.random.choice(('objects', 'kept'))}', {kind})]"

    def name_of(self, prefix: str) -> str:
        return f"{prefix}_{self.random.randint(1, 999)}"

    def delete_model(self) -> list[str]:
        return [f"migrations.DeleteModel({self.some(proxy=True).name!r})"]

    def rename_model(self) -> list[str]:
        model = self.some(proxy=True)
        # Django loses a model that is renamed to what it is called.
        new = self.random.choice([name for name in (*NAMES, "Other", "Third") if name.lower() != model.name_lower])
        return [f"migrations.RenameModel({model.name!r}, {new!r})"]

    def alter_table(self) -> list[str]:
        table = self.random.choice((repr(f"table_{self.random.randint(1, 20)}"), "None"))
        return [f"migrations.AlterModelTable({self.some().name!r}, {table})"]

    def alter_comment(self) -> list[str]:
        text = self.random.choice(("'another'", "'one'", "None"))
        return [f"migrations.AlterModelTableComment({self.some().name!r}, {text})"]

    def alter_options(self) -> list[str]:
        model = self.some(proxy=True)
        names = self.stored(model)
        drawn = [f"'verbose_name': 'v {self.random.randint(1, 3)}'"]
        if names and self.chance(0.4):
            drawn.append(f"'ordering': [{self.random.choice(names)!r}]")
        if names and self.chance(0.2) and any(model.fields[name].is_relation for name in names):
            drawn.append("'get_latest_by': 'pk'")
        if any(name == "kept" for name, _ in model.managers) and self.chance(0.3):
            drawn.append("'base_manager_name': 'kept'")
        return [f"migrations.AlterModelOptions({model.name!r}, {{{', '.join(drawn)}}})"]

    def alter_managers(self) -> list[str]:
        given = self.managers().partition("managers=")[2] or "[]"
        return [f"migrations.AlterModelManagers({self.some(proxy=True).name!r}, {given})"]

    def alter_together(self) -> list[str]:
        model = self.some()
        names = self.stored(model)
        drawn = {tuple(self.random.sample(names, 2))} if len(names) > 1 and self.chance(0.7) else set()
        return [f"migrations.AlterUniqueTogether({model.name!r}, {drawn!r})"]

    def alter_order(self) -> list[str]:
        model = self.some()
        names = self.fields(model, "ForeignKey", "OneToOneField")
        return [f"migrations.AlterOrderWithRespectTo({model.name!r}, {self.random.choice([*names, None])!r})"]

    # Fields

    def add_field(self) -> list[str]:
        model = self.some()
        field = self.new_field(model.name)
        numbers = self.fields(model, *NUMBERS)
        if numbers and self.chance(0.1):
            field = self.columns.generated(self.random.choice(numbers))
        throughs = [one for one in self.state.models.values() if "left" in one.fields and "right" in one.fields]
        if throughs and self.chance(0.15):
            through = self.random.choice(throughs)
            to = through.fields["right"].remote_field.model
            field = self.columns.many(str(to), f"{through.app_label}.{through.name}", ("left", "right"))
        if "unique=True" in field and self.chance(0.8):
            field = field.replace("unique=True", "unique=True, null=True").replace(
                "null=True, null=True", "null=True"
            )
            field = ", ".join(part for part in field.split(", ") if not part.startswith("default=") or "(" in part)
        self.avoid(field.startswith(("models.ForeignKey", "models.OneToOne")) and "null=True" not in field)
        preserve = self.random.choice(("", "", "", ", preserve_default=False"))
        return [f"migrations.AddField({model.name!r}, {self.free_name(model)!r}, {field}{preserve})"]

    def remove_field(self) -> list[str]:
        model = self.some()
        name = self.random.choice(self.fields(model))
        self.avoid(
            model.fields[name].is_relation and not model.fields[name].null and not model.fields[name].many_to_many
        )
        return [f"migrations.RemoveField({model.name!r}, {name!r})"]

    def avoid(self, unlikely: bool) -> None:
        """Draw again, mostly, where rows would stand in the way."""
        if unlikely and self.chance(0.9):
            raise NoWay

    def rename_field(self) -> list[str]:
        model = self.some()
        names = self.fields(model) if self.chance(0.9) else list(model.fields)
        new = self.free_name(model) if self.chance(0.9) else "renamed"
        return [f"migrations.RenameField({model.name!r}, {self.random.choice(names)!r}, {new!r})"]

    def alter_field(self) -> list[str]:
        model = self.some()
        name = self.random.choice(list(model.fields))
        field = model.fields[name]
        if field.primary_key:
            if field.is_relation or self.chance(0.5):
                raise NoWay
            new = self.random.choice(
                (
                    "models.BigAutoField(primary_key=True)",
                    "models.AutoField(primary_key=True)",
                    "models.CharField(max_length=40, primary_key=True)",
                )
            )
        elif field.many_to_many:
            through = field.remote_field.through
            new = self.columns.many(str(field.remote_field.model), str(through) if through else "")
        elif field.is_relation:
            same = str(field.remote_field.model)
            new = (
                self.columns.relation(same if self.chance(0.6) else self.target())
                if self.chance(0.85)
                else self.columns.plain("IntegerField")
            )
        elif field.generated:
            raise NoWay
        else:
            kind = type(field).__name__
            new = self.columns.plain(self.random.choice(SCALARS) if kind in SCALARS and self.chance(0.4) else kind)
        self.avoid(field.null and "null=True" not in new)
        self.avoid("unique=True" in new and not field.unique)
        return [f"migrations.AlterField({model.name!r}, {name!r}, {new})"]

    # Indexes and constraints

    def add_index(self) -> list[str]:
        model = self.some()
        names = self.random.sample(self.stored(model), self.random.choice((1, 1, 2)))
        if self.chance(0.3):
            names[0] = f"-{names[0]}"
        condition = ", condition=models.Q(pk__gt=0)" if self.chance(0.15) else ""
        index = f"models.Index(fields={names!r}, name={self.name_of('ix')!r}{condition})"
        if self.chance(0.2):
            index = f"models.Index(models.F({names[0].lstrip('-')!r}).desc(), name={self.name_of('ix')!r})"
        return [f"migrations.AddIndex({model.name!r}, {index})"]

    def remove_index(self) -> list[str]:
        model, name = self.option("indexes")
        return [f"migrations.RemoveIndex({model.name!r}, {name!r})"]

    def rename_index(self) -> list[str]:
        model, name = self.option("indexes")
        return [f"migrations.RenameIndex({model.name!r}, new_name={self.name_of('ix')!r}, old_name={name!r})"]

    def option(self, name: str) -> tuple[ModelState, str]:
        found = [(model, one.name) for model in self.mine() for one in model.options.get(name, ())]
        return self.random.choice(found)

    def add_constraint(self) -> list[str]:
        model = self.some()
        numbers = self.fields(model, *NUMBERS)
        name = self.name_of("cn")
        if numbers and self.chance(0.5):
            made = f"models.CheckConstraint(condition=models.Q({self.random.choice(numbers)}__gte=0), name={name!r})"
        else:
            names = self.random.sample(self.stored(model), self.random.choice((1, 2)))
            more = self.random.choice(
                ("", "", ", condition=models.Q(pk__gt=1000)", ", deferrable=models.Deferrable.DEFERRED")
            )
            made = f"models.UniqueConstraint(fields={names!r}, name={name!r}{more})"
        return [f"migrations.AddConstraint({model.name!r}, {made})"]

    def remove_constraint(self) -> list[str]:
        model, name = self.option("constraints")
        return [f"migrations.RemoveConstraint({model.name!r}, {name!r})"]

    # The others

    def run_python(self) -> list[str]:
        there, back = self.code(), self.code()
        return [f"migrations.RunPython({there}, {back})"]

    def code(self) -> str:
        models = self.labels()
        own = [label for label in models if label.startswith(self.app)] or models
        name = self.random.choice(own if self.chance(0.6) else models)
        return f"support.{self.random.choice(CODE)}({name!r}, {self.random.randint(1, 9999)})"

    def separate(self) -> list[str]:
        """Draw operations that both the database and the state get, each its own."""
        texts = [text for _ in range(self.random.choice((1, 2))) for text in self.single()]
        both = ", ".join(texts)
        return [f"migrations.SeparateDatabaseAndState(database_operations=[{both}], state_operations=[{both}])"]

    def single(self) -> list[str]:
        return self.random.choice(
            (
                self.add_field,
                self.alter_field,
                self.remove_field,
                self.rename_field,
                self.create_model,
                self.add_index,
                self.alter_options,
            )
        )()

    def state_only(self) -> list[str]:
        """Draw what changes the state alone."""
        text = self.random.choice((self.alter_options, self.alter_managers, self.create_model_unmanaged))()[0]
        return [f"migrations.SeparateDatabaseAndState(state_operations=[{text}])"]

    def create_model_unmanaged(self) -> list[str]:
        name = self.random.choice(("Seen", "Viewed"))
        return [f"migrations.CreateModel({name!r}, [('id', {self.columns.key()})], options={{'managed': False}})"]

    def into_through(self) -> list[str]:
        """Draw the way from an automatic table of a many-to-many relation to a model of its own."""
        found = [
            (model, name)
            for model in self.mine()
            for name, field in model.fields.items()
            if field.many_to_many and not field.remote_field.through and not field.db_table
        ]
        model, name = self.random.choice(found)
        to = str(model.fields[name].remote_field.model)
        if to.lower() == f"{model.app_label}.{model.name_lower}":
            raise NoWay
        through, left, right = f"{model.name}{name}".title(), model.name_lower, to.partition(".")[2].lower()
        created = (
            f"migrations.CreateModel({through!r}, [('id', models.BigAutoField(primary_key=True)), "
            f"({left!r}, models.ForeignKey('{model.app_label}.{model.name}', models.CASCADE)), "
            f"({right!r}, models.ForeignKey({to!r}, models.CASCADE))], "
            f"options={{'db_table': '{self.table_of(model)}_{name}'}})"
        )
        altered = f"migrations.AlterField({model.name!r}, {name!r}, models.ManyToManyField({to!r}, through='{self.app}.{through}'))"
        return [f"migrations.SeparateDatabaseAndState(state_operations=[{created}, {altered}])"]

    def run_sql(self) -> list[str]:
        number = self.random.randint(1, 99)
        make, drop = f"CREATE TABLE extra_{number} (id integer NOT NULL PRIMARY KEY)", f"DROP TABLE extra_{number}"
        if self.chance(0.3):
            state = f"migrations.CreateModel('Extra{number}', [('id', models.IntegerField(primary_key=True))], options={{'db_table': 'extra_{number}'}})"
            return [f"migrations.RunSQL({make!r}, {drop!r}, state_operations=[{state}])"]
        model = self.some()
        names = self.fields(model, *NUMBERS)
        if names and self.chance(0.6):
            column = model.fields[self.random.choice(names)].db_column or names[0]
            change = f"UPDATE {self.table_of(model)} SET {column} = {column}"
            return [f"migrations.RunSQL({change!r}, migrations.RunSQL.noop)"]
        return [
            f"migrations.RunSQL({make!r}, {drop!r})",
            f"migrations.RunSQL('INSERT INTO extra_{number} VALUES ({number})', 'DELETE FROM extra_{number}')",
        ]

    def table_of(self, model: ModelState) -> str:
        table: Any = self.state.apps.get_model(model.app_label, model.name)._meta.db_table
        return str(table)


def histories(connection: BaseDatabaseWrapper, seeds: Iterator[int], *, size: int = 12) -> Iterator[History]:
    for seed in seeds:
        yield Draw(seed, connection, size=size).history()
