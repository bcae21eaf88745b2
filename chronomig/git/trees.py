"""A commit -> the timeline of a set, with the bytes of that commit; the working tree is not touched."""

from __future__ import annotations

import posixpath
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from chronomig.config import Config
from chronomig.errors import GitError, TimelineError
from chronomig.git.repo import Repository, lies_in_repository, open_repository
from chronomig.timeline import Entry, Timeline, is_migration_file, make_timeline

READ_AT_ONCE = 200
"""Starting git costs more than reading a hundred files with it, and what is asked for comes in order."""


class Trees:
    """The migrations of one project as they are in any commit."""

    def __init__(self, root: Path, directory: str) -> None:
        self.root = root
        self.directory = directory
        self._commits: dict[str, str] = {}
        self._timelines: dict[tuple[str, str], Timeline] = {}

    @property
    def in_repository(self) -> bool:
        """Whether the project seems to lie in a repository; asks nobody."""
        return lies_in_repository(self.root.resolve())

    @cached_property
    def repository(self) -> Repository:
        """The repository of the migrations; raise GitError."""
        return open_repository(self.root / self.directory)

    def commit(self, ref: str) -> str:
        """Return the full hash that *ref* stands for, the same during the whole run; raise GitError."""
        if ref not in self._commits:
            self._commits[ref] = self.repository.resolve(ref)
        return self._commits[ref]

    def timeline(self, commit: str, set_name: str, *, known: Collection[str] = (), ref: str = "") -> Timeline:
        """
        Return what the set is in the tree of *commit*, a full hash.

        *known* are names of migrations by which a folder that was moved is recognised; *ref* is what *commit* was
        called. Raise GitError when the tree has no migrations directory, TimelineError when its files cannot be put
        in one order.
        """
        if (commit, set_name) not in self._timelines:
            branch = ref if ref and self.repository.names_of(ref) else ""
            read = self._read(commit, set_name, known)
            self._timelines[commit, set_name] = replace(read, branch=branch, commit=commit)
        return self._timelines[commit, set_name]

    def blobs(self, commit: str, set_name: str, *, known: Collection[str] = ()) -> dict[str, str]:
        """
        Return {migration: what git calls its bytes} of the set in the tree of *commit*, a full hash.

        As :meth:`timeline`, for who wants no more: nothing is read, and names are not looked at.
        """
        _, listed = self._find(commit, set_name, known)
        return {name[:-3]: blob for name, blob in listed.items() if is_migration_file(name)}

    def _read(self, commit: str, set_name: str, known: Collection[str]) -> Timeline:
        folder, listed = self._find(commit, set_name, known)
        blobs = {name: blob for name, blob in sorted(listed.items()) if is_migration_file(name)}
        contents = Contents(self.repository, list(blobs.values()))
        directory = self.repository.top / folder
        entries = (
            Entry(name[:-3], directory / name, fetch=partial(contents.get, blob), blob=blob, commit=commit)
            for name, blob in blobs.items()
        )
        try:
            return make_timeline(set_name, directory, entries, now=datetime.now(UTC))
        except TimelineError as error:
            error.fact = f"The timeline of the set {set_name!r} in {commit[:12]} cannot be read: {folder}."
            error.next_step = "Choose a ref at which these files have right names; nothing was run."
            raise

    def _find(self, commit: str, set_name: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
        """Return where the set is in that tree, which may be another place than now, and its files."""
        git = self.repository
        directories = list(dict.fromkeys(self._directories(commit)))
        for folder in (posixpath.join(directory, set_name) for directory in directories):
            listed = git.list_folder(commit, folder)
            if listed is not None:
                return folder, listed
        if moved := followed(git.list_paths(commit), set_name, known):
            return moved, git.list_folder(commit, moved) or {}
        for directory in directories:
            if git.list_folder(commit, directory) is not None:
                return posixpath.join(directory, set_name), {}  # the set came later: there it has no migrations
        raise GitError(
            f"The tree of {commit[:12]} has no migrations.",
            cause=f"Looked for: {', '.join(directories)}; no other folder has migrations of the set {set_name!r}.",
            next_step="If a database without migrations is meant: chronomig migrate --to zero.",
        )

    def _directories(self, commit: str) -> Iterator[str]:
        """Yield where the migrations directory may be: as configured there, as it is now, the default."""
        base = self._inside(self.root)
        text = self.repository.read_file(commit, posixpath.join(base, "pyproject.toml"))
        if configured := configured_directory(text or b""):
            yield posixpath.normpath(posixpath.join(base, configured))
        yield self._inside(self.root / self.directory)
        yield posixpath.join(base, Config().directory)

    def _inside(self, path: Path) -> str:
        """Return *path* as git has it: from the top of the repository, with slashes."""
        try:
            inside = path.resolve().relative_to(self.repository.top).as_posix()
        except ValueError as error:
            raise GitError(
                f"{path} is not in the repository {self.repository.top}.",
                cause="A ref names migrations only when they lie in the repository.",
                next_step="Correct 'directory' in the configuration.",
            ) from error
        return "" if inside == "." else inside


class Contents:
    """The bytes of blobs that are asked for one after the other, read many at once."""

    def __init__(self, repository: Repository, blobs: Sequence[str]) -> None:
        self.repository = repository
        self.place = {blob: index for index, blob in enumerate(blobs)}
        self.blobs = blobs
        self._read: dict[str, bytes] = {}

    def get(self, blob: str) -> bytes:
        """Return the bytes of *blob*; raise GitError when they are not in this clone."""
        if blob not in self._read:
            start = self.place[blob]
            self._read |= self.repository.read(self.blobs[start : start + READ_AT_ONCE])
        if blob not in self._read:
            raise GitError(
                f"The object {blob} is not in this clone.",
                cause="The clone is partial, or damaged.",
                next_step="Fetch what is missing: git fetch --refetch, or look with git fsck.",
            )
        return self._read[blob]


def configured_directory(pyproject: bytes) -> str:
    """Return ``[tool.chronomig] directory`` of a pyproject.toml, empty when there is none."""
    try:
        found = tomllib.loads(pyproject.decode())["tool"]["chronomig"]["directory"]
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def followed(paths: Sequence[str], set_name: str, known: Collection[str]) -> str:
    """Return the one folder that has most of the *known* migrations, one called *set_name* first; else nothing."""
    files = {f"{name}.py" for name in known}
    counts = Counter(str(path.parent) for path in map(PurePosixPath, paths) if path.name in files)
    named = {folder: count for folder, count in counts.items() if PurePosixPath(folder).name == set_name}
    ranked = Counter(named or counts).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return ""
    return ranked[0][0]
