"""
The configuration: read at the edge, validated once, frozen afterwards.

It stands in Django's ``CHRONOMIG`` setting or in ``[tool.chronomig]`` of pyproject.toml. The settings module can
only stand in pyproject.toml (or in ``DJANGO_SETTINGS_MODULE``), because it is what finds Django's settings.
"""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, MinLen, Predicate

from chronomig.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Order(StrEnum):
    """What to do with a pending migration that is older than an applied one."""

    ASK = "ask"
    """Like COMMUTING; where that refuses and there is a terminal, ask."""
    COMMUTING = "commuting"
    """Run it where it stands if its operations commute with those of all that were applied later; else refuse."""
    APPLY = "apply"
    """Run it where it stands."""
    REWIND = "rewind"
    """Undo what was applied later, run it, and run the others again."""
    FAIL = "fail"
    """Refuse."""


NO_OTHER_KEYS = {"extra": "forbid"}
"""For pydantic."""


class CheckFormat(StrEnum):
    """How ``chronomig check`` prints its findings."""

    TEXT = "text"
    GITHUB = "github"


@dataclass(frozen=True)
class TimeoutConfig:
    """How long migrations of one database wait; times are in seconds."""

    __pydantic_config__: ClassVar = NO_OTHER_KEYS

    lock_timeout: Annotated[float, Gt(0)] | None = None
    """How long a statement waits for a lock; by default as long as the database says."""
    statement_timeout: Annotated[float, Gt(0)] | None = None
    """How long a statement may take; by default as long as the database says."""
    lock_retries: Annotated[int, Ge(0)] = 5
    """How often what did not get a lock is tried again; only with a lock_timeout."""
    retry_pause: Annotated[float, Ge(0)] = 1
    """How long the first pause before that is; each one is twice as long as the one before it, 30 at most."""


@dataclass(frozen=True)
class DatabaseConfig(TimeoutConfig):
    """What holds for one alias."""

    __pydantic_config__: ClassVar = NO_OTHER_KEYS

    protected: bool = False
    """Whether a plan that destroys or undoes anything needs the name of the database, typed or in an option."""


class Mark(StrEnum):
    """What ``chronomig mark`` records."""

    APPLIED = "applied"
    UNAPPLIED = "unapplied"


class StashAction(StrEnum):
    """What ``chronomig stash`` does."""

    LIST = "list"
    DROP = "drop"
    RESTORE = "restore"


class Ghosts(StrEnum):
    """What migrate does about migrations that are applied, but not in the tree."""

    ASK = "ask"
    """Offer to roll them back on a terminal; elsewhere keep them, and say so."""
    ROLLBACK = "rollback"
    KEEP = "keep"
    FAIL = "fail"


@dataclass(frozen=True)
class SetConfig:
    """One migration set: a folder of migrations and the databases that use it."""

    __pydantic_config__: ClassVar = NO_OTHER_KEYS

    databases: Annotated[tuple[str, ...], MinLen(1)]
    """The aliases of DATABASES whose schema this set describes."""
    order: Order = Order.ASK
    """The order policy of this set, see :class:`Order`."""
    snapshots: bool = True
    """Whether states are read from snapshots, and written as such after a run that had to load many files."""
    stash: bool | None = None
    """Whether the rows that migrations drop go to the stash; None is everywhere but in protected databases."""
    batch: bool = True
    """Whether consecutive operations on one table are done together, where that is quicker."""


@dataclass(frozen=True)
class Config:
    """All settings, each with its default."""

    __pydantic_config__: ClassVar = NO_OTHER_KEYS

    settings: str | None = None
    """Django's settings module (pyproject.toml only)."""
    python_path: tuple[str, ...] = ()
    """Folders, relative to pyproject.toml, that are put on ``sys.path`` (pyproject.toml only)."""
    directory: str = "project_migrations"
    """The directory of all migrations, relative to the project's root."""
    sets: dict[Annotated[str, Predicate(str.isidentifier)], SetConfig] | None = None
    """The migration sets; by default one per alias, named after it."""
    databases: dict[str, DatabaseConfig] = field(default_factory=dict)
    """What holds for single aliases."""
    unmanaged: tuple[str, ...] = ()
    """Aliases that chronomig leaves alone, such as a read replica or somebody else's database."""
    own_apps: tuple[str, ...] | None = None
    """Labels of the apps that are the project's own; by default those whose code lies below the root."""
    template_apps: tuple[str, ...] = ()
    """Labels of apps that are developed here for others: changes of their models become templates in the apps."""
    ghosts: Ghosts = Ghosts.ASK
    """What migrate does about applied migrations without a file, see :class:`Ghosts`."""
    database_timeout: Annotated[float, Ge(0)] = 0
    """Seconds to wait for another process that migrates the same database; 0 waits without end."""
    stash_max_rows: Annotated[int, Ge(0)] = 1_000_000
    """How many rows of one table or column the stash takes."""
    stash_max_mb: Annotated[float, Ge(0)] = 1_000
    """How much may lie in the stash of one database, in megabytes."""
    stash_days: Annotated[float, Ge(0)] = 30
    """How long rows lie in the stash; a later migrate that moves something drops them. 0 is without end."""

    hooks_ask: bool = True
    """Whether git's hooks offer on a terminal to roll back and apply what differs, or only tell."""
    collapse_test_databases: bool = True
    """Whether test runners build their databases with migrations reduced, several at once."""


PYPROJECT_ONLY = frozenset({"settings", "python_path"})


