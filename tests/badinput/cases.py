"""The kinds of bad input; each spoils a site and returns what is typed then, and in which environment."""

from __future__ import annotations

import json
import os
import random as randomness
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from chronomig.config import Config, DatabaseConfig, SetConfig, keys_of
from tests.badinput.drawing import ODD, STAMPS, command, encodable, row_value, text, value
from tests.badinput.site import A, B, C, Site
from tests.gitting import Git

Random = randomness.Random


@dataclass
class Case:
    """What is run on a site that was spoilt."""

    arguments: list[str]
    said: str
    """What was done to the site."""
    env: dict[str, str | None] = field(default_factory=dict)
    """None takes a variable away."""
    shell: str = ""
    """What a shell does with the output, where that is what is tried."""

    @property
    def needs_process(self) -> bool:
        """Whether it has to be a Python of its own: what is tried is read when it starts."""
        return bool(self.env or self.shell)


GOOD = "from django.db import migrations, models\nimport chronomig\n\nclass Migration(chronomig.Migration):\n    operations = []\n"
BODIES = (
    "operations = None", "operations = 7", "operations = 'shop'", "operations = {}", "operations = [None]", "operations = [()]",
    "operations = [('shop',)]", "operations = [('shop', None)]", "operations = [(None, migrations.RunSQL(''))]",
    "operations = [('shop', migrations.RunSQL)]", "operations = [migrations.RunSQL('')]", "operations = (1 for _ in range(3))",
    "operations = property(lambda self: 1 / 0)", "operations = [('nosuchapp', migrations.DeleteModel('x'))]",
    "operations = [('shop', migrations.DeleteModel('nothing'))]", "operations = [('shop', migrations.RunSQL('nonsense'))]",
    "operations = [('shop', migrations.AddField('item', 'n', models.IntegerField()))]",
    "operations = [('shop', migrations.AddField('nothing', 'n', models.IntegerField()))]",
    "operations = [('shop', migrations.AddField('item', 'r', models.ForeignKey('shop.Nothing', models.CASCADE, null=True)))]",
    "operations = [('shop', migrations.RemoveField('item', 'nothing'))]", "operations = [('shop', migrations.RenameModel('a', 'b'))]",
    "operations = [('shop', migrations.CreateModel('Item', [('id', models.AutoField(primary_key=True))]))]",
    "operations = [('shop', migrations.AlterField('item', 'nothing', models.TextField()))]",
    "operations = [('shop', migrations.RunPython(lambda apps, editor: 1 / 0))]",
    "operations = [('shop', migrations.RunPython(lambda apps, editor: exit(0)))]",
    "operations = [('shop', migrations.RunPython(lambda: None))]", "operations = [('shop', migrations.AddIndex('item', models.Index(fields=['nothing'], name='x')))]",
    "operations = [('shop', migrations.RemoveIndex('item', 'nothing'))]", "operations = [('shop', migrations.RenameIndex('item', 'a', old_name='b'))]",
    "operations = [('shop', migrations.AddConstraint('item', models.UniqueConstraint(fields=['nothing'], name='x')))]",
    "operations = [('shop', migrations.AlterUniqueTogether('item', {('nothing',)}))]", "operations = [('shop', migrations.AlterModelTable('item', 7))]",
    "operations = [('shop', migrations.CreateModel('X', []))]", "operations = [('shop', migrations.CreateModel('X', [('n', models.IntegerField())], bases=('shop.nothing',)))]",
    "operations = [('shop', migrations.SeparateDatabaseAndState(None, None))]", "operations = [('shop', migrations.RenameField('item', 'nothing', 'm'))]",
    "operations = []\n    atomic = 'yes'", "operations = []\n    atomic = None", "operations = []\n    touches = 7", "operations = []\n    touches = ['x']",
    "operations = []\n    touches = [None]", "operations = []\n    dependencies = 7", "operations = []\n    def __init__(self): raise ValueError('no')",
    "operations = []\n    def __init__(self, name): pass", "pass",
)  # fmt: skip
TEXTS = (
    b"", b"\x00", b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode(), GOOD.encode() + b"\x00", b"\xff\xfe",
    GOOD.encode("utf-16"), b"class Migration: pass", b"Migration = 7", b"Migration = None", b"from chronomig import Migration",
    b"from django.db.migrations import Migration", b"def f(:\n", b"\tx\n  y\n", b"(" * 2000, b"x = " + b"-" * 200_000 + b"1",
    b"import sys; sys.exit(0)", b"import sys; sys.exit(3)",  b"raise SystemExit('bye')", b"1/0", b"import nothing_at_all",
    b"raise RecursionError", b"raise MemoryError", b"def f(): f()\nf()", b"raise BaseException('odd')", b"raise GeneratorExit", b"import chronomig.nothing",
    b"# -*- coding: latin-1 -*-\n" + GOOD.encode(), b"# -*- coding: nonsense -*-\n" + GOOD.encode(), b"return 7", b"await x", b"#" + b"x" * 3_000_000,
    b"from django.db import migrations\nclass Migration(migrations.Migration):\n    operations = []\n", b"__name__ = 7\n" + GOOD.encode(),
    b"raise Exception('\\ud800')", b"raise Exception(b'\\xff')", b"class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
    b"print('\\ud800')", b"import os; os.chdir('/')\n" + GOOD.encode(),
)  # fmt: skip
LITERALS = (
    "ORIGIN = {}", "ORIGIN = 7", "ORIGIN = {'app': 'shop'}", "ORIGIN = {'app': 7, 'name': None, 'distribution': [], 'version': 1, 'sha256': 2}",
    "ORIGIN = {'app': 'shop', 'name': 'x', 'distribution': '', 'version': '', 'sha256': '', 'replaces': 7}",
    "ORIGIN = {'app': 'shop', 'name': 'x', 'distribution': '', 'version': '', 'sha256': '', 'replaces': {'a': 7}, 'squashes': None}",
    "ORIGIN = {'app': 'shop', 'name': 'x', 'distribution': '', 'version': '', 'sha256': '', 'package': 'no.such'}", "ORIGIN = {1: {2}, **x}",
    "ORIGIN = {'app': __import__('os')}", "TABLES = [1", "TABLES = [x]", "TABLES = [{}]", "TABLES = []", "TABLES = [7]", "SQUASHED = 7", "SQUASHED = {}", "SQUASHED = [", "SQUASHED = {'names': 7}",
    "BASELINE = 7", "BASELINE = {}", "BASELINE = {1}", "SQUASHED = ['20260101000000_items']", "BASELINE = {'names': ['20260101000000_items']}",
)  # fmt: skip


