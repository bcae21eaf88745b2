"""
Packages with real histories: Django's own migrate on one database, the adopted timeline on another.

Which of them are installed decides what runs: ``nox -s packages`` installs all.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.databases import TestDatabase
from tests.projects import Project
from tests.test_clashes import assert_only_what_went_up_is_left

DJANGO = [
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
SETTINGS = """
SITE_ID = 1
ROOT_URLCONF = "routes"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
SILENCED_SYSTEM_CHECKS = ["urls.E007", "treebeard.E001"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
STATIC_URL = "/static/"
"""


@dataclass(frozen=True)
class Package:
    """What a project needs to use a package."""

    module: str
    apps: str
    settings: str = ""
    model: str = ""
    """One that the project's own can refer to."""
    drift: tuple[str, ...] = ()
    """What its own migrations leave in the tables, and tell no state."""
    unchecked: tuple[str, ...] = ()
    """
    What Django leaves out on MariaDB: the check of a positive integer is part of its column there, and the ``MODIFY``
    of an ``AlterField`` drops it (``_alter_field`` makes it again only where the check itself changes).
    """


PACKAGES = {
    "django-taggit": Package("taggit", "taggit", model="taggit.Tag"),
    "django-celery-beat": Package(
        "django_celery_beat", "django_celery_beat", model="django_celery_beat.PeriodicTask"
    ),
    "django-oauth-toolkit": Package(
        "oauth2_provider",
        "oauth2_provider",
        "".join(
            f"OAUTH2_PROVIDER_{name.upper()}_MODEL = 'oauth2_provider.{name.title().replace('_', '')}'\n"
            for name in ("application", "access_token", "grant", "refresh_token")
        )
        + "OAUTH2_PROVIDER_ID_TOKEN_MODEL = 'oauth2_provider.IDToken'\n",
        model="oauth2_provider.Application",
    ),
    "django-cms": Package(
        "cms",
        "django.contrib.sites cms menus treebeard sekizai",
        "CMS_CONFIRM_VERSION4 = True\nCMS_TEMPLATES = [('page.html', 'Page')]\n"
        "TEMPLATES[0]['OPTIONS']['context_processors'] += ['sekizai.context_processors.sekizai']\n",
        model="cms.Page",
    ),
    "wagtail": Package(
        "wagtail",
        "wagtail.contrib.forms wagtail.contrib.redirects wagtail.contrib.search_promotions wagtail.contrib.settings "
        "wagtail.embeds wagtail.sites wagtail.users wagtail.snippets wagtail.documents wagtail.images "
        "wagtail.search wagtail.admin wagtail.locales wagtail modelcluster taggit",
        "WAGTAIL_SITE_NAME = 'tests'\nWAGTAILADMIN_BASE_URL = 'http://localhost'\n"
        "WAGTAIL_CONTENT_LANGUAGES = LANGUAGES\n",
        model="wagtailcore.Page",
        unchecked=("wagtaildocs_document  check constraint on (file_size) is missing",),
    ),
    "django-oscar": Package(
        "oscar",
        "django.contrib.sites django.contrib.flatpages oscar.config.Shop oscar.apps.analytics.apps.AnalyticsConfig "
        "oscar.apps.checkout.apps.CheckoutConfig oscar.apps.address.apps.AddressConfig "
        "oscar.apps.shipping.apps.ShippingConfig oscar.apps.catalogue.apps.CatalogueConfig "
        "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig oscar.apps.communication.apps.CommunicationConfig "
        "oscar.apps.partner.apps.PartnerConfig oscar.apps.basket.apps.BasketConfig "
        "oscar.apps.payment.apps.PaymentConfig oscar.apps.offer.apps.OfferConfig oscar.apps.order.apps.OrderConfig "
        "oscar.apps.customer.apps.CustomerConfig oscar.apps.search.apps.SearchConfig "
        "oscar.apps.voucher.apps.VoucherConfig oscar.apps.wishlists.apps.WishlistsConfig "
        "oscar.apps.dashboard.apps.DashboardConfig oscar.apps.dashboard.reports.apps.ReportsDashboardConfig "
        "oscar.apps.dashboard.users.apps.UsersDashboardConfig "
        "oscar.apps.dashboard.orders.apps.OrdersDashboardConfig "
        "oscar.apps.dashboard.catalogue.apps.CatalogueDashboardConfig "
        "oscar.apps.dashboard.offers.apps.OffersDashboardConfig "
        "oscar.apps.dashboard.partners.apps.PartnersDashboardConfig "
        "oscar.apps.dashboard.pages.apps.PagesDashboardConfig "
        "oscar.apps.dashboard.ranges.apps.RangesDashboardConfig "
        "oscar.apps.dashboard.reviews.apps.ReviewsDashboardConfig "
        "oscar.apps.dashboard.vouchers.apps.VouchersDashboardConfig "
        "oscar.apps.dashboard.communications.apps.CommunicationsDashboardConfig "
        "oscar.apps.dashboard.shipping.apps.ShippingDashboardConfig "
        "widget_tweaks haystack treebeard django_tables2",
        "from oscar.defaults import *\n"
        "HAYSTACK_CONNECTIONS = {'default': {'ENGINE': 'haystack.backends.simple_backend.SimpleEngine'}}\n",
        model="catalogue.Product",
        drift=(
            # customer.0005 makes it; communication.0001 takes the table over as if it had none
            "communication_notification  index 'customer_notification_date_sent_9b6baeda' on (date_sent) "
            "is not in the models",
        ),
        unchecked=("order_line                  check constraint on (num_allocated) is missing",),
    ),
}


@pytest.fixture(params=sorted(PACKAGES))
def package(request: pytest.FixtureRequest) -> Package:
    found = PACKAGES[request.param]
    if find_spec(found.module) is None:
        pytest.skip(f"{request.param} is not installed; nox -s packages installs it")
    return found


def installed(package: Package, database: TestDatabase) -> list[str]:
    """Return the apps of a project; wagtail's indexes on PostgreSQL need one of Django's."""
    postgres = ["django.contrib.postgres"] if database.vendor == "postgresql" else []
    return [*DJANGO, *postgres, *package.apps.split()]


@pytest.fixture
def project(package: Package, database: TestDatabase, tmp_path: Path) -> Project:
    """A project with the package, on a database that Django migrated."""
    made = Project(tmp_path / "site", {"default": database.settings()}, apps=[])
    made.patience = 900
    made.write("routes.py", "urlpatterns = []\n")
    made.configure(base=installed(package, database), extra=SETTINGS + package.settings)
    done = made.manage("migrate", "--verbosity", "0")
    assert done.code == 0, done
    return made


ROWS = """
from django.db import connections
from tests.schema import OUR_TABLES
connection = connections[{alias!r}]
def rows(cursor, query):
    cursor.execute(query)
    return [list(map(str, row)) for row in cursor.fetchall()]
with connection.cursor() as cursor:
    names = sorted(name for name in connection.introspection.table_names(cursor) if not name.startswith(OUR_TABLES))
    quote = connection.ops.quote_name
    result = {{
        "counts": {{name: rows(cursor, "SELECT COUNT(*) FROM " + quote(name)) for name in names}},
        "types": sorted(rows(cursor, "SELECT app_label, model FROM django_content_type")),
        "permissions": sorted(rows(cursor, "SELECT t.app_label, t.model, p.codename, p.name FROM auth_permission p "
            "JOIN django_content_type t ON t.id = p.content_type_id")),
        "recorded": sorted(rows(cursor, "SELECT app, name FROM django_migrations")),
    }}
"""


def everything(project: Project, alias: str = "default") -> tuple[Any, Any]:
    """Return the schema, and: the rows of each table, the content types, the permissions, what Django records."""
    return project.schema(alias), project.python(ROWS.format(alias=alias))


def drift(project: Project) -> tuple[str, ...]:
    """Return the lines that tell of a difference."""
    done = project.chronomig("drift")
    head, *lines = done.out.splitlines()
    assert done.code == (3 if lines else 0), done
    assert lines or head.endswith(" as the history says"), done
    return tuple(line.strip() for line in lines)


def test_the_adopted_timeline_of_a_package_makes_what_django_makes(
    project: Project, package: Package, database: TestDatabase
) -> None:
    clean = project.manage("makemigrations", "--check", "--dry-run").code == 0
    expected_drift = package.drift + (package.unchecked if database.vendor == "mariadb" else ())
    made_by_django = everything(project)
    project.configure(base=["chronomig", *installed(package, database)])
    project.ok("adopt")
    files = len(project.files())
    assert files <= len(made_by_django[1]["recorded"])  # a squash stands for several
    if clean:
        assert project.ok("makemigrations", "--check").out == "default: no changes\n"
    done = project.ok("migrate").out
    assert done.count("  adopted   ") == files
    assert "applied" not in done
    assert everything(project) == made_by_django
    assert drift(project) == expected_drift
    project.databases["default"] = database.settings("_fresh")
    project.configure(base=["chronomig", *installed(package, database)])
    project.ok("migrate", "--verbosity", "0")
    assert everything(project) == made_by_django
    assert drift(project) == expected_drift
    down = project.chronomig("migrate", "--to", "zero", "--yes", "--no-stash")  # Django keeps no rows
    if down.code:
        assert "cannot be undone; nothing was run." in down.err
    else:
        assert project.tables() == []
        project.ok("migrate", "--verbosity", "0")
    assert everything(project) == made_by_django


NOTE = """
class Note(models.Model):
    about = models.ForeignKey({model!r}, models.CASCADE)
{more}
class Label(models.Model):
    notes = models.ManyToManyField(Note)
"""


def test_a_project_with_a_package_moves_in_goes_on_and_goes_back_to_stock_django(
    project: Project, package: Package, database: TestDatabase
) -> None:
    stock = [*installed(package, database), "shop"]
    project.configure(base=stock)
    project.models(NOTE.format(model=package.model, more=""))
    for arguments in (["makemigrations", "shop"], ["migrate", "--verbosity", "0"]):
        assert (done := project.manage(*arguments)).code == 0, done
    clean = project.manage("makemigrations", "--check", "--dry-run").code == 0
    project.configure(base=["chronomig", *stock])
    project.ok("adopt")
    project.models(NOTE.format(model=package.model, more="    text = models.TextField(default='')\n"))
    project.ok("makemigrations")
    project.ok("migrate")
    project.ok("eject", "--yes")
    ejected = everything(project)
    assert "default: 0 rows of django_migrations added" in project.ok("eject").out
    project.configure(base=stock)
    assert "No migrations to apply." in project.manage("migrate").out
    assert everything(project) == ejected
    if clean:
        assert project.manage("makemigrations", "--check").out == "No changes detected\n"
    project.databases["default"] = database.settings("_fresh")
    project.configure(base=stock)
    assert (done := project.manage("migrate", "--verbosity", "0")).code == 0, done
    assert everything(project) == ejected


MINE = """
from django.contrib.auth.models import Group, Permission, User
taken = ["admin", "collection", "document", "image"]  # by wagtail's own code, with all that refers to them
lasting = Permission.objects.exclude(content_type__model__in=taken).order_by("?")
mine = Group.objects.create(name="Mine")
mine.permissions.set(lasting[:40])
User.objects.create(username="eve").groups.add(mine, *Group.objects.all())
User.objects.get(username="eve").user_permissions.set(lasting[:20])
result = None
"""
HELD = """
from django.contrib.auth.models import Group, Permission, User
def rights(one):
    return sorted(map(list, one.values_list("content_type__app_label", "content_type__model", "codename")))
result = {
    "groups": sorted((one.name, rights(one.permissions)) for one in Group.objects.all()),
    "users": [
        (one.username, rights(one.user_permissions), sorted(one.groups.values_list("name", flat=True)))
        for one in User.objects.order_by("username")
    ],
}
"""


def test_permissions_that_users_gave_away_come_back_from_the_stash(
    project: Project, package: Package, database: TestDatabase
) -> None:
    project.configure(base=["chronomig", *installed(package, database)])
    project.ok("adopt")
    project.ok("migrate")
    project.python(MINE)
    before, held = everything(project), project.python(HELD)
    down = project.chronomig("migrate", "--to", "zero", "--yes")
    if down.code:
        pytest.skip("some of its migrations cannot be undone")
    done = project.ok("migrate")
    assert "stay in the stash" not in done.err
    assert project.python(HELD) == held
    assert everything(project) == before
    assert_only_what_went_up_is_left(project)
