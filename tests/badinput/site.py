"""The project that is given bad input: two applied migrations, one pending, a row, a git repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.databases import TestDatabase
from tests.gitting import Git
from tests.projects import Project

A, B, C = "20260101000000_items", "20260102000000_rows", "20260103000000_more"
CREATE = """
("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])),
"""
FILL = """
def fill(apps, schema_editor):
    apps.get_model("shop", "Item").objects.create(n=7)
"""
IGNORED = ("__pycache__", ".snapshots", ".chronomig-lock", ".out", ".err")
DATABASE = "db.sqlite3"
INTERNAL = ("index.lock", "ORIG_HEAD", "index")
"""Of git; what it knows of the times of files is no change."""


def make_template(folder: Path) -> Path:
    """Make the project once; cases get copies."""
    root = folder / "template"
    project = Project(root, {"default": TestDatabase("sqlite", "db", root).settings()})
    project.databases["default"]["NAME"] = DATABASE
    project.configure(base=("chronomig",))
    project.models(
        "class Item(models.Model):\n    n = models.IntegerField()\n    more = models.TextField(null=True)\n"
    )
    project.migration(A, CREATE)
    project.migration(B, '("shop", migrations.RunPython(fill, migrations.RunPython.noop)),', head=FILL)
    git = Git.init(root, "--template=")
    project.write(".gitignore", f"{DATABASE}*\n__pycache__\n.out\n.err\n")
    git.commit("two")
    project.ok("migrate")
    project.migration(C, '("shop", migrations.AddField("item", "more", models.TextField(null=True))),')
    git.commit("three")
    git("branch", "side", "HEAD~1")
    return root


class Site:
    """One copy, which a case spoils."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def copy(cls, template: Path, root: Path) -> Site:
        force_remove(root)
        shutil.copytree(template, root, symlinks=True)
        return cls(root)

    @property
    def files(self) -> Path:
        return self.root / "project_migrations" / "default"

    @property
    def database(self) -> Path:
        return self.root / DATABASE

    def sql(self, *statements: str | tuple[str, tuple[object, ...]]) -> None:
        with sqlite3.connect(self.database) as connection:
            for one in statements:
                connection.execute(*((one,) if isinstance(one, str) else one))
        connection.close()

    def picture(self) -> Picture:
        return Picture(dict(sorted(walk(self.root))), dumped(self.database))


@dataclass(frozen=True)
class Picture:
    """What may not change."""

    files: dict[str, str]
    database: str

    def unlike(self, other: Picture) -> str:
        """Name the first thing that is not the same."""
        for path in sorted({*self.files, *other.files}):
            if self.files.get(path) != other.files.get(path):
                return f"{path}: {self.files.get(path)} became {other.files.get(path)}"
        if self.database != other.database:
            lines = set(other.database.splitlines()) ^ set(self.database.splitlines())
            return f"the database: {sorted(lines)[:3]}"
        return ""


VAULT = ".git/chronomig/"


def walk(folder: Path) -> list[tuple[str, str]]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in IGNORED]
        for name in (*names, *folders):
            path = Path(place, name)
            if not name.endswith(IGNORED) and name not in INTERNAL and not name.startswith(DATABASE):
                found.append((str(path.relative_to(folder)), seen(path)))
    return [(path, what) for path, what in found if not f"{path}/".startswith(VAULT)]  # copies of what is there


def seen(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return str(path.readlink()) if stat.S_ISLNK(mode) else str(stat.S_IFMT(mode))


def dumped(path: Path) -> str:
    """Return the SQL that makes the database; its bytes, where it is none. SQLite makes an empty file when asked."""
    if not path.exists():
        return dumped_of_nothing()
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return "\n".join(connection.iterdump())
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeError):
        return path.read_bytes().hex() if path.is_file() else ""


def dumped_of_nothing() -> str:
    with closing(sqlite3.connect(":memory:")) as nothing:
        return "\n".join(nothing.iterdump())


def force_remove(root: Path) -> None:
    for place, folders, _ in os.walk(root):
        for name in folders:
            with_rights = Path(place, name)
            if not with_rights.is_symlink():
                with_rights.chmod(0o755)
    shutil.rmtree(root, ignore_errors=True)