def file_name(random: Random, site: Site) -> Case:
    stamp = random.choice(STAMPS)
    slug = random.choice(
        [
            "x",
            "X",
            "é",
            "x-y",
            "x y",
            "x" * 190,
            "x" * 230,
            "",
            "_",
            "__init__",
            "x.y",
            "\udcff",
            "\n",
            "ITEMS",
            "items",
        ]
    )
    name = random.choice(
        [
            f"{stamp}_{slug}",
            f"{stamp}{slug}",
            slug,
            text(random, in_argument=True).replace("/", ""),
            f"{A[:15]}{slug}",
        ]
    )
    try:
        (site.files / f"{name}.py").write_text(GOOD)
    except (OSError, ValueError):
        return file_content(random, site)
    return Case(command(random), f"a file named {name!r}.py")


def place(random: Random, site: Site) -> str:
    return random.choice([A, B, C, C, "20260104000000_new", "20260101120000_between", "20260103000000_twin"])


def file_content(random: Random, site: Site) -> Case:
    path = site.files / f"{place(random, site)}.py"
    kind = random.randrange(4)
    if kind == 0:
        content = random.choice(TEXTS)
    elif kind == 1:
        content = GOOD.replace("operations = []", random.choice(BODIES)).encode()
    elif kind == 2:
        literal = random.choice(LITERALS)
        base = random.choice([GOOD, GOOD.replace("chronomig.Migration", "migrations.Migration")])
        content = f"{base}\n{literal}\n".encode()
    else:
        content = bytearray((path if path.exists() else site.files / f"{C}.py").read_bytes())
        for _ in range(random.randrange(1, 6)):
            content[random.randrange(len(content))] = random.randrange(256)
        content = bytes(content)
    path.write_bytes(content)
    return Case(command(random), f"{path.name} holds {content[:300]!r}")


