"""
Copies of migration files, made when they are applied, so that they can be undone when git has lost them.

The vault lies in the git directory that all worktrees share. A file is named after the sha256 of its bytes; who asks
for one checks what he gets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from chronomig.timeline import Entry

SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")


class Vault:
    """The copies below one git directory."""

    def __init__(self, git_directory: Path) -> None:
        self.directory = git_directory / "chronomig"

    def keep(self, entries: Iterable[Entry]) -> None:
        """Copy what is not there yet, each file whole or not at all; raise OSError."""
        missing = [entry for entry in entries if not self._path(entry.sha256).exists()]
        if missing:
            self.directory.mkdir(exist_ok=True)
        for entry in missing:
            path = self._path(entry.sha256)
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(entry.source)
            unfinished.replace(path)

    def get(self, sha256: str) -> bytes | None:
        """Return the bytes that are kept under *sha256*, unchecked, None when there are none."""
        if SHA256_PATTERN.fullmatch(sha256):
            with suppress(OSError):
                return self._path(sha256).read_bytes()
        return None

    def _path(self, sha256: str) -> Path:
        return self.directory / f"{sha256}.py"
