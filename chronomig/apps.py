"""Django's entry: the app that brings the management commands and the checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class ChronomigConfig(AppConfig):
    name = "chronomig"
    verbose_name = "chronomig"

    def ready(self) -> None:
        """Register the system checks."""
        from chronomig.checks import check_configuration, check_own_migrations, check_timelines

        for check in (check_configuration, check_timelines, check_own_migrations):
            checks.register(check, "chronomig")
