"""``manage.py makemigrations`` through the timeline, with Django's flags."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, no_translations
from django.core.management.commands.makemigrations import Command as DjangoCommand

from chronomig import frontdoor, output
from chronomig.commands import makemigrations


class Command(DjangoCommand):
    help = "Writes what changed in the models, and what reusable apps bring, into the project's timeline."

    @no_translations
    def handle(self, *app_labels: str, **options: Any) -> None:
        with frontdoor.speaking_django(self) as project:
            frontdoor.check_labels(app_labels)
            if options["merge"]:
                raise CommandError(
                    "There is nothing to merge: a timeline has one order and no leaf nodes. "
                    "Run chronomig status to see what is out of order."
                )
            if app_labels:
                output.say(
                    "The timeline is one: changes of all apps are looked for, not only of those named.", err=True
                )
            frontdoor.finish(
                makemigrations.run(
                    project,
                    name=options["name"],
                    empty=options["empty"],
                    check=options["check_changes"],
                    dry_run=options["dry_run"],
                    interactive=options["interactive"],
                    update=options["update"],
                    header=options["include_header"],
                    scriptable=options["scriptable"],
                    verbosity=options["verbosity"],
                )
            )
