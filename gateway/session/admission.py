"""Admits a client: chooses agent and tools, then runs a session until one side goes, and writes how it ended.

The client is authorised before the upgrade, over HTTP (`gateway.api.realtime`). If something fails later, such as a
Realtime API that does not answer, the client gets an `error` event and a close code: a WebSocket client can read those.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg

from gateway import protocol
from gateway.auth.authenticator import TRUSTED, Principal
from gateway.auth.resume_tokens import new_token
from gateway.auth.tokens import digest
from gateway.background.draining import Draining
from gateway.background.lease import Lease
from gateway.budgets.budgets import model_of
from gateway.close_codes import HANDED_OVER, INTERNAL_ERROR, NO_AGENT, PERMANENT, SENTENCES, TRY_AGAIN_LATER
from gateway.errors import Unavailable, error_event
from gateway.live_sessions import SessionRegistry
from gateway.session.client_connection import ClientConnection, ClientGone
from gateway.session.context import GatewayContext, LiveCall, PhoneLine, SessionEnded, SessionState
from gateway.session.session import Session
from gateway.storage.database import may_be_written
from gateway.upstream.connection import UpstreamRefused, UpstreamSilent
from ringback.agents.agent import Agent
from ringback.config import logs
from ringback.ids import new_session_id
from ringback.postgres.statement import Bound
from ringback.statements import processes, session_end
from ringback.statements.sessions import calls, lifecycle
from ringback.telemetry import metrics
from ringback.tools.spec import ToolSpec
from ringback.transport import Transport

log = logging.getLogger(__name__)

BeforeEnd: TypeAlias = Callable[[SessionState, SessionEnded], Awaitable[SessionEnded]]
"""Does what comes before the row's last word; returns how the session ends, which may be otherwise by then."""


