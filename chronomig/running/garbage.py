"""When Python looks for cycles during a run: every class that was rendered is one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (2_000, 4, 2)
"""Python's own would leave many hundreds of classes lying about; to look more often costs more than it saves."""


FROZEN_BY_PYTHON = 10_000
"""More than the few hundred that Python 3.12 freezes when it starts; the command line freezes all that it loaded."""


@contextmanager
def collected_often() -> Iterator[None]:
    """Let go of classes soon; what is there already is left out, so that looking costs little."""
    before = gc.get_threshold()
    frozen = gc.get_freeze_count() > FROZEN_BY_PYTHON
    if not frozen:
        gc.freeze()
    gc.collect()  # Python looks again when there is a quarter more than last time
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not frozen:  # else it stays so: Python would look through all of it once more when it ends
            gc.unfreeze()
