"""Model states as a snapshot holds them: fields and options are made when they are first read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.migrations.state import ModelState

from chronomig.errors import LoadError, in_words
from chronomig.state.encoding import Json, decode, encode_model
from chronomig.state.references import Kind, Reference, references_of

LAZY = ("fields", "options")


class StoredModel(ModelState):
    """A model state whose fields are text until somebody reads them; who refers to whom is known before."""

    _text: str
    """The fields and options, until they are made."""

    @classmethod
    def waiting(cls, known: Json, text: str) -> StoredModel:
        """Return the model of which :func:`in_two` gave *known* and *text*."""
        made = cls.__new__(cls)
        made.__dict__.update(
            app_label=known["app_label"],
            name=known["name"],
            bases=tuple(decode(known["bases"])),
            managers=[tuple(pair) for pair in decode(known["managers"])],
            _chronomig_references=tuple(_references_in(known["references"])),
            _text=text,
        )
        return made

    def __getattr__(self, name: str) -> Any:
        if name not in LAZY or "_text" not in self.__dict__:
            raise AttributeError(name)
        self.__dict__.update(vars(self._made()))
        del self._text
        return self.__dict__[name]

    def _made(self) -> ModelState:
        """Return the same with its fields and options; raise LoadError, whatever their classes raise."""
        try:
            fields, options = map(decode, json.loads(self._text))
            return ModelState(self.app_label, self.name, fields, options, self.bases, self.managers)
        except Exception as error:
            raise LoadError(
                f"A snapshot does not fit the code any more: {self.app_label}.{self.name} cannot be made from it.",
                cause=in_words(error),
                next_step="Delete project_migrations/.snapshots, and run the same command again.",
            ) from error

    def __copy__(self) -> ModelState:
        made = ModelState.__new__(ModelState)
        self.fields  # noqa: B018  a copy whose fields are replaced must not read them later
        made.__dict__.update(self.__dict__)
        return made


def in_two(model: ModelState) -> tuple[Json, str]:
    """Return what is known of a model before its fields are read, and the text of the rest; raise NotEncodable."""
    known = encode_model(model)
    text = compact([known.pop(name) for name in LAZY])
    references = [[*one.target, one.kind.value, *one[2:]] for one in references_of(model)]
    return {**known, "references": references}, text


def compact(form: Json) -> str:
    return json.dumps(form, separators=(",", ":"))


def _references_in(form: Json) -> Iterable[Reference]:
    return (Reference((app, name), Kind(kind), *others) for app, name, kind, *others in form)
