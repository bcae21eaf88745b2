"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from chronomig.config import Ghosts, OutOfOrder

Settings = Annotated[str | None, typer.Option("--settings", metavar="MODULE", help="Django's settings module.")]
Databases = Annotated[
    list[str] | None,
    typer.Option("--database", metavar="ALIAS", help="A database; can be repeated. All managed ones by default."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SET", help="A migration set; can be repeated. All by default."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Verbosity = Annotated[int, typer.Option("--verbosity", "-v", min=0, max=3, help="0 is quiet, 3 tells most.")]
NoInput = Annotated[bool, typer.Option("--no-input", "--noinput", help="Never ask.")]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="TARGET",
        help="zero, latest, a stamp (14 digits), a UTC date or time, a name or the beginning of one, "
        "'<app> <upstream name>', or a git ref (a branch, a tag, HEAD~3).",
    ),
]
Before = Annotated[
    str | None, typer.Option("--before", metavar="TARGET", help="Like --to, without the target itself.")
]
Steps = Annotated[
    int | None, typer.Option("--steps", metavar="N", help="N migrations further, or back when N is negative.")
]
Order = Annotated[
    OutOfOrder | None,
    typer.Option(
        "--out-of-order",
        help="What to do with a pending migration that is older than an applied one.",
        show_default=False,
    ),
]

GhostPolicy = Annotated[
    Ghosts | None,
    typer.Option(
        "--ghosts",
        help="What to do about migrations that are applied, but not in the tree; ask on a terminal, else keep.",
        show_default=False,
    ),
]