def file_type(random: Random, site: Site) -> Case:
    path = site.files / f"{place(random, site)}.py"
    path.unlink(missing_ok=True)
    kind = random.choice(
        [
            "folder",
            "dangling",
            "loop",
            "null",
            "to folder",
            "pipe",
            "other set",
            "gone",
            "set is a file",
            "no set",
            "to another",
        ]
    )
    match kind:
        case "folder":
            path.mkdir()
        case "dangling":
            path.symlink_to("nothing")
        case "loop":
            path.symlink_to(path.name)
        case "null":
            path.symlink_to("/dev/null")
        case "to folder":
            path.symlink_to(site.root)
        case "pipe":
            os.mkfifo(path)
        case "to another":
            path.symlink_to(site.files / f"{C if path.stem != C else A}.py")
        case "other set":
            (site.files.parent / "other" / path.name).parent.mkdir()
        case "set is a file":
            site.files.rename(site.root / "elsewhere")
            site.files.write_text("")
        case "no set":
            site.files.rename(site.root / "elsewhere")
        case _:
            pass
    return Case(command(random), f"{path.name}: {kind}")


def beside(random: Random, site: Site) -> Case:
    """Files that chronomig keeps itself: snapshots, what was frozen, the vault, the lock."""
    junk = random.choice(
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"7",
            b"\xff\x00",
            b'{"files": 7}',
            b'{"files": {"x": []}}',
            b'{"format": 1}',
            os.urandom(50),
        ]
    )
    which = random.choice(["frozen.json", ".frozen.json", "snapshots", "vault", "lock", "gitignore"])
    match which:
        case "snapshots":
            folder = site.root / "project_migrations/.snapshots/default"
            folder.mkdir(parents=True)
            (folder / f"{'0' * 40}.json.gz").write_bytes(junk)
        case "vault":
            vault = site.root / ".git/chronomig"
            with suppress(FileNotFoundError):
                for one in vault.iterdir():
                    one.write_bytes(junk)
            if random.random() < 0.5:
                (site.files / f"{B}.py").unlink()
        case "lock":
            (site.root / "db.sqlite3.chronomig-lock").write_bytes(junk)
        case "gitignore":
            (site.root / "project_migrations/.snapshots").write_bytes(junk)
        case _:
            (site.files / which).write_bytes(junk)
    return Case(command(random), f"{which} holds {junk!r}")


def configuration(random: Random, site: Site) -> Case:
    keys = [*keys_of(Config), *keys_of(Config), "nonsense", encodable(text(random)) or "x"]
    values = {random.choice(keys): value(random) for _ in range(random.randrange(1, 3))}
    if random.random() < 0.3:
        values = {
            "sets": {
                "default": {
                    random.choice([*keys_of(SetConfig)]): value(random),
                    "databases": random.choice([["default"], value(random)]),
                }
            }
        }
    elif random.random() < 0.3:
        values = {"databases": {"default": {random.choice([*keys_of(DatabaseConfig)]): value(random)}}}
    where = random.choice(["pyproject", "settings", "settings whole", "broken", "pyproject is a folder", "tool"])
    pyproject, settings = site.root / "pyproject.toml", site.root / "site_settings.py"
    match where:
        case "pyproject":
            pyproject.write_text(f"[tool]\nchronomig = {toml(values)}\n")
        case "settings":
            settings.write_text(f"{settings.read_text()}\nCHRONOMIG = {values!r}\n")
        case "settings whole":
            values = value(random)
            settings.write_text(f"{settings.read_text()}\nCHRONOMIG = {values!r}\n")
        case "broken":
            values = random.choice(
                [
                    "chronomig",
                    "[tool.chronomig",
                    "[tool.chronomig]\nx = ",
                    "tool = 'chronomig'",
                    "[tool]\nchronomig = 7",
                    "[[tool.chronomig]]\nsettings = 'x'",
                    "[tool.chronomig]\nsettings = 7",
                ]
            )
            pyproject.write_text(str(values))
        case "tool":
            values = value(random)
            pyproject.write_text(f"[tool]\nchronomig = {toml(values)}\n")
        case _:
            pyproject.mkdir()
    return Case(command(random), f"configuration in {where}: {values!r}")


