"""
The composition root: the only place that wires.

A :class:`Project` is a Django project with its configuration; it hands out :class:`~chronomig.sets.MigrationSet` and
:class:`Database`, which hold what the commands need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from django.apps import apps
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig import config as configuration
from chronomig.code.edits import Edit, compare
from chronomig.code.folding import States
from chronomig.code.sources import Aim, Code, code_for, edited
from chronomig.config import Config, DatabaseConfig, Order
from chronomig.errors import ConfigError, UsageError, did_you_mean
from chronomig.git.trees import Trees
from chronomig.history.adoption import Adoption, adoption_of, unrelated
from chronomig.history.events import Kind, renaming, taking_over
from chronomig.history.table import History
from chronomig.planning.baselines import as_applied, standing, with_standing
from chronomig.planning.plan import Plan, plan
from chronomig.planning.record import Applied, Record
from chronomig.planning.renames import with_renames
from chronomig.planning.target import Known
from chronomig.sets import MigrationSet
from chronomig.stash import Entries, Limits, can_stash
from chronomig.timeline import Timeline


class Database:
    """One alias: its connection, its history, and the set that it uses."""

    def __init__(self, alias: str, migration_set: MigrationSet, config: DatabaseConfig) -> None:
        self.alias = alias
        self.set = migration_set
        self.config = config

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.alias]

    @cached_property
    def history(self) -> History:
        return History(self.connection, self.set.name, self.set.shelf.head)

    @cached_property
    def stash(self) -> Entries:
        return Entries(self.connection, self.set.name)

    @property
    def stashes(self) -> bool:
        """Whether rows that a rollback drops are put aside here."""
        wanted = self.set.config.stash
        return can_stash(self.connection) and (not self.config.protected if wanted is None else wanted)

    def record(self) -> Record:
        """Return what is applied, by the names of the files, with what the next migrate will adopt at the head."""
        record = with_renames(self.history.read(), self.set.timeline)
        record = replace(record, applied=(*self.adoptable(record), *record.applied))
        return with_standing(record, self.set.timeline)

    def adoption(self, record: Record) -> Adoption:
        """Return what ``django_migrations`` has of the vendored files that the history does not have."""
        have = {*record.names, *(record.half_done.names if record.half_done else ())}
        return adoption_of(self.connection, [entry for entry in self.set.timeline if entry.name not in have])[0]

    def adoptable(self, record: Record) -> tuple[Applied, ...]:
        """Return the vendored migrations that ``django_migrations`` has and the history does not."""
        files = self.set.timeline.by_name
        return tuple(
            Applied(name, files[name].sha256, Kind.ADOPTED.value, origin=self.set.origin_key(name))
            for name in self.adoption(record).names
        )

    def adopt(self) -> tuple[Applied, ...]:
        """Write to the history what ``django_migrations`` records of vendored migrations; runs nothing."""
        record, files = self.history.read(), self.set.timeline.by_name
        adoptable = self.adoptable(record)
        stands = standing(self.set.timeline, {one.name for one in (*adoptable, *record.applied)})
        taken = (*adoptable, *(as_applied(files[name]) for name in stands))
        if taken:
            self.history.ensure_table()
        self.history.write_all(taking_over(one, files[one.name], stands.get(one.name)) for one in taken)
        return taken

    def rename(self, record: Record) -> None:
        """Write to the history, and the stash, what the files are called by now."""
        self.history.ensure_table()
        with transaction.atomic(self.alias):
            self.history.write_all(renaming(one, (*record.applied, *record.undone)) for one in record.renamed)
            for one in record.renamed:
                self.stash.rename(one.was, one.name)

    def known(self, record: Record, text: str) -> Known:
        """Return what a target can refer to; the files are read only for a target with an app label."""
        return Known.of(self.set.timeline.names, record, self.set.origins if " " in text else {})

    def code(self, record: Record, wanted: Iterable[str] | Timeline | Aim | None) -> Code:
        """Return the code for the way to *wanted*; None is every file, and what has none stays."""
        return code_for(self.set.timeline, record, wanted, self.set.shelf)

    def plan(self, record: Record, code: Code, order: Order | None = None) -> Plan:
        """Plan the way to what *code* was collected for; *order* comes before the policy of the set."""
        order = order or self.set.config.order
        return plan(
            code.target.names,
            record,
            code.wanted,
            order=order,
            judge=self.set.judge(code.entries, code.apart),
            edited=self.edited(record.applied) if order is Order.REWIND else code.edited,
            elsewhere=code.elsewhere,
            unrelated=self.unrelated(record, code),
        )

    def unrelated(self, record: Record, code: Code) -> Mapping[str, Collection[str]]:
        """Return {pending file: adopted ones that do not stand on it}, where Django's order was another one."""
        adopted = [one.name for one in record.applied if one.how == Kind.ADOPTED and one.name in code.wanted]
        newest = max(adopted, default="")
        ahead = {*code.wanted} - {*record.names}
        late = [name for name in code.target.names if name < newest and name in ahead and name not in code.apart]
        return unrelated(code.target, adopted, late, self.set.loader.load) if late else {}

    def edited(self, applied: Iterable[Applied]) -> frozenset[str]:
        """Return those of *applied* whose file holds other bytes than when it was applied."""
        return edited(self.set.timeline, applied)

    def edits(self, applied: Sequence[Applied]) -> dict[str, Edit]:
        """Return what was done to the files of *applied* since; loads what was edited, as it was and as it is."""
        names = self.edited(applied)
        files, load = self.set.timeline.by_name, self.set.loader.load
        found = self.set.shelf.find([one for one in applied if one.name in names], self.set.timeline) if names else {}
        was = {name: found[name].entry if name in found else None for name in sorted(names)}
        return {name: compare(entry, files[name], load) for name, entry in was.items()}

    def states(self, record: Record, code: Code | None = None) -> States:
        """Return the states of this database; applied migrations whose code is nowhere are left out."""
        entries = self.set.timeline.by_name if code is None else code.entries
        return self.set.states([one.name for one in record.applied if one.name in entries], entries)


