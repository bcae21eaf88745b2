"""How big a round is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.workloads import MAKERS, Workload

Sizes = Mapping[str, Sequence[Mapping[str, int]]]


@dataclass(frozen=True)
class Scale:
    """One of the three sizes of the benchmark."""

    workloads: Sizes
    """Workload -> the arguments of its maker, once for each size."""
    rounds: int
    limit: float
    """Seconds that one process may take."""
    databases: tuple[str, ...]

    def make(self, only: Sequence[str] = (), sizes: Collection[int] = ()) -> Iterator[Workload]:
        """Yield the workloads, those of *only* and *sizes* or all; each is made when it is its turn."""
        for name in only or self.workloads:
            for arguments in self.workloads[name]:
                if not sizes or size_of(arguments) in sizes:
                    yield MAKERS[name](**arguments)


def size_of(arguments: Mapping[str, int]) -> int:
    """Return the number that grows."""
    return arguments["tables"] if "tables" in arguments else arguments["migrations"]


def hubs(*sizes: int) -> list[Mapping[str, int]]:
    """Return each size twice, with 36 operations and with four: the difference is what an operation costs."""
    return [{"tables": tables, "changed": changed} for tables in sizes for changed in (9, 1)]


QUICK = Scale(
    {
        "hub": hubs(20),
        "deep": [{"apps": 4, "models": 12, "migrations": 60}],
        "suite": [{"apps": 6, "models": 12, "migrations": 30}],
        "undo": [{"apps": 4, "models": 15, "migrations": 60, "last": 10}],
    },
    rounds=1,
    limit=60,
    databases=("sqlite",),
)
DEFAULT = Scale(
    {
        "hub": hubs(100, 300, 1000),
        "deep": [{"apps": 30, "models": 150, "migrations": migrations} for migrations in (400, 800, 1600)],
        "suite": [{"apps": 40, "models": 80, "migrations": 170}],
        "undo": [{"apps": 20, "models": 150, "migrations": 600, "last": 50}],
    },
    rounds=3,
    limit=120,
    databases=("sqlite", "postgresql"),
)
FULL = Scale(
    {
        "hub": hubs(300, 1000, 3000),
        "deep": [{"apps": 60, "models": 800, "migrations": migrations} for migrations in (1500, 3000, 6000)],
        "suite": [{"apps": 90, "models": 240, "migrations": 500}],
        "undo": [{"apps": 40, "models": 500, "migrations": 2000, "last": 50}],
    },
    rounds=5,
    limit=900,
    databases=("sqlite", "postgresql"),
)