def toml(found: object) -> str:
    if isinstance(found, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in found.items()) + "}"
    if isinstance(found, list):
        return "[" + ", ".join(map(toml, found)) + "]"
    return json.dumps(found).replace("\x7f", "\\u007f")


def django_settings(random: Random, site: Site) -> Case:
    extra = random.choice([
        "raise ValueError('no')", "raise SystemExit(0)", "raise SystemExit('bye')",  "import nothing_at_all", "def", "DATABASES = None", "DATABASES = 7",
        "DATABASES = {}", "DATABASES = {'default': 7}", "DATABASES = {'default': None}", "DATABASES = {'default': {}}", "DATABASES = {'other': {}}", "DATABASES['default']['ENGINE'] = 'nothing'",
        "DATABASES['default']['ENGINE'] = 7", "DATABASES['default']['NAME'] = None", "DATABASES['default']['NAME'] = 7", "DATABASES['default']['NAME'] = '/nowhere/at/all'",
        "DATABASES['default']['NAME'] = '.'", "DATABASES['default']['NAME'] = ''", "DATABASES['default']['OPTIONS'] = 7", "DATABASES['default']['OPTIONS'] = {'nonsense': 1}",
        "DATABASES['default']['OPTIONS'] = {'init_command': 'nonsense'}", "DATABASES['default']['OPTIONS'] = {'transaction_mode': 'ODD'}", "INSTALLED_APPS = ['nothing']", "INSTALLED_APPS = None", "INSTALLED_APPS = ['shop', 'shop']", "INSTALLED_APPS = ['shop']",
        "INSTALLED_APPS = []", "INSTALLED_APPS += ['django.contrib.auth']", "DATABASE_ROUTERS = ['nothing.Router']", "DATABASE_ROUTERS = [object()]", "MIGRATION_MODULES = 7", "MIGRATION_MODULES = {'shop': 7}",
        "MIGRATION_MODULES = {'shop': 'nothing'}", "TIME_ZONE = 'Mars/Olympus'", "USE_TZ = 7", "SECRET_KEY = None", "DEFAULT_AUTO_FIELD = 'nothing'", "AUTH_USER_MODEL = 7", "BASE_DIR = 7", "LANGUAGE_CODE = 'zz'", "LOGGING = 7", "LOGGING_CONFIG = 'nothing'",
    ])  # fmt: skip
    path = site.root / "site_settings.py"
    path.write_text(f"{path.read_text()}\n{extra}\n")
    return Case(command(random), f"settings: {extra}")


def models_file(random: Random, site: Site) -> Case:
    (site.root / "shop/models.py").write_text(random.choice([
        "raise ValueError('no')", "raise SystemExit(0)", "import nothing_at_all", "def", "\x01", "from django.db import models\nclass Item(models.Model):\n    n = models.IntegerField(default=lambda: 1)\n",
        "from django.db import models\nclass Item(models.Model):\n    n = models.ForeignKey('no.Such', models.CASCADE)\n", "from django.db import models\nclass Item(models.Model):\n    class Meta:\n        nonsense = 1\n",
        "from django.db import models\nclass O:\n    pass\nclass Item(models.Model):\n    n = models.IntegerField(default=O())\n", "from django.db import models\nclass Item(models.Model):\n    n = models.IntegerField()\n    must = models.TextField()\n",
    ]))  # fmt: skip
    return Case(
        random.choice(
            [["makemigrations", "--no-input"], ["makemigrations", "--check"], ["check"], ["status"], ["migrate"]]
        ),
        "models",
    )