class Project:
    """A Django project and its migrations."""

    def __init__(self, root: Path, config: Config) -> None:
        self.root = root
        self.config = config

    @property
    def directory(self) -> Path:
        return self.root / self.config.directory

    @cached_property
    def sets(self) -> Mapping[str, MigrationSet]:
        """Every set by name; raise ConfigError."""
        resolved = configuration.resolve_sets(self.config, real_aliases())
        return {name: MigrationSet(name, self.directory / name, one, self.trees) for name, one in resolved.items()}

    @cached_property
    def trees(self) -> Trees:
        return Trees(self.root, self.config.directory)

    @cached_property
    def databases(self) -> Mapping[str, Database]:
        """Every managed database by alias."""
        configured, default = self.config.databases, DatabaseConfig()
        found = {
            alias: Database(alias, one, configured.get(alias, default))
            for one in self.sets.values()
            for alias in one.aliases
        }
        return {alias: found[alias] for alias in real_aliases() if alias in found}

    def choose_databases(self, aliases: Sequence[str]) -> list[Database]:
        """Return the databases named, or all; raise UsageError, ConfigError."""
        if not self.databases:
            raise ConfigError(
                "There is no database.",
                cause="DATABASES is empty, or every alias is 'unmanaged'.",
                next_step="Configure one in Django's settings.",
            )
        return [self.database(alias) for alias in dict.fromkeys(aliases)] or list(self.databases.values())

    def database(self, alias: str) -> Database:
        if alias not in self.databases:
            unmanaged = alias in self.config.unmanaged
            raise UsageError(
                f"The database {alias!r} is not managed." if unmanaged else f"There is no database {alias!r}.",
                cause=f"Managed are: {', '.join(self.databases) or 'none'}.",
                next_step="Take it out of 'unmanaged'." if unmanaged else did_you_mean(alias, self.databases),
            )
        return self.databases[alias]

    def stash_limits(self, wanted: bool | None = None) -> Limits:
        """Return what the stash of a database takes: *wanted* says all that is dropped, or nothing."""
        config = self.config
        return Limits(
            config.stash_max_rows,
            config.stash_max_mb,
            config.stash_days,
            puts_aside=wanted is not False,
            both_ways=wanted is True,
        )

    def choose_sets(self, names: Sequence[str]) -> list[MigrationSet]:
        """Return the sets named, or all; raise UsageError."""
        for name in names:
            if name not in self.sets:
                raise UsageError(
                    f"There is no set {name!r}.",
                    cause=f"The sets are: {', '.join(self.sets) or 'none'}.",
                    next_step=did_you_mean(name, self.sets),
                )
        return [self.sets[name] for name in dict.fromkeys(names)] or list(self.sets.values())

    def own_apps(self) -> frozenset[str]:
        """
        Return the labels of the apps that are the project's own: configured, or found below its root.

        Those that are developed here for others are not among them.
        """
        if self.config.own_apps is not None:
            return frozenset(self.config.own_apps) - {*self.config.template_apps}
        found = {app.label for app in apps.get_app_configs() if self.is_own(Path(app.path))}
        return frozenset(found - {*self.config.template_apps})

    def is_own(self, path: Path) -> bool:
        """Whether code is the project's own; a virtual environment below the root is not."""
        path = path.resolve()
        inside = path.is_relative_to(self.root.resolve())
        return inside and not {"site-packages", "dist-packages"} & set(path.parts)


def real_aliases() -> list[str]:
    """Return the aliases of DATABASES that have a database behind them."""
    return [
        alias
        for alias in connections
        if connections.settings[alias]["ENGINE"] not in ("", "django.db.backends.dummy")
    ]
