"""The entry point: as little as possible happens before the command is known."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line. Collecting garbage while modules are imported only costs time; see shell.project()."""
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    from chronomig.cli import app
    from chronomig.handling import handle_errors

    sys.exit(handle_errors(app))


if __name__ == "__main__":
    main()
