"""``manage.py sqlmigrate``: the SQL of one migration of the timeline."""

from __future__ import annotations

from typing import Any

from django.core.management.commands.sqlmigrate import Command as DjangoCommand

from chronomig import frontdoor
from chronomig.commands import sql


class Command(DjangoCommand):
    help = "Prints the SQL of one migration of the project's timeline; runs nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        with frontdoor.speaking_django(self) as project:
            app_label, database = options["app_label"], project.database(options["database"])
            frontdoor.check_labels([app_label])
            text = frontdoor.target_text(app_label, options["migration_name"], database)
            frontdoor.finish(
                sql.run(project, migrations=[text], database=database.alias, backwards=options["backwards"])
            )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Print without BEGIN and COMMIT of Django's own: the statements bring theirs."""
        return super(DjangoCommand, self).execute(*args, **options)
