"""Test kit for tools: a call to pass to a tool, and a whole conversation around a tool, in one process.

    from ringback.testing import Turn, converse, fake_call

    def test_the_caller_hears_where_the_order_is():
        talk = converse("Where is order 7?", tools=[order_status], calls={"order_status": {"order_id": "7"}})
        assert talk.calls[0].result == {"state": "baked"}

This is the one module of `ringback` that stands above all other packages: none of them imports it
(docs/decisions/0015-the-testing-kit-stands-on-top.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.rehearsal import RehearsalError, Talk, ToolCall, Turn, converse
from ringback.config.scopes import CLAIM
from ringback.tools.call import Call

__all__ = ["FakeCall", "RehearsalError", "Talk", "ToolCall", "Turn", "converse", "fake_call"]


@dataclass(frozen=True, slots=True)
class FakeCall(Call):
    """Call that remembers what the tool reported, and can be cancelled."""

    notes: list[str] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)

    def progress(self, note: str) -> None:
        self.notes.append(note)

    def summary(self, text: str) -> None:
        self.summaries.append(text)

    def cancel(self) -> None:
        """Cancel the call: `cancelled` is true from now on."""
        self._cancelled.set()


def fake_call(
    *,
    user: str = "somebody",
    claims: Mapping[str, Any] | None = None,
    scopes: Sequence[str] = (),
    attempt: int = 1,
    key: str = "00000000-0000-0000-0000-000000000000",
    deadline: datetime | None = None,
) -> FakeCall:
    """Return a call to pass to a tool: `order_status(order_id="7", call=fake_call(user="ada"))`.

    Args:
        user: who asks.
        claims: other facts about them.
        scopes: scopes that they hold, as in `call.claims["scopes"]`.
        attempt: 1 for the first.
        key: the idempotency key.
        deadline: when the caller stops waiting.
    """
    known = {**({CLAIM: sorted(scopes)} if scopes else {}), **(claims or {})}
    return FakeCall(user=user, claims=known, attempt=attempt, job_id=key, deadline=deadline)