def target(random: Random, site: Site) -> Case:
    word = random.choice([
        text(random, in_argument=True), random.choice(STAMPS), "2026-13-45", "2026-01-01T99:99", "9999-12-31", "0001-01-01T00:00+23:59", "2026-01-01T00:00+99:99", "ref:", "name:", "stamp:", "ref:HEAD~99", "HEAD", "@{-9}", "HEAD^{tree}", "HEAD:shop",
        "ref:-x", "--upload-pack=x", "main..side", ":/two", "shop zero", "auth 0001", "shop " + text(random, in_argument=True), "202601", A, B, C, f"{A}.py", f"{A[:-1]}", "zero ", "ZERO", "1" * 5000, "name:" + text(random, in_argument=True), "ref:" + text(random, in_argument=True), "main@{yesterday}", "'; DROP TABLE shop_item", "٣٣٣٣٣٣٣٣٣٣٣٣٣٣",
    ])  # fmt: skip
    shape = random.choice([
        ["plan", "--to"], ["migrate", "--yes", "--to"], ["migrate", "--yes", "--before"], ["plan", "--before"], ["plan", "--steps"], ["sql"], ["sql", "--backwards"], ["accept"], ["forget", "--yes"], ["mark", "--yes"], ["restamp"], ["restamp", "--base"],
        ["check", "--base"], ["check", "--database"], ["check", "--set"], ["status", "--database"], ["status", "--settings"], ["prove"], ["squash", "--yes", "--no-input", "--to"], ["stash", "drop", "--yes"], ["stash"], ["switch", "--yes"], ["migrate", "--wait"], ["migrate", "--lock-timeout"], ["migrate", "--verbosity"],
        ["migrate", "--order"], ["migrate", "--ghosts"], ["makemigrations", "--name"], ["makemigrations", "--empty", "--no-input", "--name"], [], ["freeze"], ["vendor"], ["adopt"], ["init", "--settings"], ["hooks"], ["migrate", "--database"],
    ])  # fmt: skip
    more = [random.choice(["applied", "unapplied", word])] if shape[:1] == ["mark"] else []
    if random.random() < 0.1:
        more.append(random.choice(["--json", "--no-input", text(random, in_argument=True)]))
    return Case([*shape, word, *more], "nothing")


COLUMNS = ("set_name", "name", "kind", "direction", "sha256", "app_label", "upstream_name", "operation", "detail", "duration_ms", "at", "by", "version", "branch", "commit", "blob")  # fmt: skip
LOOSE = "CREATE TABLE loose AS SELECT * FROM chronomig_history"


def history_row(random: Random, site: Site) -> Case:
    column = random.choice(COLUMNS)
    found = row_value(random)
    done: list[str | tuple[str, tuple[object, ...]]] = [
        LOOSE,
        "DROP TABLE chronomig_history",
        "ALTER TABLE loose RENAME TO chronomig_history",
    ]
    kind = random.choice(
        [
            "changed",
            "changed",
            "inserted",
            "inserted",
            "duplicate",
            "column gone",
            "column more",
            "empty",
            "view",
            "half",
            "django",
            "reordered",
            "not a table",
        ]
    )
    match kind:
        case "changed":
            done.append(
                (
                    f'UPDATE chronomig_history SET "{column}" = ? WHERE id = (SELECT id FROM chronomig_history ORDER BY random() LIMIT 1)',
                    (found,),
                )
            )
        case "inserted":
            row = [random.choice(["default", "default", "default", row_value(random)]), random.choice([A, B, C, row_value(random)]), random.choice(["applied", "reverted", "started", "progress", "squashed", "collapsing", "accepted", "forgotten", "settled", "failed", "faked", "adopted", row_value(random)]), random.choice(["up", "down", row_value(random)]),
                   *(row_value(random) for _ in range(2)), row_value(random), random.choice([None, 0, 1, 99, row_value(random)]), row_value(random), row_value(random), random.choice(["2026-01-01T00:00:00.000000Z", row_value(random)]), *(row_value(random) for _ in range(5))]  # fmt: skip
            done.append(
                (
                    f"INSERT INTO chronomig_history (id, {', '.join(json.dumps(one) for one in COLUMNS)}) VALUES (99, {', '.join('?' * len(row))})",
                    tuple(row),
                )
            )
            found = row
        case "duplicate":
            done.append("INSERT INTO chronomig_history SELECT * FROM chronomig_history")
        case "column gone":
            done.append(f'ALTER TABLE chronomig_history DROP COLUMN "{column}"')
        case "column more":
            done.append("ALTER TABLE chronomig_history ADD COLUMN mood TEXT DEFAULT 'good'")
        case "empty":
            done.append("DELETE FROM chronomig_history")
        case "view":
            done += [
                "ALTER TABLE chronomig_history RENAME TO other",
                "CREATE VIEW chronomig_history AS SELECT * FROM other",
            ]
        case "half":
            done.append(
                (
                    "INSERT INTO chronomig_history (id, set_name, name, kind, direction, sha256, app_label, upstream_name, operation, detail, at, by, version, branch, \"commit\", blob) VALUES (99, 'default', ?, 'started', ?, '', '', '', ?, '', '2026-01-01T00:00:00.000000Z', '', '', '', '', '')",
                    (
                        random.choice([A, B, C, "x"]),
                        random.choice(["up", "down"]),
                        random.choice([None, 0, 1, 2, 99, -1]),
                    ),
                )
            )
        case "django":
            done = [
                f"CREATE TABLE django_migrations ({random.choice(['id', 'id, app, name, applied', 'app, name'])})"
            ]
            if random.random() < 0.5 and "applied" in str(done):
                done.append(
                    ("INSERT INTO django_migrations VALUES (?, ?, ?, ?)", tuple(row_value(random) for _ in range(4)))
                )
        case "reordered":
            done.append("UPDATE chronomig_history SET id = -id")
        case _:
            done = [
                "DROP TABLE chronomig_history",
                "CREATE TABLE chronomig_history (x)",
                "INSERT INTO chronomig_history VALUES (1)",
            ]
    site.sql(*done)
    return Case(command(random), f"history: {kind} {column} {found!r}")


