"""Write down how each of Django's tests ends, and every statement with which it changes a schema."""

from __future__ import annotations

import os
import re
import traceback
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import CursorWrapper
from django.db.models.base import ModelBase
from django.test import SimpleTestCase

from tests.conformance import records
from tests.conformance.records import Record

CHANGES_SCHEMA = re.compile(
    r"\s*(CREATE|ALTER|DROP|RENAME|COMMENT|TRUNCATE|PRAGMA\s+\w+\s*=|SET\s+CONSTRAINTS)", re.IGNORECASE
)


class Recorder:
    """Holds what is known of the test that runs at the moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current: Record | None = None
        self._in_editor = False

    @contextmanager
    def test(self, name: str) -> Iterator[Record]:
        """Record what happens inside as the test *name*, and write it down."""
        self.current = record = Record(name)
        try:
            yield record
        finally:
            self.current = None
            records.write(record, self.folder, os.getpid())

    def by_editor(self, sql: object, params: object) -> None:
        """Record a statement that is given to a schema editor, whether it runs it or collects it."""
        if self.current is not None:
            self.current.statements.append(f"{sql}{f'  -- {params!r}' if params else ''}")

    def by_cursor(self, sql: object, params: object) -> None:
        """Record a statement that reaches the database otherwise."""
        if not self._in_editor and CHANGES_SCHEMA.match(str(sql)):
            self.by_editor(sql, params)

    @contextmanager
    def in_editor(self) -> Iterator[None]:
        before, self._in_editor = self._in_editor, True
        try:
            yield
        finally:
            self._in_editor = before


class Result:
    """Stands before unittest's result, and tells a record what it is told."""

    def __init__(self, result: unittest.TestResult, record: Record) -> None:
        self._result = result
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)

    def addError(self, test: unittest.TestCase, error: Any) -> None:
        self._record.ended(records.ERROR, _text(error))
        self._result.addError(test, error)

    def addFailure(self, test: unittest.TestCase, error: Any) -> None:
        self._record.ended(records.FAILED, _text(error))
        self._result.addFailure(test, error)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._record.ended(records.SKIPPED, reason)
        self._result.addSkip(test, reason)

    def addExpectedFailure(self, test: unittest.TestCase, error: Any) -> None:
        self._record.ended(records.EXPECTED_FAILURE)
        self._result.addExpectedFailure(test, error)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._record.ended(records.UNEXPECTED_SUCCESS)
        self._result.addUnexpectedSuccess(test)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, error: Any) -> None:
        if error is not None:
            failed = issubclass(error[0], test.failureException)
            self._record.ended(records.FAILED if failed else records.ERROR, f"{subtest}\n{_text(error)}")
        self._result.addSubTest(test, subtest, error)


def _text(error: Any) -> str:
    return "".join(traceback.format_exception(*error))


def install(folder: Path) -> None:
    """Record the tests of this process, and of those that it forks, in *folder*."""
    recorder = Recorder(folder)
    _order_sets_of_models()
    _record_tests(recorder)
    _record_statements(recorder)


def _order_sets_of_models() -> None:
    """Let a set of models have the same order in every process: SQLite's schema editor remakes tables in that order."""
    ModelBase.__hash__ = lambda cls: hash(cls.__name__)  # type: ignore[method-assign]


def _record_tests(recorder: Recorder) -> None:
    def recorded(call: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(self: unittest.TestCase, result: Any = None) -> Any:
            if recorder.current is not None:  # a test that runs tests
                return call(self, result)
            with recorder.test(self.id()) as record:
                return call(self, Result(result, record))

        return __call__

    # SimpleTestCase sets up before it calls unittest's, and both kinds are there.
    for kind in (unittest.TestCase, SimpleTestCase):
        kind.__call__ = recorded(kind.__call__)  # type: ignore[method-assign]


def _record_statements(recorder: Recorder) -> None:
    editor_execute, cursor_execute = BaseDatabaseSchemaEditor.execute, CursorWrapper._execute

    def by_editor(self: Any, sql: Any, params: Any = ()) -> Any:
        recorder.by_editor(sql, params)
        with recorder.in_editor():
            return editor_execute(self, sql, params)

    def by_cursor(self: Any, sql: Any, params: Any, *ignored: Any) -> Any:
        recorder.by_cursor(sql, params)
        return cursor_execute(self, sql, params, *ignored)

    BaseDatabaseSchemaEditor.execute = by_editor  # type: ignore[method-assign]
    CursorWrapper._execute = by_cursor
