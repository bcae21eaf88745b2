"""Django's settings while its own tests run; the harness says in the environment which databases they use."""

from __future__ import annotations

import json
import os

import django

DATABASES = json.loads(os.environ["CHRONOMIG_CONFORMANCE_DATABASES"])
SECRET_KEY = "not a secret"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = False
if django.VERSION < (6, 0):
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"  # as in the settings that Django's own tests of 5.2 come with
if any(database["ENGINE"].endswith("mysql") for database in DATABASES.values()):
    import pymysql

    pymysql.install_as_MySQLdb()
