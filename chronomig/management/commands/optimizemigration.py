"""``manage.py optimizemigration`` has no counterpart."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.management.base import CommandError
from django.core.management.commands.optimizemigration import Command as DjangoCommand


class Command(DjangoCommand):
    help = "Not used with chronomig: makemigrations writes optimised files."

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        raise CommandError(
            "Files of a timeline are optimised when they are written. "
            "To rewrite the newest one, if it is applied nowhere, use: chronomig makemigrations --update"
        )
