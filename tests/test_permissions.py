"""Content types and permissions: complete after every run, at the price of what changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import django
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


WITHOUT_PERMISSIONS = """
from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
"""
ROUTER = """
class NoTypes:
    def allow_migrate(self, db, app_label, **hints):
        return False if app_label == "contenttypes" else None
"""
MOVED_FIRST = """
from django.apps import AppConfig
from django.db.models.signals import post_migrate


def move(apps, **kwargs):
    if any(model._meta.label == "shelf.Box" for model in apps.get_models()):
        types = apps.get_model("contenttypes", "ContentType").objects
        types.filter(app_label="shop", model="box").update(app_label="shelf")


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        post_migrate.connect(move, sender=self)
"""
KINDS = """
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _


class Item(models.Model):
    tags = models.ManyToManyField("Tag")

    class Meta:
        verbose_name = _("user")
        permissions = [("polish_item", "Can polish items")]
        default_permissions = ("view",)


class TagOfShop(models.Model):
    class Meta:
        abstract = True
        permissions = [("never", "Is not handed down")]


class Tag(TagOfShop):
    class Meta:
        default_permissions = ()


class SecondHandItem(Item):
    pass


class Customer(User):
    class Meta:
        proxy = True


class Replaced(models.Model):
    class Meta:
        swappable = "SHOP_REPLACED"
"""
ROWS = """
SELECT app_label, model, COALESCE(codename, ''), name FROM django_content_type
LEFT JOIN auth_permission ON content_type_id = django_content_type.id ORDER BY app_label, model, codename
"""
AS_DJANGO_MAKES_THEM = """
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.sql import emit_post_migrate_signal
Permission.objects.all().delete()
ContentType.objects.all().delete()
emit_post_migrate_signal(0, False, "default")
result = None
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


def test_what_is_made_at_once_is_what_django_makes(project: Project) -> None:
    project.models(KINDS)
    project.configure(extra='SHOP_REPLACED = "auth.Group"')
    project.ok("makemigrations")
    told = project.ok("migrate", "-v", "2")
    made = project.rows(ROWS)
    assert "Adding permission polish_item" in told.err and "Adding content type shop | tag" in told.err
    assert {(model, codename) for label, model, codename, _ in made if label == "shop"} == {
        ("customer", "add_customer"), ("customer", "change_customer"), ("customer", "delete_customer"),
        ("customer", "view_customer"), ("item", "polish_item"), ("item", "view_item"),
        *(("secondhanditem", f"{action}_secondhanditem") for action in ("add", "change", "delete", "view")),
        ("tag", ""),
    }  # fmt: skip
    project.python(AS_DJANGO_MAKES_THEM)
    assert project.rows(ROWS) == made


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


def test_apps_to_which_others_listen_get_theirs_from_django(shop: Project) -> None:
    shop.write("shop/apps.py", RECEIVER)
    shop.models(SHOP + "\n\nclass Box(models.Model):\n    pass\n")
    shop.ok("makemigrations")
    shop.ok("migrate")
    assert ["add_box"] in shop.rows(CODENAMES)


def test_who_does_not_want_permissions_gets_none(shop: Project) -> None:
    shop.write("shop/apps.py", WITHOUT_PERMISSIONS)
    shop.models(SHOP + "\n\nclass Box(models.Model):\n    pass\n")
    shop.ok("makemigrations")
    shop.ok("migrate")
    assert ["add_box"] not in shop.rows(CODENAMES)
    assert ["box"] in shop.rows("SELECT model FROM django_content_type")


@pytest.mark.skipif(django.VERSION < (6, 1), reason="Django renames permissions since 6.1")
def test_permissions_of_a_renamed_model_are_renamed_before_others_are_made(shop: Project) -> None:
    before = shop.rows("SELECT id FROM auth_permission WHERE codename = 'add_item'")
    shop.migration(later("rename"), '("shop", migrations.RenameModel("Item", "Thing")),')
    shop.ok("migrate")
    assert shop.rows("SELECT id FROM auth_permission WHERE codename = 'add_thing'") == before


def test_receivers_of_earlier_apps_come_before_later_apps_get_theirs(shop: Project) -> None:
    shop.models("class Box(models.Model):\n    pass\n")
    shop.ok("makemigrations")
    shop.ok("migrate")
    shop.write("shop/apps.py", MOVED_FIRST)
    shop.configure(apps=["shop", "shelf"])
    shop.models("", app="shelf")
    shop.migration(
        later("move"),
        """
        ("shop", migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("Box")])),
        ("shelf", migrations.SeparateDatabaseAndState(state_operations=[
            migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True))], {"db_table": "shop_box"}),
        ])),
        """,
    )
    before = shop.rows("SELECT id FROM django_content_type WHERE model = 'box'")
    shop.ok("migrate")
    assert shop.rows("SELECT id FROM django_content_type WHERE model = 'box' AND app_label = 'shelf'") == before


def test_a_router_that_keeps_content_types_elsewhere_is_left_to_django(shop: Project) -> None:
    shop.write("routers.py", ROUTER)
    shop.configure(extra='DATABASE_ROUTERS = ["routers.NoTypes"]')
    shop.models(SHOP + "\n\nclass Box(models.Model):\n    pass\n")
    shop.ok("makemigrations")
    shop.ok("migrate")
    assert ["add_box"] in shop.rows(CODENAMES)
