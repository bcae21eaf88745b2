"""Content types and permissions: complete after every run, at the price of what changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.projects import Project

SHOP = """
class Item(models.Model):
    name = models.TextField()

    class Meta:
        permissions = [("polish_item", "Can polish items")]
"""
CODENAMES = "SELECT codename FROM auth_permission ORDER BY codename"
RECEIVER = """
from django.apps import AppConfig
from django.contrib.auth import management
from django.db.models.signals import post_migrate


def told(sender, **kwargs):
    print("told", sender.label)


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        post_migrate.connect(told)
"""


@pytest.fixture
def shop(sqlite_project: Project) -> Project:
    sqlite_project.models(SHOP)
    sqlite_project.ok("makemigrations")
    sqlite_project.ok("migrate")
    return sqlite_project


def later(slug: str, hours: int = 1) -> str:
    """Return the name of a migration that comes after those that makemigrations just wrote."""
    return f"{datetime.now(UTC) + timedelta(hours=hours):%Y%m%d%H%M%S}_{slug}"


def lose_a_permission(project: Project, codename: str) -> None:
    project.python(
        f"""
        from django.db import connection
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM auth_permission WHERE codename = %s", ["{codename}"])
        result = None
        """
    )


def test_a_model_that_is_new_gets_its_content_type_and_permissions(shop: Project) -> None:
    shop.models(SHOP + "\n\nclass Box(models.Model):\n    pass\n")
    shop.ok("makemigrations")
    shop.ok("migrate")
    codenames = [row[0] for row in shop.rows(CODENAMES)]
    assert {"add_box", "view_box", "add_item", "polish_item", "add_user"} <= set(codenames)
    assert shop.rows("SELECT model FROM django_content_type WHERE app_label = 'shop' ORDER BY model") == [
        ["box"],
        ["item"],
    ]


def test_apps_that_a_run_does_not_change_are_not_gone_through(shop: Project) -> None:
    lose_a_permission(shop, "add_user")
    shop.migration(later("more"), '("shop", migrations.AddField("item", "n", models.IntegerField(null=True))),')
    shop.ok("migrate")
    assert ["add_user"] not in shop.rows(CODENAMES)


def test_code_that_may_have_deleted_rows_is_followed_by_a_look_at_all_apps(shop: Project) -> None:
    shop.migration(
        later("purge"),
        '("shop", migrations.RunSQL("DELETE FROM auth_permission", "DELETE FROM django_content_type")),',
    )
    before = shop.rows(CODENAMES)
    shop.ok("migrate")
    assert shop.rows(CODENAMES) == before
    lose_a_permission(shop, "add_user")
    shop.migration(later("nothing", 2), '("shop", migrations.RunPython(migrations.RunPython.noop)),')
    shop.ok("migrate")
    assert shop.rows(CODENAMES) == before


def test_every_other_receiver_hears_of_every_app(shop: Project) -> None:
    shop.write("shop/apps.py", RECEIVER)
    shop.migration(later("more"), '("shop", migrations.AddField("item", "n", models.IntegerField(null=True))),')
    told = [line for line in shop.ok("migrate").out.splitlines() if line.startswith("told")]
    assert told == ["told contenttypes", "told auth", "told shop"]
