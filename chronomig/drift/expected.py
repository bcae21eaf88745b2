"""What should be in a database: read off the models, by the rules of Django's schema editor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CheckConstraint, Index, Model, UniqueConstraint

from chronomig.drift.dialects import Sqlite
from chronomig.drift.schema import Column, Key, Kind, Table
from chronomig.state import ProjectState

AnyField = Any
"""A field: what is read of it here differs between Django's kinds of fields."""


def expected_tables(connection: BaseDatabaseWrapper, dialect: Sqlite, state: ProjectState) -> Iterator[Table]:
    """Yield the tables of the models in *state* that belong into this database."""
    for model in state.apps.get_models(include_auto_created=True):
        opts = model._meta
        if opts.managed and opts.can_migrate(connection) and router.allow_migrate_model(connection.alias, model):
            yield Expectation(connection, dialect, model).table()


class Expectation:
    """The table of one model."""

    def __init__(self, connection: BaseDatabaseWrapper, dialect: Sqlite, model: type[Model]) -> None:
        self.connection = connection
        self.features = connection.features
        self.dialect = dialect
        self.opts = model._meta
        self.fields: list[AnyField] = [
            field for field in self.opts.local_concrete_fields if field.db_parameters(connection)["type"]
        ]

    def table(self) -> Table:
        keys = (*self._keys_of_fields(), *self._keys_of_options(), *self._constraints())
        return Table(self.opts.db_table, {field.column: self._column(field) for field in self.fields}, keys)

    def _column(self, field: AnyField) -> Column:
        text = str(field.db_parameters(self.connection)["type"])
        null = None if getattr(field, "generated", False) else field.null
        return Column(field.column, self.dialect.asked_for(text), null)

    def _columns(self, names: Any) -> tuple[str, ...]:
        """Return the columns of fields; none where one was renamed, which Django does not tell a state's indexes."""
        try:
            fields: list[AnyField] = [self.opts.get_field(name) for name in names]
        except FieldDoesNotExist:
            return ()
        return tuple(field.column for field in fields)

    def _keys_of_fields(self) -> Iterator[Key]:
        pk_fields: list[AnyField] = self.opts.pk_fields
        yield Key(Kind.PRIMARY_KEY, tuple(field.column for field in pk_fields))
        for field in self.fields:
            columns = (field.column,)
            if field.unique and not field.primary_key:
                yield Key(Kind.UNIQUE, columns)
            if self._is_indexed(field):
                yield Key(Kind.INDEX, columns)
            if getattr(field, "db_constraint", False) and self.features.supports_foreign_keys:
                target = field.target_field
                yield Key(Kind.FOREIGN_KEY, columns, target=(target.model._meta.db_table, target.column))
            if self.dialect.checks(field) and self.features.can_introspect_check_constraints:
                yield Key(Kind.CHECK, columns)

    def _is_indexed(self, field: AnyField) -> bool:
        """MySQL and MariaDB cannot index some types as a whole; Django does without there."""
        too_long: Any = getattr(self.connection, "_limited_data_types", ())
        return bool(field.db_index and not field.unique and field.db_type(self.connection) not in too_long)

    def _keys_of_options(self) -> Iterator[Key]:
        for names in self.opts.unique_together:
            yield Key(Kind.UNIQUE, self._columns(names))
        for names in getattr(self.opts, "index_together", ()):
            yield Key(Kind.INDEX, self._columns(names))
        for index in self.opts.indexes:
            if not index.contains_expressions or self.features.supports_expression_indexes:
                yield Key(Kind.INDEX, self._columns_of_index(index), self.dialect.kept(index.name))

    def _columns_of_index(self, index: Index) -> tuple[str, ...]:
        return self._columns((*(name for name, _ in index.fields_orders), *self._covered(index)))

    def _covered(self, one: Any) -> tuple[str, ...]:
        """Return the fields that an index only holds: the database lists them as its last columns."""
        return tuple(one.include) if self.features.supports_covering_indexes else ()

    def _constraints(self) -> Iterator[Key]:
        for one in self.opts.constraints:
            name = self.dialect.kept(one.name)
            if isinstance(one, UniqueConstraint):
                if self._has_unique(one):
                    yield Key(Kind.UNIQUE, self._columns_of_unique(one), name)
            elif isinstance(one, CheckConstraint):
                if self.features.supports_table_check_constraints and self.features.can_introspect_check_constraints:
                    yield Key(Kind.CHECK, (), name)
            elif self.connection.vendor == "postgresql":
                yield Key(Kind.OTHER, (), name)

    def _columns_of_unique(self, one: Any) -> tuple[str, ...]:
        return self._columns((*one.fields, *self._covered(one)))

    def _has_unique(self, one: Any) -> bool:
        """Whether Django makes *one* here: what a database cannot do is left out, with a warning of its checks."""
        features, wanted = self.features, [
            (one.condition, "supports_partial_indexes"),
            (one.deferrable, "supports_deferrable_unique_constraints"),
            (one.include, "supports_covering_indexes"),
            (one.expressions, "supports_expression_indexes"),
            (one.nulls_distinct is not None, "supports_nulls_distinct_unique_constraints"),
        ]  # fmt: skip
        return all(getattr(features, feature) for asked, feature in wanted if asked)
