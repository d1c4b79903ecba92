"""Takes phone calls over SIP, which the Realtime API announces by a webhook (`realtime.call.incoming`).

    receive               records an announcement, once; from then on it cannot get lost
    settle_call           has the call accepted, or rejected, and attaches a session to it
    watch_announcements   takes over the announcements of gateways that are gone

The caller hears the ringing meanwhile. If a gateway dies between the two, another takes the announcement and accepts
the call again. The Realtime API refuses what was accepted before, and the session attaches to it all the same.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec
import psycopg

from gateway.calls.desk import CallDesk, OpenedCall
from gateway.errors import ApiError, LimitReached
from gateway.retry import repeat
from gateway.telephony.routing import IncomingCall, agent_for, incoming
from gateway.upstream.call_endpoints import CALL_ID, CallRefused
from ringback.agents.agent import Agent
from ringback.statements.sessions import announced_calls as receipts
from ringback.transport import Transport

log = logging.getLogger(__name__)

INCOMING = "realtime.call.incoming"
CARRIER = "openai"
DECLINE, BUSY = 603, 486
"""Statuses of SIP: no agent takes the call; no session may begin right now."""
LOOK_SECONDS = 1.0
FORGET_EVERY = 3_600
"""Looks."""
MAX_HEADERS = 64
MAX_HEADER_CHARS = 512
AT_ONCE = 64
"""Announcements that are being settled: each holds a connection to the Realtime API for some hundred milliseconds."""


class _Header(msgspec.Struct):
    name: str
    value: str


class _Announced(msgspec.Struct):
    call_id: str
    sip_headers: list[_Header] = []


class _Event(msgspec.Struct):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


_read_event = msgspec.json.Decoder(_Event).decode
_read_announced = msgspec.json.Decoder(_Announced).decode


def call_in(body: bytes) -> IncomingCall | None:
    """Return the call that a webhook's body announces; None if it announces none.

    Raises:
        ValueError: it is no event, or names no call.
    """
    try:
        event = _read_event(body)
        if event.type != INCOMING:
            return None
        data = _read_announced(event.data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as problem:
        raise ValueError(str(problem)[:200]) from None
    if not CALL_ID.fullmatch(data.call_id):
        raise ValueError("data.call_id: a call's id has letters, digits, hyphens and underscores")
    headers = [(each.name[:64], each.value[:MAX_HEADER_CHARS]) for each in data.sip_headers[:MAX_HEADERS]]
    kept = {name.lower(): value for name, value in reversed(headers) if value.isprintable()}
    return incoming(CARRIER, data.call_id, kept.get("from", ""), kept.get("to", ""), kept.items())


class SipCalls:
    """The SIP calls that this gateway takes: one task for each announcement, and one that watches."""

    def __init__(self, desk: CallDesk) -> None:
        self._desk = desk
        self._store, self._gateway_id = desk.admission.gateway.store, desk.admission.gateway.gateway_id
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._looks = 0

    async def receive(self, webhook_id: str, call: IncomingCall) -> bool:
        """Record an announcement, and begin to settle it; False if it came before. Postgres' errors pass."""
        said = {"caller": call.caller, "called": call.called}
        new = receipts.receive(webhook_id, self._gateway_id, call_id=call.call_id, headers=dict(call.headers), **said)
        if not await self._store.rows(new):
            return False
        self._begin(webhook_id, call, is_again=False)
        return True

    async def watch_announcements(self) -> None:
        """Take over, once a second, what gateways that are gone have left. Until cancelled."""
        await repeat(self._take_lost, LOOK_SECONDS, "look for unanswered phone calls")

    async def close(self) -> None:
        """Cancel what is under way; another gateway takes it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take_lost(self) -> None:
        for row in await self._store.rows(receipts.take_lost(self._gateway_id)):
            log.info("phone call %s is taken over from a gateway that is gone", row.call_id)
            call = IncomingCall(CARRIER, row.call_id, row.caller, row.called, row.headers)
            self._begin(row.id, call, is_again=True)
        self._looks += 1
        if self._looks % FORGET_EVERY == 1:
            await self._store.count(receipts.forget())

    def _begin(self, webhook_id: str, call: IncomingCall, *, is_again: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._settle_call(webhook_id, call, is_again=is_again))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_call(self, webhook_id: str, call: IncomingCall, *, is_again: bool) -> None:
        try:
            async with self._at_once:
                settled = await self._answer(call, is_again=is_again)
            await self._store.count(receipts.settle(webhook_id, self._gateway_id, settled))
        except (psycopg.Error, OSError) as problem:
            log.error("phone call %s not answered (%s); its caller hears it ring", call.call_id, type(problem).__name__)
        except Exception:
            log.exception("phone call %s has failed", call.call_id)

    async def _answer(self, call: IncomingCall, *, is_again: bool) -> str:
        """Accept the call, or reject it; return what became of it."""
        agent = agent_for(self._desk.admission.agents, call)
        if agent is None or agent.phone is None:
            log.warning("phone call rejected: %s to %s: no agent takes it", call.caller, call.called)
            return await self._reject(call, DECLINE)
        who = call.principal(agent.phone, agent.name)
        try:
            opened = await self._desk.open(who, agent, Transport.SIP)
        except ApiError as problem:
            why = "its limit is reached" if isinstance(problem, LimitReached) else str(problem)
            log.warning("phone call refused: %s to agent %s: %s; it is busy", call.caller, agent.name, why)
            return await self._reject(call, BUSY)
        return await self._accept(call, agent, opened, is_again=is_again)

    async def _accept(self, call: IncomingCall, agent: Agent, opened: OpenedCall, *, is_again: bool) -> str:
        try:
            await self._desk.control.accept(call.call_id, call.user, opened.session)
        except CallRefused as problem:
            if not (is_again and problem.status is not None and 400 <= problem.status < 500):
                log.warning("phone call not accepted: %s by agent %s (%s)", call.call_id, agent.name, problem)
                await self._desk.give_up(opened)
                return "not_accepted"
        try:
            await self._desk.attach(opened, call.call_id)
        except (ApiError, psycopg.Error, OSError) as problem:
            log.error("phone call not attached: %s (%s); it is hung up", call.call_id, type(problem).__name__)
            await self._desk.hang_up(call.call_id, call.user)
            await self._desk.give_up(opened)
            return "not_attached"
        return "attached"

    async def _reject(self, call: IncomingCall, status: int) -> str:
        try:
            await self._desk.control.reject(call.call_id, call.user, status)
        except CallRefused as problem:
            log.warning("phone call not rejected: %s (%s); its caller hears it ring", call.call_id, problem)
        return "rejected"
