"""Fields, drawn as text."""

from __future__ import annotations

from random import Random

PLAIN = {
    "IntegerField": "default=3",
    "BigIntegerField": "default=4",
    "SmallIntegerField": "default=5",
    "PositiveIntegerField": "default=6",
    "BooleanField": "default=True",
    "CharField": "max_length={length}, default='1'",
    "SlugField": "max_length={length}, default='2'",
    "TextField": "default='3'",
    "DecimalField": "max_digits={length}, decimal_places=2, default=Decimal('1.50')",
    "FloatField": "default=2.5",
    "DateField": "default=date(2020, 2, 29)",
    "DateTimeField": "default=datetime.fromisoformat('2020-02-29T12:00:00+00:00')",
    "TimeField": "default=time(12, 30)",
    "DurationField": "default=timedelta(hours=2)",
    "UUIDField": "default=UUID(int=7)",
    "JSONField": "default=dict",
    "BinaryField": "default=b'9'",
    "GenericIPAddressField": "default='10.0.0.1'",
    "EmailField": "default='a@b.de'",
    "URLField": "default='http://b.de'",
    "FileField": "default='a.txt'",
}
"""{class: the options that give it a value for rows that are there}"""
NUMBERS = ("IntegerField", "BigIntegerField", "SmallIntegerField", "PositiveIntegerField")
TEXTS = ("CharField", "SlugField", "TextField", "EmailField", "URLField")
UNINDEXED = ("TextField", "BinaryField", "JSONField", "GenericIPAddressField")
"""What MariaDB cannot index without a length, or what is not worth an index."""
DB_DEFAULTS = {
    "IntegerField": "11",
    "BigIntegerField": "12",
    "CharField": "'d'",
    "BooleanField": "False",
    "FloatField": "0.5",
}
KEYS = (
    "models.BigAutoField(primary_key=True)",
    "models.BigAutoField(primary_key=True)",
    "models.AutoField(primary_key=True)",
    "models.AutoField(primary_key=True, verbose_name='ID')",
    "models.SmallAutoField(primary_key=True)",
    "models.UUIDField(primary_key=True, default=UUID(int=5))",
    "models.CharField(max_length=30, primary_key=True)",
    "models.IntegerField(primary_key=True)",
)
DELETIONS = ("CASCADE", "CASCADE", "CASCADE", "PROTECT", "SET_NULL", "DO_NOTHING", "RESTRICT", "SET_DEFAULT")


class Columns:
    """Draws fields."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def key(self) -> str:
        return self.random.choice(KEYS)

    def plain(self, kind: str = "") -> str:
        """Draw a field without a relation."""
        kind = kind or self.random.choice((*PLAIN, "IntegerField", "CharField", "IntegerField", "CharField"))
        options = [PLAIN[kind].format(length=self.random.choice((20, 30, 40)))]
        if kind in DB_DEFAULTS and self.chance(0.15):
            options = [part for part in options[0].split(", ") if not part.startswith("default=")]
            options.append(f"db_default={DB_DEFAULTS[kind]}")
        if self.chance(0.25):
            options.append("null=True")
        if kind not in UNINDEXED and self.chance(0.2):
            options.append(self.random.choice(("unique=True", "db_index=True", "unique=True, null=True")))
        if kind == "CharField" and self.chance(0.15):
            options.append("choices=[('1', 'One'), ('2', 'Two')]")
        return f"models.{kind}({', '.join(unique([*options, *self.common()]))})"

    def common(self) -> list[str]:
        """Draw options that any field may have."""
        drawn = []
        if self.chance(0.1):
            drawn.append(f"db_column='col_{self.random.randint(1, 9)}'")
        if self.chance(0.1):
            drawn.append(f"db_comment='comment {self.random.randint(1, 3)}'")
        if self.chance(0.1):
            drawn.append("blank=True")
        if self.chance(0.1):
            drawn.append(f"verbose_name='name {self.random.randint(1, 3)}'")
        return drawn

    def generated(self, source: str) -> str:
        """Draw a field that the database computes from the number *source*."""
        return (
            f"models.GeneratedField(expression=models.F({source!r}) + models.Value({self.random.randint(1, 3)}), "
            "output_field=models.BigIntegerField(), db_persist=True)"
        )

    def relation(self, target: str, to_field: str = "") -> str:
        """Draw a foreign key, or a one-to-one relation, to *target*."""
        kind = self.random.choice(("ForeignKey", "ForeignKey", "ForeignKey", "OneToOneField"))
        deletion = self.random.choice(DELETIONS)
        options = ["null=True"] if deletion in ("SET_NULL", "SET_DEFAULT") or self.chance(0.5) else []
        if deletion == "SET_DEFAULT":
            options.append("default=None")
        if to_field:
            options.append(f"to_field={to_field!r}")
        if self.chance(0.1):
            options.append(self.random.choice(("db_constraint=False", "db_index=False")))
        options += self.named() + self.common()
        return f"models.{kind}({quoted(target)}, models.{', '.join([deletion, *unique(options)])})"

    def many(self, target: str, through: str = "", ends: tuple[str, str] | None = None) -> str:
        """Draw a many-to-many relation to *target*."""
        options = [f"through={through!r}"] if through else []
        if ends and self.chance(0.5):
            options.append(f"through_fields={ends!r}")
        if not through and self.chance(0.15):
            options.append(f"db_table='m2m_{self.random.randint(1, 99)}'")
        if self.chance(0.2):
            options.append("symmetrical=False")
        return f"models.ManyToManyField({', '.join([quoted(target), *options, *self.named()])})"

    def named(self) -> list[str]:
        """Draw how the other end calls the relation."""
        return self.random.choice(
            (
                [],
                [],
                ["related_name='+'"],
                ["related_name='%(app_label)s_%(class)s_set'"],
                [f"related_name='near_{self.random.randint(1, 30)}'"],
                [
                    f"related_name='far_{self.random.randint(1, 30)}'",
                    f"related_query_name='q_{self.random.randint(1, 30)}'",
                ],
            )
        )


def quoted(target: str) -> str:
    return target if target.startswith("settings.") else repr(target)


def unique(options: list[str]) -> list[str]:
    """Drop an option that is given twice; the last one counts."""
    parts = [
        part
        for option in options
        for part in ([option] if "choices" in option or "(" in option else option.split(", "))
    ]
    return list({part.partition("=")[0]: part for part in parts}.values())
