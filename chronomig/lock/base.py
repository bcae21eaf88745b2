"""What all locks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from chronomig.errors import LockError


@dataclass(frozen=True)
class Holder:
    """Who has the lock, as far as the database tells."""

    who: str
    since: str

    def __str__(self) -> str:
        return f"{self.who or 'another process'}{f' since {self.since}' if self.since else ''}"


class Lock(ABC):
    """A lock on one database; subclasses know how one vendor does it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    @abstractmethod
    def try_acquire(self) -> bool:
        """Take the lock if it is free, without waiting."""

    @abstractmethod
    def holder(self) -> Holder:
        """Tell who has it."""

    @abstractmethod
    def is_held(self) -> bool:
        """Whether what was taken is still ours."""

    @abstractmethod
    def release(self) -> None:
        """Give it back."""

    def insist(self) -> None:
        """Raise LockError when the lock is not ours any more."""
        if not self.is_held():
            raise LockError(
                f"The lock of the database {self.connection.alias!r} was lost, so no further migration was begun.",
                cause="Its session was ended or its file removed; another process may migrate by now.",
                next_step="Run the command again; it goes on where this one stopped.",
            )


class NoLock(Lock):
    """For a database that no other process can reach."""

    def try_acquire(self) -> bool:
        return True

    def holder(self) -> Holder:
        return Holder("", "")

    def is_held(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing is held."""
