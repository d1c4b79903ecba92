"""Takes a client in: which agent, which tools, and then a session that runs until one side goes.

Who may come in is decided before the upgrade, as HTTP (see `gateway.routes`). What goes wrong later, such as a
Realtime API that does not answer, is told as an `error` event and a close code: all that a WebSocket client can read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from gateway.callers import Caller
from gateway.client import Client, ClientGone
from gateway.conversation import Conversation
from gateway.keeper import Keeper
from gateway.presence import Presence
from gateway.providers import target
from gateway.session import TRY_AGAIN_LATER, Line, Over, Session
from gateway.settings import GatewaySettings
from gateway.upstream import UpstreamClosed, UpstreamRefused, WebSocketUpstream
from ringback.agents import Agent
from ringback.statements import processes, sessions
from ringback.tools import Announcement

log = logging.getLogger(__name__)

# Close reasons that a client is told about in words; every other end is its own doing.
SENTENCES = {
    "upstream_unavailable": "The Realtime API cannot be reached. Try again in a moment.",
    "upstream_refused": "The Realtime API refused the session. The server's log says why.",
    "upstream_silent": "The Realtime API took the connection and then said nothing. Try again in a moment.",
    "upstream_closed": "The Realtime API closed the session. Connect again.",
    "session_expired": "The session has reached its longest duration. Connect again.",
    "session_lost": "The session was taken for lost. Connect again.",
    "internal_error": "The session has failed here. Connect again.",
    "database_unavailable": "The session cannot be recorded right now. Try again in a moment.",
}


@dataclass(slots=True)
class Reception:
    """How a session begins and ends here."""

    settings: GatewaySettings
    agents: dict[str, Agent]
    line: Line
    presence: Presence
    keeper: Keeper

    def agent_for(self, agent: str | None, model: str | None) -> Agent | None:
        """The agent a client names: by `agent`, or by a `model` that is one's name; else the default.

        The official SDKs insist on a `model`; which one is really used is the agent's to say.
        """
        if agent is not None:
            return self.agents.get(agent)
        return self.agents.get(model or "") or self.agents[self.settings.default_agent]

    def why_not(self) -> str | None:
        """Why no session can begin right now; None where one can."""
        if self.presence.is_full:
            return f"all {self.settings.max_sessions} places are taken"
        if not self.keeper.is_current:
            return "Postgres does not answer"
        return None

    async def converse(self, client: Client, caller: Caller, agent: Agent, *, job_events: bool) -> None:
        """Run one session, from its row's first state to its last."""
        session_id = uuid4()
        bell = self.presence.enter(session_id)
        over = Over(1011, "gateway_stopped")
        try:
            over = await self._converse(session_id, client, caller, agent, bell, job_events=job_events)
        except (SQLAlchemyError, OSError) as problem:
            log.error("session %s cannot be recorded (%s)", session_id, type(problem).__name__)
            over = Over(TRY_AGAIN_LATER, "database_unavailable")
        except UpstreamRefused as problem:
            log.error("session %s: the Realtime API does not take it: %s", session_id, problem)
            over = _not_taken(problem.status)
        except Exception:
            # Nobody may find out by a hung-up line and a session that never ended.
            log.exception("session %s has failed", session_id)
            over = Over(1011, "internal_error")
        finally:
            self.presence.leave(session_id)
            await asyncio.shield(self._end(session_id, over))
        await _say_goodbye(client, over)

    async def _converse(
        self,
        session_id: UUID,
        client: Client,
        caller: Caller,
        agent: Agent,
        bell: asyncio.Event,
        *,
        job_events: bool,
    ) -> Over:
        where = target(self.settings, agent.model, caller.user)
        tools = await self._tools(agent)
        await self.line.store.count(
            sessions.open_session(
                session_id,
                user_id=caller.user,
                agent=agent.name,
                model=self.settings.realtime_model or agent.model,
                gateway_id=self.line.gateway_id,
            )
        )
        log.info("session %s begins: agent %s, %d tools", session_id, agent.name, len(tools))
        upstream = await WebSocketUpstream.open(where, self.settings.upstream_connect_seconds)
        conversation = Conversation(session_id, agent, tools, job_events=job_events)
        try:
            session = Session(self.line, conversation, client, upstream, bell)
            return await session.run(confirmed_within=self.settings.upstream_connect_seconds)
        finally:
            await upstream.close()

    async def _tools(self, agent: Agent) -> dict[str, Announcement]:
        """What the agent allows and some live worker serves."""
        live: Sequence[Announcement] = [
            processes.announcement(row) for row in await self.line.store.rows(processes.live_tools())
        ]
        missing = {name for name in agent.tools if name != "*"} - {tool.name for tool in live}
        if missing:
            log.warning("agent %s: no live worker serves %s", agent.name, ", ".join(sorted(missing)))
        return {tool.name: tool for tool in live if agent.allows(tool.name)}

    async def _end(self, session_id: UUID, over: Over) -> None:
        log.info("session %s ends: %s", session_id, over.reason)
        try:
            await self.line.store.count(sessions.end_session(session_id, self.line.gateway_id, 1, over.reason))
            await self.line.store.count(sessions.keep_for_history(session_id))
        except (SQLAlchemyError, OSError) as problem:
            # The sweeper ends it when this gateway's lease is gone.
            log.error("session %s: its end is not recorded (%s)", session_id, type(problem).__name__)


def _not_taken(status: int | None) -> Over:
    """A wrong key, model or URL stays wrong; a server that is busy or away may come back."""
    if status is not None and 400 <= status < 500 and status not in (408, 425, 429):
        return Over(1011, "upstream_refused")
    return Over(TRY_AGAIN_LATER, "upstream_unavailable")


async def _say_goodbye(client: Client, over: Over) -> None:
    sentence = SENTENCES.get(over.reason)
    if sentence is not None:
        error = {"type": "server_error", "code": over.reason, "message": sentence, "param": None, "event_id": None}
        event = {"type": "error", "event_id": "rb_goodbye", "error": error}
        try:
            await client.send(msgspec.json.encode(event).decode())
        except (ClientGone, UpstreamClosed):
            return
    await client.close(over.code, over.reason)
