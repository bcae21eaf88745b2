"""Real git repositories, in a temporary folder, untouched by the configuration of who runs the tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_EDITOR": "true",
}


class Git:
    """git in one working tree."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def init(cls, root: Path, *options: str) -> Git:
        """Make a repository with a branch ``main``."""
        root.mkdir(parents=True, exist_ok=True)
        made = cls(root)
        made("init", "-q", "-b", "main", *options)
        return made

    def __call__(self, *arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> str:
        """Run git, insist on its exit code, and return what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env={**kept, **IDENTITY, **(env or {})},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"git {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return (done.stdout + done.stderr).strip() if code else done.stdout.strip()

    def both(self, *arguments: str) -> str:
        """Run git, and return what it and its hooks printed, on stdout and stderr."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=self.root, env={**kept, **IDENTITY}, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout + done.stderr

    def commit(self, message: str = "work") -> str:
        """Commit everything, and return the hash."""
        self("add", "-A")
        self("commit", "-q", "--allow-empty", "-m", message)
        return self("rev-parse", "HEAD")
