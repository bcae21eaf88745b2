"""Read the list of expected differences."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.comparing import OUTCOME, Expected

LIST = Path(__file__).with_name("expected.toml")


def read_expected(django: str, database: str, labels: Sequence[str], text: str | None = None) -> list[Expected]:
    """
    Return the expected differences for *django* (``6.1``) and *database* among the tests that *labels* name.

    Raise ValueError for one without a reason.
    """
    entries = tomllib.loads(LIST.read_text(encoding="utf-8") if text is None else text).get("difference", [])
    found = [_expected(entry) for entry in entries]
    return [
        one
        for one in found
        if one.applies_to(django, database)
        if any(f"{one.test}.".startswith(f"{label}.") for label in labels)
    ]


def _expected(entry: dict[str, object]) -> Expected:
    test, reason = str(entry.get("test", "")), " ".join(str(entry.get("reason", "")).split())
    if not test or not reason:
        raise ValueError(f"an expected difference needs a test and a reason: {entry}")
    django, databases = (tuple(map(str, entry.get(name, ()))) for name in ("django", "databases"))  # type: ignore[call-overload]
    return Expected(test, reason, str(entry.get("what", OUTCOME)), django, databases)
