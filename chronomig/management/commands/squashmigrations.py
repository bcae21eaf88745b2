"""``manage.py squashmigrations`` has no counterpart."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.management.base import CommandError
from django.core.management.commands.squashmigrations import Command as DjangoCommand


class Command(DjangoCommand):
    help = "Not used with chronomig: a timeline does not slow down as it grows."

    def handle(self, **options: Any) -> NoReturn:
        raise CommandError(
            "A timeline has nothing to squash per app: its cost follows the change, not the number of files. "
            "To merge a change into the newest file that is applied nowhere, use: chronomig makemigrations --update"
        )
