"""What can be run; `nox -l` lists it."""

from __future__ import annotations

import time

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.needs_version = ">=2025.5"

MATRIX = [
    (python, django)
    for python, versions in {"3.11": ["5.2"], "3.12": ["5.2", "6.0", "6.1"], "3.13": ["5.2", "6.0", "6.1"]}.items()
    for django in versions
]
OF_DJANGOS_TESTS = ["docutils", "jinja2", "pillow", "pyyaml", "tblib"]
"""Without them, some of Django's tests are skipped."""
CELERY_BEAT = "django-celery-beat>=2.9"
"""Not in the extra: it refuses to be installed beside Django 6.1."""
MINIMUMS = ["django==5.2", "pydantic==2.10", "annotated-types==0.6", "typer==0.26.0", "gitpython==3.2.1"]


FAULTS = [
    ["--faults", "0"],
    ["--faults", "1000"],
    ["--faults", "200", "--mode", "stash"],
    ["--faults", "200", "--mode", "collapse"],
    ["--faults", "200", "--mode", "switch"],
    ["--faults", "200", "--crash"],
]
"""What the session of that name injects on each database, without arguments."""


@nox.session
@nox.parametrize("python,django", MATRIX)
def tests(session: nox.Session, django: str) -> None:
    """Run the tests on one Python and Django; arguments go to pytest."""
    session.install("-e", ".[test]", f"django~={django}.0")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
@nox.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def databases(session: nox.Session, database: str) -> None:
    """Run the tests on one database, which has to be there."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "auto", "--db", database, *session.posargs)


@nox.session
def commuting(session: nox.Session) -> None:
    """Try thousands of random pairs and triples that the analysis of effects calls commuting, both ways round."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.commuting", *session.posargs)


@nox.session
@nox.parametrize("python,django", [("3.12", "5.2"), ("3.12", "6.0"), ("3.12", "6.1")])
def packages(session: nox.Session, django: str) -> None:
    """Adopt packages with real histories, side by side with Django's own migrate; arguments go to pytest."""
    beat = [] if django == "6.1" else [CELERY_BEAT]
    session.install("-e", ".[packages]", *beat, f"django~={django}.0")
    session.run("pytest", "-n", "auto", "tests/test_packages.py", *session.posargs)


@nox.session
def upgrades(session: nox.Session) -> None:
    """Upgrade packages from an old release to the newest, remove and uninstall them; arguments go to pytest."""
    session.install("-e", ".[packages]", CELERY_BEAT, "pip", "django~=5.2.0")
    session.run(
        "pytest", "-n", "auto", "tests/test_upgrades.py", *session.posargs, env={"CHRONOMIG_TEST_UPGRADES": "all"}
    )


@nox.session
def batching(session: nox.Session) -> None:
    """Run thousands of random operations on one table of SQLite, together and one by one, both ways."""
    session.install("-e", ".[test]")
    session.run(
        "pytest", "-n", "2", "--db", "sqlite", "tests/test_batching.py", *session.posargs,
        env={"CHRONOMIG_TEST_BATCHED": "2000"},
    )  # fmt: skip


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the core tests with the oldest versions that pyproject.toml allows."""
    session.install("-e", ".[test]", *MINIMUMS)
    session.run("pytest", "-n", "auto", "-m", "core", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff>=0.14")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".[docs,example]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
@nox.parametrize("python,django", [("3.12", "5.2"), ("3.12", "6.0"), ("3.12", "6.1")])
def conformance(session: nox.Session, django: str) -> None:
    """Run Django's own tests with the state engine in its place: --database, --suite, --quick, --parallel N."""
    session.install("-e", ".[test]", "pip", *OF_DJANGOS_TESTS, f"django~={django}.0")
    session.run("python", "-m", "tests.conformance", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure side by side with stock Django and the bare SQL: --quick, --full, --fastmig… go to the benchmark."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
@nox.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def faults(session: nox.Session, database: str) -> None:
    """Kill at every point and at random, and print what survived and what was lost; arguments go to the driver."""
    session.install("-e", ".[test]")
    session.run("pytest", "--db", database, "tests/test_many.py", env={"CHRONOMIG_TEST_PROCESSES": "32"})
    for arguments in [session.posargs] if session.posargs else FAULTS:
        if database != "sqlite" or "--crash" not in arguments:
            session.run("python", "-m", "tests.faults", "--database", database, *arguments)


@nox.session
def badinput(session: nox.Session) -> None:
    """Give chronomig thousands of bad inputs, drawn at random; arguments go to the driver."""
    session.install("-e", ".[test]")
    seed = [] if "--seed" in session.posargs else ["--seed", str(int(time.time()))]
    session.run("python", "-m", "tests.badinput", "--cases", "5000", "--seconds", "1800", *seed, *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Look the dependencies up among known vulnerabilities; fails, by name, where the service cannot be reached."""
    session.install("-e", ".[example]", "pip-audit>=2.9")
    session.run("python", "-m", "tests.audit", *session.posargs)


@nox.session
@nox.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def fuzz(session: nox.Session, database: str) -> None:
    """Run random histories beside stock Django for an hour; arguments go to the fuzzer."""
    session.install("-e", ".[test]")
    seed = [] if "--seed" in session.posargs else ["--seed", str(int(time.time()) * 1000)]
    session.run(
        "python", "-m", "tests.fuzz", "--database", database, "--seconds", "3600", "--more", *seed, *session.posargs
    )


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and use it, away from the source."""
    session.install("build")
    out = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", out, silent=True)
    session.run("pip", "install", "--no-index", "--no-deps", "--find-links", out, "chronomig")
    session.install(
        "django>=5.2,<6.2",
        "pydantic>=2.10,<3",
        "annotated-types>=0.6",
        "typer>=0.26,<1",
        "gitpython>=3.2.1,<4",
        "pytest",
    )
    session.cd(out)
    session.run("chronomig", "--version")
    session.run("chronomig", "--help", silent=True)
    session.run("django-admin", "startproject", "built", ".")
    session.run("chronomig", "init")
    session.run("chronomig", "makemigrations", silent=True)
    session.run("chronomig", "migrate", silent=True)
    session.run("chronomig", "migrate", "--check")
