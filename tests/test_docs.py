"""The documentation cannot drift from the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from chronomig.config import Config, DatabaseConfig, SetConfig, keys_of
from chronomig.history.events import COLUMNS, Kind
from chronomig.status import State
from tests.projects import Project

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_configuration_key_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([\w.<>]+)` \|", text("reference/configuration.md"), re.MULTILINE))
    keys = {*keys_of(Config), *(f"sets.<name>.{key}" for key in keys_of(SetConfig))}
    keys |= {f"databases.<alias>.{key}" for key in keys_of(DatabaseConfig)}
    assert documented == keys


def test_every_check_is_documented_and_tested() -> None:
    used = set(re.findall(r'id="(chronomig\.\w+)"', (ROOT / "chronomig/checks.py").read_text(encoding="utf-8")))
    documented = set(re.findall(r"`(chronomig\.[EW]\d+)`", text("reference/checks.md")))
    tested = (ROOT / "tests/test_frontdoors.py").read_text(encoding="utf-8")
    assert used == documented
    for check in used:
        assert f"def test_{check.partition('.')[2].lower()}_" in tested


def test_every_column_event_and_state_is_documented() -> None:
    history = text("reference/history.md")
    for word in (*COLUMNS, "id", "set_name", *(kind.value for kind in Kind)):
        assert f"`{word}`" in history
    for state in State:
        assert f"| {state.value} |" in text("reference/file-format.md")


def test_every_page_is_in_the_table_of_contents_and_every_link_leads_somewhere() -> None:
    index = text("index.md")
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md") if "_build" not in path.parts}
    for page in pages - {"index"}:
        assert f"\n{page}\n" in index
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for link in re.findall(r"\]\(([\w./-]+\.md)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists() or link == "reference/cli.md", f"{path}: {link}"


@pytest.mark.parametrize("page", ["README.md", *sorted(str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md") if "_build" not in path.parts)])  # fmt: skip
def test_every_command_that_a_page_shows_is_one_that_there_is(sqlite_project: Project, page: str) -> None:
    """Options are checked against the help of their command."""
    shown = re.findall(
        r"(?:^\$? ?|`)chronomig ([a-z]+)([^`\n#]*)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE
    )
    helps = {command: sqlite_project.ok(command, "--help").out for command in {command for command, _ in shown}}
    for command, rest in shown:
        for word in shlex.split(re.sub(r"[<(\[].*", "", rest)):
            if word.startswith("--"):
                assert word in helps[command], f"{page}: chronomig {command} {word}"
