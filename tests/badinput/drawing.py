"""What is drawn: texts, values, and commands that meet them."""

from __future__ import annotations

from random import Random
from typing import Any

READING = (
    ["status"],
    ["plan"],
    ["history"],
    ["sql"],
    ["check"],
    ["drift"],
    ["migrate", "--check"],
    ["migrate", "--plan"],
)
WRITING = (
    ["migrate", "--no-input"], ["migrate", "--to", "zero", "--yes"], ["migrate", "--steps", "-1", "--yes"],
    ["migrate", "--fake"], ["makemigrations", "--no-input"], ["migrate", "--to", "main", "--yes"],
    ["migrate", "--to", "side", "--yes"], ["snapshot"], ["forget", "20260102000000_rows", "--yes"],
    ["accept", "20260102000000_rows"], ["mark", "20260103000000_more", "applied", "--yes"],
    ["squash", "--to", "latest", "--yes", "--no-input"], ["stash"], ["freeze", "--check"], ["hooks", "install"], ["restamp", "--dry-run"],
    ["switch", "side", "--yes"], ["adopt", "--dry-run"], ["vendor"], ["makemigrations", "--check"],
)  # fmt: skip
ODD = (
    "",
    " ",
    "\n",
    "a",
    "é",
    "😀",
    "\u202e",
    "\x00",
    "\x1b[31m",
    "'",
    '"',
    "%s",
    "{}",
    "$(id)",
    "../..",
    "/",
    "\\",
    "-",
    "--",
    "\udc80",
    "NULL",
)
STAMPS = (
    "20260104000000",
    "20260230000000",
    "00000000000000",
    "99991231235959",
    "20260104",
    "2026010400000٣",
    "20260102000000",
)


def command(random: Random, *, reading: bool = False) -> list[str]:
    found = list(random.choice(READING if reading or random.random() < 0.6 else WRITING))
    return (
        [*found, "--json"]
        if random.random() < 0.2 and found[0] in ("status", "plan", "migrate", "history")
        else found
    )


def text(random: Random, *, in_argument: bool = False) -> str:
    """Return a short odd text; one that can stand in an argument or a file name has no NUL."""
    found = "".join(
        random.choice(ODD) if random.random() < 0.7 else chr(random.randrange(1, 0x3000))
        for _ in range(random.randrange(6))
    )
    found = found * random.choice([1, 1, 1, 1, 60])
    return found.replace("\x00", "") if in_argument else found


def encodable(found: str) -> str:
    return found.encode(errors="replace").decode()


def value(random: Random, depth: int = 0) -> Any:
    """Return a value of any type that TOML and Python have."""
    kinds = ["text", "int", "float", "bool", "word", *(["list", "dict"] if depth < 2 else [])]
    match random.choice(kinds):
        case "text":
            return encodable(text(random))
        case "int":
            return random.choice([0, -1, 1, 7, 2**31, 2**63 - 1, -(2**63)])
        case "float":
            return random.choice([0.0, -1.5, 1e300, 0.1])
        case "bool":
            return random.random() < 0.5
        case "word":
            return random.choice(["default", "apply", "ask", "keep", "project_migrations", "site_settings", "text"])
        case "list":
            return [value(random, depth + 1) for _ in range(random.randrange(3))]
        case _:
            return {
                random.choice(
                    ["default", "order", "databases", "lock_timeout", encodable(text(random)) or "x"]
                ): value(random, depth + 1)
                for _ in range(random.randrange(3))
            }


def row_value(random: Random) -> object:
    """Return what a column of SQLite can hold, whatever it was declared as."""
    return random.choice([
        None, -1, 0, 10**18, 1.5, b"\xff\x00", "", "x" * 3000, "up", "down", "applied", "started", "progress", "squashed",
        "2026-01-01T00:00:00.000000Z", "yesterday", "20260101000000_items", "20260102000000_rows", "0" * 64,
        encodable(text(random)),
    ])  # fmt: skip
