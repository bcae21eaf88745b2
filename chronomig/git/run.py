"""How git runs: by path, without variables that point elsewhere, starting nothing that a repository configures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronomig.errors import GitError

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


@contextmanager
def undisturbed() -> Iterator[None]:
    """Take what points to another repository out of the environment while git runs."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name in CLEARED}
    try:
        yield
    finally:
        os.environ.update(taken)


def no_git(error: Exception) -> GitError:
    return GitError(
        "git cannot be started.",
        cause=str(error).strip().splitlines()[0] if str(error).strip() else "",
        next_step="Install git and put it on PATH. Everything but refs and branches works without it.",
    )


def text_of(raw: bytes) -> str:
    """Return a name as Python's os functions have it; bytes that are no UTF-8 survive."""
    return raw.decode("utf-8", "surrogateescape")


class Git:
    """git in one working tree, through GitPython's ``Repo(path).git``."""

    def __init__(self, command: Any, top: Path) -> None:
        self._command = command
        self.top = top.resolve()
        """The top directory of this working tree; in a submodule, of the submodule."""

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
