"""The database's clock, and intervals on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func


def now() -> ColumnElement[Any]:
    """Return the current time, which advances within a transaction."""
    return func.clock_timestamp()


def statement_time() -> ColumnElement[Any]:
    """Return the time at which the statement began.

    Postgres can search an index by it. By `now()`, which may change from row to row, it cannot.
    """
    return func.statement_timestamp()


def seconds(number: float | ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an interval of `number` seconds."""
    return func.make_interval(0, 0, 0, 0, 0, 0, number)


def seconds_until(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the seconds from now until `moment`; negative if it has passed."""
    return func.extract("epoch", moment - now())


def seconds_since(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the seconds from `moment` until now."""
    return func.extract("epoch", now() - moment)