def find_root(start: Path) -> Path | None:
    """
    Return the project's root at or above *start*: the nearest directory with a configuration, or with a manage.py.

    A manage.py below a configuration belongs to it when both name the same settings module.
    """
    above = (start, *start.parents)
    configured = next((one for one in above if "chronomig" in read_pyproject(one)), None)
    managed = next((one for one in above if (one / "manage.py").is_file()), None)
    if configured is None or managed is None or configured.is_relative_to(managed):
        return configured or managed
    settings = read_pyproject(configured)["chronomig"].get("settings")
    return configured if settings in (None, settings_module_of(managed)) else managed


def read_pyproject(root: Path) -> dict[str, Any]:
    """Return the ``[tool]`` table of *root*'s pyproject.toml, empty when there is none; raise ConfigError."""
    path = root / "pyproject.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8.", cause=str(error), next_step="Save it as UTF-8.") from error
    if "chronomig" not in text:
        return {}
    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not valid TOML.", cause=str(error), next_step="Mend it; nothing was run."
        ) from error
    return tool if isinstance(tool, dict) else {}


def settings_module_of(root: Path) -> str | None:
    """Return the settings module that *root*'s manage.py sets as its default, without running it."""
    try:
        tree = ast.parse((root / "manage.py").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", "") == "setdefault"
            and len(node.args) == 2
            and all(isinstance(argument, ast.Constant) for argument in node.args)
            and ast.literal_eval(node.args[0]) == "DJANGO_SETTINGS_MODULE"
        ):
            return str(ast.literal_eval(node.args[1]))
    return None


def merge(pyproject: Mapping[str, Any], setting: Mapping[str, Any]) -> Config:
    """Validate both sources as one configuration; raise ConfigError for a key that stands in both."""
    for source, values in (("[tool.chronomig]", pyproject), ("The CHRONOMIG setting", setting)):
        if not isinstance(values, Mapping):
            raise ConfigError(
                f"{source} is a {type(values).__name__}, not a table of keys.",
                next_step="See the configuration reference; every key has a default.",
            )
    for key in PYPROJECT_ONLY & setting.keys():
        raise ConfigError(
            f"'{key}' cannot stand in the CHRONOMIG setting.",
            cause="It is needed to find Django's settings.",
            next_step="Put it under [tool.chronomig] in pyproject.toml.",
        )
    for key in sorted(pyproject.keys() & setting.keys()):
        raise ConfigError(
            f"'{key}' stands both in [tool.chronomig] and in the CHRONOMIG setting.",
            next_step="Keep one of them.",
        )
    return validate({**pyproject, **setting})


def validate(values: Mapping[str, Any]) -> Config:
    """Return the configuration; raise ConfigError that names the key and the nearest one that exists."""
    if not values:
        return Config()
    from pydantic import ValidationError

    try:
        return validator().validate_python(dict(values))
    except ValidationError as error:
        raise ConfigError(
            "The configuration of chronomig is not valid.",
            cause="\n".join(f"  {describe(problem)}" for problem in error.errors()),
            next_step="Correct it in the CHRONOMIG setting or under [tool.chronomig] in pyproject.toml.",
        ) from error


@cache
def validator() -> TypeAdapter[Config]:
    from pydantic import TypeAdapter

    return TypeAdapter(Config)


def describe(problem: Mapping[str, Any]) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "predicate_failed":
        return f"'{location[0]}': {location[1]!r} is not a name of letters, digits and underscores."
    if problem["type"] == "unexpected_keyword_argument":
        inner = DatabaseConfig if location[0] == "databases" else SetConfig
        known = keys_of(inner if len(location) > 1 else Config)
        return " ".join(filter(None, [f"'{key}' is not a key.", did_you_mean(location[-1], known)]))
    return f"'{key}': {problem['msg']}."


def keys_of(kind: type[Config | SetConfig | TimeoutConfig]) -> list[str]:
    """Return what can be configured in one table."""
    return [one.name for one in fields(kind)]


def resolve_sets(config: Config, aliases: Iterable[str]) -> dict[str, SetConfig]:
    """
    Return every set with its databases, in a stable order; each alias of *aliases* is in exactly one.

    Raise ConfigError for an alias that does not exist, that two sets claim, or that is in none.
    """
    aliases = list(aliases)
    managed = [alias for alias in aliases if alias not in config.unmanaged]
    named = [alias for one in (config.sets or {}).values() for alias in one.databases]
    for alias in (*config.unmanaged, *named, *config.databases):
        if alias not in aliases:
            raise ConfigError(
                f"There is no database {alias!r} in DATABASES.",
                cause=f"DATABASES has {', '.join(map(repr, aliases)) or 'no databases'}.",
                next_step=did_you_mean(alias, aliases) or "Correct 'sets', 'databases' or 'unmanaged'.",
            )
    if config.sets is None:
        return {alias: SetConfig(databases=(alias,)) for alias in managed}
    for alias in aliases:
        if named.count(alias) + (alias in config.unmanaged) > 1:
            raise ConfigError(
                f"The database {alias!r} is named twice in 'sets' and 'unmanaged'.",
                cause="Every database uses exactly one set.",
                next_step="Keep it in one place.",
            )
        if alias in managed and alias not in named:
            raise ConfigError(
                f"The database {alias!r} is in no set.",
                cause="Where 'sets' is configured, it names every database.",
                next_step=f"Add {alias!r} to the databases of a set, or to 'unmanaged'.",
            )
    return dict(config.sets)


def environment_settings() -> str | None:
    """Return the settings module that the environment names, if it does."""
    return os.environ.get("DJANGO_SETTINGS_MODULE") or None
