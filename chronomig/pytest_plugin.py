"""For a project's own tests of its migrations: the fixture ``timeline``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.db.migrations.state import StateApps

    from chronomig.project import Database


class TimelineInTest:
    """Moves the test database along its timeline."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def to(self, target: str) -> StateApps:
        """Move the database to *target*, as ``--to`` does, and return the models as they were there."""
        from chronomig.output import PlainReporter
        from chronomig.planning.target import resolve
        from chronomig.running.migrator import Choices, migrate, plan_journey

        choices = Choices(wanted=lambda database, record: resolve(target, database.known(record, target)))
        list(migrate(plan_journey(self.database, choices), choices, PlainReporter(quiet=True)))
        return self.database.states(self.database.record()).current.apps

    def applied(self) -> list[str]:
        """Return the names of what is applied, in the order of application."""
        return list(self.database.record().names)


@pytest.fixture
def timeline(transactional_db: None) -> Iterator[TimelineInTest]:
    """Give the timeline of the database ``default``; afterwards it stands at its head again. Needs pytest-django."""
    from chronomig.opening import current_project

    moved = TimelineInTest(current_project().database("default"))
    yield moved
    moved.to("latest")
