"""One live session: it moves things, and decides nothing.

Its inputs are four, one task each:

    the Realtime API   every event goes to the brain; audio deltas go straight to the client
    the client         from the moment the model confirmed our instructions: each frame through the policy
    the doorbell       a job of this session is finished: take what is ready, hand it to the brain
    the clock          when the brain asked to be woken

What the brain answers is performed in order. Calls are recorded in tasks of their own: the read loop never waits
for Postgres, let alone for a tool. The session ends when either side goes, or when the brain says so; every task
ends with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from gateway import events, policy
from gateway.client import Client, ClientGone
from gateway.conversation import Conversation
from gateway.conversation.actions import (
    Acknowledge,
    Action,
    Close,
    Event,
    LetClientIn,
    RecordCall,
    SendToClient,
    SendToModel,
    Warn,
)
from gateway.dispatch import Dispatch
from gateway.providers import adapt_session
from gateway.store import Store
from gateway.upstream import Upstream, UpstreamClosed
from ringback.outcomes import from_row
from ringback.statements import deliveries, sessions
from ringback.statements.jobs import outcome_of

log = logging.getLogger(__name__)

EPOCH = 1
TRY_AGAIN_LATER = 1013
EXPIRED_WORDS = "maximum duration"
"""In the close reason of a session that lasted as long as it may; close code 1001 alone means any going away."""
AUDIO_DELTA = '"response.output_audio.delta"'
HEAD = 64
"""The type stands near the front of an event; where it does not, the event takes the longer way."""
IDLE_LOOK_SECONDS = 1.0
"""After a failed look into the table, when to try again."""

_encode = msgspec.json.Encoder().encode


class Over(Exception):
    """The session is over: a close code and reason for the client, and the reason for the history."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class Line:
    """What all sessions of this process share."""

    gateway_id: str
    provider: str
    store: Store
    dispatch: Dispatch