def database_file(random: Random, site: Site) -> Case:
    kind = random.choice(["garbage", "cut", "folder", "gone", "spoilt", "tables gone"])
    match kind:
        case "garbage":
            site.database.write_bytes(b"nonsense" * 1000)
        case "cut":
            content = site.database.read_bytes()
            site.database.write_bytes(content[: random.randrange(len(content))])
        case "folder":
            site.database.unlink()
            site.database.mkdir()
        case "spoilt":
            content = bytearray(site.database.read_bytes())
            for _ in range(50):
                content[random.randrange(len(content))] = random.randrange(256)
            site.database.write_bytes(content)
        case "tables gone":
            site.sql("DROP TABLE shop_item")
        case _:
            site.database.unlink()
    return Case(command(random), f"database: {kind}")


def git_state(random: Random, site: Site) -> Case:
    folder = site.root / ".git"
    kind = random.choice(
        [
            "HEAD",
            "HEAD loop",
            "empty",
            "unborn",
            "no objects",
            "some objects",
            "file",
            "file to nowhere",
            "empty folder",
            "config",
            "index",
            "packed",
            "shallow",
            "gone",
            "ref",
            "bare",
            "rebase",
            "detached",
            "no commit",
            "worktree config",
        ]
    )
    junk = random.choice([b"", b"nonsense", b"\x00\xff", b"ref: ", b"ref: refs/heads/../../x", b"0" * 40])
    match kind:
        case "HEAD":
            (folder / "HEAD").write_bytes(junk)
        case "HEAD loop":
            (folder / "HEAD").write_text("ref: HEAD\n")
        case "empty" | "no commit":
            (folder).rename(site.root / ".was")
            Git(site.root)("init", "-q", "-b", "main", "--template=")
        case "unborn":
            Git(site.root)("checkout", "-q", "--orphan", "new")
        case "no objects":
            (folder / "objects").rename(folder / "was")
        case "some objects":
            objects = sorted(folder.glob("objects/??/*"))
            for one in random.sample(objects, random.randrange(1, len(objects))):
                one.chmod(0o644)
                one.write_bytes(junk) if random.random() < 0.5 else one.unlink()
        case "file" | "file to nowhere":
            folder.rename(site.root / ".was")
            folder.write_bytes(b"gitdir: /nowhere" if kind != "file" else junk)
        case "empty folder":
            folder.rename(site.root / ".was")
            folder.mkdir()
        case "config":
            (folder / "config").write_bytes(
                random.choice(
                    [
                        junk,
                        b"[core",
                        b"[core]\nrepositoryformatversion = 99\n",
                        b"[core]\nworktree = /nowhere\n",
                        b"[extensions]\nnonsense = true\n[core]\nrepositoryformatversion = 1\n",
                    ]
                )
            )
        case "index":
            (folder / "index").write_bytes(junk)
        case "packed":
            (folder / "packed-refs").write_bytes(junk or b"x")
        case "shallow":
            (folder / "shallow").write_bytes(junk)
        case "gone":
            folder.rename(site.root / ".was")
        case "ref":
            (folder / "refs/heads/main").write_bytes(junk)
        case "bare":
            Git(site.root)("config", "core.bare", "true")
        case "rebase":
            (folder / "rebase-merge").mkdir()
        case "detached":
            Git(site.root)("checkout", "-q", "--detach")
        case _:
            Git(site.root)("config", "extensions.worktreeConfig", "true")
            (folder / "config.worktree").write_bytes(junk)
    arguments = random.choice(
        [
            command(random),
            ["migrate", "--to", "main", "--yes"],
            ["migrate", "--to", "side", "--yes"],
            ["switch", "side", "--yes"],
            ["switch", "main", "--yes"],
            ["check", "--base", "side"],
            ["hooks", "install"],
            ["restamp"],
            ["status"],
        ]
    )
    return Case(arguments, f"git: {kind} {junk!r}")


