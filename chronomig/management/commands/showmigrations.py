"""``manage.py showmigrations``: the timeline, on the disk and in a database."""

from __future__ import annotations

from typing import Any

from django.core.management.commands.showmigrations import Command as DjangoCommand

from chronomig import frontdoor
from chronomig.commands import status


class Command(DjangoCommand):
    help = "Shows every migration of the project's timeline, on the disk and in a database."

    def handle(self, *args: Any, **options: Any) -> None:
        with frontdoor.speaking_django(self) as project:
            labels, database = options["app_label"], project.database(options["database"])
            frontdoor.check_labels(labels)
            names = {name for label in labels for name in frontdoor.names_of(database.set, label)}
            frontdoor.finish(status.run(project, databases=[database.alias], only=names if labels else None))
