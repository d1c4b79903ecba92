"""Sessions that are to end, straight in Postgres: whoever holds them looks once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from cli.output.history_queries import Read


class Over(NamedTuple):
    """How many sessions are to end, and how many calls are cancelled."""

    sessions: int
    calls: int


def end(write: Read, which: ColumnElement[bool], reason: str) -> Over:
    """End these sessions, and cancel their calls."""
    from ringback.statements.sessions import session_end

    sessions: Any = write(session_end.end(which, reason))
    return Over(len(sessions), len(write(session_end.cancel_calls(which))))


def how_many(over: Over) -> str:
    """As the end of a sentence."""
    sessions = "1 session ends" if over.sessions == 1 else f"{over.sessions} sessions end"
    calls = "1 call is" if over.calls == 1 else f"{over.calls} calls are"
    return f"{sessions}, {calls} cancelled"
