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
from gateway.auth.authenticator import Caller
from gateway.auth.resume_tokens import digest, new_token
from gateway.background.draining import Draining
from gateway.background.lease import Lease
from gateway.budgets.budgets import Denied
from gateway.close_codes import PERMANENT, SENTENCES, TRY_AGAIN_LATER
from gateway.live_sessions import Presence
from gateway.session.client_connection import Client, ClientGone
from gateway.session.context import Beginning, Line, Over
from gateway.session.session import Session
from gateway.storage.database import may_be_written
from gateway.upstream.connection import UpstreamClosed, UpstreamRefused, UpstreamSilent
from gateway.upstream.providers import target
from ringback.agents.agent import Agent
from ringback.statements import processes
from ringback.statements.sessions import lifecycle, session_end
from ringback.tools.decorator import Announcement

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reception:
    """How a session begins and ends here."""

    agents: Mapping[str, Agent]
    """Those of now: their files may be changed while the gateway runs (`gateway.background.agent_registry`)."""
    line: Line
    presence: Presence
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
        if self.presence.is_full:
            return f"all {self.line.settings.max_sessions} places are taken"
        if self.lease.sheds:
            return "this gateway was held up a moment ago, and takes nothing new"
        if not self.lease.is_current:
            return "Postgres does not answer"
        return None

    async def begin(self, caller: Caller, agent: Agent, wants: frozenset[str]) -> Beginning | Denied:
        """A new session, if the caller has something left for it, and there is a place.

        Raises:
            SQLAlchemyError, OSError: Postgres does not answer.
        """
        reason = self.why_not()  # once more: many were told that there is room, and have waited for Postgres since
        if reason is not None:
            return Denied(503, "unavailable", f"No session can begin right now: {reason}.")
        beginning = self._beginning(caller, agent, wants)
        try:
            model = self.line.settings.realtime_model or agent.model
            denied = await self.line.purse.may_begin(caller, agent, model)
            denied = denied or await self.line.purse.open_session(self._row_of(beginning), caller)
            beginning.place.is_recorded = denied is None
        finally:
            if not beginning.place.is_recorded:
                self.presence.leave(beginning.session_id, beginning.place)
        return denied or beginning

    def _beginning(self, caller: Caller, agent: Agent, wants: frozenset[str]) -> Beginning:
        session_id = uuid4()
        return Beginning(
            session_id=session_id,
            place=self.presence.enter(session_id),
            caller=caller,
            epoch=1,
            agent=agent,
            target=target(self.line.settings, agent.model, caller.user),
            wants=wants,
            resume_token=new_token() if "resume" in wants & _may_ask(caller, agent) else None,
        )

    async def resume(self, caller: Caller, token: str, wants: frozenset[str]) -> Beginning | None:
        """Take over the session that this token resumes; None where there is none, for this caller.

        Raises:
            SQLAlchemyError, OSError: Postgres does not answer; nothing was taken over, as far as anybody can know.
        """
        gateway_id, following = self.line.gateway_id, new_token()
        statement = lifecycle.resume(
            digest(token),
            digest(following),
            user_id=caller.user,
            gateway_id=gateway_id,
            tenant=caller.tenant,
            agent=caller.agent,
            credential=caller.credential,
            claims=caller.claims,
            policy="trusted" if caller.is_trusted else "browser",
        )
        try:
            rows = await self.line.store.rows(statement)
        except (SQLAlchemyError, OSError) as problem:
            if not may_be_written(problem):
                raise
            # The client's token may be used up by now. Once more: the statement finds the one that follows it.
            rows = await self.line.store.rows(statement)
        if not rows:
            asked = lifecycle.resumable(digest(token), user_id=caller.user, tenant=caller.tenant, agent=caller.agent)
            if await self.line.store.rows(asked):
                raise TimeoutError("the token is good, and this gateway's own lease has run out")
            return None
        row = rows[0]
        place = self.presence.enter(row.id)  # before anything else is waited for: the rows say that it is here
        place.is_recorded = True
        if row.old_gateway_id not in (None, gateway_id):  # so that it lets go at once, and not at its next look
            await self.line.dispatch.bell.ring(row.old_gateway_id, row.id)
        agent = self.agents.get(row.agent)
        if agent is None or not agent.serves(caller.tenant):
            log.error("session %s cannot be resumed: there is no agent %s for it any more", row.id, row.agent)
            self.presence.leave(row.id, place)
            await self.line.store.count(lifecycle.detach(row.id, gateway_id, row.epoch))
            return None
        log.info("session %s is resumed, as epoch %d", row.id, row.epoch)
        return Beginning(
            session_id=row.id,
            place=place,
            caller=caller,
            epoch=row.epoch,
            agent=agent,
            target=target(self.line.settings, agent.model, caller.user),
            # Whoever set it may have been held to another policy, or the agent's may have changed.
            client_session=protocol.of_earlier(row.client_session or {}, agent.policy(trusted=caller.is_trusted)),
            is_resumed=True,
            wants=wants,
            resume_token=following,
            began_at=time.monotonic() - float(row.age),
        )

    async def converse(self, client: Client, beginning: Beginning, subprotocol: str | None) -> None:
        """Run one session, from the upgrade on, until it is over or lives on elsewhere."""
        session_id = beginning.session_id
        session = Session(self.line, beginning, client)
        over = Over(1011, "gateway_stopped")
        try:
            await client.accept(subprotocol)
            over = await self._converse(session)
        except (SQLAlchemyError, OSError) as problem:
            log.error("session %s cannot be recorded (%s)", session_id, type(problem).__name__)
            over = Over(TRY_AGAIN_LATER, "database_unavailable")
        except UpstreamRefused as problem:
            log.error("session %s: the Realtime API does not take it: %s", session_id, problem)
            over = _not_taken(problem)
        except ClientGone as gone:
            over = Over(gone.code, str(gone))
        except Exception:
            # Nobody may find out by a hung-up line and a session that never ended.
            log.exception("session %s has failed", session_id)
            over = Over(1011, "internal_error")
        finally:
            await asyncio.shield(self._leave(session, over))
            try:
                await _say_goodbye(client, over)
            finally:  # last of all: a gateway that ends closes every socket when nobody is here any more
                self.presence.leave(session_id, beginning.place)

    async def _converse(self, session: Session) -> Over:
        beginning = session.beginning
        beginning.tools.update(await self._tools(beginning))
        agent, tools = beginning.agent.name, len(beginning.tools)
        log.info("session %s begins: agent %s, %d tools", beginning.session_id, agent, tools)
        await session.hand_out_token()  # before anything that takes time: the one it came with is used up
        return await session.run()

    def _row_of(self, beginning: Beginning) -> Insert:
        token, settings = beginning.resume_token, self.line.settings
        return lifecycle.open_session(
            beginning.session_id,
            user_id=beginning.caller.user,
            tenant=beginning.caller.tenant,
            credential=beginning.caller.credential,
            policy=beginning.policy.name,
            claims=beginning.caller.claims,
            has_webhook=beginning.agent.webhook is not None,
            agent=beginning.agent.name,
            model=settings.realtime_model or beginning.agent.model,
            gateway_id=self.line.gateway_id,
            resume_hash=digest(token) if token else None,
            resume_seconds=settings.resume_seconds if token else None,
        )

    async def _tools(self, beginning: Beginning) -> dict[str, Announcement]:
        """What the agent allows, whoever is talking may have, and some live worker serves."""
        agent = beginning.agent
        live: Sequence[Announcement] = [
            processes.announcement(row) for row in await self.line.store.rows(processes.live_tools())
        ]
        missing = {name for name in agent.tools if name != "*"} - {tool.name for tool in live}
        if missing:
            log.warning("agent %s: no live worker serves %s", agent.name, ", ".join(sorted(missing)))
        wanted = {tool.name: tool for tool in live if beginning.may_have(tool)}
        taken = {name: tool for name, tool in wanted.items() if self.line.catalogue.takes(agent, tool)}
        if len(taken) < len(wanted):
            names = ", ".join(sorted(wanted.keys() - taken.keys()))
            log.warning("session %s begins without what the model refuses: %s", beginning.session_id, names)
        return taken

    async def _leave(self, session: Session, over: Over) -> None:
        """The row's last word from here: over, or detached, for its client to resume."""
        session_id, gateway_id, store = session.beginning.session_id, self.line.gateway_id, self.line.store
        session.beginning.place.is_recorded = False  # that its row is nobody's from now on is no news
        log.info("session %s ends here: %s", session_id, over.reason)
        try:
            may_resume = session.beginning.resume_token is not None and not over.is_final
            if may_resume and await store.count(lifecycle.detach(session_id, gateway_id, session.epoch)):
                return
            await store.count(lifecycle.end_session(session_id, gateway_id, session.epoch, over.reason))
            if over.reason in session_end.REASONS:  # and what was asked for since
                await store.count(
                    session_end.cancel_calls(session_end.the_session(session_id, session.beginning.caller.tenant))
                )
            await store.count(lifecycle.keep_for_history(session_id))
        except (SQLAlchemyError, OSError) as problem:
            # The sweeper lets it go when this gateway's lease is gone.
            log.error("session %s: its end is not recorded (%s)", session_id, type(problem).__name__)


def _may_ask(caller: Caller, agent: Agent) -> frozenset[str]:
    return frozenset(agent.policy(trusted=caller.is_trusted).asks)


def _not_taken(problem: UpstreamRefused) -> Over:
    """A wrong key, model or URL stays wrong; a server that is busy or away may come back."""
    if isinstance(problem, UpstreamSilent):
        return Over(1011, "upstream_silent")
    if problem.status in PERMANENT:
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
