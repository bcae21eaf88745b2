"""A small shop on two SQLite databases: ``default``, and ``audit`` with a migration set of its own."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[1]
SECRET_KEY = "only-an-example"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "people.Person"

INSTALLED_APPS = [
    "chronomig",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "taggit",
    "people",
    "shop",
    "audit",
]

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "shop.sqlite3"},
    "audit": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "audit.sqlite3"},
}
DATABASE_ROUTERS = ["example.routers.AuditRouter"]
