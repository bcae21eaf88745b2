"""What should not be merged: the findings of ``chronomig check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db.migrations.questioner import MigrationQuestioner

from chronomig.authoring.drafts import Choices, draft_changes
from chronomig.code.edits import Meaning
from chronomig.config import Order
from chronomig.errors import LoadError, Refused, TimelineError
from chronomig.planning.plan import lines_of
from chronomig.project import Database, Project
from chronomig.proof.proving import Verdict, prove
from chronomig.review.branches import Base, Branch
from chronomig.running.leftovers import leftovers
from chronomig.running.results import Watcher
from chronomig.sets import MigrationSet
from chronomig.timeline import format_stamp, parse_stamp

MAX_AHEAD = timedelta(minutes=15)
"""Vendoring stamps many files with consecutive seconds; what lies further ahead was not made now."""


@dataclass(frozen=True)
class Finding:
    """One thing that should not be merged."""

    check: str
    set_name: str
    name: str
    """The migration, empty where it is about the whole set."""
    path: Path
    message: str
    details: tuple[str, ...] = ()
    hint: str = ""


def review(
    project: Project, sets: Sequence[MigrationSet], base: Base | None, *, proving: Watcher | None = None
) -> Iterator[Finding]:
    """Yield everything that should not be merged, set by set; with *proving*, what does not come back, too."""
    for one in sets:
        try:
            branch = Branch.of(one, base) if base else None
        except TimelineError as error:
            causes = tuple(error.cause.splitlines())
            yield Finding("timeline", one.name, "", one.directory, error.fact, causes, error.next_step)
            continue
        checked = Review(project, one, branch)
        found = list(checked.findings())
        yield from found
        if proving is not None and not any(finding.check == "unloadable" for finding in found):
            yield from checked.unproven(proving)


def edited_since(database: Database) -> Iterator[Finding]:
    """Yield the files that mean something else now than when *database* applied them, with the diff."""
    one = database.set
    for edit in database.edits(database.record().applied).values():
        if edit.meaning is not Meaning.SAME:
            message = f"{edit.name} was edited since the database {database.alias!r} applied it."
            hint = (
                f"Restore it, and put the change into a new migration. Or let it stand: chronomig accept {edit.name}"
            )
            details = [f"| {line}" for line in edit.diff] or ["what was applied is nowhere to be found"]
            path = one.directory / f"{edit.name}.py"
            yield Finding("edited", one.name, edit.name, path, message, tuple(details), hint)


def left_behind(database: Database) -> Iterator[Finding]:
    """Yield what a failure left in *database*."""
    for left in leftovers(database.connection):
        message = f"The database {database.alias!r} has an {left.fact}."
        yield Finding("invalid-index", database.set.name, "", database.set.directory, message, (), left.next_step)


class Review:
    """The review of one set; with a base, of what the branch adds."""

    def __init__(self, project: Project, one: MigrationSet, branch: Branch | None) -> None:
        self.project = project
        self.set = one
        self.branch = branch
        self.files = one.timeline
        self.new = branch.ours if branch else self.files.names

    def findings(self) -> Iterator[Finding]:
        yield from self.stamps()
        yield from self.ahead()
        if self.branch:
            yield from self.changed(self.branch)
        broken = list(self.unloadable())
        yield from broken
        if broken:
            return  # the rest needs every file
        if self.branch:
            yield from self.clashes(self.branch)
        yield from self.models()

    def finding(self, check: str, name: str, message: str, details: Sequence[str] = (), hint: str = "") -> Finding:
        path = self.set.directory / f"{name}.py" if name else self.set.directory
        return Finding(check, self.set.name, name, path, message, tuple(details), hint)

    def stamps(self) -> Iterator[Finding]:
        """Two files of one second run in the order of their slugs, which nobody chose."""
        count = Counter(entry.stamp for entry in self.files)
        for name in self.new:
            if count[name[:14]] > 1:
                twins = [other for other in self.files.names if other[:14] == name[:14] and other != name]
                message = f"{name} has the stamp of {', '.join(twins)}."
                yield self.finding("same-stamp", name, message, hint=f"chronomig restamp {name}")

    def ahead(self) -> Iterator[Finding]:
        """A stamp in the future; where the base has one, what comes behind it has to have one, too."""
        newest = self.branch.base.newest if self.branch else None
        now = datetime.now(UTC)
        latest = format_stamp(max(now, parse_stamp(newest.stamp) if newest else now) + MAX_AHEAD)
        for name in self.new:
            if name[:14] > latest:
                hint = f"chronomig restamp {name}"
                yield self.finding("future-stamp", name, f"{name} has a stamp in the future.", hint=hint)

    def changed(self, branch: Branch) -> Iterator[Finding]:
        for name in branch.edited:
            hint = "Databases have it as it was. Restore it, and put the change into a new migration."
            yield self.finding("edited", name, f"{name} was edited, but is on the base already.", hint=hint)
        for name in branch.gone:
            message = f"{name} was taken away, but is on the base."
            yield self.finding("gone", name, message, hint="Databases have it. Restore the file.")

    def unloadable(self) -> Iterator[Finding]:
        for name in self.new:
            try:
                self.set.load(name)
            except LoadError as error:
                yield self.finding("unloadable", name, error.fact, error.cause.splitlines(), error.next_step)

    def clashes(self, branch: Branch) -> Iterator[Finding]:
        """Under the policy ``fail`` nothing may be older than what the base has, whatever it does."""
        found = {clash.name: clash for clash in branch.clashes()}
        for clash in branch.late():
            older = [name for name in clash.over if name > clash.name]
            if clash.name in found:
                judged = found[clash.name]
                message = f"{clash.name} clashes with {', '.join(judged.over)}."
                hint = "Merge the base into the branch, look at both, then: chronomig restamp"
                details = [line.strip() for line in lines_of(judged)][1:]
                yield self.finding("clash", clash.name, message, details, hint)
            elif older and self.set.config.order is Order.FAIL:
                message = f"{clash.name} is older than {older[0]}, which the base has."
                yield self.finding("order", clash.name, message, hint="chronomig restamp")

    def unproven(self, watcher: Watcher) -> Iterator[Finding]:
        """What cannot be undone, or not without a loss; tried on a scratch database."""
        database = self.project.databases[self.set.aliases[0]]
        for proof in prove(database, self.new, watcher) if self.new else ():
            if proof.verdict is not Verdict.PROVEN:
                message = f"{proof.name} is not proven: {proof.verdict}."
                yield self.finding("unproven", proof.name, message, proof.details, f"chronomig prove {proof.name}")

    def models(self) -> Iterator[Finding]:
        try:
            found = draft_changes(self.project, self.set, Choices(MigrationQuestioner()))
        except (Refused, TimelineError, LoadError) as error:
            yield self.finding("models", "", error.fact, error.cause.splitlines(), error.next_step)
            return
        if found.drafts:
            details = [line for draft in found.drafts for line in draft.descriptions]
            yield self.finding(
                "models", "", f"The models of the set {self.set.name!r} differ from its migrations.", details,
                "chronomig makemigrations",
            )  # fmt: skip
