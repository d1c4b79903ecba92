"""The gateway's context and one session's state, for tests of a session's parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from gateway.auth.authenticator import REALTIME, Principal
from gateway.live_sessions import SessionHandle
from gateway.session.context import GatewayContext, SessionState
from ringback.agents.agent import Agent
from ringback.privacy.row_privacy import RowPrivacy

NONE: Any = None
"""A part that the test does not use."""
DEMO = Agent(name="demo", instructions="Be kind.")
SESSION = UUID(int=1)
ADA = Principal("ada", scopes=frozenset({REALTIME}))


def gateway_context(
    store: Any = None,
    *,
    publisher: Any = None,
    gateway_id: str = "gw",
    row_privacy: RowPrivacy | None = None,
    **settings: Any,
) -> GatewayContext:
    """The context of a gateway with this store; `settings` go over those that the parts of a session read."""
    read = {"call_wait_seconds": 5.0, "realtime_model": "model", "resume_seconds": 60.0, **settings}
    privacy = row_privacy or RowPrivacy()
    return GatewayContext(
        gateway_id,
        cast(Any, SimpleNamespace(**read)),
        store,
        privacy,
        publisher,
        queues=NONE,
        tool_catalog=NONE,
        budgets=NONE,
    )


def session_state(session_id: UUID = SESSION, *, epoch: int = 1, agent: Agent = DEMO, **fields: Any) -> SessionState:
    """A session of Ada's in this epoch."""
    principal = fields.pop("principal", ADA)
    return SessionState(session_id, principal, epoch, agent, target=NONE, handle=SessionHandle(), **fields)
