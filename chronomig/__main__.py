"""The entry point: as little as possible happens before the command is known."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line. Collecting garbage while modules are imported only costs time; see shell.project()."""
    gc.disable()
    open_what_is_closed()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    from chronomig.cli.app import app
    from chronomig.cli.handling import handle_errors

    code = handle_errors(app)
    gc.freeze()  # else Python takes apart at its end what the system takes back at once
    sys.exit(code)


def open_what_is_closed() -> None:
    """Let closed streams lead nowhere: what is opened next would get their place, and what others print."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  for all that runs


if __name__ == "__main__":
    main()
