"""A state <-> text: what a snapshot holds, and what it depends on."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from importlib import import_module, metadata
from inspect import getmro
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.db.migrations.state import ModelState

from chronomig.errors import LoadError, in_words
from chronomig.state.encoding import Json, NotEncodable, deconstructible, named
from chronomig.state.project import ProjectState
from chronomig.state.references import key_of, references_of
from chronomig.state.stored import StoredModel, compact, in_two

FORMAT = 3
PYTHONS_OWN = str(Path(os.__file__).parent)


class Unusable(ValueError):
    """A snapshot that cannot stand for the files it was made from; says why."""


def dump(state: ProjectState) -> str:
    """
    Return the text of *state*; raise NotEncodable.

    Below the head stands one line with what is known of every model at once, then a line for each of them. Written is
    what comes back the same: each model is read again and compared. A relation to a model that is gone needs more
    than the state itself (its last form), so that such a state is refused.
    """
    known, texts, seen = [], [], Named()
    for key, model in state.models.items():
        for reference in references_of(model):
            if reference.target not in state.models:
                raise NotEncodable(f"{'.'.join(key)} refers to {'.'.join(reference.target)}, which is not there")
        one, text = _forms(".".join(key), model)
        known.append(one)
        texts.append(text)
        seen.read([one["bases"], one["managers"], *json.loads(text)], model.options.get("swappable"))
    body = "\n".join([compact(known), *texts])
    return f"{json.dumps(_head(body, seen), sort_keys=True)}\n{body}\n"


def load(text: str) -> ProjectState:
    """Return the state in *text*; raise Unusable when it is damaged, or was made under other conditions."""
    head_line, _, body = text.partition("\n")
    body = body.rstrip("\n")
    try:
        head = json.loads(head_line)
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise Unusable("it has another format")
        if head["sha256"] != hashlib.sha256(body.encode()).hexdigest():
            raise Unusable("it is damaged")
        _check_conditions(head)
        known, *texts = body.split("\n")
        models = [StoredModel.waiting(*pair) for pair in zip(json.loads(known), texts, strict=True)]
    except Unusable:
        raise
    except Exception as error:  # whatever a class of another version raises: the files are still there
        raise Unusable(in_words(error)) from error
    return ProjectState({key_of(model): model for model in models})


def _forms(name: str, model: ModelState) -> tuple[Json, str]:
    """Return what is written of *model*, after it was read again and compared; raise NotEncodable."""
    try:
        forms = in_two(model)
        same = in_two(StoredModel.waiting(*forms)) == forms
    except NotEncodable:
        raise
    except Exception as error:  # whatever a class raises that does not take what it gave
        why = error.cause if isinstance(error, LoadError) else in_words(error)
        raise NotEncodable(f"a field or option of {name} does not come back as it was: {why}") from error
    if not same:
        raise NotEncodable(f"a field or option of {name} does not come back as it was")
    return forms


class Named:
    """What the models of a snapshot name, so that reading can find out at once whether all of it is there."""

    def __init__(self) -> None:
        self.makers: set[str] = set()
        """Paths of classes that are called."""
        self.names: set[str] = set()
        """``module:qualified name`` of what is referred to."""
        self.settings: set[str] = set()

    def read(self, form: Json, swappable: str | None = None) -> None:
        """Take in what *form* makes or names."""
        if swappable:
            self.settings.add(swappable)
        if isinstance(form, dict):
            for tag, content in form.items():
                if tag == "new":
                    self.makers.add(content[0])
                elif tag in ("name", "enum"):
                    self.names.add(content if tag == "name" else content[0])
                self.read(content)
        elif isinstance(form, list):
            for one in form:
                self.read(one)

    @property
    def modules(self) -> list[str]:
        """Where it stands, and what its classes inherit from, but for Django's own and Python's."""
        found = {path.rpartition(".")[0] for path in self.makers} | {name.partition(":")[0] for name in self.names}
        for one in [*(deconstructible(path) for path in self.makers), *(named(name) for name in self.names)]:
            if isinstance(one, type):  # one made at run time may name a module that nobody can import
                found |= {above.__module__ for above in (*getmro(one), *getmro(type(one)))} & sys.modules.keys()
        return sorted(filter(_is_watched, found))


def _head(body: str, seen: Named) -> dict[str, Json]:
    return {
        "format": FORMAT,
        "sha256": hashlib.sha256(body.encode()).hexdigest(),
        "django": django.__version__,
        "settings": {name: getattr(settings, name) for name in sorted(seen.settings)},
        "modules": {module: _hash_of(module) for module in seen.modules},
        "makers": sorted(seen.makers),
        "names": sorted(seen.names),
    }


def _check_conditions(head: dict[str, Any]) -> None:
    if head["django"] != django.__version__:
        raise Unusable(f"it was made with Django {head['django']}")
    for name, value in head["settings"].items():
        if getattr(settings, name, None) != value:
            raise Unusable(f"{name} was {value!r}")
    for module, known in head["modules"].items():
        if _hash_of(module) != known:
            raise Unusable(f"the module {module} changed")
    for path in head["makers"]:
        deconstructible(path)
    for name in head["names"]:
        named(name)


def _is_watched(module: str) -> bool:
    """Whether *module* is neither Django's, whose version is compared, nor Python's."""
    package = module.partition(".")[0]
    if package not in sys.stdlib_module_names:
        return package != "django"
    source = getattr(sys.modules.get(package), "__file__", None)  # an app may be called calendar, too
    return source is not None and not source.startswith(PYTHONS_OWN)


def _hash_of(module: str) -> str:
    """Return what tells one version of *module* from another: its file's hash; a package's version besides."""
    version = _version_of(module.partition(".")[0])
    source = getattr(import_module(module), "__file__", None)
    if not source:
        return version
    with open(source, "rb") as file:  # noqa: PTH123  a file of a package, not one of ours
        return f"{version} {hashlib.file_digest(file, 'sha256').hexdigest()}"


@functools.cache
def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
