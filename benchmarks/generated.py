"""A workload, written as both projects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.history import Key
from benchmarks.results import CHRONOMIG, STOCK
from benchmarks.running import Site
from benchmarks.workloads import Workload
from benchmarks.writing import write_chronomig, write_stock


class Generated:
    """The two projects of a workload, the order of their migrations, and the sites of the contenders."""

    def __init__(self, folder: Path, workload: Workload) -> None:
        self.workload = workload
        self.folder = folder
        history = workload.history
        write_stock(folder / STOCK, history)
        order = self._stock_order()
        self.base: list[Key] = [key for key, _ in order["base"]]
        """With Django's own migrations; empty when the tail begins at nothing."""
        names = write_chronomig(folder / CHRONOMIG, history, [*order["base"], *order["tail"]])
        self.base_name = names[len(self.base) - 1] if self.base else "zero"

    def site(self, contender: Contender) -> Site:
        return Site(self.folder / contender.project, contender.environment)

    @property
    def helper(self) -> Site:
        """Where helpers run that need the models: in the project of stock Django."""
        return Site(self.folder / STOCK, {})

    def _stock_order(self) -> Mapping[str, list[tuple[Key, str]]]:
        nowhere = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        base = [one.key for one in self.workload.history.base]
        found = json.loads(self.helper.helped("ordering", database=nowhere, given=base))
        return {part: [((app, name), path) for app, name, path in listed] for part, listed in found.items()}
