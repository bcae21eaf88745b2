"""
Entry -> migration object, when it is needed.

A file is executed as it stands. A vendored file holds a plain ``django.db.migrations.Migration`` and an ``ORIGIN``
literal; its dependencies are ignored, and its relative imports resolve against the package it came from.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TypeVar

from django.apps import apps
from django.db.migrations import Migration as DjangoMigration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from chronomig.code.frozen import Frozen, LeftOut, Thawing, operation_from
from chronomig.code.origins import Key, Origin, read_origin
from chronomig.code.standins import GONE, Imports, StandIn, vanished
from chronomig.errors import LoadError, in_words
from chronomig.migration import Migration
from chronomig.planning.baselines import Baseline, read_baseline
from chronomig.timeline import Entry

Made = TypeVar("Made", Migration, DjangoMigration)

Labelled = tuple[str, Operation]
"""(app label, operation)"""


@dataclass(frozen=True)
class Loaded:
    """A migration, ready to run."""

    name: str
    sha256: str
    operations: tuple[Labelled, ...]
    atomic: bool
    origin: Origin | None
    source: Migration | DjangoMigration
    inserted: tuple[tuple[int, Labelled], ...] = ()
    """What pre_migrate receivers added for this run: (after how many operations, what)."""
    touches: tuple[str, ...] | None = None
    """What the file declares of its code and SQL; None is anything."""
    content: bytes = field(default=b"", repr=False)
    """The bytes of the file."""
    stood_in: bool = False
    """Whether something that the file imports is gone, and was stood in for."""
    vanished: tuple[str, ...] = ()
    """What its operations need when they run, and is gone; where there is any, the migration cannot run."""
    baseline: Baseline | None = None
    """What it stands for, when it was squashed."""

    @property
    def upstream(self) -> frozenset[Key]:
        """All that ``django_migrations`` says of it: its origin, what that replaces, what was squashed into it."""
        own = {self.origin.key, *self.origin.replaced} if self.origin else set()
        return frozenset(own | (self.baseline.keys if self.baseline else set()))

    @property
    def is_djangos(self) -> bool:
        """Whether it is a migration of Django's own, as vendored ones are, but for those in chronomig's format."""
        return isinstance(self.source, DjangoMigration)

    @property
    def overrides_execution(self) -> bool:
        """Whether the file brings an ``apply`` or ``unapply`` of its own, which then runs in place of ours."""
        kind = type(self.source)
        return issubclass(kind, DjangoMigration) and (
            kind.apply is not DjangoMigration.apply
            or kind.unapply is not DjangoMigration.unapply
            or kind.mutate_state is not DjangoMigration.mutate_state
        )

    @property
    def irreversible(self) -> tuple[Operation, ...]:
        return tuple(operation for _, operation in self.operations if not operation.reversible)


class Loader:
    """Load the migrations of one set: each at most once, but for those of which only the state after it is wanted."""

    def __init__(self, set_name: str, frozen: Callable[[], Frozen] | None = None) -> None:
        self.set_name = set_name
        self._frozen = frozen
        self._loaded: dict[tuple[str, str], Loaded] = {}

    def load(self, entry: Entry) -> Loaded:
        """Return the migration in *entry*; raise LoadError, TimelineError."""
        found = self._loaded[entry.name, entry.sha256] = self.look_at(entry)
        return found

    def look_at(self, entry: Entry) -> Loaded:
        """Return the migration in *entry*, and do not keep it: a history of thousands would stay in memory."""
        known = self._loaded.get((entry.name, entry.sha256))
        return known or replace(load(entry, self.set_name, self._frozen), content=entry.source)

    def load_all(self, entries: Iterable[Entry]) -> list[Loaded]:
        return [self.load(entry) for entry in entries]


def load(entry: Entry, set_name: str, frozen: Callable[[], Frozen] | None = None) -> Loaded:
    """
    Execute the file of *entry* and return the migration in it; raise LoadError that names the line.

    A file that imports what is gone is loaded with stand-ins, when *frozen* has a record of it.
    """
    try:
        return _load(entry, set_name, None)
    except LoadError as error:
        if frozen is None or not isinstance(error.__cause__, GONE):
            raise
        if entry.name in frozen().operations:
            return _recorded(entry, frozen())
        if entry.name not in frozen().files:
            error.next_step = "Install it again, then run chronomig freeze before it goes; nothing was run."
            raise
    return _thawed(_load(entry, set_name, Imports()), frozen())


def _recorded(entry: Entry, frozen: Frozen) -> Loaded:
    """Return a migration that refers to an original that is gone, as it was recorded."""
    origin, record = read_origin(entry), frozen.operations[entry.name]
    if origin is None:
        raise LoadError(
            f"{entry.path} has lost its ORIGIN.", next_step="Restore the line as makemigrations wrote it."
        )
    gone = [f"what overrides its execution: {record['overrides']}"] if record["overrides"] else []
    operations: list[Operation] = []
    for number, one in enumerate(record["operations"], 1):
        if "gone" in one:
            gone.append(f"operation {number} needs {one['gone']}")
            operations.append(LeftOut(f"operation {number}, which needs {one['gone']}"))
        else:
            operations.append(operation_from(one))
    body = {name: record[name] for name in ("atomic", "dependencies", "run_before")}
    source = type("Migration", (DjangoMigration,), {**body, "operations": operations})(origin.name, origin.app)
    vanished = () if entry.name in frozen.without_code else tuple(gone)
    labelled = tuple((origin.app, operation) for operation in operations)
    return Loaded(
        entry.name, entry.sha256, labelled, source.atomic, origin, source, stood_in=True, vanished=vanished
    )  # fmt: skip


def _thawed(loaded: Loaded, frozen: Frozen) -> Loaded:
    """Return a migration that was loaded with stand-ins, with its fields as they were recorded."""
    thawing = Thawing(loaded.name, frozen.files[loaded.name])
    left_out = loaded.name in frozen.without_code
    operations: list[Labelled] = []
    gone: list[str] = []
    for number, (label, operation) in enumerate(loaded.operations, 1):
        names = vanished(operation)
        if names and left_out:
            operations.append((label, LeftOut(f"operation {number}, which needs {', '.join(names)}")))
            continue
        if isinstance(operation, StandIn):
            raise LoadError(
                f"{loaded.name}: operation {number} is of a class that is gone: {names[0]}.",
                next_step=f"Install the package again, or run chronomig freeze --without-code {loaded.name}.",
            )
        gone += [f"operation {number} needs {name}" for name in names]
        thawing.thaw(label, operation)
        operations.append((label, operation))
    if loaded.origin is not None:  # an apply() of its own runs these
        loaded.source.operations = [operation for _, operation in operations]  # type: ignore[misc]
    return replace(loaded, operations=tuple(operations), stood_in=True, vanished=tuple(gone))


def _load(entry: Entry, set_name: str, imports: Imports | None) -> Loaded:
    origin = read_origin(entry)
    module = execute(entry, set_name, origin, imports)
    found = getattr(module, "Migration", None)
    if not isinstance(found, type) or not issubclass(found, Migration | DjangoMigration):
        raise LoadError(
            f"{entry.path} has no Migration.",
            cause="A migration file defines a class Migration that subclasses chronomig.Migration.",
            next_step="Add the class, or move the file out of the timeline.",
        )
    if found in (Migration, DjangoMigration):
        raise LoadError(
            f"{entry.path} imports Migration, but defines none.",
            next_step="Write: class Migration(chronomig.Migration): operations = [...]",
        )
    if issubclass(found, DjangoMigration):
        return _load_vendored(entry, found, origin)
    operations = _own_operations(entry, found)
    touches, baseline = _touches(entry, found), read_baseline(entry)
    return Loaded(
        entry.name, entry.sha256, operations, found.atomic, origin, made(entry, found), touches=touches,
        baseline=baseline,
    )  # fmt: skip


def _load_vendored(entry: Entry, found: type[DjangoMigration], origin: Origin | None) -> Loaded:
    if origin is None:
        raise LoadError(
            f"{entry.path} holds a Django migration without an ORIGIN.",
            cause="Only a vendored file subclasses django.db.migrations.Migration.",
            next_step=(
                "Subclass chronomig.Migration and name the app of each operation: "
                'operations = [("app_label", operation), ...]'
            ),
        )
    source = made(entry, found, origin.name, origin.app)
    labelled = tuple((origin.app, operation) for operation in source.operations)
    return Loaded(entry.name, entry.sha256, labelled, source.atomic, origin, source)


def made(entry: Entry, kind: type[Made], *arguments: str) -> Made:
    """Return the migration that a class makes; it may have code of its own there."""
    try:
        return kind(*arguments)
    except Exception as error:
        raise LoadError(
            f"{entry.path}: its Migration cannot be made.",
            cause=describe_failure(error, entry),
            next_step="Mend the file; nothing was run.",
        ) from error


def _own_operations(entry: Entry, found: type[Migration]) -> tuple[Labelled, ...]:
    if not isinstance(found.operations, list | tuple):
        raise LoadError(
            f"{entry.path}: operations is {found.operations!r:.80}.",
            cause="operations is a list of (app_label, operation).",
            next_step='Write it as operations = [("app_label", migrations.AddField(...))].',
        )
    for index, item in enumerate(found.operations, 1):
        match item:
            case (str(), Operation() | StandIn()):
                continue
            case Operation():
                problem = "has no app label"
            case _:
                problem = f"is {item!r:.80}"
        raise LoadError(
            f"{entry.path}: operation {index} {problem}.",
            cause="operations is a list of (app_label, operation).",
            next_step='Write it as ("app_label", migrations.AddField(...)).',
        )
    return tuple(found.operations)


TOUCH_PATTERN = re.compile(r"\w+\.\w+(\.\w+)?")


def _touches(entry: Entry, found: type[Migration]) -> tuple[str, ...] | None:
    touches = found.touches
    if touches is None:
        return None
    if not isinstance(touches, Iterable):
        touches = [touches]
    wrong = [text for text in touches if not isinstance(text, str) or not TOUCH_PATTERN.fullmatch(text)]
    if isinstance(touches, str) or wrong:
        raise LoadError(
            f"{entry.path}: touches holds {(touches if isinstance(touches, str) else wrong[0])!r}.",
            cause="touches is a list of 'app.Model' and 'app.Model.field', or None for anything.",
            next_step='Write it as touches = ["shop.Order", "shop.Item.price"].',
        )
    return tuple(touches)


def execute(entry: Entry, set_name: str, origin: Origin | None, imports: Imports | None = None) -> ModuleType:
    """Execute *entry*'s file in a module of its own, which is not importable by others."""
    module = ModuleType(f"project_migrations.{set_name}.{entry.name}")
    module.__file__ = entry.file
    if origin is not None and (package := upstream_package(origin)):
        module.__package__ = package
        module.__name__ = f"{package}.{origin.name}"
    if imports is not None:
        module.__dict__["__builtins__"] = imports.namespace()
    try:
        entry.source.decode()
        # Not through Python's cache of byte code: that goes by the file's time and size, and what runs has to be what
        # was hashed.
        exec(compile(entry.source, entry.file, "exec", dont_inherit=True), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a file that calls exit() may not end this quietly
        raise LoadError(
            f"{entry.path} cannot be loaded.",
            cause=describe_failure(error, entry),
            next_step="Mend the file; nothing was run.",
        ) from error
    if imports is not None:
        imports.loading = False
    return module


def describe_failure(error: BaseException, entry: Entry) -> str:
    """Say what went wrong, and in which line of the file."""
    if isinstance(error, UnicodeDecodeError) and error.object == entry.source:
        return f"It is not UTF-8: {error.reason} at byte {error.start}."
    if isinstance(error, SyntaxError):
        return f"Line {error.lineno}: {error.msg}: {(error.text or '').strip()}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == entry.file]
    place = f"Line {lines[-1]}: " if lines else ""
    return f"{place}{in_words(error)}"


def upstream_package(origin: Origin) -> str:
    """
    Return the name of the package in which a vendored file's relative imports mean what they meant.

    That is where the app has its migrations now, unless the app is gone, or settings say that they are elsewhere.
    """
    try:
        apps.get_app_config(origin.app)
    except LookupError:
        return origin.package
    if "migration_templates" in origin.package.split("."):
        return origin.package
    package, elsewhere = MigrationLoader.migrations_module(origin.app)
    return (origin.package if elsewhere else "") or package or origin.package


def place_in_graph(loaded: Loaded) -> tuple[list[Key], list[Key]]:
    """Return what a vendored migration says it stands on, and what it says has to come after it."""
    after, before = (getattr(loaded.source, name, ()) for name in ("dependencies", "run_before"))
    return [(app, name) for app, name in after], [(app, name) for app, name in before]


def put_on_path(folders: Iterable[str]) -> None:
    """Make modules in *folders* importable, the first one first."""
    for folder in reversed(list(folders)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
