"""``manage.py migrate`` through the timeline, with Django's flags."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser, no_translations
from django.core.management.commands.migrate import Command as DjangoCommand

from chronomig import frontdoor, output
from chronomig.commands import migrate
from chronomig.project import Database, Project
from chronomig.running.migrator import Choices, plan_journey


class Command(DjangoCommand):
    help = "Brings a database to a point of the project's timeline, with chronomig."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--allow-data-loss", action="store_true", help="Destroy data without asking, but for protected databases."
        )
        parser.add_argument(
            "--allow-data-loss-in",
            action="append",
            default=[],
            metavar="ALIAS",
            help="Destroy data in this database without asking, also when it is protected.",
        )

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        with frontdoor.speaking_django(self) as project:
            if not frontdoor.belongs_to_django(project, options["database"]):
                frontdoor.finish(self.migrate(project, options))
                return
        super().handle(*args, **options)

    def migrate(self, project: Project, options: dict[str, Any]) -> int:
        """Do what the flags say; what has no meaning for one timeline is an error."""
        app_label, name = options["app_label"], options["migration_name"]
        database = project.database(options["database"])
        if options["fake_initial"]:
            raise CommandError(
                "--fake-initial has no meaning for a timeline: what django_migrations records is adopted by itself. "
                "Use --fake with a target to record migrations without running them."
            )
        if app_label:
            frontdoor.check_labels([app_label])
        if options["prune"]:
            return self.prune(database, app_label)
        wanted = frontdoor.wanted_for_app(app_label, name) if app_label else None
        if wanted is not None:
            journey = plan_journey(database, Choices(wanted=wanted))
            others = frontdoor.moved_along(database, [step.name for step in journey.plan], app_label)
            if others and options["verbosity"]:
                output.say(f"The timeline is one: with {app_label}, these move too: {', '.join(others)}.")
        return migrate.run(
            project,
            databases=[options["database"]],
            wanted=wanted,
            show_plan=options["plan"],
            check=options["check_unapplied"],
            fake=options["fake"],
            collapse=frontdoor.collapse_for(project, run_syncdb=options["run_syncdb"]),
            interactive=options["interactive"],
            allow_data_loss=options["allow_data_loss"],
            allow_data_loss_in=options["allow_data_loss_in"],
            verbosity=options["verbosity"],
        )

    def prune(self, database: Database, app_label: str | None) -> int:
        """Forget the rows of django_migrations that no file stands for; the history is append-only and stays."""
        if not app_label:
            raise CommandError("Migrations can be pruned only when an app is specified.")
        gone = frontdoor.prune(database, app_label)
        for name in gone:
            output.say(f"Pruned {app_label}.{name} from django_migrations.")
        if not gone:
            output.say("No migrations to prune.")
        return 0
