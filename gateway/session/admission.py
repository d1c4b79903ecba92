"""Takes a client in: which agent, which tools, and then a session that runs until one side goes.

Who may come in is decided before the upgrade, as HTTP (see `gateway.api.realtime`). What goes wrong later, such as a
Realtime API that does not answer, is told as an `error` event and a close code: all that a WebSocket client can read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import msgspec
from sqlalchemy import Insert
from sqlalchemy.exc import SQLAlchemyError

from gateway import protocol
from gateway.auth.authenticator import Principal
from gateway.auth.resume_tokens import digest, new_token
from gateway.background.draining import Draining
from gateway.background.lease import Lease
from gateway.budgets.budgets import QuotaExceeded
from gateway.close_codes import PERMANENT, SENTENCES, TRY_AGAIN_LATER
from gateway.live_sessions import SessionRegistry
from gateway.session.client_connection import ClientConnection, ClientGone
from gateway.session.context import GatewayContext, SessionEnded, SessionStart
from gateway.session.session import Session
from gateway.storage.database import may_be_written
from gateway.upstream.connection import UpstreamClosed, UpstreamRefused, UpstreamSilent
from gateway.upstream.providers import target
from ringback.agents.agent import Agent
from ringback.statements import processes
from ringback.statements.sessions import lifecycle, session_end
from ringback.tools.decorator import ToolSpec

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SessionAdmission:
    """How a session begins and ends here."""

    agents: Mapping[str, Agent]
    """Those of now: their files may be changed while the gateway runs (`gateway.background.agent_registry`)."""
    context: GatewayContext
    live_sessions: SessionRegistry
    lease: Lease
    draining: Draining
    default_agent: str
    """The name of the agent of a client that names none."""

    def agent_for(self, agent: str | None, model: str | None) -> Agent | None:
        """The agent a client names: by `agent`, or by a `model` that is one's name; else the default.

        The official SDKs insist on a `model`; which one is really used is the agent's to say.
        """
        if agent is not None:
            return self.agents.get(agent)
        return self.agents.get(model or "") or self.agents[self.default_agent]

    def why_not(self) -> str | None:
        """Why no session can begin right now; None where one can."""
        if self.draining.has_begun:
            return "this gateway is ending"
        if self.live_sessions.is_full:
            return f"all {self.context.settings.max_sessions} places are taken"
        if self.lease.sheds:
            return "this gateway was held up a moment ago, and takes nothing new"
        if not self.lease.is_current:
            return "Postgres does not answer"
        return None

    async def begin(self, principal: Principal, agent: Agent, wants: frozenset[str]) -> SessionStart | QuotaExceeded:
        """A new session, if the caller has something left for it, and there is a place.

        Raises:
            SQLAlchemyError, OSError: Postgres does not answer.
        """
        reason = self.why_not()  # once more: many were told that there is room, and have waited for Postgres since
        if reason is not None:
            return QuotaExceeded(503, "unavailable", f"No session can begin right now: {reason}.")
        start = self._start(principal, agent, wants)
        try:
            model = self.context.settings.realtime_model or agent.model
            denied = await self.context.budgets.may_begin(principal, agent, model)
            denied = denied or await self.context.budgets.open_session(self._row_of(start), principal)
            start.handle.is_recorded = denied is None
        finally:
            if not start.handle.is_recorded:
                self.live_sessions.leave(start.session_id, start.handle)
        return denied or start

    def _start(self, principal: Principal, agent: Agent, wants: frozenset[str]) -> SessionStart:
        session_id = uuid4()
        return SessionStart(
            session_id=session_id,
            handle=self.live_sessions.enter(session_id),
            principal=principal,
            epoch=1,
            agent=agent,
            target=target(self.context.settings, agent.model, principal.user),
            wants=wants,
            resume_token=new_token() if "resume" in wants & _may_ask(principal, agent) else None,
        )

    async def resume(self, principal: Principal, token: str, wants: frozenset[str]) -> SessionStart | None:
        """Take over the session that this token resumes; None where there is none, for this caller.

        Raises:
            SQLAlchemyError, OSError: Postgres does not answer; nothing was taken over, as far as anybody can know.
        """
        gateway_id, following = self.context.gateway_id, new_token()
        statement = lifecycle.resume(
            digest(token),
            digest(following),
            user_id=principal.user,
            gateway_id=gateway_id,
            tenant=principal.tenant,
            agent=principal.agent,
            credential=principal.credential,
            claims=principal.claims,
            policy="trusted" if principal.is_trusted else "browser",
        )
        try:
            rows = await self.context.store.rows(statement)
        except (SQLAlchemyError, OSError) as problem:
            if not may_be_written(problem):
                raise
            # The client's token may be used up by now. Once more: the statement finds the one that follows it.
            rows = await self.context.store.rows(statement)
        if not rows:
            asked = lifecycle.resumable(
                digest(token), user_id=principal.user, tenant=principal.tenant, agent=principal.agent
            )
            if await self.context.store.rows(asked):
                raise TimeoutError("the token is good, and this gateway's own lease has run out")
            return None
        row = rows[0]
        handle = self.live_sessions.enter(row.id)  # before anything else is waited for: the rows say that it is here
        handle.is_recorded = True
        if row.old_gateway_id not in (None, gateway_id):  # so that it lets go at once, and not at its next look
            await self.context.publisher.bell.ring(row.old_gateway_id, row.id)
        agent = self.agents.get(row.agent)
        if agent is None or not agent.serves(principal.tenant):
            log.error("session %s cannot be resumed: there is no agent %s for it any more", row.id, row.agent)
            self.live_sessions.leave(row.id, handle)
            await self.context.store.count(lifecycle.detach(row.id, gateway_id, row.epoch))
            return None
        log.info("session %s is resumed, as epoch %d", row.id, row.epoch)
        return SessionStart(
            session_id=row.id,
            handle=handle,
            principal=principal,
            epoch=row.epoch,
            agent=agent,
            target=target(self.context.settings, agent.model, principal.user),
            # Whoever set it may have been held to another policy, or the agent's may have changed.
            client_session=protocol.of_earlier(row.client_session or {}, agent.policy(trusted=principal.is_trusted)),
            is_resumed=True,
            wants=wants,
            resume_token=following,
            began_at=time.monotonic() - float(row.age),
        )

    async def run(self, client: ClientConnection, start: SessionStart, subprotocol: str | None) -> None:
        """Run one session, from the upgrade on, until it is over or lives on elsewhere."""
        session_id = start.session_id
        session = Session(self.context, start, client)
        over = SessionEnded(1011, "gateway_stopped")
        try:
            await client.accept(subprotocol)
            over = await self._converse(session)
        except (SQLAlchemyError, OSError) as problem:
            log.error("session %s cannot be recorded (%s)", session_id, type(problem).__name__)
            over = SessionEnded(TRY_AGAIN_LATER, "database_unavailable")
        except UpstreamRefused as problem:
            log.error("session %s: the Realtime API does not take it: %s", session_id, problem)
            over = _not_taken(problem)
        except ClientGone as gone:
            over = SessionEnded(gone.code, str(gone))
        except Exception:
            # Nobody may find out by a hung-up line and a session that never ended.
            log.exception("session %s has failed", session_id)
            over = SessionEnded(1011, "internal_error")
        finally:
            await asyncio.shield(self._leave(session, over))
            try:
                await _say_goodbye(client, over)
            finally:  # last of all: a gateway that ends closes every socket when nobody is here any more
                self.live_sessions.leave(session_id, start.handle)

    async def _converse(self, session: Session) -> SessionEnded:
        start = session.start
        start.tools.update(await self._tools(start))
        agent, tools = start.agent.name, len(start.tools)
        log.info("session %s begins: agent %s, %d tools", start.session_id, agent, tools)
        await session.hand_out_token()  # before anything that takes time: the one it came with is used up
        return await session.run()

    def _row_of(self, start: SessionStart) -> Insert:
        token, settings = start.resume_token, self.context.settings
        return lifecycle.open_session(
            start.session_id,
            user_id=start.principal.user,
            tenant=start.principal.tenant,
            credential=start.principal.credential,
            policy=start.policy.name,
            claims=start.principal.claims,
            has_webhook=start.agent.webhook is not None,
            agent=start.agent.name,
            model=settings.realtime_model or start.agent.model,
            gateway_id=self.context.gateway_id,
            resume_hash=digest(token) if token else None,
            resume_seconds=settings.resume_seconds if token else None,
        )

    async def _tools(self, start: SessionStart) -> dict[str, ToolSpec]:
        """What the agent allows, whoever is talking may have, and some live worker serves."""
        agent = start.agent
        live: Sequence[ToolSpec] = [
            processes.announcement(row) for row in await self.context.store.rows(processes.live_tools())
        ]
        missing = {name for name in agent.tools if name != "*"} - {tool.name for tool in live}
        if missing:
            log.warning("agent %s: no live worker serves %s", agent.name, ", ".join(sorted(missing)))
        wanted = {tool.name: tool for tool in live if start.may_have(tool)}
        taken = {name: tool for name, tool in wanted.items() if self.context.tool_catalog.takes(agent, tool)}
        if len(taken) < len(wanted):
            names = ", ".join(sorted(wanted.keys() - taken.keys()))
            log.warning("session %s begins without what the model refuses: %s", start.session_id, names)
        return taken

    async def _leave(self, session: Session, over: SessionEnded) -> None:
        """The row's last word from here: over, or detached, for its client to resume."""
        session_id, gateway_id, store = session.start.session_id, self.context.gateway_id, self.context.store
        session.start.handle.is_recorded = False  # that its row is nobody's from now on is no news
        log.info("session %s ends here: %s", session_id, over.reason)
        try:
            may_resume = session.start.resume_token is not None and not over.is_final
            if may_resume and await store.count(lifecycle.detach(session_id, gateway_id, session.epoch)):
                return
            await store.count(lifecycle.end_session(session_id, gateway_id, session.epoch, over.reason))
            if over.reason in session_end.REASONS:  # and what was asked for since
                await store.count(
                    session_end.cancel_calls(session_end.the_session(session_id, session.start.principal.tenant))
                )
            await store.count(lifecycle.keep_for_history(session_id))
        except (SQLAlchemyError, OSError) as problem:
            # The sweeper lets it go when this gateway's lease is gone.
            log.error("session %s: its end is not recorded (%s)", session_id, type(problem).__name__)


def _may_ask(principal: Principal, agent: Agent) -> frozenset[str]:
    return frozenset(agent.policy(trusted=principal.is_trusted).asks)


def _not_taken(problem: UpstreamRefused) -> SessionEnded:
    """A wrong key, model or URL stays wrong; a server that is busy or away may come back."""
    if isinstance(problem, UpstreamSilent):
        return SessionEnded(1011, "upstream_silent")
    if problem.status in PERMANENT:
        return SessionEnded(1011, "upstream_refused")
    return SessionEnded(TRY_AGAIN_LATER, "upstream_unavailable")


async def _say_goodbye(client: ClientConnection, over: SessionEnded) -> None:
    sentence = SENTENCES.get(over.reason)
    if sentence is not None:
        error = {"type": "server_error", "code": over.reason, "message": sentence, "param": None, "event_id": None}
        event = {"type": "error", "event_id": "rb_goodbye", "error": error}
        try:
            await client.send(msgspec.json.encode(event).decode())
        except (ClientGone, UpstreamClosed):
            return
    await client.close(over.code, over.reason)
