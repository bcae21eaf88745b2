"""
The way back to stock Django: per-app migrations, and ``django_migrations`` in step.

:func:`draft_ejection` says what would be written and what stands in the way; :func:`standings` says the same of the
databases, and :func:`record` writes to one.
"""

from chronomig.eject.drafting import Ejection, Fate, Page, draft_ejection
from chronomig.eject.recording import Standing, record, standings

__all__ = ["Ejection", "Fate", "Page", "Standing", "draft_ejection", "record", "standings"]
