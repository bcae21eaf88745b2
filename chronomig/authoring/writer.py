"""Operations -> the text of a migration file, and files put in place whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.db.migrations.operations import CreateModel
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import OperationWriter

import chronomig
from chronomig.code.loading import Labelled
from chronomig.errors import ChronomigError
from chronomig.timeline import Entry

MAX_SLUG_LENGTH = 52
"""Django's limit for suggested names; a listing stays readable."""
HEADER = "# Made by chronomig {version} on {moment:%Y-%m-%d %H:%M} UTC\n"
HEADER_PATTERN = re.compile(r"# Made by chronomig \S+ on .* UTC")

EMPTY = """\
        # ("app_label", migrations.RunPython(forwards, backwards)),
"""


class Unwritable(ChronomigError, ValueError):
    """Python code stands for no such value."""


def render(operations: Sequence[Labelled], *, header: bool = True) -> str:
    """Return the text of a migration file with *operations*."""
    written = [write_operation(app_label, operation) for app_label, operation in operations]
    needed = {line for _, imports in written for line in imports}
    body = "".join(text for text, _ in written) or EMPTY
    head = HEADER.format(version=chronomig.__version__, moment=datetime.now(UTC)) if header else ""
    return (
        f"{head}{write_imports(needed)}\n\nclass Migration(chronomig.Migration):\n    operations = [\n{body}    ]\n"
    )


def write_operation(app_label: str, operation: Operation) -> tuple[str, set[str]]:
    """Return the lines of one entry of ``operations``, and the imports that they need; raise Unwritable."""
    try:
        text, imports = OperationWriter(operation, indentation=3).serialize()
    except ValueError as error:
        raise Unwritable(
            f"An operation on {app_label!r} cannot be written: {operation.describe()}.",
            cause=str(error),
            next_step="Give what it needs (a default, a validator) a name that can be imported, or deconstruct().",
        ) from error
    return f"        (\n            {app_label!r},\n{text}\n        ),\n".replace(
        f"'{app_label}'", f'"{app_label}"', 1
    ), imports


def write_imports(needed: Iterable[str]) -> str:
    """Return the import block; what only a numbered migration module holds becomes a comment, as in Django."""
    lines = set(needed)
    numbered = {line for line in lines if re.match(r"import .*\.\d", line)}
    lines -= numbered
    models = {"from django.db import models"} & lines
    lines -= {"from django.db import models", "from django.db import migrations"}
    lines.add("from django.db import migrations, models" if models else "from django.db import migrations")
    ordered = sorted(lines, key=lambda line: (line.split()[0] == "from", line.split()[1]))
    text = "\n".join([*ordered, "", "import chronomig", ""])
    if numbered:
        text += "\n# Functions of these migrations have to be copied into this file by hand:\n"
        text += "".join(f"#   {line.split()[1]}\n" for line in sorted(numbered))
    return text


def slug_for(operations: Sequence[Labelled], *, first: bool) -> str:
    """Return a good slug: 'initial' for a set's first models, else what the operations say of themselves."""
    fragments = [operation.migration_name_fragment for _, operation in operations]
    named = [clean_slug(fragment) for fragment in fragments if fragment]
    if first and len(named) > 1 and isinstance(operations[0][1], CreateModel):
        return "initial"
    if not named:
        return "initial" if first else "custom"
    slug = named[0]
    for fragment in named[1:]:
        if len(f"{slug}_{fragment}") > MAX_SLUG_LENGTH:
            return f"{slug}_and_more"
        slug = f"{slug}_{fragment}"
    return slug[:100]


def clean_slug(text: str) -> str:
    """Return *text* with nothing but what a name may hold."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "x"


def format_text(text: str, path: Path, root: Path) -> str:
    """Return *text* as the user's own ruff or black writes it; as it is where there is neither, or it fails."""
    for program, arguments in (("ruff", ["format"]), ("black", ["-q"])):
        if executable := find_program(program):
            call = [executable, *arguments, "--stdin-filename", str(path), "-"]
            with suppress(OSError, subprocess.TimeoutExpired):
                done = subprocess.run(
                    call,
                    input=text,
                    capture_output=True,
                    text=True,
                    encoding="utf-8",
                    cwd=root,
                    timeout=30,
                    check=False,
                )
                if done.returncode == 0 and done.stdout:
                    return done.stdout
    return text


def find_program(name: str) -> str | None:
    """Return the program beside this Python, else the one on the path."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def put_in_place(entries: Sequence[Entry]) -> None:
    """Write the files of *entries*, all or none; raise ChronomigError."""
    written: list[tuple[Path, bytes | None]] = []
    try:
        for entry in entries:
            before = entry.path.read_bytes() if entry.path.exists() else None
            entry.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(entry.path, entry.source)
            written.append((entry.path, before))
    except OSError as error:
        for path, before in written:
            with suppress(OSError):
                path.unlink() if before is None else replace_file(path, before)
        raise ChronomigError(
            f"The migration file {entry.path} cannot be written.",
            cause=error.strerror or str(error),
            next_step="Nothing was left behind. Make room or give permission, then run the command again.",
        ) from error


def replace_file(path: Path, content: bytes) -> None:
    """Put *content* at *path*; a reader sees all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(path.stat().st_mode if path.exists() else 0o666 & ~current_umask())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def current_umask() -> int:
    """There is no way to read the umask but to set it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