def environment(random: Random, site: Site) -> Case:
    arguments = command(random)
    env: dict[str, str | None] = random.choice([
        {"DJANGO_SETTINGS_MODULE": "nothing"}, {"DJANGO_SETTINGS_MODULE": ""}, {"DJANGO_SETTINGS_MODULE": "."}, {"DJANGO_SETTINGS_MODULE": "é é"}, {"DJANGO_SETTINGS_MODULE": "os"}, {"DJANGO_SETTINGS_MODULE": "shop.models"}, {"DJANGO_SETTINGS_MODULE": "/etc/passwd"},
        {"TZ": "Mars/Olympus"}, {"TZ": ""}, {"TZ": "\x01"}, {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}, {"LC_ALL": "nonsense"}, {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"HOME": None}, {"HOME": "/nowhere"}, {"HOME": ""}, {"USER": None, "LOGNAME": None, "HOME": None},
        {"COLUMNS": "1"}, {"COLUMNS": "nonsense"}, {"COLUMNS": "0"}, {"COLUMNS": "-7", "LINES": "x"}, {"TERM": "dumb"}, {"TERM": "nonsense", "FORCE_COLOR": "1"}, {"FORCE_COLOR": "1", "COLUMNS": "1"}, {"PATH": ""}, {"PATH": "/nowhere"}, {"TMPDIR": "/nowhere"}, {"GIT_DIR": "/nowhere"}, {"GIT_CONFIG_GLOBAL": "/nowhere"},
        {"GIT_PYTHON_GIT_EXECUTABLE": "/nowhere"}, {"GIT_PYTHON_REFRESH": "nonsense"}, {"GIT_TRACE": "1"}, {"NO_COLOR": "1"}, {"PYTHONWARNINGS": "error"}, {"PYTHONOPTIMIZE": "2"}, {"PYTHONDONTWRITEBYTECODE": "1"},
    ])  # fmt: skip
    shell = random.choice(
        [
            "",
            "",
            "",
            "{} >&-",
            "{} 2>&-",
            "{} >&- 2>&-",
            "{} >/dev/full",
            "{} | true",
            "{} <&-",
            "cd .. && command -p mkdir -p gone && cd gone && command -p rmdir ../gone && {}",
            "ulimit -f 0; {}",
        ]
    )
    if random.random() < 0.3:
        (site.root / "shop/é.py").write_text("")
        arguments = ["status", "--database", "é\U0001f600"]
    return Case(arguments, f"environment {env}, shell {shell!r}", env, shell)


KINDS: dict[str, Callable[[Random, Site], Case]] = {
    one.__name__.replace("_", " "): one
    for one in (file_name, file_content, file_content, file_type, beside, configuration, django_settings, models_file, target, target, history_row, history_row, database_file, git_state)
}  # fmt: skip
SLOW_KINDS = {"environment": environment}
"""A process each."""
assert ODD
