"""
The only module that speaks git: plain data in, plain data out.

Git runs through GitPython's ``Repo(path).git``, which is imported when a repository is opened. Every call names the
repository by its path and runs without the variables that point elsewhere. What a person typed reaches git once, in
:meth:`Repository.resolve`; afterwards only full hashes do.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chronomig.errors import GitError

HASH_PATTERN = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"""A full object name, of SHA-1 or SHA-256."""

CLEARED = frozenset({
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_REPLACE_REF_BASE",
    "GIT_NO_REPLACE_OBJECTS", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    "GIT_QUARANTINE_PATH",
})  # fmt: skip
"""
What git itself drops when it enters another repository (``git rev-parse --local-env-vars``), and what changes the
meaning of paths. Hooks run with some of them. Those that name programs or the user's own configuration stay: who sets
them can run code anyway.
"""

SAFELY = ("core.fsmonitor=false", "core.pager=cat", "log.showSignature=false")
"""Configuration for reading: a repository's own configuration starts no program."""

REGULAR_FILES = ("100644", "100755")


@dataclass(frozen=True)
class Head:
    """What is checked out."""

    branch: str = ""
    """Short name of the branch, empty for a detached HEAD."""
    commit: str = ""
    """Full hash, empty before the first commit."""
    hashing: str = "sha1"
    """The algorithm that names objects: sha1 or sha256."""


@dataclass(frozen=True)
class Change:
    """A commit, and who wrote it."""

    commit: str
    author: str


