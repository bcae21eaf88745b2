"""What a run has to ask before it begins; without a terminal the answer is no."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace

from chronomig import output
from chronomig.config import Order
from chronomig.errors import Refused
from chronomig.migrator import Choices, Journey, plan_journey
from chronomig.plan import OutOfOrderRefused
from chronomig.project import Database

ANSWERS = {"a": Order.APPLY, "r": Order.REWIND}


def can_ask(*, interactive: bool) -> bool:
    return interactive and sys.stdin.isatty()


def plan_all(
    databases: Sequence[Database], choices: Choices, *, command: Sequence[str], ask: bool
) -> tuple[list[Journey], Choices]:
    """Plan every database; where the order is refused, ask what to do, or raise what names the ways out."""
    journeys = []
    for database in databases:
        try:
            journeys.append(plan_journey(database, choices))
        except OutOfOrderRefused as refused:
            refused.offer(shlex.join(command))
            policy = choices.order or database.set.config.order
            if not ask or policy is not Order.ASK:
                raise
            choices = replace(choices, orders={**choices.orders, database.alias: ask_about_order(database, refused)})
            journeys.append(plan_journey(database, choices))
    return journeys, choices


def ask_about_order(database: Database, refused: OutOfOrderRefused) -> Order:
    """Show what clashes and ask for a way out; raise Refused for none."""
    output.say(f"{database.alias}: {refused.fact}", err=True)
    output.say(refused.cause, err=True)
    answer = output.ask("[a]pply where it stands, [r]ewind and run all in order, or stop?")
    if answer[:1] not in ANSWERS:
        raise refused
    return ANSWERS[answer[:1]]


def ask_about_downs(journeys: Sequence[Journey], *, yes: bool, interactive: bool) -> None:
    """Going down drops what the migrations made: it needs a yes. Raise Refused without one."""
    downs = [(journey.database, step) for journey in journeys for step in journey.plan.downs]
    if not downs or yes:
        return
    listed = "\n".join(f"  {database.alias}: {step.name}" for database, step in downs)
    what = f"{output.plural(len(downs), 'migration')} would be undone, and what only they hold is dropped"
    if can_ask(interactive=interactive):
        output.say(f"{what}:\n{listed}", err=True)
        if output.confirm("Continue?"):
            return
        raise Refused("Nothing was run.", cause="The question was answered with no.")
    raise Refused(f"{what}; nothing was run.", cause=listed, next_step="Add --yes to run it.")
