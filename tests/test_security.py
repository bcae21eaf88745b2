"""SECURITY.md names tests for what it says; and the audit of dependencies says what it did not do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import audit

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_statement_on_security_names_tests_that_exist() -> None:
    there = set()
    for path in (ROOT / "tests").glob("test_*.py"):
        there |= set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"`(test_\w+)`", TEXT)
    assert len(named) > 20
    assert [name for name in named if name not in there] == []
    statements = re.split(r"\n(?=- )", TEXT.split("## What chronomig trusts")[1].split("## Dependencies")[0])
    for statement in statements[1:]:
        assert "[`test_" in statement, f"no test is named for: {statement}"


def report(*dependencies: dict[str, object]) -> dict[str, object]:
    return {"dependencies": [{"name": "chronomig", "skip_reason": "not on PyPI"}, *dependencies]}


def test_what_could_not_be_looked_up_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """pip-audit ends with 0 then."""
    fine = {"name": "django", "version": "5.2", "vulns": []}
    assert audit.judged(report(fine)) == 0
    assert audit.judged(report()) == 1
    assert audit.judged(report(fine, {"name": "typer", "skip_reason": "not found"})) == 1
    assert "NOT AUDITED: typer: not found" in capsys.readouterr().err
    assert audit.judged(report({"name": "django", "version": "5.2", "vulns": [{"id": "CVE-1"}]})) == 3
    assert "VULNERABLE: django 5.2: CVE-1" in capsys.readouterr().out


def test_a_service_that_cannot_be_reached_is_an_error_by_name(tmp_path: Path) -> None:
    """Nothing leaves this machine: the proxy does not exist."""
    why = "the vulnerability service cannot be reached: " if find_spec("pip_audit") else "pip-audit is not installed"
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.audit", "--service", "osv", "--timeout", "2"],
        cwd=ROOT, env={**os.environ, **nowhere}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith(f"NOT AUDITED: {why}")