@contextmanager
def undisturbed() -> Iterator[None]:
    """Take what points to another repository out of the environment while git runs."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name in CLEARED}
    try:
        yield
    finally:
        os.environ.update(taken)


def lies_in_repository(path: Path) -> bool:
    """Whether *path* or a directory above it has a ``.git``; asks nobody and imports nothing."""
    return any((one / ".git").exists() for one in (path, *path.parents))


def open_repository(path: Path) -> Repository:
    """Return the repository that *path* lies in; raise GitError when there is none, or no git."""
    path = path.resolve()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    if not lies_in_repository(path):
        raise GitError(f"{path} is not in a git repository.", next_step="Run git init, or change to the repository.")
    with undisturbed():
        try:
            import git
        except ImportError as error:
            raise no_git(error) from error
        try:
            repo = git.Repo(path, search_parent_directories=True, expand_vars=False)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError, OSError) as error:
            raise GitError(
                f"The git repository of {path} cannot be used.",
                cause=f"{type(error).__name__}: {error}",
                next_step="Look at it with git status.",
            ) from error
    if repo.working_tree_dir is None:
        raise GitError(f"The git repository of {path} has no working tree.", next_step="Use a clone that has one.")
    return Repository(repo.git, Path(repo.working_tree_dir))


def no_git(error: Exception) -> GitError:
    return GitError(
        "git cannot be started.",
        cause=str(error).strip().splitlines()[0] if str(error).strip() else "",
        next_step="Install git and put it on PATH. Everything but refs and branches works without it.",
    )


class Repository:
    """One git repository, read through its working tree's top directory."""

    def __init__(self, command: Any, top: Path) -> None:
        self._command = command
        self.top = top.resolve()
        """The top directory of this working tree; in a submodule, of the submodule."""

    # -- asking -----------------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> str:
        """Return the full hash of the commit that *ref* stands for; raise GitError. *ref* may come from anybody."""
        refuse_odd(ref)
        code, out, err = self._run("rev-parse", "--verify", "--end-of-options", ref)
        found = out.decode("ascii", "replace").strip()
        if code == 0 and HASH_PATTERN.fullmatch(found):
            code, out, err = self._run("rev-parse", "--verify", "--end-of-options", f"{found}^{{commit}}")
            found = out.decode("ascii", "replace").strip()
            if code == 0 and HASH_PATTERN.fullmatch(found):
                return found
        raise GitError(f"git knows no commit {ref!r}.", cause=self._why_unknown(ref, err))

    def names_of(self, text: str) -> list[str]:
        """Return the full names of the branches and tags that are called *text*."""
        return [name for name in self.refs if name.split("/", 2)[-1] == text]

    @cached_property
    def refs(self) -> list[str]:
        """The full names of all branches, remote branches and tags."""
        return self._lines("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags", "refs/remotes")

    @cached_property
    def head(self) -> Head:
        code, out, _ = self._run("symbolic-ref", "--quiet", "--short", "HEAD")
        branch = text_of(out).rstrip("\n") if code == 0 else ""
        code, out, _ = self._run("rev-parse", "--verify", "--quiet", "HEAD")
        hashing = text_of(self._done("rev-parse", "--show-object-format")).strip()
        return Head(branch, text_of(out).strip() if code == 0 else "", hashing)

    @cached_property
    def common_directory(self) -> Path:
        """The git directory that all worktrees share."""
        out = self._done("rev-parse", "--path-format=absolute", "--git-common-dir")
        return Path(text_of(out).removesuffix("\n"))

    def is_shallow(self) -> bool:
        return self._run("rev-parse", "--is-shallow-repository")[1].strip() == b"true"

    def last_change(self, path: Path) -> Change | None:
        """Return the newest commit that changed the file at *path*, None when there is none."""
        if not path.resolve().is_relative_to(self.top):
            return None
        code, out, _ = self._run("log", "-1", "--format=%H%x00%an", "--", f":(top,literal){self.inside(path)}")
        commit, _, author = text_of(out).strip().partition("\0")
        return Change(commit, author) if code == 0 and commit else None

    def parents(self, commit: str) -> list[str]:
        """Return the full hashes of the parents of *commit*."""
        return self._done_text("rev-list", "--parents", "-n", "1", checked(commit)).split()[1:]

    def fork(self, one: str, other: str) -> str:
        """Return the last commit that both have in common; raise GitError when none is in this clone."""
        code, out, _ = self._run("merge-base", checked(one), checked(other))
        if code or not out.strip():
            raise GitError(
                f"{one[:12]} and {other[:12]} have no commit in common in this clone.",
                cause="It is shallow." if self.is_shallow() else "Their histories are unrelated.",
                next_step="Fetch the whole history: git fetch --unshallow, or fetch-depth: 0 in the pipeline.",
            )
        return text_of(out).split()[0]

    def tracks(self, path: Path) -> bool:
        """Whether git knows the file at *path*."""
        return bool(self._lines("ls-files", "--", f":(top,literal){self.inside(path)}"))

    def move(self, old: Path, new: Path) -> None:
        """Rename a file that git knows, in the working tree and in the index; raise GitError."""
        self._done("mv", "--", str(self.top / self.inside(old)), str(self.top / self.inside(new)))

    def inside(self, path: Path) -> str:
        """Return *path* from the top, with slashes; its last part may be a name that is not there yet."""
        return (path.parent.resolve() / path.name).relative_to(self.top).as_posix()

    # -- trees and contents -----------------------------------------------------------------------------------------

    def list_folder(self, commit: str, folder: str) -> dict[str, str] | None:
        """
        Return {file name: blob} of the regular files in *folder* (from the top, with slashes), None without it.

        Raise GitError when the tree itself is not in this clone.
        """
        code, out, _ = self._run("ls-tree", "-z", "--full-tree", f"{checked(commit)}:{folder.strip('/')}")
        if code:
            self._insist_on_tree(commit)
            return None
        found = {}
        for item in out.split(b"\0"):
            head, _, name = item.partition(b"\t")
            mode, _, rest = text_of(head).partition(" ")
            if mode in REGULAR_FILES:
                found[text_of(name)] = rest.split()[-1]
        return found

    def list_paths(self, commit: str) -> list[str]:
        """Return the paths of all files in the tree of *commit*, from the top, with slashes."""
        return self._fields("ls-tree", "-r", "-z", "--name-only", "--full-tree", checked(commit))

    def read_file(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of the file at *path* in the tree of *commit*, None when there is none."""
        code, out, _ = self._run("cat-file", "blob", f"{checked(commit)}:{path}")
        return out if code == 0 else None

    def read(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """Return {blob: bytes} of those of *blobs* that are there, reachable or not, with one call of git."""
        wanted = list(dict.fromkeys(blob for blob in blobs if HASH_PATTERN.fullmatch(blob)))
        if not wanted:
            return {}
        with tempfile.TemporaryFile() as asked:
            asked.write("".join(f"{blob}\n" for blob in wanted).encode())
            asked.seek(0)
            _, out, _ = self._run("cat-file", "--batch", istream=asked)
        return dict(batch(out))

    def versions(self, names: Iterable[str]) -> dict[str, list[str]]:
        """
        Return {file name: blobs} of all files of these names, in any folder, that a ref or a reflog reaches.

        *names* hold neither slashes nor what a pattern could be.
        """
        patterns = [f":(top,glob)**/{name}" for name in names]
        out = self._done(
            "log", "--all", "--reflog", "--format=", "--raw", "-z", "--no-abbrev", "--no-renames", "-m", "--root",
            "--diff-filter=AM", "--", *patterns
        )  # fmt: skip
        found: dict[str, list[str]] = {}
        fields = iter(text_of(out).split("\0"))
        for head, path in zip(fields, fields, strict=False):
            blobs = found.setdefault(path.rpartition("/")[2], [])
            blobs.append(head.split()[3])
        return found

    # -- git itself -------------------------------------------------------------------------------------------------

    def _run(self, command: str, *arguments: str, **options: Any) -> tuple[int, bytes, str]:
        """Run a reading command; return (exit code, stdout, stderr)."""
        import git

        self._command.set_persistent_git_options(c=list(SAFELY))
        with undisturbed():
            try:
                return getattr(self._command, command.replace("-", "_"))(  # type: ignore[no-any-return]
                    *arguments,
                    with_extended_output=True,
                    with_exceptions=False,
                    stdout_as_string=False,
                    strip_newline_in_stdout=False,
                    env={"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
                    **options,
                )
            except git.GitCommandNotFound as error:
                raise no_git(error) from error

    def _done_text(self, command: str, *arguments: str) -> str:
        return text_of(self._done(command, *arguments))

    def _lines(self, command: str, *arguments: str) -> list[str]:
        return text_of(self._done(command, *arguments)).splitlines()

    def _fields(self, command: str, *arguments: str) -> list[str]:
        return [text_of(one) for one in self._done(command, *arguments).split(b"\0") if one]

    def _done(self, command: str, *arguments: str) -> bytes:
        code, out, err = self._run(command, *arguments)
        if code:
            raise GitError(
                f"git {command} failed in {self.top}.", cause=err.strip(), next_step="Look at it with git status."
            )
        return out

    def _insist_on_tree(self, commit: str) -> None:
        code, _, err = self._run("cat-file", "-e", f"{commit}^{{tree}}")
        if code:
            raise GitError(
                f"The tree of {commit[:12]} is not in this clone.",
                cause=err.strip() or "It is shallow or partial.",
                next_step="Fetch it: git fetch --unshallow, or git fetch with the ref.",
            )

    def _why_unknown(self, ref: str, err: str) -> str:
        if "dubious ownership" in err:
            return err.strip()
        remote = [name.removeprefix("refs/remotes/") for name in self.refs if name.endswith(f"/{ref}")]
        if remote:
            return f"There is {', '.join(remote)}."
        if self.is_shallow():
            return "This clone is shallow; git fetch --unshallow brings what is older."
        return ""


def refuse_odd(ref: str) -> None:
    """Raise GitError for what is no ref and could be read as something else."""
    if ref.startswith("-"):
        raise GitError(f"{ref!r} is not a ref.", cause="No ref begins with a dash.")
    if not ref or any(ord(letter) < 32 or letter == "\x7f" for letter in ref):
        raise GitError(f"{ref!r} is not a ref.", cause="A ref is not empty and has no control characters.")


def checked(commit: str) -> str:
    """Return *commit*, which is a full hash."""
    if not HASH_PATTERN.fullmatch(commit):
        raise ValueError(f"{commit!r} is not a full hash")
    return commit


def blob_id(content: bytes, hashing: str) -> str:
    """Return what git calls *content*: the hash of its length and its bytes."""
    return hashlib.new(hashing, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def text_of(raw: bytes) -> str:
    """Return a name as Python's os functions have it; bytes that are no UTF-8 survive."""
    return raw.decode("utf-8", "surrogateescape")


def batch(out: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (blob, bytes) from the output of ``cat-file --batch``; what is missing or no blob is left out."""
    place = 0
    while place < len(out):
        end = out.index(b"\n", place)
        name, *rest = text_of(out[place:end]).split()
        place = end + 1
        if len(rest) == 2:
            size = int(rest[1])
            if rest[0] == "blob":
                yield name, out[place : place + size]
            place += size + 1
