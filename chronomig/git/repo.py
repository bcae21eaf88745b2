"""
What git is asked: plain data in, plain data out. With run.py, the only module that speaks git.

Git runs through GitPython's ``Repo(path).git``, which is imported when a repository is opened. Every call names the
repository by its path and runs without the variables that point elsewhere. What a person typed reaches git once, in
:meth:`Repository.resolve`; afterwards only full hashes do.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from chronomig.errors import GitError, in_words
from chronomig.git.run import Git, no_git, text_of, undisturbed

HASH_PATTERN = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"""A full object name, of SHA-1 or SHA-256."""
BRANCH_PATTERN = re.compile(r"(?!HEAD|[0-9a-f]{7,64}$)[\w][\w./-]*")
"""What may be the name of a branch, and is no commit."""

HEADS = "refs/heads/"

UNFINISHED = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}
"""{file in the git directory: what is unfinished when it is there}"""

REGULAR_FILES = ("100644 ", "100755 ")


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
                cause=in_words(error),
                next_step="Look at it with git status.",
            ) from error
    if repo.working_tree_dir is None:
        raise GitError(f"The git repository of {path} has no working tree.", next_step="Use a clone that has one.")
    return Repository(repo.git, Path(repo.working_tree_dir))


class Repository(Git):
    """One git repository, read through its working tree's top directory."""

    # -- asking -----------------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> str:
        """Return the full hash of the commit that *ref* stands for; raise GitError. *ref* may come from anybody."""
        refuse_odd(ref)
        code, out, err = self._run("rev-parse", "--verify", "--end-of-options", ref)
        found = out.decode("ascii", "replace").strip()
        if not code and "only goes back to" in err:  # git takes its oldest then, which is no answer to the question
            raise GitError(
                f"git cannot tell what {ref!r} was.",
                cause=sentence(err.strip().removeprefix("warning: ")),
                next_step="git reflog and git log show what this clone knows; name a commit.",
            )
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
        code, out, _ = self._run("rev-parse", "--show-object-format", "HEAD", "--symbolic-full-name", "HEAD")
        hashing, *found = text_of(out).splitlines() or [text_of(self._done("rev-parse", "--show-object-format"))]
        if code == 0:
            commit, name = found
            return Head(name.removeprefix(HEADS) if name != "HEAD" else "", commit, hashing)
        code, out, _ = self._run("symbolic-ref", "--quiet", "--short", "HEAD")  # no commit yet
        return Head(text_of(out).rstrip("\n") if code == 0 else "", "", hashing)

    @cached_property
    def common_directory(self) -> Path:
        """The git directory that all worktrees share."""
        out = self._done("rev-parse", "--path-format=absolute", "--git-common-dir")
        return Path(text_of(out).removesuffix("\n"))

    def hooks_directory(self) -> tuple[Path, str]:
        """Return where hooks are, and the scope of the configuration that says so, empty for the default."""
        code, out, _ = self._run("config", "--show-scope", "--get", "core.hooksPath")
        scope = text_of(out).partition("\t")[0] if code == 0 else ""
        found = self._done("rev-parse", "--path-format=absolute", "--git-path", "hooks")
        return Path(text_of(found).removesuffix("\n")), scope

    def is_shallow(self) -> bool:
        return self._run("rev-parse", "--is-shallow-repository")[1].strip() == b"true"

    def last_change(self, path: Path, commit: str = "") -> Change | None:
        """Return the newest commit up to *commit*, or the HEAD, that changed the file at *path*; None without one."""
        if not path.resolve().is_relative_to(self.top):
            return None
        revision = checked(commit) if commit else "HEAD"
        pattern = f":(top,literal){self.inside(path)}"
        code, out, _ = self._run("log", "-1", "--format=%H%x00%an", revision, "--", pattern)
        commit, _, author = text_of(out).strip().partition("\0")
        return Change(commit, author) if code == 0 and commit else None

    def added(self, paths: Iterable[Path]) -> dict[Path, datetime]:
        """
        Return {path: when the oldest commit that added it was written}, of those that git knows; raise GitError.

        Nothing in a shallow clone, whose oldest commit looks as if it had added everything.
        """
        inside = {self.inside(path): path for path in paths if path.resolve().is_relative_to(self.top)}
        if not inside or self.is_shallow():
            return {}
        folders = dict.fromkeys(f":(top,literal){posixpath.dirname(name)}" for name in inside)
        fields = self._fields(
            "log", "--format=//%at", "--name-only", "-z", "--no-renames", "--no-follow", "--diff-filter=A", "--",
            *folders
        )  # fmt: skip
        found: dict[Path, datetime] = {}
        for field in (one.removeprefix("\n") for one in fields):  # newest first; no path begins with a slash
            if field.startswith("//"):
                written = datetime.fromtimestamp(int(field[2:]), UTC)
            elif field in inside:
                found[inside[field]] = written
        return found

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

    def contains(self, commit: str, other: str) -> bool:
        """Whether *other* is *commit*, or one of those before it."""
        return other == commit or self._run("merge-base", "--is-ancestor", checked(other), checked(commit))[0] == 0

    def tracks(self, path: Path) -> bool:
        """Whether git knows the file at *path*."""
        return bool(self._lines("ls-files", "--", f":(top,literal){self.inside(path)}"))

    def move(self, old: Path, new: Path) -> None:
        """Rename a file that git knows, in the working tree and in the index; raise GitError."""
        self._done("mv", "--", str(self.top / self.inside(old)), str(self.top / self.inside(new)))

    def inside(self, path: Path) -> str:
        """Return *path* from the top, with slashes; its last part may be a name that is not there yet."""
        return (
            "."
            if path.resolve() == self.top
            else (path.parent.resolve() / path.name).relative_to(self.top).as_posix()
        )

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
        items = (item.partition("\t") for item in text_of(out).split("\0"))
        return {name: head.rpartition(" ")[2] for head, _, name in items if head.startswith(REGULAR_FILES)}

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

    # -- changing branches ------------------------------------------------------------------------------------------

    def previous_branch(self) -> str:
        """Return the branch that was checked out before, empty when it was none."""
        code, out, _ = self._run("rev-parse", "--symbolic-full-name", "@{-1}")
        name = text_of(out).strip()
        return name.removeprefix(HEADS) if code == 0 and name.startswith(HEADS) else ""

    def is_branch_name(self, name: str) -> bool:
        """Whether a branch can be called *name*."""
        return not name.startswith("-") and self._run("check-ref-format", f"{HEADS}{name}")[0] == 0

    def unfinished(self) -> str:
        """Return what is going on that git wants finished before branches change, empty when nothing is."""
        directory = Path(text_of(self._done("rev-parse", "--absolute-git-dir")).removesuffix("\n"))
        return next((what for name, what in UNFINISHED.items() if (directory / name).exists()), "")

    def checked_out_at(self, branch: str) -> str:
        """Return the other worktree that has *branch* checked out, empty when none has."""
        place = ""
        for line in self._lines("worktree", "list", "--porcelain"):
            if line.startswith("worktree "):
                place = line.removeprefix("worktree ")
            elif line == f"branch {HEADS}{branch}" and Path(place).resolve() != self.top:
                return place
        return ""

    def in_the_way(self, commit: str) -> str:
        """Return git's words on what keeps the working tree from becoming that of *commit*; changes no file."""
        if self._done("ls-files", "-z", "--unmerged"):
            return "There are conflicts that are not resolved."
        self._run("update-index", "-q", "--refresh")
        code, _, err = self._run("read-tree", "-n", "-m", "-u", self.head.commit, checked(commit))
        return err.strip() or "git read-tree failed." if code else ""

    def switch(self, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
        """Let git switch, with the user's own configuration and hooks; return what it said. Raise GitError."""
        self._command.set_persistent_git_options()
        with undisturbed():
            code, _, err = self._command.switch(
                *arguments, with_extended_output=True, with_exceptions=False, env=dict(environment)
            )
        if code:
            raise GitError("git did not switch.", cause=err.strip(), next_step="Look at it with git status.")
        for stale in ("head", "refs"):
            self.__dict__.pop(stale, None)
        return str(err).strip()

    # -- git itself -------------------------------------------------------------------------------------------------

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
            branch = f" git fetch origin {ref}:{ref} brings a branch." if BRANCH_PATTERN.fullmatch(ref) else ""
            return f"This clone is shallow; git fetch --unshallow brings what is older.{branch}"
        if "log for" in err:
            return sentence(err.strip().removeprefix("fatal: "))
        return ""


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


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
