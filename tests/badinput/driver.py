"""Run one case, and insist on what has to hold."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from random import Random

import chronomig
from tests.badinput.cases import KINDS, SLOW_KINDS, Case
from tests.badinput.drawing import READING
from tests.badinput.site import Picture, Site, make_template

ALLOWED = (0, 1, 2, 3, 4)
SECONDS = 60
NOT_RUN = 70
ENDED_BY_THE_SHELL = ("/dev/full", "ulimit", ">&-", "| true")
MOVED = re.compile(r"^  (applied|reverted|faked|adopted|baseline) ", re.MULTILINE)
AT_RUN_TIME = ("was not applied", "was not undone", "was lost", "receiver", "Stopped")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


class Bad(AssertionError):
    """What should hold does not."""


class Driver:
    """Cases by their numbers; the same seed and number is the same case."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.folder = folder
        self.seed = seed
        import_everything()
        self.template = make_template(folder)
        self.figures: Counter[tuple[str, str]] = Counter()
        sys.path[:] = [one for one in sys.path if one]

    def rounds(self, numbers: Iterator[int]) -> Iterator[str]:
        """Yield what does not hold."""
        for number in numbers:
            kind, case = "", None
            random = Random(f"{self.seed} {number}")
            kinds = SLOW_KINDS if number % 20 == 19 else KINDS
            kind = random.choice(list(kinds))
            site = Site.copy(self.template, self.folder / "site")
            try:
                case = kinds[kind](random, site)
                code = self.round(site, case)
                self.figures[kind, str(code)] += 1
            except Bad as bad:
                self.figures[kind, "bad"] += 1
                said = f"{case.said}\n$ chronomig {' '.join(map(repr, case.arguments))}" if case else ""
                yield f"--seed {self.seed} --first {number}, {kind}: {said}\n{bad}"

    def round(self, site: Site, case: Case) -> int:
        before = site.picture()
        ended = as_process(site.root, case) if case.needs_process else in_child(site.root, case.arguments)
        self.insist_on_an_end(ended, case)
        self.insist_on_nothing_changed(before, site.picture(), ended, case)
        return ended.code

    def insist_on_an_end(self, ended: Ended, case: Case) -> None:
        told = f"{ended.out[-1500:]}\n{ended.err[-3000:]}"
        if "Traceback" in ended.out + ended.err or "This is a mistake" in ended.err:
            raise Bad(f"a traceback\n{told}")
        if ended.code not in ALLOWED:
            raise Bad(f"exit code {ended.code}\n{told}")
        hidden = any(one in case.shell for one in ENDED_BY_THE_SHELL)
        if (
            ended.code in (1, 2, 4)
            and not hidden
            and not re.search(r'(?m)^(Error: \S|Usage: )|"error": \{', ended.err + ended.out)
        ):
            raise Bad(f"exit code {ended.code} without an error\n{told}")

    def insist_on_nothing_changed(self, before: Picture, after: Picture, ended: Ended, case: Case) -> None:
        reads = any(case.arguments[: len(one)] == one for one in READING)
        if not reads and (
            ended.code in (0, 3)
            or MOVED.search(ended.out)
            or any(one in ended.err + ended.out for one in AT_RUN_TIME)
        ):
            return
        if not reads and any(one in case.shell for one in ENDED_BY_THE_SHELL):
            return  # it did what it was told, and could not say so
        if difference := before.unlike(after):
            raise Bad(f"exit code {ended.code}, and something changed: {difference}\n{ended.out}\n{ended.err}")


def import_everything() -> None:
    """Import what commands import, once for all processes that are forked."""
    for module in walk_packages(chronomig.__path__, "chronomig."):
        with suppress(Exception):  # what needs a Django that is set up
            import_module(module.name)


def in_child(root: Path, arguments: list[str]) -> Ended:
    """Run ``chronomig …`` in a forked process: Django is imported already, and not set up."""
    out, err = root / ".out", root / ".err"
    child = os.fork()
    if child == 0:
        code = NOT_RUN
        try:
            signal.alarm(SECONDS)
            code = run(root, arguments, (out, err))
        except BaseException:
            err.write_text("Traceback of the driver: " + traceback.format_exc())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), out.read_text(errors="replace"), err.read_text(errors="replace"))


def run(root: Path, arguments: list[str], files: tuple[Path, Path]) -> int:
    os.chdir(root)
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    sys.argv = ["chronomig", *arguments]
    from chronomig.__main__ import main

    with files[0].open("w") as out, files[1].open("w") as err, redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def as_process(root: Path, case: Case) -> Ended:
    variables = {key: one for key, one in os.environ.items() if not key.startswith(("DJANGO_", "GIT_", "PYTEST_"))}
    variables["PYTHONPATH"] = str(Path(__file__).parents[2])
    variables |= {key: one for key, one in case.env.items() if one is not None}
    for key in (key for key, one in case.env.items() if one is None):
        variables.pop(key, None)
    command = shlex.join([sys.executable, "-m", "chronomig", *case.arguments])
    done = subprocess.run(
        ["/bin/bash", "-c", (case.shell or "{}").replace("{}", command)],
        cwd=root, env=variables, stdin=subprocess.DEVNULL, capture_output=True, errors="replace", timeout=SECONDS, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)
