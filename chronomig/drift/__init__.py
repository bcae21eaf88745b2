"""
Drift: the schema of a database against what its history says.

What should be there is read off the models at the state of the applied migrations; what is there, off the database,
with Django's introspection. Nothing is written, and no second database is needed.
"""

from chronomig.drift.comparing import Difference
from chronomig.drift.finding import Drift, drift_of

__all__ = ["Difference", "Drift", "drift_of"]
