"""What a person sees at a terminal, and what survives without one."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.projects import Project

A, B = (
    "20260101000000_items",
    "20260102000000_fill_with_a_rather_long_name_so_that_narrow_windows_have_something_to_fold",
)
CREATE = '("shop", migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])),'
FILL = """
import time

def fill(apps, schema_editor):
    Item = apps.get_model("shop", "Item")
    Item.objects.bulk_create([Item(n=n) for n in range(40)])
    Item.objects.update(n=1)
    time.sleep(0.5)
"""


@pytest.fixture
def shop(sqlite_project: Project) -> Project:
    sqlite_project.migration(A, CREATE)
    sqlite_project.migration(B, '("shop", migrations.RunPython(fill, migrations.RunPython.noop)),', head=FILL)
    return sqlite_project


def on_a_terminal(
    project: Project, *arguments: str, env: Mapping[str, str] | None = None, typed: str = ""
) -> tuple[int, str]:
    """Run a command on a terminal of its own; return (exit code, everything that was shown)."""
    controller, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "chronomig", *arguments],
        cwd=project.root,
        env=project.environment({"TERM": "xterm-256color", "COLUMNS": "160", **(env or {})}),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    if typed:
        os.write(controller, typed.encode())
    screen = b""
    while True:
        try:
            chunk = os.read(controller, 65536)
        except OSError:
            break
        if not chunk:
            break
        screen += chunk
    os.close(controller)
    return running.wait(timeout=60), screen.decode(errors="replace")


def test_a_terminal_shows_a_bar_the_operation_and_the_rows(shop: Project) -> None:
    code, screen = on_a_terminal(shop, "migrate")
    assert code == 0, screen
    assert "\x1b[32mapplied" in screen
    assert "2/2" in screen or "1/2" in screen
    assert "Raw Python operation" in screen
    assert re.search(r"\((40|80) rows\)", screen)


def test_status_is_a_table_with_colour_on_a_terminal(shop: Project) -> None:
    code, screen = on_a_terminal(shop, "status")
    assert code == 0
    assert "\x1b[33mpending" in screen
    assert "migration" in screen


def test_no_color_shows_no_colour(shop: Project) -> None:
    for command in ("migrate", "status"):
        code, screen = on_a_terminal(shop, command, env={"NO_COLOR": "1"})
        assert code == 0
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", screen)


def test_a_dumb_terminal_gets_plain_lines(shop: Project) -> None:
    code, screen = on_a_terminal(shop, "migrate", env={"TERM": "dumb"})
    assert code == 0
    assert "\x1b" not in screen
    assert f"applied   {A}" in screen


def test_a_narrow_window_folds_and_cuts_nothing(shop: Project) -> None:
    code, screen = on_a_terminal(shop, "status", env={"COLUMNS": "40", "NO_COLOR": "1"})
    assert code == 0
    joined = re.sub(r"[\s…]|pending", "", screen)
    assert B in joined
    assert "…" not in screen


def test_going_down_asks_on_a_terminal_and_takes_only_a_yes(shop: Project) -> None:
    shop.ok("migrate")
    code, screen = on_a_terminal(shop, "migrate", "--to", "zero", "--no-stash", typed="n\n")
    assert code == 4
    assert "default (2 migrations undone):" in screen
    assert f"{A} (down): table shop_item, 40 rows" in screen
    assert "Destroy it in 'default'? [y/N]" in screen
    assert "The question was answered with no." in screen
    assert len(shop.applied()) == 2
    code, screen = on_a_terminal(shop, "migrate", "--to", "zero", "--no-stash", typed="y\n")
    assert code == 0, screen
    assert shop.applied() == []


def test_no_input_never_asks_even_on_a_terminal(shop: Project) -> None:
    shop.ok("migrate")
    code, screen = on_a_terminal(shop, "migrate", "--to", "zero", "--no-stash", "--no-input")
    assert code == 4
    assert "Destroy it" not in screen


def test_a_reader_that_goes_away_does_not_stop_a_migration(shop: Project) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    running = subprocess.Popen(
        [sys.executable, "-m", "chronomig", "migrate"],
        cwd=shop.root,
        env=shop.environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    _out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert err == ""
    assert len(shop.applied()) == 2


def test_names_that_the_terminal_cannot_show_do_not_stop_it(shop: Project) -> None:
    shop.write("project_migrations/default/20260103000000_é.py", "")
    done = shop.chronomig("status", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"})
    assert done.code == 1
    assert re.search(r"20260103000000_\\\S+\.py: is not named", done.err)
    assert "Traceback" not in done.err


def test_the_version_and_the_help_need_no_project(shop: Project) -> None:
    assert re.fullmatch(r"chronomig \d+\.\d+\.\d+\n", shop.ok("--version", cwd=shop.root.parent).out)
    assert "makemigrations" in shop.ok("--help", cwd=shop.root.parent).out
    assert "--order" in shop.ok("migrate", "-h", cwd=shop.root.parent).out
    unknown = shop.chronomig("migrat")
    assert unknown.code == 2
    assert "No such command 'migrat'" in unknown.err
