"""A folder of migrations: its files, their code, the states that they lead to, and who judges their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from chronomig.code.folding import States
from chronomig.code.frozen import Frozen, read_frozen
from chronomig.code.loading import Loaded, Loader
from chronomig.code.origins import Key, origins, read_origin
from chronomig.code.sources import Shelf
from chronomig.config import SetConfig
from chronomig.errors import GitError
from chronomig.git.trees import Trees
from chronomig.planning.plan import Clash, Judge
from chronomig.state import ProjectState
from chronomig.state.cache import Content, Snapshots
from chronomig.timeline import Entry, Timeline, read_timeline


@dataclass(frozen=True)
class MigrationSet:
    """A folder of migrations and the databases that use it."""

    name: str
    directory: Path
    config: SetConfig
    trees: Trees
    may_be_missing: bool = False
    """Whether a directory that is not there is an empty one, for those who are about to write into it."""

    @property
    def aliases(self) -> tuple[str, ...]:
        return self.config.databases

    @cached_property
    def timeline(self) -> Timeline:
        """The migrations on the disk; raise TimelineError."""
        if self.may_be_missing and not self.directory.is_dir():
            return Timeline(self.name, self.directory)
        return read_timeline(self.directory, self.name, now=datetime.now(UTC))

    @cached_property
    def shelf(self) -> Shelf:
        """Where code is found that the disk does not have."""
        return Shelf(self.trees)

    @cached_property
    def loader(self) -> Loader:
        return Loader(self.name, lambda: self.frozen)

    @cached_property
    def frozen(self) -> Frozen:
        """What was recorded of fields whose classes may go; raise LoadError."""
        return read_frozen(self.directory)

    def load(self, name: str) -> Loaded:
        """Return the migration *name*, loaded; raise LoadError."""
        return self.loader.load(self.timeline.by_name[name])

    @cached_property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.directory.parent / ".snapshots" / self.name)

    def contents(self, names: Iterable[str], entries: Mapping[str, Entry] | None = None) -> Iterator[tuple[str, str]]:
        """Yield (name, sha256 of its file) of each of *names*; *entries* stand in for the files on the disk."""
        there = self.timeline.by_name if entries is None else entries
        return ((name, there[name].sha256) for name in names)

    def states(self, names: Sequence[str], entries: Mapping[str, Entry] | None = None) -> States:
        """Return the states along *names*, from snapshots as far as there are any; who asks again, shares them."""
        there = self.timeline.by_name if entries is None else entries
        contents = tuple(self.contents(names, there))
        if contents not in self._states:
            self._states.clear()
            self._states[contents] = self._states_along(names, contents, there)
        return self._states[contents].fork()

    def head_state(self) -> ProjectState:
        """Return the state after all files on the disk, and keep none on the way there."""
        names = self.timeline.names
        return self._states_along(names, self.contents(names), self.timeline.by_name).current

    def _states_along(self, names: Sequence[str], contents: Iterable[Content], there: Mapping[str, Entry]) -> States:
        stored = self.snapshots.known(contents) if self.config.snapshots else {}
        return States(names, lambda name: self.loader.look_at(there[name]), stored)

    @cached_property
    def _states(self) -> dict[tuple[Content, ...], States]:
        """What was asked for last: the losses of a plan, its stash and its run begin with the same states."""
        return {}

    def judge(self, entries: Mapping[str, Entry], apart: frozenset[str] = frozenset()) -> Judge:
        """
        Return what judges a clash in the order by what the operations do; *entries* have the code.

        Where what is *apart* comes up, nothing stands in the way here: who runs it judges.
        """

        def judge(clashes: Sequence[Clash], settled: Sequence[str], ups: Sequence[str]) -> Sequence[Clash]:
            last = max(clash.name for clash in clashes)
            if any(name in apart and name <= last for name in ups):
                return ()
            from chronomig.effects.order import OrderJudge  # imported by who has something out of order

            load = self.loader.load
            states = partial(self.states, entries=entries)
            return OrderJudge(
                lambda name: load(entries[name]), states, entries.keys(), lambda name: self.where(entries[name])
            )(clashes, settled, ups)

        return judge

    def where(self, entry: Entry) -> str:
        """Name the file of a migration for a person, with who committed it last where git knows."""
        here = Path.cwd()
        found = [str(entry.path.relative_to(here) if entry.path.is_relative_to(here) else entry.path)]
        with suppress(GitError):
            if self.trees.in_repository and (change := self.trees.repository.last_change(entry.path, entry.commit)):
                found += [change.author, change.commit[:10]]
        return ", ".join(found)

    @cached_property
    def origins(self) -> Mapping[Key, str]:
        """(app label, upstream name) -> name, of every vendored file."""
        return origins(self.timeline)

    def origin_key(self, name: str) -> Key | None:
        """Return (app label, upstream name) of the vendored file *name*, None for one of our own."""
        found = read_origin(self.timeline.by_name[name])
        return found.key if found else None
