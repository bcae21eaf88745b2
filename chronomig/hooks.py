"""Git's hooks: a marked block in each, which says when the databases and the tree differ."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from chronomig.errors import Refused
from chronomig.git.repo import Repository

SHELLS = re.compile(rb"#!.*\b(sh|bash|dash|zsh|ksh)\b")
SHEBANG = "#!/bin/sh\n"

GUARDS = {
    "post-checkout": (
        '[ "$3" = 1 ] && [ "$1" != "$2" ] || exit 0\n'
        '  [ -d "$(git rev-parse --git-path rebase-merge)" ] && exit 0\n'
        '  [ -d "$(git rev-parse --git-path rebase-apply)" ] && exit 0\n'
        "  old=$1 new=$2"
    ),
    "post-merge": "old=ORIG_HEAD new=HEAD",
    "post-rewrite": "old=ORIG_HEAD new=HEAD\n  [ \"$1\" = amend ] && old='HEAD@{1}'",
}
"""{hook: lines that leave when nothing was switched, or say between which commits it was}"""

BLOCK = """\
# >>> chronomig: {place} >>>
# Says when the databases and the tree differ; "chronomig hooks uninstall" takes these lines out.
(
  [ -z "$CHRONOMIG_SWITCHING" ] || exit 0
  {guard}
  git diff --quiet --no-ext-diff "$old" "$new" -- {migrations} 2>/dev/null
  [ $? = 1 ] && cd {place_quoted} && {python} -m chronomig hooks run
) </dev/null || :
# <<< chronomig: {place} <<<
"""


class HookState(StrEnum):
    """What is in a hook's file."""

    INSTALLED = "installed"
    OUTDATED = "outdated"
    """With a block of another version, or for another Python."""
    MISSING = "not installed"


@dataclass(frozen=True)
class Hook:
    """One hook of one project."""

    name: str
    path: Path
    place: str
    """The project's root from the top of the repository, with slashes."""
    block: bytes

    @property
    def content(self) -> bytes:
        return self.path.read_bytes() if self.path.is_file() else b""

    @property
    def state(self) -> HookState:
        if self.block in self.content:
            return HookState.INSTALLED
        return HookState.OUTDATED if self._pattern.search(self.content) else HookState.MISSING

    @property
    def _pattern(self) -> re.Pattern[bytes]:
        place = re.escape(self.place.encode())
        return re.compile(
            rb"^# >>> chronomig: " + place + rb" >>>\n.*?^# <<< chronomig: " + place + rb" <<<\n", re.M | re.S
        )

    def refuse_foreign(self) -> None:
        """Raise Refused for a file that a shell does not read: nothing can be put into it."""
        first = self.content.partition(b"\n")[0]
        if self.path.is_symlink() or b"\0" in self.content or (first.startswith(b"#!") and not SHELLS.match(first)):
            raise Refused(
                f"{self.path} is not a shell script; nothing was written.",
                cause="What somebody else put there is never overwritten.",
                next_step=f"Let it run: {shlex.quote(sys.executable)} -m chronomig hooks run",
            )

    def install(self) -> None:
        """Put the block first, in place of an older one: what comes after it may never come back."""
        rest = self._pattern.sub(b"", self.content) or SHEBANG.encode()
        head, tail = (
            (rest[: rest.index(b"\n") + 1], rest[rest.index(b"\n") + 1 :]) if rest[:2] == b"#!" else (b"", rest)
        )
        self._write(head + self.block + tail)

    def uninstall(self) -> None:
        """Take the block out; a file that held nothing else goes."""
        left = self._pattern.sub(b"", self.content)
        if left.strip() in (b"", SHEBANG.strip().encode()):
            self.path.unlink(missing_ok=True)
        else:
            self._write(left)

    def _write(self, content: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mode = self.path.stat().st_mode if self.path.exists() else 0o644
        unfinished = self.path.with_name(f".{self.name}.chronomig")
        unfinished.write_bytes(content)
        unfinished.chmod(mode | 0o111)
        unfinished.replace(self.path)


def find_hooks(git: Repository, root: Path, directory: Path) -> Iterator[Hook]:
    """Yield the hooks of the project at *root*, whose migrations are in *directory*; raise Refused, GitError."""
    folder, scope = git.hooks_directory()
    if scope not in ("", "local", "worktree"):
        raise Refused(
            f"The hooks of all your repositories are in {folder}.",
            cause=f"core.hooksPath is set in the {scope} configuration.",
            next_step="Give this repository hooks of its own: git config core.hooksPath .git/hooks",
        )
    if folder.name == "_" and folder.parent.name == ".husky":
        folder = folder.parent  # what husky writes into "_" calls the file of the same name above it
    place = git.inside(root)
    for name, guard in GUARDS.items():
        text = BLOCK.format(
            place=place,
            place_quoted=shlex.quote(place),
            guard=guard,
            migrations=shlex.quote(git.inside(directory)),
            python=shlex.quote(sys.executable),
        )
        yield Hook(name, folder / name, place, text.encode("utf-8", "surrogateescape"))
