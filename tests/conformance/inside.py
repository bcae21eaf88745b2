"""
What runs in a process of its own: Django's runtests.py, recorded, on stock Django or on the engine.

``python -m tests.conformance.inside stock|engine FOLDER RUNTESTS ARGUMENT...``
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def main() -> None:
    which, folder, script, *arguments = sys.argv[1:]
    sys.path[0] = str(Path(script).parent)
    sys.argv = [script, *arguments]
    if which == "engine":
        from tests.conformance import engine

        engine.install()
    from tests.conformance import recording

    recording.install(Path(folder))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
