"""The desk of calls: it begins a session for a call, attaches it to the call, and hangs up before the session ends.

    opened = await desk.open(principal, agent, Transport.SIP)     a row, the tools, and the session for the provider
    await desk.control.accept(call_id, user, opened.session)      WebRTC: `desk.place` does this step and the next
    await desk.attach(opened, call_id)                            from now on a task of this process is beside the call

A gateway that has lost Postgres for so long that others take its calls leaves them (`leave_when_silent`): two that are
beside one call would undo each other's doings, and answer it twice.

If the second step fails, `give_up` ends the session. `attach` waits for no connection: a browser's answer must not wait
for the sideband, which the Realtime API opens only when the browser has connected.

A call ends in this order: the row says why it is to end, it is hung up, the row says that it is over. A gateway that
loses its session meanwhile hangs nothing up; one that is killed leaves a call that another takes, and hangs up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from dataclasses import dataclass
from secrets import token_urlsafe

import psycopg
from psycopg.errors import UniqueViolation

from gateway.auth.authenticator import Principal
from gateway.backoff import pauses
from gateway.budgets.budgets import model_of
from gateway.calls.phone_connection import PhoneConnection
from gateway.close_codes import HANDED_OVER, INTERNAL_ERROR, NOT_HUNG_UP, PERMANENT, STILL_LIVE, TRY_AGAIN_LATER
from gateway.conversation.actions import Event
from gateway.conversation.tool_calls.client_tools import first_session
from gateway.errors import GatewayError, Unavailable
from gateway.session.admission import SessionAdmission
from gateway.session.client_connection import NoClient
from gateway.session.context import CallControlFailed, LiveCall, PhoneLine, SessionEnded, SessionState
from gateway.upstream.call_control import CallControl
from gateway.upstream.call_endpoints import CallRefused
from ringback.agents.agent import Agent
from ringback.agents.hosted_tools import with_secrets
from ringback.statements.sessions import announced_calls as receipts
from ringback.statements.sessions import calls
from ringback.transport import Transport

log = logging.getLogger(__name__)

NOT_PLACED = "call_not_placed"
"""Reason for the history of a session whose call the Realtime API did not take."""
SILENCE_LOOK_SECONDS = 0.1
"""How often the lease is looked at: another gateway attaches no sooner than it has looked for calls itself."""

LEFT_TO_GO_ON = HANDED_OVER | NOT_HUNG_UP
"""Ends of a session here after which its call is not hung up."""
HANG_UP_SECONDS = 15.0
"""How long a call is hung up again and again, if the Realtime API is busy or does not answer."""
REFERRED_SECONDS = 30.0
"""How long a phone rings at most. A call that goes on for longer after its transfer was taken was not transferred."""
HANG_UP_AGAIN_SECONDS, HANG_UP_SELDOM_SECONDS = 0.25, 2.0
"""Before the third attempt, and at most: meanwhile the caller talks to a model that no gateway watches."""


class AttachLost(GatewayError):
    """A session was not attached to its call, and need not be: what it needs belongs to another by now."""


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
        self._tasks: dict[asyncio.Task[None], SessionState] = {}
        self._is_busy = asyncio.Event()

    async def open(self, principal: Principal, agent: Agent, transport: Transport) -> OpenedCall:
        """Begin a session for a call, within quotas and limits.

        Raises:
            LimitReached, Unavailable: no session may begin, or none can right now.
            psycopg.Error, OSError: Postgres does not answer.
        """
        state = await self.admission.begin(principal, agent.beside(transport), frozenset(), transport)
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
            AttachLost, Unavailable, psycopg.Error, OSError: it could not be recorded. It is hung up, and the session
                has ended.
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

    async def attach(self, opened: OpenedCall, call_id: str, webhook_id: str | None = None) -> None:
        """Note the call in the session's row, and be beside it from now on; returns before the sideband is open.

        Args:
            webhook_id: of the announcement that this settles, in the same transaction; None: there was none.

        Raises:
            AttachLost: the announcement is another gateway's by now, or the call another session's.
            Unavailable: the session is no longer this gateway's.
            psycopg.Error, OSError: it could not be noted, as far as is known; it may be asked for again.
        """
        state, gateway = opened.state, self.admission.gateway
        call = LiveCall(call_id, opened.transport, token_urlsafe())
        attach = calls.attach(state.session_id, gateway.gateway_id, state.epoch, call_id, call.secret)
        try:
            if webhook_id is None:
                noted = await gateway.store.rows(attach)
            else:
                hold = receipts.hold(webhook_id, gateway.gateway_id, state.session_id, call_id)
                settle = receipts.settle_attached(webhook_id, state.session_id, call_id)
                held, *rest = await gateway.store.together(hold, attach, settle)
                if not held:
                    raise AttachLost("its announcement is another gateway's, or settled")
                noted = rest[-1]
        except UniqueViolation:
            raise AttachLost("another session has it") from None
        if not noted:
            raise Unavailable("The session was lost before its call began. Try again.")
        state.call = call
        state.target = gateway.settings.sideband(call_id, state.principal.user)
        self.run(state)

    def run(self, state: SessionState) -> None:
        """Run the session beside its call, in a task of its own."""
        call = state.call
        if call is not None and call.transport is Transport.SIP:
            state.line = PhoneLine(SipControl(self.control, call.call_id, state.principal.user))
        task = asyncio.get_running_loop().create_task(self._attend(state))
        self._tasks[task] = state
        self._is_busy.set()
        task.add_done_callback(self._tasks.pop)

    async def give_up(self, opened: OpenedCall, reason: str = NOT_PLACED) -> None:
        """End a session that has no call."""
        await asyncio.shield(self._end(opened.state, reason))

    async def hang_up(self, call_id: str, user: str) -> bool:
        """Hang up a call, in some attempts; return False if the Realtime API never said that it is over."""
        give_up = time.monotonic() + HANG_UP_SECONDS
        for pause in pauses(random.random, HANG_UP_AGAIN_SECONDS, HANG_UP_SELDOM_SECONDS):
            await asyncio.sleep(pause)
            try:
                await self.control.hang_up(call_id, user)
            except CallRefused as problem:
                if problem.status == 404:  # it is over
                    return True
                log.warning("call not hung up: %s (%s)", call_id, problem)
                if problem.status in PERMANENT or time.monotonic() > give_up:
                    return False
                continue
            return True
        raise AssertionError("pauses do not end")

    @property
    def is_silent(self) -> bool:
        """True while other gateways take the calls of this one, because it has not renewed its lease."""
        return self.admission.lease.is_silent(calls.SILENT_SECONDS)

    async def leave_when_silent(self) -> None:
        """Leave every call here, and hang none up, whenever others take them. Until cancelled."""
        while True:
            if not self._tasks:
                self._is_busy.clear()
            await self._is_busy.wait()
            await asyncio.sleep(SILENCE_LOOK_SECONDS)
            here = [state for state in self._tasks.values() if state.handle.why_over is None]
            if here and self.is_silent:
                log.warning(
                    "calls left: %d, as the lease was not renewed for %g s; a gateway that can takes them over",
                    *(len(here), calls.SILENT_SECONDS),
                )
                for state in here:
                    state.handle.terminate("database_unavailable")

    async def close(self) -> None:
        """Wait for the tasks, and close the connections. The sessions have been asked to leave before.

        A call that still has to be hung up stays in its row: another gateway takes it, and does it.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.control.close()

    async def _attend(self, state: SessionState) -> None:
        why_over = state.handle.why_over
        if why_over is None:
            await self.admission.run(_client_of(state), state, None, self._hang_up_first)
            return
        over = await self._hang_up_first(state, SessionEnded(INTERNAL_ERROR, why_over))
        await asyncio.shield(self._end(state, over.reason))

    async def _hang_up_first(self, state: SessionState, over: SessionEnded) -> SessionEnded:
        """Hang up the session's call, if its end is the call's and the row is still ours; return how the session ends.

        The row says first that the call is to end: if this gateway is killed here, the one that takes it hangs up.
        """
        call, gateway, session_id = state.call, self.admission.gateway, state.session_id
        if over.reason == "call_over" and _is_referred(state):
            return SessionEnded.because("call_transferred")
        if call is None or over.reason in LEFT_TO_GO_ON:
            return over
        try:
            wanted = calls.ask_to_end(session_id, gateway.gateway_id, state.epoch, over.reason)
            is_ours = await gateway.store.count(wanted)
        except (psycopg.Error, OSError) as problem:
            log.error("call left to go on: session %s cannot be recorded (%s)", session_id, type(problem).__name__)
            return SessionEnded(TRY_AGAIN_LATER, "database_unavailable")
        if not is_ours:
            log.warning("call left to go on: session %s is another gateway's, or over", session_id)
            return SessionEnded.because("session_superseded")
        if not await self.hang_up(call.call_id, state.principal.user):
            words = "call not hung up: session %s (%s), call %s may go on with no gateway beside it"
            log.error(words, session_id, over.reason, call.call_id)
            return SessionEnded(over.code, STILL_LIVE)
        log.info("call hung up: session %s (%s)", session_id, over.reason)
        return over

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


