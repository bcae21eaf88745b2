"""Fetch the source of the Django that is installed: its wheel comes without its tests."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django


def fetch(cache: Path) -> Path:
    """Return the folder of Django's tests, of the version in use; fetched once, with pip."""
    version = django.get_version()
    folder = cache / f"django-{version}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            _unpack(_download(version, Path(fresh)), Path(fresh))
            (Path(fresh) / folder.name).rename(folder)
    return folder / "tests"


def _download(version: str, folder: Path) -> Path:
    """Ask pip for the sdist; pip checks its hash against the index."""
    wanted = ["--no-deps", "--no-binary", "django", "--dest", str(folder), f"django=={version}"]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=True, timeout=600)
    (found,) = folder.glob("[dD]jango-*.tar.gz")
    return found


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
