"""
``python -m tests.audit``: look what is installed up among known vulnerabilities, with pip-audit.

pip-audit ends with 0 for what it could not look up. Here that is an error, by name: nothing was audited then.
Ends with 3 when something is vulnerable, with 1 when the service did not answer for everything.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

FOUND_SOMETHING, FAILED = 3, 1
OURS = "chronomig"


def main(arguments: Sequence[str]) -> int:
    if find_spec("pip_audit") is None:
        print("NOT AUDITED: pip-audit is not installed; nox -s audit installs it.", file=sys.stderr)
        return FAILED
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        why = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        print(f"NOT AUDITED: the vulnerability service cannot be reached: {why}", file=sys.stderr)
        return FAILED
    return judged(report)


def judged(report: Mapping[str, Any]) -> int:
    """Print what pip-audit found; return the exit code."""
    found = [one for one in report["dependencies"] if one["name"] != OURS]
    skipped = [one for one in found if "skip_reason" in one]
    vulnerable = [one for one in found if one.get("vulns")]
    for one in vulnerable:
        print(f"VULNERABLE: {one['name']} {one['version']}: {', '.join(each['id'] for each in one['vulns'])}")
    for one in skipped:
        print(f"NOT AUDITED: {one['name']}: {one['skip_reason']}", file=sys.stderr)
    print(f"{len(found) - len(skipped)} of {len(found)} dependencies audited, {len(vulnerable)} vulnerable")
    if vulnerable:
        return FOUND_SOMETHING
    return FAILED if skipped or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
