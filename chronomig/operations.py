"""Operations of chronomig's own, which migration files can use beside Django's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunPython
from django.db.migrations.state import ProjectState


class DeleteContentTypes(RunPython):
    """
    Delete the content types of models that are gone, and with them their permissions.

    Going back does nothing: what makes content types and permissions after every run makes these again.
    """

    def __init__(self, models: Sequence[str]) -> None:
        self.models = list(models)
        super().__init__(RunPython.noop, RunPython.noop, elidable=True)

    def deconstruct(self) -> Any:
        return type(self).__qualname__, [self.models], {}

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        alias = schema_editor.connection.alias
        if ("contenttypes", "contenttype") not in to_state.models:
            return
        content_type: Any = to_state.apps.get_model("contenttypes", "ContentType")
        if router.allow_migrate_model(alias, content_type):
            content_type.objects.using(alias).filter(app_label=app_label, model__in=self.models).delete()

    def describe(self) -> str:
        return f"Delete the content types of {', '.join(self.models)}"
