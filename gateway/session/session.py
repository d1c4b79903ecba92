"""One live session: it moves events and results, and contains no decisions.

It has seven inputs. A task reads each of the first two. The others ask for an errand (`gateway.small_event`):

    the Realtime API   each event goes to the conversation; audio deltas go straight to the client
    the client         each frame passes its policy (`gateway.session.client_reader`)
    the doorbell       a job of this session is finished: read the result, deliver it to the conversation
    the clock          the conversation asked to be woken
    the gateway        it is about to end, another gateway holds the session, or the session must end
    the tool catalog   workers announce more tools
    the calendar       the Realtime API will end this connection: move to a new one in time

The actions that the conversation returns are executed in order (`gateway.session.effects`). What waits for Postgres
runs in tasks, as the read loop never waits for it. If a connection to the Realtime API ends, its epoch ends and the
session goes on (`gateway.session.upstream_switcher`). The session ends when the client goes or the conversation says so
(docs/task-lifetimes.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from gateway import protocol
from gateway.background.tool_catalog import LOOK_SECONDS
from gateway.close_codes import DRAINING, NORMAL
from gateway.conversation.actions import Event
from gateway.session.client_connection import ClientConnection, ClientGone
from gateway.session.client_reader import ClientReader
from gateway.session.context import GatewayContext, SessionEnded, SessionState, UpstreamLink
from gateway.session.effects import EffectExecutor
from gateway.session.upstream_switcher import SidebandSwitcher, UpstreamSwitcher
from gateway.small_event import Errand
from gateway.upstream.connection import UpstreamClosed
from gateway.upstream.events import UserStartedSpeaking
from ringback.jobs.outcomes import Outcome, from_row, succeeded
from ringback.redis.sealed_results import CarriedResult
from ringback.statements.jobs import transitions
from ringback.statements.jobs.deliveries import TAKE_AT_ONCE
from ringback.statements.jobs.transitions import outcome_of
from ringback.telemetry import metrics
from ringback.tools.spec import ToolSpec

log = logging.getLogger(__name__)

IDLE_LOOK_SECONDS = 1.0
"""After a failed look into the table, when to try again."""
LAST_WORDS_SECONDS = 2.0
"""What it may take to write into the rows what was heard."""
QUIET_LOOK_SECONDS = 0.1
"""How often a session that is to leave is checked for a voice."""


class Session:
    """One session between a client and the Realtime API. It owns the session's state (`state`)."""

    def __init__(self, gateway: GatewayContext, state: SessionState, client: ClientConnection) -> None:
        self.state = state
        self._gateway = gateway
        self._client = client
        self._handle = state.handle
        self._reader = ClientReader(client, state, self._receive_client)
        self._effects = EffectExecutor(gateway, state, client, self._reader)
        switcher = UpstreamSwitcher if state.call is None else SidebandSwitcher
        self._switcher = switcher(gateway, state, self._effects, self._reader, self._activate)
        self._progress_told: set[tuple[Any, ...]] = set()
        """What was last read of jobs that still run."""
        errands, is_open = state.errands, self._reader.is_open.wait
        self._looks = Errand(self._from_doorbell, errands, is_open)
        self._ticks = Errand(self._from_clock, errands, is_open)
        self._leaves = Errand(self._from_gateway, errands)
        self._offers = Errand(self._from_tool_catalog, errands)
        state.alarm.on_ring = self._ticks.ask

    async def send_resume_token(self) -> None:
        """Tell a client that can resume with which token, and for how long after its connection has ended."""
        state = self.state
        if state.resume_token is None:
            return
        told: Event = {"session_id": str(state.session_id), "epoch": state.epoch, "token": state.resume_token}
        told["seconds"] = self._gateway.settings.resume_seconds
        await self._client.send({**_session_event("resumable"), **told})

    async def tell_of_recording(self) -> None:
        """Tell a client that asked for it that both voices are recorded, and for how long they are kept."""
        if self.state.recording is None or "recording" not in self.state.asks:
            return
        told: Event = {"session_id": str(self.state.session_id), "days": self._gateway.settings.recording_days}
        await self._client.send({**_session_event("recorded"), **told})

    async def run(self) -> SessionEnded:
        """Run until the session is over in this process, and return why."""
        ended: SessionEnded | None = None
        try:
            ended = await self._run()
            return ended
        finally:
            await self._finish(ended)

    async def _run(self) -> SessionEnded:
        try:
            async with self.state.tasks as tasks:
                tasks.create_task(self._reader.run())
                if self._effects.voices is not None:
                    tasks.create_task(self._effects.voices.keep_voices())
                with self._doing_errands():
                    await self._from_model()
        except BaseExceptionGroup as group:
            expected, fault = group.split((SessionEnded, ClientGone))
            if fault is not None:
                raise _first(fault) from None
            return _end_of(expected)
        raise AssertionError("a session ends by an exception only")

    @contextmanager
    def _doing_errands(self) -> Iterator[None]:
        """Do what is asked of the session while the context lasts, and what was asked for before it began."""
        handle, catalog = self._handle, self._gateway.tool_catalog
        handle.on_wake, handle.on_leave = self._looks.ask, self._leaves.ask
        if handle.is_awake:
            self._looks.ask()
        if handle.is_to_leave:
            self._leaves.ask()
        catalog.watch(self._offers.ask)
        # The session has just read the table itself, and so may the catalog have, before it was watched.
        later = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._offers.ask)
        self.state.errands.begin()
        try:
            yield
        finally:
            self.state.errands.stop()
            later.cancel()
            catalog.unwatch(self._offers.ask)
            self.state.alarm.stop()
            self._switcher.rotation.stop()

    async def _finish(self, ended: SessionEnded | None) -> None:
        """Write what was heard, within a bound, so that the rows have the last state of a client that hung up."""
        self._effects.usage.leave()
        link = self.state.link
        if link is None:
            return
        is_over = not self.state.lives_on or (ended is not None and ended.is_final)
        reason = "internal_error" if ended is None else ended.reason
        last = link.conversation.left(reason, time.monotonic())
        for action in last:
            self._effects.keep(action)
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._effects.settle()
                if self._effects.voices is not None:
                    await self._effects.voices.flush(leaving=True)
        except TimeoutError:
            log.warning("session %s: its last messages are not written in time", self.state.session_id)
        if self._effects.tracer is not None:
            await self._effects.tracer.close(last, time.monotonic(), is_over=is_over)
        await link.upstream.close()

    async def _activate(self, link: UpstreamLink, reason: str | None) -> None:
        """Make this link the one at work, and pass on what the client said meanwhile.

        Args:
            reason: why the link before it ended, for the client; None: it is the first.
        """
        self.state.link = link
        if reason is not None and self.state.resume_token is not None:
            await self._client.send({**_session_event("rebuilt"), "epoch": link.epoch, "reason": reason})
        await self._reader.resume()
        self._handle.wake()
        self.state.alarm.ring_at(link.conversation.wake_at(time.monotonic()))

    # — its inputs —

    async def _from_model(self) -> None:
        await self._switcher.connect()
        while True:
            link = self._link()
            try:
                await self._relay(link)
            except UpstreamClosed as problem:
                log.info("upstream closed: session %s (%s); reconnecting", self.state.session_id, problem)
                await self._switcher.reconnect(link, link.why_it_ended(time.monotonic()))

    async def _relay(self, link: UpstreamLink) -> None:
        def passes(frame: str) -> bool:
            is_shown = link.passes(frame, time.monotonic()) if self._client.is_free else None
            if is_shown:
                self._client.write(frame)
            return is_shown is not None

        while True:  # without a name for the first frame: it would be kept until the next one comes
            await self._receive_model(link, await link.upstream.receive(passes))
            while (frame := link.upstream.take(passes)) is not None:
                await self._receive_model(link, frame)
            await self._effects.end_burst(link)  # once for all that has come

    async def _receive_model(self, link: UpstreamLink, frame: str) -> None:
        now = time.monotonic()
        if not self._client.is_free and (is_shown := link.passes(frame, now)) is not None:
            return await self._client.send_text(frame) if is_shown else None
        event = link.parse(frame)
        if type(event) is UserStartedSpeaking and link.conversation.is_speaking(now):
            metrics.BARGE_INS.inc()
        if event is not None and await self._effects.guarded(link, event):
            actions = link.conversation.receive_model(event, now)
            if link.voices is not None:
                link.voices.model_event(event, now)
            if self._effects.tracer is not None:
                self._effects.tracer.heard(link, event, now)
            await self._effects.carry_out(link, actions)
        return None

    async def _receive_client(self, frame: protocol.ClientFrame) -> None:
        link = self._link()
        await self._effects.execute(link, link.conversation.receive_client(frame, time.monotonic()))

    async def _from_doorbell(self) -> None:
        """Deliver the results that are ready: those that were brought, or what the rows have."""
        handle, link = self._handle, self._link()
        brought, handle.brought = list(handle.brought.values()), {}
        is_enough = not handle.must_read and all(self._is_timely(link, each) for each in brought)
        handle.is_awake = handle.must_read = False
        if is_enough:
            for each in brought:
                age = max(0.0, time.time() - each.ended_at)  # by two clocks
                more = each is not brought[-1]
                await self._deliver(link, each.job_id, each.call_id, each.tool, succeeded(each.result), age, more=more)
            return
        try:
            rows = await self._effects.deliveries.ready(link)
        except (psycopg.Error, OSError) as problem:
            log.warning(
                "results not read: session %s (%s); looking again in %g s",
                *(self.state.session_id, type(problem).__name__, IDLE_LOOK_SECONDS),
            )
            await asyncio.sleep(IDLE_LOOK_SECONDS)
            self._handle.wake()
            return
        for row in rows:  # to the conversation of the epoch that read them: a later one has them among its past
            outcome = from_row(**outcome_of(self._gateway.row_privacy.reveal(row, self.state.session_id)))
            more = row is not rows[-1]
            await self._deliver(link, row.id, row.call_id, row.tool, outcome, float(row.age), more=more)
        if len(rows) == TAKE_AT_ONCE:
            self._handle.wake()  # there may be more, and their doorbell may have rung already
        if not await self._deliver_progress(link) and not rows:  # one doorbell may have rung for both
            await self._effects.end_unless_held()

    def _is_timely(self, link: UpstreamLink, result: CarriedResult) -> bool:
        """Return True if the conversation has this result from nowhere else, and no call that joined it has one too."""
        is_of_now = result.epoch == link.epoch == self.state.epoch
        return is_of_now and link.conversation.calls.awaits_alone(result.job_id)

    async def _deliver(
        self, link: UpstreamLink, job_id: UUID, call_id: str, tool: str, outcome: Outcome, age: float, *, more: bool
    ) -> None:
        """Deliver a result that is so many seconds old; `more`: another one follows at once."""
        self._effects.deliveries.given(link, job_id)
        acts = link.conversation.deliver(job_id, call_id, tool, outcome, time.monotonic(), more=more)
        await self._effects.execute(link, acts)
        metrics.DELIVERY_SECONDS.observe(age)

    async def _deliver_progress(self, link: UpstreamLink) -> bool:
        """Deliver notes and approvals of running jobs. Return False if there is none."""
        if link.conversation.is_idle:
            return False
        try:
            rows = await self._gateway.store.rows(transitions.progress_in(self.state.session_id))
        except (psycopg.Error, OSError):
            return True  # progress is only a hint
        told, self._progress_told = self._progress_told, {(row.id, row.progress, row.is_approved) for row in rows}
        for row in rows:
            if row.is_approved:
                await self._effects.execute(link, link.conversation.approved(row.id, time.monotonic()))
            if row.progress is not None:
                await self._effects.execute(link, link.conversation.progressed(row.id, row.progress))
        return told != self._progress_told

    async def _from_clock(self) -> None:
        """Wake the conversation, unless its moment has moved to later, as what passes undecoded moves it."""
        link, now = self._link(), time.monotonic()
        await self._effects.execute(link, link.conversation.tick(now) if link.conversation.wake_at(now) <= now else ())

    async def _from_tool_catalog(self) -> None:
        """Offer the model each tool that a worker announces while the session runs."""
        new = self._new_tools()
        if not new:
            return
        log.info("tools offered: session %s, %s", self.state.session_id, ", ".join(sorted(new)))
        self.state.tools.update(new)  # a conversation that is being opened reads them there once it is open
        link = self.state.link
        if link is not None:
            await self._effects.execute(link, link.conversation.tools_came(new, time.monotonic()))

    def _new_tools(self) -> dict[str, ToolSpec]:
        state, catalog = self.state, self._gateway.tool_catalog
        return {
            name: tool
            for name, tool in catalog.tools.items()
            if state.may_have(tool) and state.tools.get(name) != tool and catalog.takes(state.agent, tool)
        }

    async def _from_gateway(self) -> None:
        """End at once if the session must. If the gateway ends, leave at the next pause, or when the time is up."""
        seconds = self._handle.leave_within
        if seconds is None:
            raise SessionEnded.because(self._handle.why_over or "session_superseded")
        if self.state.resume_token is not None:
            await self._client.send({**_session_event("draining"), "seconds": seconds})
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up and not self._may_leave():
            await asyncio.sleep(QUIET_LOOK_SECONDS)
            if self._handle.why_over is not None:
                raise SessionEnded.because(self._handle.why_over)
        raise SessionEnded(DRAINING, "gateway_draining")

    def _may_leave(self) -> bool:
        """Return True in a pause. A client that cannot resume would lose the results of running calls."""
        link = self.state.link
        if link is None or not self._reader.is_open.is_set() or not link.conversation.is_quiet(time.monotonic()):
            return False
        return self.state.lives_on or link.conversation.is_idle

    def _link(self) -> UpstreamLink:
        link = self.state.link
        assert link is not None, "no input is read before there is a link"  # noqa: S101
        return link


def _session_event(what: str) -> Event:
    return {"type": f"ringback.session.{what}", "event_id": f"rb_{what}"}


def _first(group: BaseException) -> BaseException:
    """Return the first of the reasons: what ends a session often takes the other side with it."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _end_of(group: BaseExceptionGroup | None) -> SessionEnded:
    assert group is not None  # noqa: S101
    problem = _first(group)
    if isinstance(problem, ClientGone):
        return SessionEnded(problem.code, str(problem))
    return problem if isinstance(problem, SessionEnded) else SessionEnded(NORMAL, str(problem))
