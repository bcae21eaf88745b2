"""A state <-> text: what a snapshot holds, and what it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib import import_module, metadata
from typing import Any

import django
from django.conf import settings

from chronomig.state.encoding import Json, NotEncodable, decode_model, encode_model
from chronomig.state.project import ProjectState
from chronomig.state.references import key_of, references_of

FORMAT = 1


class Unusable(ValueError):
    """A snapshot that cannot stand for the files it was made from; says why."""


def dump(state: ProjectState) -> str:
    """
    Return the text of *state*; raise NotEncodable.

    Written is what comes back the same: the text is read again and compared. A relation to a model that is gone needs
    more than the state itself (its last form), so that such a state is refused.
    """
    for key, model in state.models.items():
        for reference in references_of(model):
            if reference.target not in state.models:
                raise NotEncodable(f"{'.'.join(key)} refers to {'.'.join(reference.target)}, which is not there")
    models = [encode_model(model) for model in state.models.values()]
    body = json.dumps(models, separators=(",", ":"))
    again = json.dumps([encode_model(decode_model(form)) for form in json.loads(body)], separators=(",", ":"))
    if again != body:
        raise NotEncodable("a field or option does not come back as it was")
    return f"{json.dumps(_head(body, models), sort_keys=True)}\n{body}\n"


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
        models = [decode_model(form) for form in json.loads(body)]
    except Unusable:
        raise
    except Exception as error:  # whatever a class of another version raises: the files are still there
        raise Unusable(f"{type(error).__name__}: {error}") from error
    return ProjectState({key_of(model): model for model in models})


def _head(body: str, models: list[Json]) -> dict[str, Json]:
    parts = [form[part] for form in models for part in ("fields", "options", "bases", "managers")]
    modules = sorted({module for module in _modules_in(parts) if module.partition(".")[0] != "django"})
    return {
        "format": FORMAT,
        "sha256": hashlib.sha256(body.encode()).hexdigest(),
        "django": django.__version__,
        "settings": {name: getattr(settings, name) for name in _swappable_settings(models)},
        "modules": {module: _hash_of(module) for module in modules},
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


def _swappable_settings(models: list[Json]) -> set[str]:
    options = [dict(form["options"]["dict"]) for form in models]
    return {one["swappable"] for one in options if one.get("swappable")}


def _modules_in(form: Json) -> Iterator[str]:
    """Yield the modules of what *form* makes or names."""
    if isinstance(form, list):
        for one in form:
            yield from _modules_in(one)
    elif isinstance(form, dict):
        for tag, content in form.items():
            if tag == "new":
                yield content[0].rpartition(".")[0]
            elif tag in ("name", "enum"):
                yield (content if tag == "name" else content[0]).partition(":")[0]
            yield from _modules_in(content)


def _hash_of(module: str) -> str:
    """Return what tells one version of *module* from another: its file's hash; a package's version besides."""
    try:
        version = metadata.version(module.partition(".")[0])
    except metadata.PackageNotFoundError:
        version = ""
    source = getattr(import_module(module), "__file__", None)
    if not source:
        return version
    with open(source, "rb") as file:  # noqa: PTH123  a file of a package, not one of ours
        return f"{version} {hashlib.file_digest(file, 'sha256').hexdigest()}"
