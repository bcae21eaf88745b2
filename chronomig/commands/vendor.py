"""``chronomig vendor``: where every vendored file came from, and what is different now."""

from __future__ import annotations

from collections.abc import Sequence

from chronomig import output
from chronomig.authoring.provenance import FINDINGS, Provenance, provenance
from chronomig.authoring.templates import apps_with_templates, new_templates
from chronomig.authoring.vendor import Templates
from chronomig.project import Project
from chronomig.sets import MigrationSet


def run(
    project: Project,
    *,
    sets: Sequence[str] = (),
    everything: bool = True,
    check: bool = False,
    diff: bool = False,
    json: bool = False,
) -> int:
    """List *everything* that is vendored, or only what differs; return 3 when *check* found something."""
    rows = [row(project, one) for one in project.choose_sets(sets)]
    if json:
        output.say_json("vendor", sets=[as_json(*one) for one in rows])
    else:
        for one, found, new in rows:
            say(one, found, new, everything=everything, diff=diff)
    findings = any(new or any(file.standing in FINDINGS for file in found) for _, found, new in rows)
    return 3 if check and findings else 0


def row(project: Project, one: MigrationSet) -> tuple[MigrationSet, list[Provenance], list[str]]:
    """Return a set, its vendored files, and what is installed and not vendored yet."""
    ours = apps_with_templates(project, one)
    templates = Templates(project, one, project.own_apps() | ours)
    new = [template.key for template in templates.new()]
    new += [template.key for template in new_templates(project, one, ours)]
    return one, list(provenance(templates)), [".".join(key) for key in new]


def say(one: MigrationSet, found: Sequence[Provenance], new: Sequence[str], *, everything: bool, diff: bool) -> None:
    """Print a line for each file, or only what there is to find, and what is new upstream."""
    output.say(f"{one.name}: {output.plural(len(found), 'vendored file')}, {len(new)} new upstream")
    for file in found:
        if everything:
            known = f"{file.origin.distribution} {file.origin.version}".strip()
            refers = "refers" if file.refers else ""
            output.say("  " + "  ".join(filter(None, [file.name, known, file.standing, refers])))
        elif file.standing in FINDINGS:
            output.say(f"  {file.told}")
        if diff and file.diff:
            output.say(file.diff.rstrip())
    for key in new:
        output.say(f"  {key}: not vendored yet; chronomig makemigrations vendors it.")


def as_json(one: MigrationSet, found: Sequence[Provenance], new: Sequence[str]) -> dict[str, object]:
    files = [
        {
            "name": file.name,
            "origin": " ".join(file.origin.key),
            "distribution": file.origin.distribution or None,
            "version": file.origin.version or None,
            "installed": file.installed or None,
            "standing": file.standing,
            "refers": file.refers,
            "diff": file.diff or None,
        }
        for file in found
    ]
    return {"set": one.name, "files": files, "new": list(new)}
