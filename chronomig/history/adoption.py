"""
What ``django_migrations`` says of the vendored files of a timeline: which of them a database has already.

The weighing is pure: the origins of the files and the recorded rows come in, an answer goes out. Squashes are
weighed as Django weighs them: one counts as applied when all that it replaces is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.code.loading import Loaded, place_in_graph
from chronomig.code.origins import Key, Origin, key_of, keys_in, origins_in, tables_in
from chronomig.errors import Refused
from chronomig.history.recorder import django_applied
from chronomig.timeline import Entry, Timeline


@dataclass(frozen=True)
class Misfit:
    """A file that a database has in part."""

    name: str
    note: str
    """What of it is there, and what is not."""
    squashed: str = ""
    """The label of the app, where it is a squash."""


@dataclass(frozen=True)
class Adoption:
    """What can be taken over from ``django_migrations``."""

    names: tuple[str, ...]
    """The files that the database has, in the order of the files."""
    misfits: tuple[Misfit, ...]

    def __add__(self, other: Adoption) -> Adoption:
        return Adoption(tuple(sorted((*self.names, *other.names))), (*self.misfits, *other.misfits))


class MisfitRefused(Refused):
    """A database stands in the middle of what is one file of the timeline."""

    def __init__(self, alias: str, misfits: Sequence[Misfit]) -> None:
        self.misfits = tuple(misfits)
        apart = "".join(f" --unsquash {label}" for label in dict.fromkeys(one.squashed for one in misfits) if label)
        tables = " --run-syncdb" if any(not one.squashed for one in misfits) else ""
        anew = f" Or run chronomig adopt{apart} anew, before any database uses the timeline." if apart else ""
        super().__init__(
            f"The database {alias!r} cannot be adopted as it stands; nothing was run.",
            cause="\n".join(f"  {one.name}: {one.note}" for one in misfits),
            next_step=(
                f"Bring it forward first, with Django's own migrate{tables} of the code before chronomig adopt.{anew}"
            ),
        )


def weigh_tables(files: Mapping[str, Collection[str]], there: Collection[str]) -> Adoption:
    """Return which of the files that stand for tables, {name: tables}, a database with the tables *there* has."""
    names, misfits = [], []
    for name, tables in files.items():
        missing = sorted(set(tables) - set(there))
        if not missing:
            names.append(name)
        elif len(missing) < len(tables):
            found = sorted(set(tables) - set(missing))
            note = (
                f"of apps without migrations: the tables {', '.join(found)} are there, {', '.join(missing)} are not"
            )
            misfits.append(Misfit(name, note))
    return Adoption(tuple(names), tuple(misfits))


def weigh(origins: Mapping[str, Origin], recorded: Collection[Key]) -> Adoption:
    """Return which of the files, {name: origin}, a database with the rows *recorded* has."""
    pruned = pruned_squashes(origins, recorded)
    names, misfits = [], []
    for name, origin in origins.items():
        if is_applied(origin.key, origin.replaces, recorded) or not pruned.isdisjoint(origin.squashes):
            names.append(name)
        elif found := origin.replaced & set(recorded):
            texts = [".".join(key) for key in keys_in(origin.replaces)]
            there = tuple(text for text in texts if key_of(text) in found)
            missing = [text for text in texts if text not in there]
            note = (
                "a squash of which django_migrations has only a part: "
                f"{', '.join(there)} recorded, {', '.join(missing)} not"
            )
            misfits.append(Misfit(name, note, origin.app))
    return Adoption(tuple(names), tuple(misfits))


def is_applied(key: Key, replaces: Mapping[str, Any], recorded: Collection[Key]) -> bool:
    """Whether a migration counts as applied; a recorded squash does, unless only some of its parts are recorded."""
    parts = [is_applied(key_of(text), below, recorded) for text, below in replaces.items()]
    return (bool(parts) and all(parts)) or (key in recorded and not any(parts))


def pruned_squashes(origins: Mapping[str, Origin], recorded: Collection[Key]) -> set[str]:
    """Return the squashes that are recorded while none of the files that they stand for is."""
    parts: dict[str, list[Key]] = {}
    for origin in origins.values():
        for squash in origin.squashes:
            parts.setdefault(squash, []).append(origin.key)
    return {
        squash
        for squash, keys in parts.items()
        if key_of(squash) in recorded and not any(key in recorded for key in keys)
    }


class Needs(NamedTuple):
    """What a vendored migration says of its place in Django's graph."""

    dependencies: Collection[Key]
    run_before: Collection[Key]


class Ancestry:
    """
    Which vendored files stand on which, as their own dependencies say.

    Django ran them in an order of its graph: where a database lacks one, what it has does not stand on that one, and
    the order of the files is only one of several that are right.
    """

    def __init__(self, origins: Mapping[str, Origin], needs: Mapping[str, Needs]) -> None:
        self._files = {key: name for name, origin in origins.items() for key in (*origin.replaced, origin.key)}
        self._of_app: dict[str, list[str]] = {}
        for name, origin in origins.items():
            self._of_app.setdefault(origin.app, []).append(name)
        self._parents = {name: self._files_of(one.dependencies) - {name} for name, one in needs.items()}
        for name, one in needs.items():
            for child in self._files_of(one.run_before) & needs.keys():
                self._parents[child].add(name)
        self._known: dict[str, frozenset[str]] = {}

    def of(self, name: str) -> frozenset[str]:
        """Return all files that *name* stands on."""
        todo = [name]
        while todo:
            parents = self._parents.get(todo[-1], set())
            if waiting := parents - self._known.keys() - set(todo):
                todo.extend(waiting)
            else:
                self._known[todo.pop()] = frozenset(parents).union(*(self._known.get(one, ()) for one in parents))
        return self._known[name]

    def _files_of(self, keys: Iterable[Key]) -> set[str]:
        return {found for key in keys if (found := self._file_of(*key))}

    def _file_of(self, app: str, name: str) -> str:
        files = self._of_app.get(app)
        if files and name in ("__first__", "__latest__"):
            return files[0 if name == "__first__" else -1]
        return self._files.get((app, name), "")


def unrelated(
    files: Timeline, adopted: Sequence[str], late: Sequence[str], load: Callable[[Entry], Loaded]
) -> dict[str, list[str]]:
    """Return {one of *late*: those of *adopted* that do not stand on it}."""
    found = origins_in(files)
    ancestry = Ancestry(found, {name: Needs(*place_in_graph(load(files.by_name[name]))) for name in found})
    return {name: [one for one in adopted if name not in ancestry.of(one)] for name in late}


def adoption_of(connection: BaseDatabaseWrapper, files: Sequence[Entry]) -> tuple[Adoption, int]:
    """Return which of *files* a database has, and how many rows ``django_migrations`` has; raise DatabaseError."""
    found, tables = origins_in(files), tables_in(files)
    rows = django_applied(connection) if found or tables else set()
    adoption = weigh(found, rows)
    if rows and tables:
        with connection.cursor() as cursor:
            adoption += weigh_tables(tables, connection.introspection.table_names(cursor))
    return adoption, len(rows)
