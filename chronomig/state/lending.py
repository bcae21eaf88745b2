"""Classes for what foreign keys lead to, shared by the versions in which their model state is the same."""

from __future__ import annotations

from copy import copy
from typing import Any

from django.db.migrations.state import ModelState
from django.db.models import Model

from chronomig.state.operations import Reader
from chronomig.state.references import Key, base_keys
from chronomig.state.registry import LazyApps
from chronomig.state.version import Version

KEPT = 256
OF_THE_TABLE = frozenset({"db_table", "db_tablespace", "managed", "swappable"})


class Lent:
    """
    The classes that schema editors' registries refer to, in place of rendering the same again.

    A schema editor reads the key and the table of what a foreign key leads to. Of most models both follow from the
    model state alone; a class is made of these that knows of no other model. Those used last are kept.
    """

    def __init__(self) -> None:
        self._classes: dict[tuple[Key, str | None], tuple[ModelState, type[Model]]] = {}

    def find(self, key: Key, model: ModelState, field_name: str | None) -> type[Model] | None:
        """Return a class of *model*; None if what *field_name* refers to (None: its key) follows from more models."""
        fields = seen(model, field_name)
        if base_keys(model) or any(field.remote_field or hasattr(field, "field_names") for field in fields.values()):
            return None
        if field_name and field_name not in fields:
            return None
        known, found = self._classes.pop((key, field_name), (None, None))
        if found is None or known is not model:
            found = lone(key, model, fields)
        self._classes[key, field_name] = model, found
        if len(self._classes) > KEPT:
            del self._classes[next(iter(self._classes))]
        return found


def seen(model: ModelState, field_name: str | None) -> dict[str, Any]:
    """Return the key of *model* and the field that is referred to."""
    return {name: field for name, field in model.fields.items() if field.primary_key or name == field_name}


def lone(key: Key, model: ModelState, fields: dict[str, Any]) -> type[Model]:
    """Return a class with the table of *model* and no more than *fields*."""
    made = copy(model)
    made.fields = fields
    made.options = {name: value for name, value in model.options.items() if name in OF_THE_TABLE}
    return LazyApps(Version({key: made}, {}, 0, None), Reader.SCHEMA).get_lone_model(key)
