"""Real Django projects, made in a temporary folder and used through their commands."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import forking

LEFT_OUT = ("DJANGO_", "GIT_", "PYTEST_", "PYTHONDONTWRITEBYTECODE", "CI")
BASE_APPS = ("chronomig", "django.contrib.contenttypes", "django.contrib.auth")

SETTINGS = """\
import json

try:
    import pymysql
    pymysql.install_as_MySQLdb()
except ImportError:
    pass

SECRET_KEY = "tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = json.loads({databases!r})
INSTALLED_APPS = {apps!r}
{extra}
"""

MANAGE = """\
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
"""

DUMP = """
import json
from django.db import connections
from tests.schema import dump
result = dump(connections[{alias!r}])
"""


class Done:
    """What a command printed, and how it ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    @property
    def json(self) -> Any:
        return json.loads(self.out)


SENT = """
    from django.db import connection
    from chronomig import output
    from chronomig.opening import current_project
    from chronomig.running import collapse, migrator
    result = []
    def note(execute, sql, *rest):
        result.append(str(sql))
        return execute(sql, *rest)
    with connection.execute_wrapper(note):
        choices = migrator.Choices(collapse=collapse.Collapse.INSIST if {collapsed} else collapse.Collapse.NEVER)
        journey = migrator.plan_journey(current_project().databases["default"], choices)
        list(migrator.migrate(journey, choices, output.PlainReporter(quiet=True)))
"""


class Project:
    """A project with manage.py, settings, and as many apps as a test writes."""

    interpreter = sys.executable
    patience = 120
    """How many seconds a command may take."""

    def __init__(
        self, root: Path, databases: Mapping[str, Mapping[str, Any]], apps: Sequence[str] = ("shop",)
    ) -> None:
        self.root = root
        self.databases = dict(databases)
        self.apps = list(apps)
        self.extra = ""
        root.mkdir()
        self.write("manage.py", MANAGE)
        self.configure()

    def configure(
        self, *, apps: Sequence[str] | None = None, extra: str | None = None, base: Sequence[str] = BASE_APPS
    ) -> None:
        """Write the settings anew; *apps* are the project's own and come after chronomig."""
        self.apps = list(apps) if apps is not None else self.apps
        self.extra = textwrap.dedent(extra) if extra is not None else self.extra
        installed = [*base, *self.apps]
        text = SETTINGS.format(databases=json.dumps(self.databases), apps=installed, extra=self.extra)
        self.write("site_settings.py", text)
        for app in self.apps:
            if "." not in app and not (self.root / app).exists() and app not in sys.modules and app != "taggit":
                self.write(f"{app}/__init__.py", "")

    def write(self, path: str, text: str) -> Path:
        """Write a file of the project, with its folders; Python's byte code goes by whole seconds, and is dropped."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    def models(self, text: str, app: str = "shop") -> None:
        """Write the models of an app."""
        self.write(f"{app}/models.py", "from django.db import models\n\n" + textwrap.dedent(text))

    def migration(
        self, name: str, operations: str, *, set_name: str = "default", head: str = "", body: str = ""
    ) -> Path:
        """Write a migration file; *operations* is the inside of the list."""
        text = (
            "from django.db import migrations, models\n\nimport chronomig\n\n"
            f"{textwrap.dedent(head)}\n\nclass Migration(chronomig.Migration):\n"
            f"{textwrap.indent(textwrap.dedent(body), '    ')}\n    operations = [\n"
            f"{textwrap.indent(textwrap.dedent(operations), '        ')}\n    ]\n"
        )
        return self.write(f"project_migrations/{set_name}/{name}.py", text)

    def files(self, set_name: str = "default") -> list[str]:
        """Return the names of the migrations on the disk."""
        return sorted(path.stem for path in (self.root / "project_migrations" / set_name).glob("*.py"))

    # -- commands ---------------------------------------------------------------------------------------------------

    def chronomig(self, *arguments: str, **options: Any) -> Done:
        """Run ``chronomig …`` in the project's folder; whatever goes wrong, a user is never shown a traceback."""
        done = self.run([self.interpreter, "-m", "chronomig", *arguments], **options)
        assert "Traceback (most recent call last)" not in done.err, done
        return done

    def ok(self, *arguments: str, **options: Any) -> Done:
        """Run ``chronomig …`` and insist on exit code 0."""
        done = self.chronomig(*arguments, **options)
        assert done.code == 0, done
        return done

    def manage(self, *arguments: str, **options: Any) -> Done:
        """Run ``manage.py …``."""
        return self.run([self.interpreter, "manage.py", *arguments], **options)

    def run(
        self,
        command: Sequence[str],
        *,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        fork: bool = True,
    ) -> Done:
        """Run *command* to its end; without *fork* in a Python that has imported nothing yet."""
        done = (forking.run if fork else forking.start)(
            command,
            cwd=cwd or self.root,
            env=self.environment(env),
            input=input or "",
            timeout=self.patience,
        )
        return Done(done)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start ``chronomig …`` and return while it runs; Ctrl-C reaches it even from a background shell."""
        return subprocess.Popen(
            [self.interpreter, "-m", "chronomig", *arguments],
            cwd=self.root,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(LEFT_OUT)}
        return {**kept, "PYTHONPATH": str(Path(__file__).parents[1]), **(more or {})}

    # -- looking inside ---------------------------------------------------------------------------------------------

    def python(self, code: str, **options: Any) -> Any:
        """Run *code* in the project, in a process of its own, and return what it left in ``result``."""
        text = "import json, django\ndjango.setup()\n" + textwrap.dedent(code) + "\nprint(json.dumps(result))"
        done = self.run([self.interpreter, "-c", text], env={"DJANGO_SETTINGS_MODULE": "site_settings"}, **options)
        assert done.code == 0, done
        return json.loads(done.out.strip().splitlines()[-1])

    def sent(self, *, collapsed: bool = False) -> list[str]:
        """Return what a migrate sends, message by message."""
        sent: list[str] = self.python(SENT.format(collapsed=collapsed), fork=False)
        return sent

    def rows(self, query: str, alias: str = "default") -> list[list[Any]]:
        """Return the rows of a query."""
        return self.python(
            f"""
            from django.db import connections
            cursor = connections[{alias!r}].cursor()
            cursor.execute({query!r})
            result = [list(map(str, row)) for row in cursor.fetchall()] if cursor.description else []
            """
        )

    def tables(self, alias: str = "default") -> list[str]:
        """Return the names of the tables, but for those of migration frameworks."""
        return list(self.schema(alias))

    def schema(self, alias: str = "default") -> dict[str, Any]:
        """Return a comparable description of the schema."""
        return self.python(DUMP.format(alias=alias))

    def states(self) -> dict[str, str]:
        """Return {name: state} of the only database."""
        (one,) = self.ok("status", "--json").json["databases"]
        return {line["name"]: line["state"] for line in one["migrations"]}

    def applied(self) -> list[str]:
        return [name for name, state in self.states().items() if state == "applied"]
