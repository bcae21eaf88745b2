"""Sphinx: furo and MyST. The reference of the command line is made from the command line itself."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

project = "chronomig"
author = "the chronomig maintainers"
extensions = ["myst_parser"]
html_theme = "furo"
myst_heading_anchors = 3
exclude_patterns = ["_build", "example"]
suppress_warnings = ["myst.header"]

made = subprocess.run(
    [
        sys.executable,
        "-m",
        "typer",
        "chronomig.cli.app",
        "utils",
        "docs",
        "--name",
        "chronomig",
        "--title",
        "Command line",
    ],
    cwd=HERE.parent,
    capture_output=True,
    text=True,
    check=True,
)
(HERE / "reference" / "cli.md").write_text(made.stdout, encoding="utf-8")
