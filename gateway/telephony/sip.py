"""Takes phone calls over SIP, which the Realtime API announces by a webhook (`realtime.call.incoming`).

    receive               records an announcement, once; from then on it cannot get lost
    _settle_call          has the call accepted, or rejected, and attaches a session to it
    watch_announcements   takes up announcements that no gateway settles: theirs is gone, or Postgres was away

The caller hears the ringing meanwhile. If a gateway dies between the two, another takes the announcement and accepts
the call again. The Realtime API refuses what was accepted before, and the session attaches to it all the same. To
attach and to settle is one transaction, and a call has one session at most: of two gateways that try, one gets it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import msgspec
import psycopg

from gateway.calls.desk import AttachLost, CallDesk, OpenedCall
from gateway.errors import ApiError, LimitReached, Unavailable
from gateway.retry import once_set, repeat
from gateway.telephony.routing import IncomingCall, agent_for, incoming
from gateway.upstream.call_endpoints import CALL_ID, CallRefused
from ringback.statements.sessions import announced_calls as receipts
from ringback.transport import Transport

log = logging.getLogger(__name__)

INCOMING = "realtime.call.incoming"
CARRIER = "openai"
NOT_REJECTED = "not_rejected"
DECLINE, BUSY = 603, 486
"""Statuses of SIP: no agent takes the call; no session may begin right now."""
LOOK_SECONDS = 1.0
"""Between two attempts to take up what a look has found."""
FORGET_SECONDS = 3_600.0
ATTACH_SECONDS, PAUSE_SECONDS = 10.0, 0.5
"""How long Postgres may be away before an accepted call, whose caller hears nothing, is hung up."""
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
    """The SIP calls that this gateway takes: one task for each announcement, and one that watches.

    Args:
        lost: set when a look has found an announcement that no gateway settles.
    """

    def __init__(self, desk: CallDesk, lost: asyncio.Event) -> None:
        self._desk = desk
        self._until_lost = once_set(lost)
        self._store, self._gateway_id = desk.admission.gateway.store, desk.admission.gateway.gateway_id
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: set[str] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def receive(self, webhook_id: str, call: IncomingCall) -> bool:
        """Record an announcement, and begin to settle it; False if it came before. Postgres' errors pass.

        Raises:
            Unavailable: no session can begin here. Nothing is recorded: the sender repeats it, to any gateway.
        """
        why = self._desk.admission.why_not()
        if why is not None:
            log.warning("phone call %s not taken: %s; its webhook is answered with 503", call.call_id, why)
            raise Unavailable(f"No call can be taken right now: {why}.")
        said = {"caller": call.caller, "called": call.called}
        new = receipts.receive(webhook_id, self._gateway_id, call_id=call.call_id, headers=dict(call.headers), **said)
        is_first = webhook_id not in self._under_way
        self._under_way.add(webhook_id)  # before there is a row, which the look would find
        is_new = False
        try:
            is_new = bool(await self._store.rows(new))
        finally:
            if is_first and not is_new:
                self._under_way.discard(webhook_id)
        if is_new:
            self._begin(webhook_id, call, is_again=False)
        return is_new

    async def watch_announcements(self) -> None:
        """Take up what no gateway settles, as looks find it. Until cancelled."""
        await self._until_lost()
        await repeat(self._take_lost, LOOK_SECONDS, "look for unanswered phone calls", self._until_lost)

    async def forget_old(self) -> None:
        """Delete, once an hour, announcements that no sender repeats any more. Until cancelled."""
        await repeat(self._forget, FORGET_SECONDS, "deletion of old announcements")

    async def close(self) -> None:
        """Cancel what is under way; another gateway takes it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take_lost(self) -> None:
        if self._desk.admission.why_not() is not None:
            return
        for row in await self._store.rows(receipts.take_lost(self._gateway_id, self._under_way)):
            if row.id in self._under_way:
                continue
            log.info("phone call %s is taken up again: no gateway has answered it", row.call_id)
            call = IncomingCall(CARRIER, row.call_id, row.caller, row.called, row.headers)
            self._begin(row.id, call, is_again=True)

    async def _forget(self) -> None:
        await self._store.count(receipts.forget())

    def _begin(self, webhook_id: str, call: IncomingCall, *, is_again: bool) -> None:
        self._under_way.add(webhook_id)
        task = asyncio.get_running_loop().create_task(self._settle_call(webhook_id, call, is_again=is_again))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_call(self, webhook_id: str, call: IncomingCall, *, is_again: bool) -> None:
        try:
            async with self._at_once:
                became = await self._answer(webhook_id, call, is_again=is_again)
            if became is None or not await self._store.count(receipts.settle(webhook_id, self._gateway_id, became)):
                return
            if became == NOT_REJECTED and is_again:  # another gateway may have accepted it, and died
                await self._desk.hang_up(call.call_id, call.user)
        except (psycopg.Error, OSError) as problem:
            name = type(problem).__name__
            log.error("phone call %s not settled (%s); it is tried again in a moment", call.call_id, name)
        except Exception:
            log.exception("phone call %s has failed", call.call_id)
            with suppress(psycopg.Error, OSError):
                await self._store.count(receipts.settle(webhook_id, self._gateway_id, "failed"))
        finally:
            self._under_way.discard(webhook_id)

    async def _answer(self, webhook_id: str, call: IncomingCall, *, is_again: bool) -> str | None:
        """Accept the call, or reject it; return what became of it. None: that is noted, or it is to be tried again."""
        agent = agent_for(self._desk.admission.agents, call)
        if agent is None or agent.phone is None:
            log.warning("phone call rejected: %s to %s: no agent takes it", call.caller, call.called)
            return await self._reject(call, DECLINE)
        who = call.principal(agent.phone, agent.name)
        try:
            opened = await self._desk.open(who, agent, Transport.SIP)
        except LimitReached:
            log.warning("phone call refused: %s to agent %s: its limit is reached; it is busy", call.caller, agent.name)
            return await self._reject(call, BUSY)
        except ApiError as problem:
            log.warning("phone call %s left to another gateway: %s", call.call_id, problem)
            await self._store.count(receipts.release(webhook_id, self._gateway_id))
            return None
        return await self._accept(webhook_id, call, opened, is_again=is_again)

    async def _accept(self, webhook_id: str, call: IncomingCall, opened: OpenedCall, *, is_again: bool) -> str | None:
        try:
            await self._desk.control.accept(call.call_id, call.user, opened.session)
        except CallRefused as problem:
            is_refused = problem.status is not None and problem.status < 500
            if is_refused and not is_again:
                log.warning("phone call not accepted: %s (%s)", call.call_id, problem)
                await self._desk.give_up(opened)
                return "not_accepted"
            # It may be accepted all the same; if it is not, the session does not find it, and ends.
            log.warning("phone call may be accepted: %s (%s); a session joins it", call.call_id, problem)
        try:
            await self._attach(webhook_id, call, opened)
        except AttachLost as problem:
            log.warning("phone call not attached: %s: %s; the call goes on", call.call_id, problem)
            await self._desk.give_up(opened)
            return "taken"
        except Unavailable:
            log.warning("phone call not attached: %s: its session was lost; it is tried again", call.call_id)
            await self._desk.give_up(opened)
        except (psycopg.Error, OSError) as problem:
            log.error("phone call not attached: %s (%s); it is hung up", call.call_id, type(problem).__name__)
            await self._desk.hang_up(call.call_id, call.user)
            await self._desk.give_up(opened)
            return "not_attached"
        return None

    async def _attach(self, webhook_id: str, call: IncomingCall, opened: OpenedCall) -> None:
        """Attach the session, and settle the announcement with that; again for a while if Postgres is away."""
        clock = asyncio.get_running_loop().time
        until = clock() + ATTACH_SECONDS
        while True:
            try:
                return await self._desk.attach(opened, call.call_id, webhook_id)
            except (psycopg.Error, OSError):
                if clock() > until:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def _reject(self, call: IncomingCall, status: int) -> str:
        try:
            await self._desk.control.reject(call.call_id, call.user, status)
        except CallRefused as problem:
            log.warning("phone call not rejected: %s (%s)", call.call_id, problem)
            return NOT_REJECTED
        return "rejected"