@dataclass(slots=True)
class SessionAdmission:
    """Admission of sessions to this process, from the first check to the last row."""

    agents: Mapping[str, Agent]
    """The agents of this moment: their files may change meanwhile (`gateway.background.agent_registry`)."""
    gateway: GatewayContext
    live_sessions: SessionRegistry
    lease: Lease
    draining: Draining
    default_agent: str
    """Which agent serves a client that names none."""

    def agent_for(self, agent: str | None, model: str | None) -> Agent | None:
        """Return the agent that a client names by `agent`, or by a `model` that is an agent's name; else the default.

        The official SDKs insist on a `model`; the agent's file says which one is really used.
        """
        if agent is not None:
            return self.agents.get(agent)
        return self.agents.get(model or "") or self.agents[self.default_agent]

    def why_not(self) -> str | None:
        """Return why no session can begin right now; None if one can."""
        if self.draining.has_begun:
            return "this gateway is ending"
        if self.live_sessions.is_full:
            return f"all {self.gateway.settings.max_sessions} places are taken"
        if self.lease.sheds:
            return "this gateway was held up a moment ago, and takes no new sessions yet"
        if not self.lease.is_current:
            return "Postgres does not answer"
        return None

    async def begin(
        self,
        principal: Principal,
        agent: Agent,
        wants: frozenset[str],
        transport: Transport = Transport.WEBSOCKET,
        line: PhoneLine | None = None,
    ) -> SessionState:
        """Begin a new session, if the principal's quota is not used up and there is a place. It spends a client secret.

        Args:
            line: the phone call that it is; None: it is none.

        Raises:
            AuthenticationError: the principal's client secret was used up or voided meanwhile.
            LimitReached, Unavailable: no session may begin, or none can right now.
            psycopg.Error, OSError: Postgres does not answer.
        """
        reason = self.why_not()  # again: many clients were told that there is room, and have waited for Postgres since
        if reason is not None:
            raise Unavailable(f"No session can begin right now: {reason}.")
        session = self._new_session(principal, agent, wants)
        if line is not None:
            session.line, session.resume_token = line, line.resume_token
        try:
            await self.check_quota(principal, agent)
            is_call = transport is not Transport.WEBSOCKET  # then nothing happens before its id is written, and kept
            await self.gateway.budgets.open_session(self._row_of(session, transport), principal, lazy=is_call)
            session.handle.is_held = True
            metrics.SESSIONS_BEGUN.inc("new")
        finally:
            if not session.handle.is_held:
                self.live_sessions.leave(session.session_id, session.handle)
        return session

    async def check_quota(self, principal: Principal, agent: Agent) -> None:
        """Raise LimitReached or Unavailable if nothing is left for a session with this agent."""
        await self.gateway.budgets.check_quota(principal, agent, model_of(self.gateway.settings, agent))

    def _new_session(self, principal: Principal, agent: Agent, wants: frozenset[str]) -> SessionState:
        session_id = new_session_id()
        return SessionState(
            session_id=session_id,
            handle=self.live_sessions.enter(session_id),
            principal=principal,
            epoch=1,
            agent=agent,
            target=self.gateway.settings.target(agent.model, principal.user),
            wants=wants,
            resume_token=new_token() if "resume" in wants & _may_ask(principal, agent) else None,
        )

    async def resume(
        self, principal: Principal, token: str, wants: frozenset[str], line: PhoneLine | None = None
    ) -> SessionState | None:
        """Take over the session that this token resumes. Return None if there is none for this principal.

        Args:
            line: the phone call that it is, whose token stays the same; None: it is none.

        Raises:
            psycopg.Error, OSError: Postgres does not answer; as far as is known, no session was taken over.
        """
        gateway_id = self.gateway.gateway_id
        following = new_token() if line is None or line.resume_token is None else line.resume_token
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
            rows = await self.gateway.store.rows(statement)
        except (psycopg.Error, OSError) as problem:
            if not may_be_written(problem):
                raise
            # The client's token may be used up by now. Run again, the statement finds the token that follows it.
            rows = await self.gateway.store.rows(statement)
        if not rows:
            asked = lifecycle.resumable(
                digest(token), user_id=principal.user, tenant=principal.tenant, agent=principal.agent
            )
            if await self.gateway.store.rows(asked):
                raise TimeoutError("the token is good, and this gateway's own lease has run out")
            return None
        row = rows[0]
        handle = self.live_sessions.enter(row.id)  # before any other wait: the rows say that it is here
        handle.is_held = True
        if row.old_gateway_id not in (None, gateway_id):  # so that it ends the session at once, and not a second later
            await self.gateway.publisher.redis.notify(row.old_gateway_id, row.id)
        agent = self.agents.get(row.agent)
        if agent is None or not agent.serves(principal.tenant):
            log.error("resume failed: session %s, there is no agent %s for it any more; detached", row.id, row.agent)
            self.live_sessions.leave(row.id, handle)
            await self.gateway.store.count(lifecycle.detach(row.id, gateway_id, row.epoch))
            return None
        log.info("session %s is resumed, as epoch %d", row.id, row.epoch)
        metrics.SESSIONS_BEGUN.inc("resumed")
        return SessionState(
            session_id=row.id,
            handle=handle,
            principal=principal,
            epoch=row.epoch,
            agent=agent,
            target=self.gateway.settings.target(agent.model, principal.user),
            # It may have been set under another policy, or the agent's policy may have changed.
            client_session=protocol.of_earlier(row.client_session or {}, agent.policy(trusted=principal.is_trusted)),
            is_resumed=True,
            wants=wants,
            resume_token=following,
            line=line,
            began_at=time.monotonic() - float(row.age),
        )

    def take_call(self, row: Any) -> SessionState:
        """Return the session of a live call that this gateway has taken over (a row of `calls.take`).

        If the call must be hung up, as it is asked to end or its agent is gone, its handle says why.
        """
        handle = self.live_sessions.enter(row.id)
        handle.is_held = True
        scopes = frozenset(row.claims.get("scopes", ())) | ({TRUSTED} if row.policy == "trusted" else set())
        principal = Principal(row.user_id, row.tenant, row.claims, scopes, row.credential)
        agent, why_over = self.agents.get(row.agent), row.end_wanted
        if agent is None or not agent.serves(row.tenant):
            log.error("call not gone on with: session %s, there is no agent %s for it any more", row.id, row.agent)
            agent, why_over = self.agents[self.default_agent], why_over or NO_AGENT
        if why_over is not None:
            handle.terminate(why_over)
        call = LiveCall(row.call_id, Transport(row.transport), row.item_secret, row.upstream_id is not None)
        metrics.SESSIONS_BEGUN.inc("taken_over")
        return SessionState(
            session_id=row.id,
            handle=handle,
            principal=principal,
            epoch=row.epoch,
            agent=agent.beside(call.transport),
            target=self.gateway.settings.sideband(row.call_id, row.user_id),
            is_resumed=True,
            call=call,
            began_at=time.monotonic() - float(row.age),
        )

    async def run(
        self,
        client: ClientConnection,
        state: SessionState,
        subprotocol: str | None,
        before_end: BeforeEnd | None = None,
    ) -> SessionEnded:
        """Run one session, from the upgrade on, until it is over or lives on elsewhere. Return how it ended here.

        Args:
            before_end: if it is cancelled, the row stays as it is, for another gateway to take.
        """
        logs.bind(session=state.session_id)
        session_id = state.session_id
        session = Session(self.gateway, state, client)
        over = SessionEnded(INTERNAL_ERROR, "gateway_stopped")
        try:
            await client.accept(subprotocol)
            over = await self._run(session)
        except (psycopg.Error, OSError) as problem:
            log.error("session %s cannot be recorded (%s); it ends", session_id, type(problem).__name__)
            over = SessionEnded(TRY_AGAIN_LATER, "database_unavailable")
        except UpstreamRefused as problem:
            log.error("upstream refused: session %s, %s; it ends", session_id, problem)
            over = _end_of_refused(problem)
        except ClientGone as gone:
            over = SessionEnded(gone.code, str(gone))
        except Exception:
            # Without this the client would hear silence, and the session would never end.
            log.exception("session %s has failed", session_id)
            over = SessionEnded(INTERNAL_ERROR, "internal_error")
        finally:
            try:
                if before_end is not None:
                    over = await before_end(state, over)
                await asyncio.shield(self.leave(state, over))
                await _close(client, over)
            finally:  # last of all: a gateway that ends closes every socket as soon as no session is here any more
                self.live_sessions.leave(session_id, state.handle)
        return over

    async def _run(self, session: Session) -> SessionEnded:
        state = session.state
        if not state.tools:  # a call was placed with them
            state.tools.update(await self.tools_of(state))
        log.info("session %s begins: agent %s, %d tools", state.session_id, state.agent.name, len(state.tools))
        await session.send_resume_token()  # before the long steps: the token that the client came with is used up
        await session.tell_of_recording()
        return await session.run()

    def _row_of(self, session: SessionState, transport: Transport) -> Bound:
        token, settings = session.resume_token, self.gateway.settings
        waits = settings.resume_seconds if token else None
        if transport is not Transport.WEBSOCKET:
            waits = calls.UNATTENDED_SECONDS
        return lifecycle.open_session(
            session.session_id,
            user_id=session.principal.user,
            tenant=session.principal.tenant,
            credential=session.principal.credential,
            policy=session.policy.name,
            claims=session.principal.claims,
            has_webhook=session.agent.webhook is not None,
            agent=session.agent.name,
            model=model_of(settings, session.agent),
            gateway_id=self.gateway.gateway_id,
            resume_hash=digest(token) if token else None,
            resume_seconds=waits,
            transport=transport,
        )

    async def tools_of(self, session: SessionState) -> dict[str, ToolSpec]:
        """Return the tools that the agent allows, the principal may have, and a live worker serves."""
        agent = session.agent
        live: Sequence[ToolSpec] = [
            processes.spec_from_row(row) for row in await self.gateway.store.rows(processes.live_tools())
        ]
        missing = {name for name in agent.tools if name != "*"} - {tool.name for tool in live}
        if missing:
            log.warning("agent %s: no live worker serves %s", agent.name, ", ".join(sorted(missing)))
        wanted = {tool.name: tool for tool in live if session.may_have(tool)}
        taken = {name: tool for name, tool in wanted.items() if self.gateway.tool_catalog.takes(agent, tool)}
        if len(taken) < len(wanted):
            names = ", ".join(sorted(wanted.keys() - taken.keys()))
            log.warning("session %s begins without tools that the model refuses: %s", session.session_id, names)
        return taken

    async def leave(self, session: SessionState, over: SessionEnded) -> None:
        """Write the end into the session's row: over, or detached, for its client to resume, or a gateway to take."""
        session_id, gateway_id, store = session.session_id, self.gateway.gateway_id, self.gateway.store
        session.handle.is_held = False  # from now on it is no loss if the row names another gateway
        log.info("session %s ends here: %s", session_id, over.reason)
        metrics.SESSIONS_ENDED.inc(reason_label(over.reason))
        try:
            if session.call is None:
                lives_on = session.resume_token is not None and not over.is_final
            else:
                lives_on = over.reason in HANDED_OVER
            if lives_on and await store.count(lifecycle.detach(session_id, gateway_id, session.epoch)):
                return
            await store.count(lifecycle.end_session(session_id, gateway_id, session.epoch, over.reason))
            if over.reason in session_end.REASONS:  # and the calls that were made since
                this = session_end.one_session(session_id, session.principal.tenant)
                await store.count(session_end.cancel_calls(this))
            await store.count(lifecycle.keep_for_history(session_id))
        except (psycopg.Error, OSError) as problem:
            log.error(
                "session end not written: %s (%s); a poll of this gateway releases it, or a sweep if it is gone",
                *(session_id, type(problem).__name__),
            )


def reason_label(reason: str) -> str:
    """Return the reason without the close code that a client has chosen."""
    return "client_closed" if reason.startswith("client_closed_") else reason


def _may_ask(principal: Principal, agent: Agent) -> frozenset[str]:
    return frozenset(agent.policy(trusted=principal.is_trusted).asks)


def _end_of_refused(problem: UpstreamRefused) -> SessionEnded:
    """Return a final end for a wrong key, model or URL, as it stays wrong; a server that is busy may come back."""
    if isinstance(problem, UpstreamSilent):
        return SessionEnded(INTERNAL_ERROR, "upstream_silent")
    if problem.status in PERMANENT:
        return SessionEnded(INTERNAL_ERROR, "upstream_refused")
    return SessionEnded(TRY_AGAIN_LATER, "upstream_unavailable")


async def _close(client: ClientConnection, over: SessionEnded) -> None:
    """Tell the client why, if there is a sentence for it, and close its connection."""
    sentence = SENTENCES.get(over.reason)
    if sentence is not None:
        event = error_event("rb_goodbye", 503, over.reason, sentence)
        try:
            await client.send(event)
        except ClientGone:
            return
    await client.close(over.code, over.reason)
