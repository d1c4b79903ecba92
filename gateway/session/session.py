"""One live session: it moves things, and decides nothing.

Its inputs are seven, one task each:

    the Realtime API   every event goes to the brain; audio deltas go straight to the client
    the client         each frame through its policy (`gateway.session.client_reader`)
    the doorbell       a job of this session is finished: take what is ready, hand it to the brain
    the clock          when the brain asked to be woken
    the gateway        it is about to end, or has heard that the session is somebody else's now, or is to end
    the tool catalog   workers announce more tools
    the calendar       the Realtime API will end this conversation: move to a new one in time

What the brain answers is performed in order; what has to do with rows is done in tasks of its own, as the read loop
never waits for Postgres. A connection to the Realtime API that ends takes an epoch with it and not the session
(`gateway.session.upstream_switcher`). The session ends when the client goes or the brain says so
(docs/task-lifetimes.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from gateway import protocol
from gateway.background.tool_catalog import LOOK_SECONDS
from gateway.close_codes import DRAINING
from gateway.conversation.actions import Action, Event, KeepSettings
from gateway.conversation.reconnect.carry_over import merged
from gateway.protocol import server_events
from gateway.session.client_connection import ClientConnection, ClientGone
from gateway.session.client_reader import ClientReader
from gateway.session.context import GatewayContext, SessionEnded, SessionStart, UpstreamLink
from gateway.session.effects import EffectExecutor, as_text
from gateway.session.upstream_switcher import UpstreamSwitcher
from gateway.upstream.connection import UpstreamClosed
from ringback.jobs.outcomes import from_row
from ringback.statements.jobs import deliveries, transitions
from ringback.statements.jobs.transitions import outcome_of
from ringback.tools.decorator import ToolSpec

log = logging.getLogger(__name__)

AUDIO_DELTA = '"response.output_audio.delta"'
HEAD = 64
"""The type stands near the front of an event; where it does not, the event takes the longer way."""
IDLE_LOOK_SECONDS = 1.0
"""After a failed look into the table, when to try again."""
LAST_WORDS_SECONDS = 2.0
"""What it may take to bring into the rows what was heard."""
QUIET_LOOK_SECONDS = 0.1
"""How often a session that is to leave is asked whether somebody speaks."""


class Session:
    """Runs one session between a client and the Realtime API until it is over here."""

    def __init__(self, context: GatewayContext, start: SessionStart, client: ClientConnection) -> None:
        self.start = start
        self.link: UpstreamLink | None = None
        self._context = context
        self._client = client
        self._handle = start.handle
        session = merged(start.agent.session([]), start.client_session)
        who = str(start.session_id)
        self._reader = ClientReader(client, start.policy, self._hear, self._tell, session, name=who, asks=start.asks)
        self._open = self._reader.is_open
        self._changed = asyncio.Event()
        self._told: set[tuple[Any, ...]] = set()
        """What was last heard of calls that go on."""
        self._switcher = UpstreamSwitcher(context, self)
        self._effects = EffectExecutor(context, start, client, self._switcher)

    @property
    def epoch(self) -> int:
        """In which the session is now, as its row has it."""
        return self._switcher.epoch

    async def hand_out_token(self) -> None:
        """For a client that can resume: with what, and for how long after its connection has ended."""
        start = self.start
        if start.resume_token is None:
            return
        told: Event = {"session_id": str(start.session_id), "epoch": self.epoch, "token": start.resume_token}
        told["seconds"] = self._context.settings.resume_seconds
        await self._client.send(as_text({**_ours("resumable"), **told}))

    async def run(self) -> SessionEnded:
        """Until it is over here, and why."""
        try:
            return await self._run()
        finally:
            await self._last_words()

    async def _run(self) -> SessionEnded:
        loops = (self._from_model, self._reader.run, self._from_doorbell, self._from_clock, self._from_gateway)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._effects.tasks = tasks
                for loop in (
                    *loops,
                    self._from_tool_catalog,
                    self._switcher.rotate_in_time,
                    self._effects.transcript.write,
                ):
                    tasks.create_task(loop())
        except BaseExceptionGroup as group:
            expected, fault = group.split((SessionEnded, ClientGone))
            if fault is not None:
                raise _first(fault) from None
            return _why(expected)
        raise AssertionError("a session ends by an exception only")

    async def _last_words(self) -> None:
        """A client that hangs up at the last word must not cost the rows their last state."""
        self._effects.account.leave()
        if self.link is None:
            return
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self.settle()
                await self._effects.acknowledge(self.link)
        except TimeoutError:
            log.warning("session %s: not all that was said could be kept", self.start.session_id)
        await self.link.upstream.close()

    # — the holder of its links (gateway.session.context.Holder) —

    def understood(self, frame: str) -> dict[str, Any] | None:
        """An event of the Realtime API, or None where it is none."""
        try:
            return server_events.read(frame)
        except server_events.MalformedEvent as problem:
            log.warning("session %s: dropped what the Realtime API sent: %s", self.start.session_id, problem)
            return None

    async def settle(self) -> None:
        """Bring into the rows what this session has heard so far."""
        await self._effects.recording.settled()
        await self._effects.transcript.flush()

    def hold(self) -> None:
        """From now on nothing of the client's is passed on."""
        self._reader.hold()

    async def let_go(self, link: UpstreamLink, reason: str | None) -> None:
        """This link is the one: what was held is passed on to it. `reason` is for a client that was there before."""
        self.link = link
        if reason is not None and self.start.resume_token is not None:
            await self._client.send(as_text({**_ours("rebuilt"), "epoch": link.epoch, "reason": reason}))
        await self._reader.let_go()
        self._handle.bell.set()
        self._changed.set()

    async def perform(self, link: UpstreamLink, actions: Sequence[Action]) -> None:
        """Carry out what the link's brain wants done."""
        for action in actions:
            if isinstance(action, KeepSettings):
                self._reader.heard_as(action.session)
            await self._effects.do(link, action)
        self._changed.set()

    # — its inputs —

    async def _from_model(self) -> None:
        await self._switcher.begin()
        while True:
            link = self._current()
            try:
                await self._relay(link)
            except UpstreamClosed as problem:
                log.info("session %s: the Realtime API hung up: %s", self.start.session_id, problem)
                await self._switcher.begin_again(link, link.why_it_ended(time.monotonic()))

    async def _relay(self, link: UpstreamLink) -> None:
        while True:
            frame = await link.upstream.receive()
            link.heard_at = now = time.monotonic()
            if AUDIO_DELTA in frame[:HEAD] and link.conversation.audio_passed(frame, now):
                await self._client.send(frame)
                continue
            event = self.understood(frame)
            if event is not None:
                await self.perform(link, link.conversation.receive_model(event, now))

    async def _hear(self, frame: protocol.ClientFrame) -> None:
        link = self._current()
        await self.perform(link, link.conversation.receive_client(frame, time.monotonic()))

    async def _tell(self, event: Event) -> None:
        await self._client.send(as_text(event))

    async def _from_doorbell(self) -> None:
        while True:
            await self._handle.bell.wait()
            await self._open.wait()
            self._handle.bell.clear()
            link = self._current()
            try:
                rows = await self._take_ready(link)
            except (SQLAlchemyError, OSError) as problem:
                log.warning("session %s: answers must wait (%s)", self.start.session_id, type(problem).__name__)
                await asyncio.sleep(IDLE_LOOK_SECONDS)
                self._handle.bell.set()
                continue
            for row in rows:  # to the brain of the epoch that took them: a later one has them among its past
                whole = self._context.publisher.row_privacy.whole(row, self.start.session_id)
                answer = row.id, row.call_id, row.tool, from_row(**outcome_of(whole))
                more = row is not rows[-1]
                await self.perform(link, link.conversation.deliver(*answer, time.monotonic(), more=more))
            if not rows and not await self._heard_news(link):
                await self._effects.hang_up_unless_ours()

    async def _heard_news(self, link: UpstreamLink) -> bool:
        """Of calls that go on; False where there is none, and the bell was about something else."""
        if link.conversation.is_idle:
            return False
        try:
            rows = await self._context.store.rows(transitions.progress_in(self.start.session_id))
        except (SQLAlchemyError, OSError):
            return True  # it was a hint
        told, self._told = self._told, {(row.id, row.progress, row.is_approved) for row in rows}
        for row in rows:
            if row.is_approved:
                await self.perform(link, link.conversation.approved(row.id, time.monotonic()))
            if row.progress is not None:
                await self.perform(link, link.conversation.progressed(row.id, row.progress))
        return told != self._told

    async def _take_ready(self, link: UpstreamLink) -> Sequence[Any]:
        """What is ready; and where there is nothing, what was taken without our hearing of it. The brain knows."""
        whose = self.start.session_id, self._context.gateway_id, link.epoch
        return await self._context.store.rows(deliveries.take_ready(*whose)) or await self._context.store.rows(
            deliveries.taken(*whose)
        )

    async def _from_clock(self) -> None:
        while True:
            await self._open.wait()
            link, now = self._current(), time.monotonic()
            wake_at = link.conversation.wake_at(now)
            self._changed.clear()
            try:
                async with asyncio.timeout(None if wake_at is None else max(0.0, wake_at - now)):
                    await self._changed.wait()
            except TimeoutError:
                await self.perform(link, link.conversation.tick(time.monotonic()))

    async def _from_tool_catalog(self) -> None:
        """Offer the model each tool that a worker announces while the session runs."""
        catalog, start = self._context.tool_catalog, self.start
        served: Mapping[str, ToolSpec] | None = None
        await asyncio.sleep(LOOK_SECONDS)  # the session has just read the table itself
        while True:
            served = await catalog.other_than(served)
            may_have = {name: tool for name, tool in served.items() if start.may_have(tool)}
            new = {
                n: tool
                for n, tool in may_have.items()
                if start.tools.get(n) != tool and catalog.takes(start.agent, tool)
            }
            if not new:
                continue
            log.info("session %s: new tools are offered: %s", start.session_id, ", ".join(sorted(new)))
            start.tools.update(new)  # a conversation that is being opened reads them there once it is open
            if self.link is not None:
                await self.perform(self.link, self.link.conversation.tools_came(new, time.monotonic()))

    async def _from_gateway(self) -> None:
        """Others have it: end at once. The gateway ends: leave at the next pause, or when its time is up."""
        seconds = await self._handle.told_to_leave()
        if seconds is None:
            raise SessionEnded.because(self._handle.why_over or "session_superseded")
        if self.start.resume_token is not None:
            await self._client.send(as_text({**_ours("draining"), "seconds": seconds}))
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up and not self._may_leave():
            await asyncio.sleep(QUIET_LOOK_SECONDS)
            if self._handle.why_over is not None:
                raise SessionEnded.because(self._handle.why_over)
        raise SessionEnded(DRAINING, "gateway_draining")

    def _may_leave(self) -> bool:
        """A client that comes back finds the results of its calls there; any other would lose them."""
        if self.link is None or not self._open.is_set() or not self.link.conversation.is_quiet(time.monotonic()):
            return False
        return self.start.resume_token is not None or self.link.conversation.is_idle

    def _current(self) -> UpstreamLink:
        assert self.link is not None, "nothing is passed on before there is a link"  # noqa: S101
        return self.link


def _ours(what: str) -> Event:
    return {"type": f"ringback.session.{what}", "event_id": f"rb_{what}"}


def _first(group: BaseException) -> BaseException:
    """The first of the reasons: what ends a session often takes the other side with it."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _why(group: BaseExceptionGroup | None) -> SessionEnded:
    assert group is not None  # noqa: S101
    problem = _first(group)
    if isinstance(problem, ClientGone):
        return SessionEnded(problem.code, str(problem))
    return problem if isinstance(problem, SessionEnded) else SessionEnded(1000, str(problem))
