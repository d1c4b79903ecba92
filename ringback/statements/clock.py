"""The database's clock, and intervals on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func


def now() -> ColumnElement[Any]:
    """This very moment, and not the moment the transaction began."""
    return func.clock_timestamp()


def statement_time() -> ColumnElement[Any]:
    """When the statement began. Postgres searches an index by it, and by `now()`, which may change meanwhile, never."""
    return func.statement_timestamp()


def seconds(number: float | ColumnElement[Any]) -> ColumnElement[Any]:
    """An interval of so many seconds."""
    return func.make_interval(0, 0, 0, 0, 0, 0, number)


def seconds_until(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Seconds from now until `moment`; negative once it has passed."""
    return func.extract("epoch", moment - now())


def seconds_since(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Seconds from `moment` until now."""
    return func.extract("epoch", now() - moment)
