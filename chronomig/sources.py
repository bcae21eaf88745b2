"""Where the code of a run comes from: what goes up as the target has it, what is applied as it was applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from chronomig.plan import Applied, Record
from chronomig.timeline import Entry, Timeline


class Code:
    """The code of one run."""

    def __init__(self, files: Timeline, target: Timeline, record: Record, wanted: Collection[str]) -> None:
        self.files = files
        """What is on the disk."""
        self.target = target
        """What goes up, and in which order."""
        self.wanted = wanted
        going = [one for one in record.applied if one.name not in wanted]
        on_disk = files.by_name
        self.edited = edited(files, going)
        """Going down, but the file has other bytes than when it was applied."""
        self.elsewhere = frozenset(
            one.name for one in going if one.name in on_disk and one.name not in (*self.edited, *target.by_name)
        )
        """Going down, not in the target, and the file is as it was applied."""
        self.entries: Mapping[str, Entry] = {
            **on_disk,
            **target.by_name,
            **{name: on_disk[name] for name in record.names if name in on_disk},
        }


def edited(files: Timeline, applied: Iterable[Applied]) -> frozenset[str]:
    """Return those of *applied* whose file holds other bytes than when it was applied."""
    there = files.by_name
    return frozenset(
        one.name for one in applied if one.name in there and one.sha256 and there[one.name].sha256 != one.sha256
    )
