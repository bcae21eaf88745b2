"""Project-level, timestamp-ordered migrations for Django."""

from chronomig.migration import Migration

__all__ = ["Migration", "__version__"]
__version__ = "0.1.0"
