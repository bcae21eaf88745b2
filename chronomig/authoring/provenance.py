"""Where vendored files came from, and how they stand to what is installed now."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.apps import apps

from chronomig.authoring.copying import distribution_of, reason_for_reference, source_of
from chronomig.authoring.templates import is_own_format, source_of_template
from chronomig.authoring.vendor import Templates
from chronomig.code.origins import Origin, origins_in
from chronomig.timeline import Entry

MARK = b"\n\nORIGIN = "
"""What stands between a copy and where it came from."""


class Standing(StrEnum):
    """How a vendored file stands to its original."""

    SAME = "same"
    EDITED_UPSTREAM = "edited upstream"
    EDITED_HERE = "edited here"
    SQUASHED = "squashed upstream"
    """The installed version has a squash in its place."""
    NOT_INSTALLED = "not in what is installed"
    """The app is installed, without this migration: an older version, most often."""
    GONE = "app is gone"
    MOVED = "own"
    """A migration of the project's own, which lives in the timeline alone."""


FINDINGS = (Standing.EDITED_UPSTREAM, Standing.EDITED_HERE, Standing.NOT_INSTALLED)


@dataclass(frozen=True)
class Provenance:
    """One vendored file."""

    name: str
    origin: Origin
    standing: Standing
    refers: bool
    diff: str = ""
    """From the file to what is installed, where they differ."""

    @property
    def installed(self) -> str:
        """
        The version of the distribution that is installed now; empty where that cannot be told.

        Who asks has the records of every installed distribution read, which takes longer than all files here.
        """
        config = apps.app_configs.get(self.origin.app)
        return distribution_of(config.name)[1] if config else ""

    @property
    def told(self) -> str:
        """What there is to say about it, in a sentence."""
        known = f"{self.origin.distribution or self.origin.app} {self.origin.version}".rstrip()
        match self.standing:
            case Standing.EDITED_UPSTREAM:
                return f"{self.name}: upstream changed this migration since it was vendored; it stays as it is."
            case Standing.EDITED_HERE:
                return f"{self.name}: this file was edited since it was vendored from {known}."
            case Standing.NOT_INSTALLED:
                return (
                    f"{self.name}: it came with {known}, but {self.installed or 'another version'} is installed, "
                    "which does not have it."
                )
        return f"{self.name}: {self.standing} ({known})"


def provenance(templates: Templates) -> Iterator[Provenance]:
    """Yield how each vendored file of a set stands, in the order of the files."""
    squashed = {(app, name) for one in templates.loader.replacements.values() for app, name in one.replaces}
    for name, origin in origins_in(templates.set.timeline).items():
        entry = templates.set.timeline.by_name[name]
        upstream = source_there(templates, origin)
        refers = bool(reason_for_reference(entry))
        if upstream is None and is_own(templates, origin):
            standing = Standing.MOVED
        else:
            standing = standing_of(entry, origin, upstream, is_squashed=origin.key in squashed)
        different = standing in (Standing.EDITED_UPSTREAM, Standing.EDITED_HERE)
        lines = diff(entry, upstream) if different and upstream is not None else ""
        yield Provenance(name, origin, standing, refers, lines)


def is_own(templates: Templates, origin: Origin) -> bool:
    return origin.app in templates.own_apps and not is_own_format(origin)


def source_there(templates: Templates, origin: Origin) -> bytes | None:
    """Return the original's text as it is installed, None where it is not."""
    if is_own_format(origin):
        return source_of_template(origin)
    if not templates.loader.is_there(origin.key):
        return None
    path = source_of(type(templates.loader.disk_migrations[origin.key]))
    return path.read_bytes() if path else b""


def standing_of(entry: Entry, origin: Origin, upstream: bytes | None, *, is_squashed: bool) -> Standing:
    if not reason_for_reference(entry) and not is_as_vendored(entry, origin):
        return Standing.EDITED_HERE
    if upstream is not None:
        same = hashlib.sha256(upstream).hexdigest() == origin.sha256
        return Standing.SAME if same else Standing.EDITED_UPSTREAM
    if origin.app not in apps.app_configs:
        return Standing.GONE
    return Standing.SQUASHED if is_squashed else Standing.NOT_INSTALLED


def is_as_vendored(entry: Entry, origin: Origin) -> bool:
    """Whether a copy holds the text that was vendored; a newline at its end may have been added."""
    text = entry.source.rpartition(MARK)[0]
    return any(hashlib.sha256(one).hexdigest() == origin.sha256 for one in (text, text + b"\n"))


def diff(entry: Entry, upstream: bytes) -> str:
    """Return the difference from a copy to its original."""
    ours = entry.source.rpartition(MARK)[0].decode(errors="replace").rstrip("\n") + "\n"
    theirs = upstream.decode(errors="replace").rstrip("\n") + "\n"
    before, after = (text.splitlines(keepends=True) for text in (ours, theirs))
    return "".join(difflib.unified_diff(before, after, entry.path.name, "upstream", n=1))
