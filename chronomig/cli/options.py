"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

import chronomig
from chronomig.config import CheckFormat, Ghosts, Order

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
OrderPolicy = Annotated[
    Order | None,
    typer.Option(
        "--order",
        help="What to do with a pending migration that is older than an applied one.",
        show_default=False,
    ),
]

Base = Annotated[
    str | None,
    typer.Option("--base", metavar="REF", help="The branch to merge into; by default origin/HEAD."),
]
AllowDataLoss = Annotated[
    bool,
    typer.Option(
        "--allow-data-loss", "--yes", "-y", help="Destroy data without asking, but for protected databases."
    ),
]
AllowDataLossIn = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-data-loss-in",
        metavar="ALIAS",
        help="Destroy data in this database without asking, also when it is protected; can be repeated.",
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
NoStash = Annotated[
    bool, typer.Option("--no-stash", help="Let the rows that are dropped go, do not put them into the stash.")
]
Stashing = Annotated[
    bool | None,
    typer.Option(
        "--stash/--no-stash",
        help="Put what is dropped on the way up into the stash, too, without asking; or let all rows that are "
        "dropped go.",
        show_default=False,
    ),
]
Wait = Annotated[
    float | None,
    typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for another process; 0 is without end."),
]
LockTimeout = Annotated[
    float | None,
    typer.Option("--lock-timeout", metavar="SECONDS", min=0.001, help="How long a statement waits for a lock."),
]
StatementTimeout = Annotated[
    float | None,
    typer.Option("--statement-timeout", metavar="SECONDS", min=0.001, help="How long a statement may take."),
]
LockRetries = Annotated[
    int | None, typer.Option("--lock-retries", metavar="N", min=0, help="How often to try again without a lock.")
]
Format = Annotated[CheckFormat, typer.Option("--format", help="text, or annotations for GitHub.")]
Drifting = Annotated[
    list[str] | None,
    typer.Option("--database", metavar="ALIAS", help="Compare the schema of this database, too; see drift."),
]
Prove = Annotated[
    bool, typer.Option("--prove", help="Try on a scratch database whether what is new comes back, too; see prove.")
]
Collapsing = Annotated[
    bool, typer.Option("--collapse", help="Into an empty database: run migrations several at once, reduced.")
]
SquashTo = Annotated[str, typer.Option("--to", metavar="TARGET", help="The last migration that is squashed.")]
OneSet = Annotated[
    str | None, typer.Option("--set", metavar="SET", help="The migration set, where there are several.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be written, write nothing.")]
SquashYes = Annotated[bool, typer.Option("--yes", "-y", help="Remove the squashed files without asking.")]
CheckOnly = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit with 3 when something would be written.")
]
MoveNothing = Annotated[bool, typer.Option("--check", help="Move nothing; exit with 3 when something would move.")]
NoVendor = Annotated[bool, typer.Option("--no-vendor", help="Do not vendor migrations of reusable apps.")]
Update = Annotated[bool, typer.Option("--update", help="Rewrite the newest file, if it is applied nowhere.")]


def show_version(value: bool) -> None:
    if value:
        typer.echo(f"chronomig {chronomig.__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
]
