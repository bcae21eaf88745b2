"""Where vendored files came from: the literals that they carry, read without executing anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chronomig.errors import LoadError
from chronomig.planning.baselines import baselines_in
from chronomig.timeline import Entry

Key = tuple[str, str]
"""(app label, upstream name)"""


@dataclass(frozen=True)
class Origin:
    """Where a vendored migration came from."""

    app: str
    name: str
    distribution: str
    version: str
    sha256: str
    """Of the upstream text, as it was copied."""
    package: str = ""
    """The package that the upstream module stood in."""
    replaces: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What a squash stands for: {"app.name": the same of that one, where it is a squash too}."""
    squashes: tuple[str, ...] = ()
    """The squashes, as "app.name", that stand for it and others."""

    @property
    def key(self) -> Key:
        return self.app, self.name

    @property
    def replaced(self) -> frozenset[Key]:
        """All that it stands for, squashes of squashes included."""
        return frozenset(keys_in(self.replaces))


def key_of(text: str) -> Key:
    """Return the key of "app.name"."""
    app, _, name = text.partition(".")
    return app, name


def keys_in(tree: Mapping[str, Any]) -> Iterator[Key]:
    for text, below in tree.items():
        yield key_of(text)
        yield from keys_in(below)


ORIGIN_PATTERN = re.compile(rb"^ORIGIN\b.*=\s*(\{.*\})", re.MULTILINE | re.DOTALL)


def read_origin(entry: Entry) -> Origin | None:
    """Return the ORIGIN literal of a file without executing it, None when it has none; raise LoadError."""
    match = ORIGIN_PATTERN.search(entry.source)
    if match is None:
        return None
    try:
        values = ast.literal_eval(match[1].decode())
        return Origin(**_only_known(values))
    except (ValueError, SyntaxError, TypeError) as error:
        raise LoadError(
            f"{entry.path}: its ORIGIN cannot be read.",
            cause=f"It is one literal with the keys {', '.join(one.name for one in fields(Origin))}: {error}",
            next_step="Restore the line as makemigrations wrote it.",
        ) from error


def _only_known(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {one.name: str(values[one.name]) for one in fields(Origin) if one.name in values}
    return found | {"replaces": dict(values.get("replaces", {})), "squashes": tuple(values.get("squashes", ()))}


def origins(entries: Iterable[Entry]) -> dict[Key, str]:
    """Return (app label, upstream name) -> name for the vendored files among *entries*; reads, runs nothing."""
    entries = list(entries)
    squashed = {key: name for name, one in baselines_in(entries).items() for key in one.keys}
    return squashed | {origin.key: name for name, origin in origins_in(entries).items()}


def origins_in(entries: Iterable[Entry]) -> dict[str, Origin]:
    """Return name -> origin for the vendored files among *entries*; reads, runs nothing."""
    found = ((entry.name, read_origin(entry)) for entry in entries)
    return {name: origin for name, origin in found if origin is not None}


TABLES_PATTERN = re.compile(rb"^TABLES = (\[.*?\])", re.MULTILINE | re.DOTALL)


def tables_in(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Return name -> the tables that stand for a file in a database that Django made; raise LoadError."""
    found = ((entry, TABLES_PATTERN.search(entry.source)) for entry in entries)
    return {entry.name: read_tables(entry, match[1]) for entry, match in found if match}


def read_tables(entry: Entry, literal: bytes) -> list[str]:
    try:
        return [str(name) for name in ast.literal_eval(literal.decode())]
    except (ValueError, SyntaxError, TypeError) as error:
        raise LoadError(
            f"{entry.path}: its TABLES cannot be read.",
            cause=f"It is a list of the names of tables: {error}",
            next_step="Restore the line as makemigrations wrote it.",
        ) from error
