"""What a branch adds to a set, against a base: read from git, the working tree counts as the branch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from chronomig.errors import GitError, UsageError
from chronomig.git.repo import blob_id
from chronomig.git.trees import Trees
from chronomig.planning.plan import Clash
from chronomig.planning.record import Direction
from chronomig.sets import MigrationSet
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
    if not head:
        raise GitError(
            "This branch has no commit yet.",
            cause=f"So nobody knows what it has in common with {ref or DEFAULT_BASE}.",
            next_step="Commit, or switch to a branch that has a commit; then run the command again.",
        )
    first, *others = trees.repository.parents(head) or [""]
    if len(others) == 1 and trees.repository.contains(commit, first):
        # A forge checks out the merge that would be made, of a base that may have moved on since: its second
        # parent is the branch.
        tip = head = others[0]
    return Base(ref or DEFAULT_BASE, commit, trees.repository.fork(head, commit), tip)


@dataclass(frozen=True)
class Branch:
    """One set on both sides."""

    set: MigrationSet
    files: Timeline
    base: Timeline
    fork: Mapping[str, str]
    """{migration: what git calls its bytes}, where the two parted."""
    tip: Collection[str]
    """The migrations of the branch alone."""

    @classmethod
    def of(cls, one: MigrationSet, base: Base) -> Branch:
        """Read both sides; raise GitError, TimelineError."""
        known, trees = one.timeline.names, one.trees
        there = trees.timeline(base.commit, one.name, known=known)
        fork = trees.blobs(base.fork, one.name, known=known) if base.fork != base.commit else blobs_of(there)
        tip = trees.blobs(base.tip, one.name, known=known) if base.tip else known
        return cls(one, one.timeline, there, fork, tip)

    @cached_property
    def ours(self) -> tuple[str, ...]:
        """What only this branch has."""
        return tuple(name for name in self.files.names if name not in self.base.by_name)

    @cached_property
    def theirs(self) -> tuple[str, ...]:
        """What the base got since the two parted, and this branch did not."""
        known = {*self.fork, *self.tip}
        return tuple(name for name in self.base.names if name not in known)

    @cached_property
    def edited(self) -> tuple[str, ...]:
        """What this branch changed in files that the base has."""
        hashing, files = self.set.trees.repository.head.hashing, self.files.by_name
        both = (entry for entry in self.base if entry.name in files)
        # Git's name of the bytes spares reading them from the base.
        found = ((one, blob_id(files[one.name].source, hashing)) for one in both)
        return tuple(one.name for one, blob in found if blob not in (one.blob, self.fork.get(one.name)))

    @cached_property
    def gone(self) -> tuple[str, ...]:
        """What the base has, and this branch took away."""
        return tuple(name for name in self.base.names if name in self.fork and name not in self.files.by_name)

    def late(self) -> list[Clash]:
        """Return what this branch has below migrations of the base, or made without knowing them."""
        theirs = frozenset(self.theirs)
        found = ((name, [one for one in self.base.names if one > name or one in theirs]) for name in self.ours)
        return [Clash(name, Direction.UP, tuple(over)) for name, over in found if over]

    def clashes(self) -> Sequence[Clash]:
        """Return those of :meth:`late` that cannot change places with what the base has; loads files for them."""
        late = self.late()
        if not late:
            return []
        judge = self.set.judge({**self.base.by_name, **self.files.by_name})
        return judge(late, self.base.names, self.ours)


def blobs_of(timeline: Timeline) -> dict[str, str]:
    return {entry.name: entry.blob for entry in timeline}
