"""What all sessions of this process share, and how one of them ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from gateway.auth.authenticator import Principal
from gateway.background.queue_monitor import QueueMonitor
from gateway.background.tool_catalog import ToolCatalog
from gateway.budgets.budgets import Budgets
from gateway.close_codes import ENDED, FINAL
from gateway.conversation import Conversation
from gateway.conversation.actions import Action, Event
from gateway.live_sessions import SessionHandle
from gateway.settings import GatewaySettings
from gateway.storage.database import Store
from gateway.storage.job_publisher import JobPublisher
from gateway.upstream.connection import Upstream
from gateway.upstream.providers import Target
from ringback.agents.agent import Agent
from ringback.agents.client_policy import ClientPolicy
from ringback.tools.decorator import ToolSpec

EXPIRED_SECONDS = 5.0
"""A connection that ends so close to its announced end has reached it."""


class SessionEnded(Exception):
    """The session is over here: a close code and reason for the client, and the reason for the history."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

    @classmethod
    def because(cls, reason: str) -> SessionEnded:
        """The server says so (`gateway.close_codes`)."""
        return cls(ENDED[reason], reason)

    @property
    def is_final(self) -> bool:
        """True where a client that can resume has nothing to resume."""
        return self.reason in FINAL


@dataclass(slots=True)
class GatewayContext:
    """What all sessions of this process share."""

    gateway_id: str
    settings: GatewaySettings
    store: Store
    publisher: JobPublisher
    queues: QueueMonitor
    tool_catalog: ToolCatalog
    budgets: Budgets


@dataclass(frozen=True, slots=True)
class SessionStart:
    """How a session begins in this process: a new one in epoch 1, a resumed one in a later epoch.

    `resume_token` is for the client, where it asked for one.
    """

    session_id: UUID
    principal: Principal
    epoch: int
    agent: Agent
    target: Target
    handle: SessionHandle
    tools: dict[str, ToolSpec] = field(default_factory=dict)
    client_session: Event = field(default_factory=dict)
    is_resumed: bool = False
    wants: frozenset[str] = frozenset()
    """What the client asked for beside the Realtime API (`?ringback=`)."""
    resume_token: str | None = field(default=None, repr=False)
    began_at: float = field(default_factory=time.monotonic)
    """When it began, in whichever process, by this one's monotonic clock."""

    @property
    def policy(self) -> ClientPolicy:
        """What its client may say and see."""
        return self.agent.policy(trusted=self.principal.is_trusted)

    @property
    def asks(self) -> frozenset[str]:
        """Of what the client asked for, what it may have."""
        return self.wants.intersection(self.policy.asks)

    def may_have(self, tool: ToolSpec) -> bool:
        """True where the agent allows it, and whoever is talking holds what the tool asks for."""
        return self.agent.allows(tool.name) and self.principal.scopes.issuperset(tool.manners.scopes)


@dataclass(slots=True, eq=False)
class UpstreamLink:
    """One epoch at work: its connection to the Realtime API, and the brain that listens to it."""

    epoch: int
    upstream: Upstream
    conversation: Conversation
    opened_at: float = 0.0
    heard_at: float = 0.0
    """When the Realtime API last said something, by the session's clock, as all times here."""
    expires_at: float | None = None
    """When the Realtime API will end it, where that is known."""
    rotates_at: float | None = None
    moves_failed: int = 0
    """How often no connection could be had that takes its place in time."""
    why_closed: str | None = None
    """Why we gave it up, where it was us."""
    echoed: dict[UUID, int] = field(default_factory=dict)
    """Jobs whose answer the conversation has, and whose row does not say so yet; with how far it had come by then."""
    is_acknowledging: bool = False
    """They are about to be written down, all of them."""

    def why_it_ended(self, now: float) -> str:
        """The reason, for the history and for a client: ours, its longest duration, or any other going away."""
        is_late = self.expires_at is not None and now > self.expires_at - EXPIRED_SECONDS
        reason = "session_expired" if is_late or self.conversation.is_expired else "upstream_closed"
        return self.why_closed or reason

    def held_seconds(self, now: float) -> float:
        """How long it was good for; one that hung, until it last said something."""
        return (self.heard_at if self.why_closed == "upstream_hung" else now) - self.opened_at


class SessionHost(Protocol):
    """The session, as those see it who look after its links."""

    start: SessionStart
    link: UpstreamLink | None

    async def perform(self, link: UpstreamLink, actions: Sequence[Action]) -> None:
        """Carry out what the link's brain wants done."""
        ...

    async def settle(self) -> None:
        """Bring into the rows what this session has heard so far."""
        ...

    def hold(self) -> None:
        """From now on nothing of the client's is passed on."""
        ...

    async def let_go(self, link: UpstreamLink, reason: str | None) -> None:
        """This link is the one: what was held is passed on to it. `reason` is for a client that was there before."""
        ...

    def understood(self, frame: str) -> dict[str, Any] | None:
        """An event of the Realtime API, or None where it is none."""
        ...
