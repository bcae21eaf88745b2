"""What a branch adds to a set, against a base: read from git, the working tree counts as the branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from chronomig.errors import GitError, UsageError
from chronomig.git.repo import blob_id
from chronomig.git.trees import Trees
from chronomig.planning.plan import Clash
from chronomig.planning.record import Direction
from chronomig.project import MigrationSet
from chronomig.timeline import Timeline

DEFAULT_BASE = "origin/HEAD"


@dataclass(frozen=True)
class Base:
    """The branch that this one will be merged into."""

    ref: str
    commit: str
    fork: str
    """The last commit that both have in common."""
    tip: str
    """The last commit of this branch alone; empty where that is the working tree."""


def find_base(trees: Trees, ref: str | None) -> Base | None:
    """Return the base at *ref*, by default that of the clone, or None; raise UsageError, GitError."""
    if not trees.in_repository and ref is None:
        return None
    try:
        commit = trees.commit(ref or DEFAULT_BASE)
    except GitError as error:
        if ref is None:
            return None
        hint = "Name a branch, a tag or a commit that this clone has."
        raise UsageError(error.fact, cause=error.cause, next_step=hint) from error
    head, tip = trees.repository.head.commit, ""
    first, *others = trees.repository.parents(head) or [""]
    if first == commit and len(others) == 1:
        # A forge checks out the merge that would be made: its second parent is the branch.
        tip = head = others[0]
    return Base(ref or DEFAULT_BASE, commit, trees.repository.fork(head, commit), tip)


@dataclass(frozen=True)
class Branch:
    """One set on both sides."""

    set: MigrationSet
    files: Timeline
    base: Timeline
    fork: Timeline
    tip: Timeline

    @classmethod
    def of(cls, one: MigrationSet, base: Base) -> Branch:
        """Read both sides; raise GitError, TimelineError."""

        def at(commit: str) -> Timeline:
            return one.trees.timeline(commit, one.name, known=one.timeline.names)

        return cls(one, one.timeline, at(base.commit), at(base.fork), at(base.tip) if base.tip else one.timeline)

    @cached_property
    def ours(self) -> tuple[str, ...]:
        """What only this branch has."""
        return tuple(name for name in self.files.names if name not in self.base.by_name)

    @cached_property
    def theirs(self) -> tuple[str, ...]:
        """What the base got since the two parted, and this branch did not."""
        known = {*self.fork.names, *self.tip.names}
        return tuple(name for name in self.base.names if name not in known)

    @cached_property
    def edited(self) -> tuple[str, ...]:
        """What this branch changed in files that the base has."""
        return tuple(name for name in self.base.names if name in self.files.by_name and self._is_edited(name))

    def _is_edited(self, name: str) -> bool:
        """Git's name of the bytes spares reading them from the base."""
        before = {one.by_name[name].blob for one in (self.base, self.fork) if name in one.by_name}
        return blob_id(self.files.by_name[name].source, self.set.trees.repository.head.hashing) not in before

    @cached_property
    def gone(self) -> tuple[str, ...]:
        """What the base has, and this branch took away."""
        return tuple(name for name in self.base.names if name in self.fork.by_name and name not in self.files.by_name)

    def late(self) -> list[Clash]:
        """Return what this branch has below migrations of the base, or made without knowing them."""
        return [Clash(name, Direction.UP, over) for name in self.ours if (over := self._over(name))]

    def _over(self, name: str) -> tuple[str, ...]:
        return tuple(other for other in self.base.names if other > name or other in self.theirs)

    def clashes(self) -> Sequence[Clash]:
        """Return those of :meth:`late` that cannot change places with what the base has; loads files for them."""
        late = self.late()
        if not late:
            return []
        judge = self.set.judge({**self.base.by_name, **self.files.by_name})
        return judge(late, self.base.names, self.ours)
