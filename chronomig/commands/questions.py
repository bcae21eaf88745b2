"""What a run has to ask before it begins; without a terminal the answer is no."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chronomig import output
from chronomig.config import Order
from chronomig.errors import Refused
from chronomig.planning.plan import OutOfOrderRefused
from chronomig.planning.record import Record
from chronomig.project import Database, Project
from chronomig.running.losses import CountedLoss, count_losses
from chronomig.running.migrator import Choices, Journey, naming_database_errors, plan_journey
from chronomig.running.preparing import Prepared

ANSWERS = {"a": Order.APPLY, "r": Order.REWIND}


def can_ask(*, interactive: bool) -> bool:
    """Whether a person can read the question and answer it: a script that feeds stdin cannot."""
    return interactive and sys.stdin.isatty() and sys.stderr.isatty()


def plan_all(
    records: Sequence[tuple[Database, Record]], choices: Choices, *, command: Sequence[str], ask: bool
) -> tuple[list[Journey], Choices]:
    """Plan every database; where the order is refused, ask what to do, or raise what names the ways out."""
    journeys = []
    for database, record in records:
        try:
            journeys.append(plan_journey(database, choices, record))
        except OutOfOrderRefused as refused:
            refused.offer(shlex.join(command))
            policy = choices.order or database.set.config.order
            if not ask or policy is not Order.ASK:
                raise
            choices = replace(choices, orders={**choices.orders, database.alias: ask_about_order(database, refused)})
            journeys.append(plan_journey(database, choices, record))
    return journeys, choices


def ask_about_order(database: Database, refused: OutOfOrderRefused) -> Order:
    """Show what clashes and ask for a way out; raise Refused for none."""
    output.say(f"{database.alias}: {refused.fact}", err=True)
    output.say(refused.cause, err=True)
    answer = output.ask("[a]pply where it stands, [r]ewind and run all in order, or stop?")
    if answer[:1] not in ANSWERS:
        raise refused
    return ANSWERS[answer[:1]]


@dataclass(frozen=True)
class Danger:
    """What a run would destroy or undo in one database."""

    database: Database
    losses: tuple[CountedLoss, ...]
    undone: int
    """How many migrations go down."""

    @property
    def needs_its_name(self) -> bool:
        return self.database.config.protected

    def lines(self) -> Iterator[str]:
        undone = f" ({output.plural(self.undone, 'migration')} undone)" if self.undone else ""
        protected = ", a protected database" if self.needs_its_name else ""
        yield f"{self.database.alias}{protected}{undone}" + ":" * bool(self.losses)
        yield from (f"    {loss}" for loss in self.losses)


@dataclass(frozen=True)
class Consent:
    """What was said before the run about data that goes."""

    to_losses: bool = False
    """Everywhere but in protected databases."""
    by_name: tuple[str, ...] = ()
    """Aliases, also of protected databases."""
    ask: bool = False

    def covers(self, danger: Danger) -> bool:
        return danger.database.alias in self.by_name or (self.to_losses and not danger.needs_its_name)


def consent(project: Project, to_losses: bool, by_name: Sequence[str], *, ask: bool) -> Consent:
    """Return what was agreed to; raise UsageError for a name that is no database's."""
    return Consent(to_losses, tuple(project.database(alias).alias for alias in by_name), ask)


def danger_of(journey: Journey, prepared: Sequence[Prepared], choices: Choices) -> Danger | None:
    """Return what a journey destroys; in a protected database, what it undoes is enough."""
    losses, downs = losses_of(journey, prepared, choices), len(journey.plan.downs)
    if losses or (downs and journey.database.config.protected):
        return Danger(journey.database, tuple(losses), downs)
    return None


def losses_of(journey: Journey, prepared: Sequence[Prepared], choices: Choices) -> list[CountedLoss]:
    """Return what a journey destroys, and the stash does not take."""
    database = journey.database
    stashed = choices.stash.ways if choices.stash is not None and database.stashes else ()
    with naming_database_errors(database):
        return count_losses(
            database.connection, prepared, lambda: database.states(journey.record, journey.code), stashed=stashed
        )


def guard_data(dangers: Sequence[Danger], consent: Consent) -> None:
    """Ask before data is lost; raise Refused without a yes. A protected database wants its name."""
    left = [danger for danger in dangers if not consent.covers(danger)]
    if not left:
        return
    listed = "\n".join(line for danger in left for line in danger.lines())
    loses = any(danger.losses for danger in left)
    what = "Data would be lost" if loses else "Migrations would be undone in a protected database"
    if not consent.ask:
        raise Refused(f"{what}; nothing was run.", cause=listed, next_step=permission(left))
    output.say(f"{what}:\n{listed}", err=True)
    for danger in left:
        if danger.needs_its_name:
            answer = output.ask(f"Type the name of the protected database {danger.database.alias!r} to run it:")
            agreed = answer == danger.database.alias.lower()
        else:
            agreed = output.confirm(f"Destroy it in {danger.database.alias!r}?")
        if not agreed:
            raise Refused("Nothing was run.", cause="The question was answered with no.")


def permission(dangers: Sequence[Danger]) -> str:
    """Return the options that would let it run."""
    named = [f"--allow-data-loss-in {danger.database.alias}" for danger in dangers if danger.needs_its_name]
    everywhere = ["--allow-data-loss"] * any(not danger.needs_its_name for danger in dangers)
    return f"Add {' '.join([*everywhere, *named])} to run it."


def insist_on_yes(what: str, listed: str, *, interactive: bool) -> None:
    """Ask on a terminal before anything is written; raise Refused without a yes."""
    if interactive and sys.stdin.isatty():
        output.say(f"{what}:\n{listed}", err=True)
        if output.confirm("Continue?"):
            return
        raise Refused("Nothing was written.", cause="The question was answered with no.")
    raise Refused(f"{what}; nothing was written.", cause=listed, next_step="Add --yes to do it.")
