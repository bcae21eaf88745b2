"""Classes for what foreign keys lead to, shared by the versions in which their model state is the same."""

from __future__ import annotations

from django.db.migrations.state import ModelState
from django.db.models import Model

from chronomig.state.operations import Reader
from chronomig.state.references import Key, base_keys
from chronomig.state.registry import LazyApps
from chronomig.state.version import Version

KEPT = 256


class Lent:
    """
    The classes that schema editors' registries refer to, in place of rendering the same again.

    A schema editor reads the key and the table of what a foreign key leads to. Of most models both follow from the
    model state alone; a class is made of it that knows of no other model. Those used last are kept.
    """

    def __init__(self) -> None:
        self._classes: dict[Key, tuple[ModelState, type[Model]]] = {}

    def find(self, key: Key, model: ModelState, field_name: str | None) -> type[Model] | None:
        """Return a class of *model*; None if what *field_name* refers to (None: its key) follows from more models."""
        if base_keys(model) or any(field.remote_field for field in model.fields.values() if field.primary_key):
            return None
        if field_name and (field_name not in model.fields or model.fields[field_name].remote_field):
            return None
        known, found = self._classes.pop(key, (None, None))
        if found is None or known is not model:
            found = LazyApps(Version({key: model}, {}, 0, None), Reader.SCHEMA).get_lone_model(key)
        self._classes[key] = model, found
        if len(self._classes) > KEPT:
            del self._classes[next(iter(self._classes))]
        return found
