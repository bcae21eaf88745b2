"""What a migration file subclasses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from django.db.migrations.operations.base import Operation


class Migration:
    """
    One step of the timeline.

    ``operations`` is one flat, ordered list of ``(app_label, operation)``; any operation of Django's, and any
    third-party one, can stand in it, and one file can touch many apps. ``atomic`` is Django's: ``False`` runs the
    operations outside of a transaction, which PostgreSQL's concurrent index operations need. ``touches`` says what
    its code and SQL read or write, as ``"app.Model"`` or ``"app.Model.field"``; None is anything.
    """

    operations: ClassVar[Sequence[tuple[str, Operation]]] = ()
    atomic: ClassVar[bool] = True
    touches: ClassVar[Sequence[str] | None] = None
