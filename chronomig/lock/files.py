"""Locks of the operating system, for databases that are files."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.errors import LockError
from chronomig.history.table import who
from chronomig.lock.base import Holder, Lock


class FileLock(Lock):
    """A lock of the operating system on a file beside the database file; it dies with its process."""

    def __init__(self, connection: BaseDatabaseWrapper, path: Path) -> None:
        super().__init__(connection)
        self.path = path
        self._file: BinaryIO | None = None

    def try_acquire(self) -> bool:
        file = self._open()
        if not lock_file(file) or not is_at(file, self.path):  # somebody may have removed it before we locked it
            file.close()
            return False
        self._file = file
        with suppress(OSError):  # on a full disk it is held without a word
            file.truncate(0)
            now = datetime.now(UTC)
            holder = {"who": f"{who()} pid {os.getpid()}", "since": f"{now:%Y-%m-%d %H:%M:%S} UTC"}
            file.write(json.dumps(holder).encode())
        return True

    def _open(self) -> BinaryIO:
        try:
            return cast(BinaryIO, self.path.open("ab+", buffering=0))
        except OSError as error:
            raise LockError(
                f"The lock file {self.path} cannot be written.",
                cause=error.strerror or str(error),
                next_step="The directory of a SQLite database must be writable to migrate it.",
            ) from error

    def holder(self) -> Holder:
        try:
            return Holder(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Holder("", "")

    def is_held(self) -> bool:
        return self._file is not None and is_at(self._file, self.path)

    def release(self) -> None:
        """The file stays: removing it would let two processes lock two files of one name."""
        if self._file is not None:
            with suppress(OSError):
                self._file.truncate(0)
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def lock_file(file: BinaryIO) -> bool:
        """Lock one byte far behind the text, because a locked byte cannot be read by others on Windows."""
        try:
            file.seek(1 << 30)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def lock_file(file: BinaryIO) -> bool:
        """Lock the file for this process, without waiting."""
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def is_at(file: BinaryIO, path: Path) -> bool:
    """Whether *path* still leads to the file that is open."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
