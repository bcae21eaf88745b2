"""``chronomig prove``: apply, undo and re-apply on a scratch database, with rows."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig import output
from chronomig.errors import UsageError, did_you_mean
from chronomig.project import Database, Project
from chronomig.proof.proving import Proof, Verdict, prove
from chronomig.review.branches import Branch, find_base
from chronomig.sets import MigrationSet


def run(
    project: Project,
    *,
    names: Sequence[str] = (),
    base: str | None = None,
    sets: Sequence[str] = (),
    json: bool = False,
) -> int:
    """Print a verdict for each migration; return 3 when one is not proven."""
    compared = find_base(project.trees, base)
    found: list[tuple[Database, list[Proof]]] = []
    for one in project.choose_sets(sets):
        wanted = chosen(one, names) if names else list(Branch.of(one, compared).ours) if compared else newest(one)
        database = project.databases[one.aliases[0]]
        proofs = []
        for proof in prove(database, wanted, output.PlainReporter(quiet=True)) if wanted else ():
            proofs.append(proof)
            if not json:
                say(proof)
        found.append((database, proofs))
    proofs = [proof for _, some in found for proof in some]
    if names and not proofs:
        raise UsageError("None of the names is a migration.", next_step="chronomig status lists them.")
    if json:
        output.say_json("prove", databases=[row(database, some) for database, some in found])
    elif not proofs:
        output.say("nothing to prove")
    return 3 if any(proof.verdict is not Verdict.PROVEN for proof in proofs) else 0


def chosen(one: MigrationSet, names: Sequence[str]) -> list[str]:
    """Return those of *names* that the set has; the beginning of one is enough when it is the only one."""
    found = []
    for name in names:
        fitting = [other for other in one.timeline.names if other.startswith(name)]
        if len(fitting) > 1 and name not in fitting:
            raise UsageError(
                f"{name!r} is the beginning of several migrations.",
                cause="\n".join(f"  {other}" for other in fitting),
                next_step=did_you_mean(name, fitting) or "Type more of it.",
            )
        found += [name] if name in fitting else fitting
    return found


def newest(one: MigrationSet) -> list[str]:
    return [one.timeline.newest.name] if one.timeline.newest else []


def say(proof: Proof) -> None:
    output.say(f"{proof.verdict:<14}  {proof.name}")
    for line in proof.details:
        output.say(f"    {line.strip()}")
    if proof.empty:
        output.say(f"    not tried with rows: {', '.join(proof.empty)}")


def row(database: Database, proofs: Sequence[Proof]) -> dict[str, object]:
    return {"alias": database.alias, "set": database.set.name, "proofs": list(map(as_json, proofs))}


def as_json(proof: Proof) -> dict[str, object]:
    return {
        "name": proof.name,
        "verdict": proof.verdict,
        "details": [line.strip() for line in proof.details],
        "without_rows": list(proof.empty),
    }
