"""Django's entry: the app that brings the management commands and the checks."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks


class ChronomigConfig(AppConfig):
    name = "chronomig"
    verbose_name = "chronomig"

    def ready(self) -> None:
        """Register the system checks."""
        checks.register(run_checks, "chronomig")


def run_checks(app_configs: object, **kwargs: Any) -> list[checks.CheckMessage]:
    """Run all checks; what they need is imported here, so that a web process that runs none has no more to load."""
    from chronomig.checks import CHECKS

    return [message for check in CHECKS for message in check(app_configs, **kwargs)]
