"""Settings for what needs Django but no project: type checks, and tests of single modules."""

SECRET_KEY = "tests"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "chronomig"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
