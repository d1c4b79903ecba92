"""The desk of calls: it begins a session for a call, attaches it to the call, and hangs up when the session ends.

    opened = await desk.open(principal, agent, Transport.SIP)     a row, the tools, and the session for the provider
    await desk.control.accept(call_id, user, opened.session)      WebRTC: `desk.place` does this step and the next
    await desk.attach(opened, call_id)                            from now on a task of this process is beside the call

If the second step fails, `give_up` ends the session. `attach` waits for no connection: a browser's answer must not wait
for the sideband, which the Realtime API opens only when the browser has connected.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from secrets import token_urlsafe

from gateway.auth.authenticator import Principal
from gateway.budgets.budgets import model_of
from gateway.calls.phone_connection import PhoneConnection
from gateway.close_codes import HANDED_OVER, INTERNAL_ERROR, NOT_HUNG_UP
from gateway.conversation.actions import Event
from gateway.conversation.tool_calls.client_tools import first_session
from gateway.errors import Unavailable
from gateway.session.admission import SessionAdmission
from gateway.session.client_connection import NoClient
from gateway.session.context import CallControlFailed, LiveCall, PhoneLine, SessionEnded, SessionState
from gateway.upstream.call_control import CallControl
from gateway.upstream.call_endpoints import CallRefused
from ringback.agents.agent import Agent
from ringback.agents.hosted_tools import with_secrets
from ringback.statements.sessions import calls
from ringback.transport import Transport

log = logging.getLogger(__name__)

NOT_PLACED = "call_not_placed"
"""Reason for the history of a session whose call the Realtime API did not take."""


LEFT_TO_GO_ON = HANDED_OVER | NOT_HUNG_UP
"""Ends of a session here after which its call is not hung up."""


@dataclass(frozen=True, slots=True)
class OpenedCall:
    """A session that has begun and is not attached to its call yet.

    Args:
        state: of the session.
        transport: how the caller's voice will go.
        session: what the provider is given for the call, with the model: it holds instructions, tools and secrets.
    """

    state: SessionState
    transport: Transport
    session: Event


class CallDesk:
    """Desk of one gateway: each call that it attaches to is a task of this process, until the call is over.

    Args:
        control: places and steers calls at the Realtime API.
    """

    def __init__(self, admission: SessionAdmission, control: CallControl) -> None:
        self.admission = admission
        self.control = control
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, principal: Principal, agent: Agent, transport: Transport) -> OpenedCall:
        """Begin a session for a call, within quotas and limits.

        Raises:
            LimitReached, Unavailable: no session may begin, or none can right now.
            psycopg.Error, OSError: Postgres does not answer.
        """
        agent = agent.for_pages() if transport is Transport.WEBRTC else agent.on_phone()
        state = await self.admission.begin(principal, agent, frozenset(), transport)
        try:
            state.tools.update(await self.admission.tools_of(state))
        except BaseException:
            await self._end(state, "database_unavailable")
            raise
        return OpenedCall(state, transport, self._session(state, transport))

    async def place(self, opened: OpenedCall, offer: str) -> str:
        """Place a browser's call, attach the session to it, and return the SDP answer.

        Raises:
            CallRefused: the Realtime API did not take it; the session has ended.
            Unavailable, psycopg.Error, OSError: it could not be recorded; it is hung up, and the session has ended.
        """
        user = opened.state.principal.user
        try:
            placed = await self.control.place(user, offer, opened.session)
        except BaseException:
            await self.give_up(opened)
            raise
        try:
            await self.attach(opened, placed.call_id)
        except BaseException:
            await self.hang_up(placed.call_id, user)
            await self.give_up(opened)
            raise
        return placed.sdp

    async def attach(self, opened: OpenedCall, call_id: str) -> None:
        """Note the call in the session's row, and be beside it from now on; returns before the sideband is open.

        Raises:
            Unavailable, psycopg.Error, OSError: it could not be noted. No task has begun: hang up, and `give_up`.
        """
        state, gateway = opened.state, self.admission.gateway
        held = state.session_id, gateway.gateway_id, state.epoch
        call = LiveCall(call_id, opened.transport, token_urlsafe())
        if not await gateway.store.count(calls.attach(*held, call_id, call.secret)):
            raise Unavailable("The session was lost before its call began. Try again.")
        state.call = call
        state.target = gateway.settings.sideband(call_id, state.principal.user)
        self.run(state)

    def run(self, state: SessionState) -> None:
        """Run the session beside its call, in a task of its own."""
        call = state.call
        if call is not None and call.transport is Transport.SIP:
            state.agent = state.agent.on_phone()
            state.line = PhoneLine(SipControl(self.control, call.call_id, state.principal.user))
        task = asyncio.get_running_loop().create_task(self._attend(state))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def give_up(self, opened: OpenedCall, reason: str = NOT_PLACED) -> None:
        """End a session that has no call."""
        await asyncio.shield(self._end(opened.state, reason))

    async def hang_up(self, call_id: str, user: str) -> bool:
        """Hang up a call; return False, and a line in the log, if the Realtime API did not say that it did."""
        try:
            await self.control.hang_up(call_id, user)
        except CallRefused as problem:
            log.warning("call not hung up: %s (%s)", call_id, problem)
            return problem.status == 404  # it is over
        return True

    async def close(self) -> None:
        """Wait for the tasks, and close the connections. The sessions have been asked to leave before."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.control.close()

    async def _attend(self, state: SessionState) -> None:
        call = state.call
        assert call is not None  # noqa: S101
        over = await self.admission.run(_client_of(state), state, None)
        if over.reason not in LEFT_TO_GO_ON:
            log.info("call hung up: session %s (%s)", state.session_id, over.reason)
            await self.hang_up(call.call_id, state.principal.user)

    async def _end(self, state: SessionState, reason: str) -> None:
        try:
            await self.admission.leave(state, SessionEnded(INTERNAL_ERROR, reason))
        finally:
            self.admission.live_sessions.leave(state.session_id, state.handle)

    def _session(self, state: SessionState, transport: Transport) -> Event:
        """Return the session of the call, as its first `session.update` would have it."""
        settings = self.admission.gateway.settings
        phone = state.agent.phone if transport is Transport.SIP else None
        session = with_secrets(first_session(state.agent, state.tools, phone=phone), os.environ)
        return {**settings.provider.adapt_session(session), "model": model_of(settings, state.agent)}


@dataclass(frozen=True, slots=True)
class SipControl:
    """Control of one phone call at the Realtime API."""

    control: CallControl
    call_id: str
    user: str

    async def transfer(self, target: str) -> None:
        """Transfer the call; raises CallControlFailed. Never repeated by itself."""
        try:
            await self.control.refer(self.call_id, self.user, target)
        except CallRefused as problem:
            raise CallControlFailed(str(problem)) from None


def _client_of(state: SessionState) -> NoClient:
    """Return what stands in for the client of a call."""
    if state.line is None:
        return NoClient()
    phone = state.agent.phone
    return PhoneConnection(greets=phone is not None and phone.greets and not state.is_resumed)