@dataclass(slots=True)
class SipControl:
    """Control of one phone call at the Realtime API. `is_referred` while a transfer is under way."""

    control: CallControl
    call_id: str
    user: str
    is_referred: bool = False

    async def transfer(self, target: str) -> None:
        """Transfer the call, and wait for its end here, which ends the session. Never repeated by itself.

        Raises:
            CallControlFailed: it was refused, or the call goes on. The Realtime API answers before the carrier has, and
                was seen to answer 200 and transfer nothing (its forum, May 2026).
        """
        try:
            await self.control.refer(self.call_id, self.user, target)
        except CallRefused as problem:
            raise CallControlFailed(str(problem)) from None
        self.is_referred = True
        await asyncio.sleep(REFERRED_SECONDS)
        self.is_referred = False
        raise CallControlFailed(
            f"the Realtime API took the transfer, and {REFERRED_SECONDS:g} s later the call goes on"
        )


def _is_referred(state: SessionState) -> bool:
    control = state.line and state.line.control
    return isinstance(control, SipControl) and control.is_referred


def _client_of(state: SessionState) -> NoClient:
    """Return what stands in for the client of a call."""
    if state.line is None or state.call is None:
        return NoClient()
    phone = state.agent.phone
    return PhoneConnection(greets=phone is not None and phone.greets and not state.call.was_joined)
