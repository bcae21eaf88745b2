"""
Random models, random operations on them, and both orders: the last operation behind all others, and before them.

Everything is drawn by Hypothesis, which makes a failing example as small as it can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from django.db.migrations import operations as ops
from django.test.utils import override_settings
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from chronomig.effects import commute
from chronomig.state import ProjectState
from tests.changes import Changes
from tests.commuting.comparing import difference
from tests.commuting.ground import Unmade, making, standing_on
from tests.inprocess import states_along
from tests.modelsets import Draw, Impossible, user_is_swapped_in

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from chronomig.code.loading import Labelled


SIZE = 5
"""How many models a set has at most, besides a user."""
DRAWS = 20
"""How often something is drawn again that Django would refuse."""

SOURCES = st.one_of(st.randoms(use_true_random=False), st.randoms(use_true_random=True))
"""The first shrink; the second, which are seeds, spread more evenly over what there is."""


@dataclass
class Tally:
    """How often the analysis said what of each kind of sequence, and what was true."""

    right_yes: Counter[str] = field(default_factory=Counter)
    right_no: Counter[str] = field(default_factory=Counter)
    needless_no: Counter[str] = field(default_factory=Counter)
    unmade: list[str] = field(default_factory=list)
    """Sets of models that the operations found for them did not make: nothing to do with order, but wrong."""

    def __len__(self) -> int:
        return self.right_yes.total() + self.right_no.total() + self.needless_no.total()

    def __iadd__(self, other: Tally) -> Tally:
        self.right_yes += other.right_yes
        self.right_no += other.right_no
        self.needless_no += other.needless_no
        self.unmade += other.unmade
        return self

    def rows(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield (kinds, yes, no rightly, no without need), the most needless first."""
        kinds = {*self.right_yes, *self.right_no, *self.needless_no}
        for one in sorted(kinds, key=lambda kind: (-self.needless_no[kind], kind)):
            yield one, self.right_yes[one], self.right_no[one], self.needless_no[one]


@dataclass(frozen=True)
class Example:
    """A set of models, operations that could come next, and what the analysis says of them."""

    settings: dict[str, Any]
    made_by: Sequence[Labelled]
    operations: Sequence[Labelled]
    commutes: bool

    @property
    def other_way_round(self) -> list[Labelled]:
        return [self.operations[-1], *self.operations[:-1]]

    @property
    def kinds(self) -> str:
        return " / ".join(sorted(type(operation).__name__ for _, operation in self.operations))

    def __str__(self) -> str:
        return f"on\n  {told(self.made_by)}\nthe order of\n  {told(self.operations)}"


def told(operations: Sequence[Labelled]) -> str:
    return "\n  ".join(
        f"{label}: {operation.describe()} {operation.deconstruct()}" for label, operation in operations
    )


def drawn(random: Random, count: int) -> Example:
    """Draw an example of *count* operations; Hypothesis drops what cannot be one."""
    draw = Draw(random, size=SIZE)
    models = first_possible(draw)
    swapped = user_is_swapped_in(models)
    with override_settings(**swapped):
        made_by = making(models)
        state = states_along(ProjectState(), made_by)[-1]
        operations = sequence(random, state, count)
        if len(operations) < count:
            reject()
        *first, last = operations
        return Example(swapped, made_by, operations, commute(state, first, [last]))


def first_possible(draw: Draw) -> ProjectState:
    for _ in range(DRAWS):
        try:
            return draw.once(draw.first)
        except Impossible:
            continue
    return reject()


def sequence(random: Random, state: ProjectState, count: int) -> list[Labelled]:
    """Return operations, each of which could come after those before it; fewer where a state refuses one."""
    found: list[Labelled] = []
    for _ in range(DRAWS):
        if len(found) == count or not state.models:
            break
        one = Changes(random, state).operation()
        try:
            if is_taken(state, *one) or leaves_a_hole(state, *one):
                continue
            after = state.after(*one)
            after.validate()
        except Exception:
            continue
        found.append(one)
        state = after
    return found


def is_taken(state: ProjectState, label: str, operation: Any) -> bool:
    """Whether an operation makes something under a name that is taken: states take it, databases need not."""
    match operation:
        case ops.SeparateDatabaseAndState():
            return any(is_taken(state, label, inner) for inner in operation.state_operations)
        case ops.CreateModel():
            return (label, operation.name_lower) in state.models
        case ops.RenameModel():
            return (label, operation.new_name_lower) in state.models
        case ops.AddField():
            return operation.name in state.models[label, operation.model_name_lower].fields
        case ops.RenameField():
            return operation.new_name in state.models[label, operation.model_name_lower].fields
        case ops.AddIndex() | ops.AddConstraint():
            added = operation.index if isinstance(operation, ops.AddIndex) else operation.constraint
            options = state.models[label, operation.model_name_lower].options
            return any(one.name == added.name for one in (*options["indexes"], *options["constraints"]))
    return False


def leaves_a_hole(state: ProjectState, label: str, operation: Any) -> bool:
    """Whether an operation removes a field that an option of its model stands on; states let it, SQLite fails later."""
    if isinstance(operation, ops.SeparateDatabaseAndState):
        return any(leaves_a_hole(state, label, inner) for inner in operation.state_operations)
    if not isinstance(operation, ops.RemoveField):
        return False
    options = state.models[label, operation.model_name_lower].options
    parts = [*options["indexes"], *options["constraints"]]
    standing_on = {name for one in parts for name in getattr(one, "fields", ())}
    standing_on |= {name for names in options.get("unique_together") or () for name in names}
    standing_on |= {options.get("order_with_respect_to"), *(name for one in parts for name in names_in(one))}
    return operation.name in standing_on


def names_in(constraint: Any) -> Iterator[str]:
    for lookup in getattr(getattr(constraint, "condition", None), "children", ()):
        if isinstance(lookup, tuple):
            yield lookup[0].partition("__")[0]


def try_both_orders(connection: BaseDatabaseWrapper, example: Example, tally: Tally) -> None:
    """Raise AssertionError where the analysis says that an order does not matter, and it does."""
    try:
        found = both_orders(connection, example)
    except Unmade as error:
        tally.unmade.append(f"{error.__cause__!r}\non\n  {told(example.made_by)}")
        reject()
    if found and example.commutes:
        # SQLite 3.40 sometimes takes a schema that was rolled back for the one that is there.
        connection.close()
        connection.connect()
        found = both_orders(connection, example)
    assert not (found and example.commutes), f"{example}\nmatters: {found}"
    where = tally.right_yes if example.commutes else tally.right_no if found else tally.needless_no
    where[example.kinds] += 1


def both_orders(connection: BaseDatabaseWrapper, example: Example) -> str:
    """Return in what the two orders differ, empty for nothing; what fails as it was written is no example."""
    with override_settings(**example.settings), standing_on(connection, example.made_by) as ground:
        one = ground.outcome(example.operations)
        other = None if isinstance(one, str) else ground.outcome(example.other_way_round)
    if other is None:
        reject()
    return difference(one, other) if one != other else ""


def try_examples(connection: BaseDatabaseWrapper, count: int, examples: int, *, random: bool = False) -> Tally:
    """Try *examples* sequences of *count* operations, others each time if *random*; raise for the first mistake."""
    tally = Tally()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=not random,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(SOURCES)
    def both_orders_lead_to_the_same(source: Random) -> None:
        try_both_orders(connection, drawn(source, count), tally)

    both_orders_lead_to_the_same()
    return tally
