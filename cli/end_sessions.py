"""End sessions by an UPDATE in Postgres; the gateways that hold them check once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from cli.output.history_queries import Read


class EndedCounts(NamedTuple):
    """How many sessions end, and how many calls are cancelled."""

    sessions: int
    calls: int


def end(write: Read, which: ColumnElement[bool], reason: str) -> EndedCounts:
    """End these sessions, and cancel their calls."""
    from ringback.statements import session_end

    sessions: Any = write(session_end.ask_to_end(which, reason))
    return EndedCounts(len(sessions), len(write(session_end.cancel_calls(which))))


def how_many(over: EndedCounts) -> str:
    """Return the counts as the end of a sentence."""
    sessions = "1 session ends" if over.sessions == 1 else f"{over.sessions} sessions end"
    calls = "1 call is" if over.calls == 1 else f"{over.calls} calls are"
    return f"{sessions}, {calls} cancelled"