class Session:
    """Runs one conversation between a client and the Realtime API until one of them goes."""

    def __init__(
        self, line: Line, conversation: Conversation, client: Client, upstream: Upstream, bell: asyncio.Event
    ) -> None:
        self._line = line
        self._brain = conversation
        self._client = client
        self._upstream = upstream
        self._bell = bell
        self._let_in = asyncio.Event()
        self._changed = asyncio.Event()
        self._echoed: set[UUID] = set()
        """Jobs whose answer the conversation has, and whose row does not say so yet."""
        self._tasks: asyncio.TaskGroup

    async def run(self, confirmed_within: float) -> Over:
        """Until the end, and why it came.

        Args:
            confirmed_within: seconds that the Realtime API may take to confirm our instructions and tools.
        """
        ended = await self._run(confirmed_within)
        if self._echoed:  # A client that hangs up at the last word must not cost the row its last state.
            await self._acknowledge()
        return ended

    async def _run(self, confirmed_within: float) -> Over:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._hang_up_unless_confirmed(confirmed_within))
                for loop in (self._from_model, self._from_client, self._from_doorbell, self._from_clock):
                    self._tasks.create_task(loop())
        except BaseExceptionGroup as group:
            expected, fault = group.split((Over, ClientGone, UpstreamClosed))
            if fault is not None:
                raise fault from None
            return _why(expected, is_expired=self._brain.is_expired)
        raise AssertionError("a session ends by an exception only")

    async def _hang_up_unless_confirmed(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._let_in.wait()
        except TimeoutError:
            log.error("session %s: the Realtime API confirms nothing within %g s", self._brain.session_id, within)
            raise Over(1011, "upstream_silent") from None

    async def _from_model(self) -> None:
        while True:
            event = await self._upstream.receive()
            if AUDIO_DELTA in event[:HEAD] and self._brain.is_open:
                await self._client.send(event)
                continue
            try:
                understood = events.read(event)
            except events.Malformed as problem:
                log.warning("session %s: dropped what the Realtime API sent: %s", self._brain.session_id, problem)
                continue
            await self._perform(self._brain.receive_model(understood, time.monotonic()))

    async def _from_client(self) -> None:
        await self._let_in.wait()
        while True:
            frame = policy.read(await self._client.receive())
            if isinstance(frame, policy.Refusal):
                await self._client.send(_text(frame.as_event("rb_refused")))
                continue
            await self._perform(self._brain.receive_client(frame, time.monotonic()))

    async def _from_doorbell(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            taking = deliveries.take_ready(self._brain.session_id, self._line.gateway_id, EPOCH)
            try:
                rows = await self._line.store.rows(taking)
            except (SQLAlchemyError, OSError) as problem:
                log.warning("session %s: answers must wait (%s)", self._brain.session_id, type(problem).__name__)
                await asyncio.sleep(IDLE_LOOK_SECONDS)
                self._bell.set()
                continue
            for row in rows:
                outcome = from_row(**outcome_of(row))
                await self._perform(self._brain.deliver(row.id, row.call_id, row.tool, outcome, time.monotonic()))

    async def _from_clock(self) -> None:
        while True:
            now = time.monotonic()
            wake_at = self._brain.wake_at(now)
            self._changed.clear()
            try:
                async with asyncio.timeout(None if wake_at is None else max(0.0, wake_at - now)):
                    await self._changed.wait()
            except TimeoutError:
                await self._perform(self._brain.tick(time.monotonic()))

    async def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            await self._do(action)
        self._changed.set()

    async def _do(self, action: Action) -> None:
        match action:
            case SendToModel(event):
                await self._upstream.send(_text(self._adapted(event)))
            case SendToClient(event):
                await self._client.send(_text(event))
            case RecordCall():
                self._tasks.create_task(self._record(action))
            case Acknowledge(job_id):
                self._echoed.add(job_id)
                self._tasks.create_task(self._acknowledge())
            case LetClientIn(upstream_id):
                self._let_in.set()
                self._tasks.create_task(self._note_upstream(upstream_id))
            case Warn(text):
                log.warning("session %s: %s", self._brain.session_id, text)
            case Close(code, reason):
                raise Over(code, reason)

    async def _record(self, record: RecordCall) -> None:
        """The row first, the message second; and an answer at once where there can be no row."""
        try:
            is_new = await self._line.dispatch.record(record, EPOCH)
        except (SQLAlchemyError, OSError) as problem:
            log.error("job %s cannot be recorded (%s)", record.job.id, type(problem).__name__)
            await self._perform(self._brain.not_recorded(record, time.monotonic()))
            return
        if not is_new:
            log.warning("job %s is not recorded: it is already, or this session is no longer ours", record.job.id)
            await self._hang_up_unless_ours()
            return
        log.info("job %s recorded: %s", record.job.id, record.job.name)
        await self._perform(self._brain.recorded(record))
        if record.outcome is not None:
            self._bell.set()
        elif record.job.tool is not None:
            await self._line.dispatch.publish(record.job.id, record.job.tool.queue)

    async def _hang_up_unless_ours(self) -> None:
        """A session that others have taken for lost can record nothing: better no line than one that never answers."""
        try:
            ours = await self._line.store.rows(sessions.owned(self._brain.session_id, self._line.gateway_id, EPOCH))
        except (SQLAlchemyError, OSError):
            return
        if not ours:
            raise Over(TRY_AGAIN_LATER, "session_lost")

    async def _note_upstream(self, upstream_id: str | None) -> None:
        statement = sessions.connected(self._brain.session_id, self._line.gateway_id, EPOCH, upstream_id)
        try:
            await self._line.store.count(statement)
        except (SQLAlchemyError, OSError) as problem:
            log.warning("session %s: its upstream id is not kept (%s)", self._brain.session_id, type(problem).__name__)

    async def _acknowledge(self) -> None:
        echoed = list(self._echoed)
        try:
            await self._line.store.count(deliveries.acknowledge(echoed, EPOCH))
        except (SQLAlchemyError, OSError) as problem:
            # The next echo, or the end of the session, tells of these as well.
            log.warning("%d jobs stay at sent for now (%s)", len(echoed), type(problem).__name__)
            return
        self._echoed.difference_update(echoed)

    def _adapted(self, event: Event) -> Event:
        if event["type"] != "session.update":
            return event
        return {**event, "session": adapt_session(self._line.provider, event["session"])}


def _text(event: Event) -> str:
    return _encode(event).decode()


def _why(group: BaseExceptionGroup | None, *, is_expired: bool) -> Over:
    """The first of the reasons: what ends a session often takes the other side with it."""
    problem: BaseException | None = group
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    if isinstance(problem, UpstreamClosed):
        expired = is_expired or EXPIRED_WORDS in str(problem)
        return Over(1011, "session_expired" if expired else "upstream_closed")
    if isinstance(problem, ClientGone):
        return Over(problem.code, str(problem))
    return problem if isinstance(problem, Over) else Over(1000, str(problem))
