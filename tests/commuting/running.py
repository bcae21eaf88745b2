"""One run of many examples, in a process of its own."""

from __future__ import annotations

import os
import tempfile
import traceback

from tests.commuting.examples import Tally, try_examples
from tests.databases import Unserved, served
from tests.inprocess import connected, set_up_django


def run(task: tuple[str, int, int]) -> Tally | str:
    """Return what was counted on (vendor, operations, examples), or what went wrong there."""
    vendor, count, examples = task
    set_up_django()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # a file of SQLite is made here
        try:
            with served(vendor) as database, connected(database.settings()) as connection:
                return try_examples(connection, count, examples, random=True)
        except (AssertionError, Unserved) as error:
            return str(error)
        except Exception:
            return traceback.format_exc()
