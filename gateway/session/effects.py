"""Executes the actions that a conversation returns: sends events, writes rows, publishes jobs.

It contains no decisions.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from uuid import UUID

import psycopg

from gateway.budgets.budgets import model_of
from gateway.budgets.session_usage import SessionUsage
from gateway.close_codes import SUPERSEDED
from gateway.conversation.actions import (
    Acknowledge,
    Action,
    Cancel,
    CheckBudget,
    Close,
    Decide,
    Event,
    Guarded,
    KeepMessages,
    KeepMoments,
    KeepSettings,
    LeaveOut,
    LetClientIn,
    NoteTold,
    RecordCall,
    RecordUsage,
    Reopen,
    SendToClient,
    SendToModel,
    TransferCall,
    Warn,
)
from gateway.conversation.event_names import UPDATE_SESSION
from gateway.conversation.tool_calls.intake import as_answered
from gateway.session.call_recorder import CallRecorder, Recorded
from gateway.session.call_tracer import CallTracer
from gateway.session.client_connection import ClientConnection, as_text
from gateway.session.client_reader import ClientReader
from gateway.session.context import CallControlFailed, GatewayContext, SessionEnded, SessionState, UpstreamLink
from gateway.session.delivery_recorder import DeliveryRecorder
from gateway.session.moment_writer import GuardAudit, MomentWriter
from gateway.session.recording.placing import Recording
from gateway.session.recording.writer import RecordingWriter
from gateway.session.transcript_writer import TranscriptWriter
from gateway.upstream.connection import UpstreamClosed
from gateway.upstream.events import ModelEvent
from ringback.agents.hosted_tools import with_secrets
from ringback.config import logs
from ringback.jobs.states import JobState
from ringback.statements.jobs import approvals, transitions
from ringback.statements.jobs.admission import EARLY_SECONDS
from ringback.statements.sessions import lifecycle
from ringback.telemetry import metrics

log = logging.getLogger(__name__)

KEPT = frozenset({KeepMessages, KeepMoments, KeepSettings, NoteTold})


class EffectExecutor:
    """Executor of one session. What waits for Postgres or Redis runs in tasks of the session."""

    def __init__(
        self, gateway: GatewayContext, session: SessionState, client: ClientConnection, reader: ClientReader
    ) -> None:
        self._gateway = gateway
        self._session = session
        self._client = client
        self._reader = reader
        self.recorder = CallRecorder(gateway, session)
        self.deliveries = DeliveryRecorder(gateway, session)
        self.transcript = TranscriptWriter(gateway, session)
        self.moments = MomentWriter(gateway, session, self.deliveries)
        self.voices = None if session.recording is None else self._writer_of(session.recording)
        """Writes both voices, if the agent has them recorded."""
        self.audit = GuardAudit(gateway, session)
        model = model_of(gateway.settings, session.agent)
        spans = gateway.spans
        self.tracer = None if spans is None else CallTracer(spans, gateway, session, model)
        """Observes the session for the traces of its calls; None where traces are off."""
        self.usage = SessionUsage(gateway.budgets, session.session_id, session.principal, session.agent, model)
        self._transferring_to: str | None = None
        """Where the phone call is being transferred to, until it is known that it was not."""

    def _writer_of(self, recording: Recording) -> RecordingWriter:
        session = self._session
        return RecordingWriter(self._gateway.store, session.session_id, recording, lambda: session.epoch)

    async def execute(self, link: UpstreamLink, actions: Sequence[Action]) -> None:
        """Execute the actions of the link's conversation, as a burst of their own. Raises SessionEnded at a `Close`."""
        await self.carry_out(link, actions)
        await self.end_burst(link)

    async def carry_out(self, link: UpstreamLink, actions: Sequence[Action]) -> None:
        """Execute the actions, in order; what is for the client is held. `end_burst` is to follow."""
        if self.tracer is not None:
            self.tracer.did(link, actions, time.monotonic())
        for action in actions:  # what comes often is asked about first; why by exact type, `WITHIN_A_TURN` says
            if type(action) is SendToClient:
                await self._client.hold(action.event)
            elif type(action) is SendToModel:
                await self._send_to_model(link, action.event)
            elif type(action) in KEPT:
                self.keep(action)
            elif type(action) is CheckBudget or type(action) is RecordUsage:
                self._meter(link, action)
            elif type(action) is RecordCall:
                self._session.tasks.create_task(self._start_job(link, action))
                for _ in "row", "message":  # both are on their way before the next event is decided on
                    await asyncio.sleep(0)
            elif type(action) is Acknowledge:
                self.deliveries.echoed(link, action.job_id, action.position)
            else:
                self._execute_rare(link, action)

    async def end_burst(self, link: UpstreamLink) -> None:
        """Write what is held for the client. Have the link's conversation woken when it next matters, if it is the one
        at work.
        """
        await self._client.flush()
        if link is self._session.link:
            self._session.alarm.ring_at(link.conversation.wake_at(time.monotonic()))

    def _execute_rare(self, link: UpstreamLink, action: Action) -> None:
        """Execute what the user, the client or the end of a connection has caused."""
        match action:
            case Cancel():
                self._session.tasks.create_task(self._cancel(action))
            case Decide():
                self._session.tasks.create_task(self._decide(action))
            case LetClientIn(upstream_id, expires_at):
                link.announced_end = expires_at
                self._session.tasks.create_task(self._note_upstream(link, upstream_id))
            case Reopen(reason):
                link.why_closed = reason
                link.upstream.abort()
            case LeaveOut(tool, why):
                self._gateway.tool_catalog.leave_out(self._session.agent, tool, why)
            case Guarded():
                self.audit.keep(action)
            case Warn(text):
                log.warning("session %s: %s", self._session.session_id, text)
            case TransferCall(target):
                self._session.tasks.create_task(self._transfer(target))
            case Close(code, reason):
                raise SessionEnded(code, reason)

    def keep(self, action: Action) -> None:
        """Have written what was said and heard, and when, and what the client has set."""
        if type(action) is KeepMoments:
            self.moments.keep(action.moments)
        elif type(action) is KeepMessages:
            self.transcript.keep(action.messages)
        elif type(action) is NoteTold:
            self.moments.note(action.told)
        elif type(action) is KeepSettings:
            self._reader.heard_as(action.session)
            self.transcript.keep_settings(action.session)

    async def settle(self) -> None:
        """Write into the rows what this session has heard so far, and what its conversation was given."""
        await self.recorder.settled()
        await self.transcript.flush()
        if self._session.link is not None:
            await self.deliveries.write(self._session.link)
        await self.moments.flush()
        await self.audit.flush()

    async def guarded(self, link: UpstreamLink, event: ModelEvent) -> bool:
        """Have the link's guard look at an event; return False if the conversation is not to hear of it."""
        if link.guard is None:
            return True
        passes, actions = link.guard.hear(event, time.monotonic())
        if actions:
            await self.execute(link, actions)
        return passes

    async def _send_to_model(self, link: UpstreamLink, event: Event) -> None:
        if link.guard is not None:
            link.guard.sent(event)
        if event["type"] == UPDATE_SESSION:
            session = with_secrets(event["session"], os.environ)
            event = {**event, "session": self._gateway.settings.provider.adapt_session(session)}
        text = as_text(event)
        metrics.TO_MODEL.frames += 1
        metrics.TO_MODEL.bytes += len(text)
        if not link.upstream.is_free:
            await self._client.flush()  # audio that comes meanwhile must not wait for the server to take this
        try:
            await link.upstream.send(text)
        except UpstreamClosed:
            return  # the task that reads from it notices too, and the next epoch is told what matters

    def _meter(self, link: UpstreamLink, action: CheckBudget | RecordUsage) -> None:
        """Note what a response uses, as it begins and as it ends. If a budget may hold, have it checked."""
        if isinstance(action, CheckBudget):
            self.usage.began(link.epoch, action.response_id)
        else:
            self.usage.ended(link.epoch, action)
        if self.usage.may_be_limited:
            self._session.tasks.create_task(self._check_budget(link))

    async def _check_budget(self, link: UpstreamLink) -> None:
        """End the session if its budget is used up."""
        exceeded = await self.usage.exceeded_reason()
        if exceeded is not None:
            await self.execute(link, link.conversation.budget_spent(exceeded, time.monotonic()))

    async def _start_job(self, link: UpstreamLink, record: RecordCall) -> None:
        """Write the row, and publish the job. If no row can be had, have the model answered."""
        job = record.job
        logs.bind(job=job.id)
        published_at = self._publish_early(record)
        match await self.recorder.record(record, link.epoch):
            case Recorded.ABSENT:
                return await self._answer_without_row(link, record, may_be_running=False)
            case Recorded.UNKNOWN:
                return await self._answer_without_row(link, record, may_be_running=True)
            case Recorded.NOT_NEW:
                await self.end_unless_held()
                if link.epoch != self._session.epoch:
                    log.warning("job %s not recorded: its conversation is over", job.id)
                    return None
                # Its row is there already: it was committed, and the answer was lost.
        if self.tracer is not None:
            self.tracer.recorded(job.id, time.monotonic())
        log.info("job %s recorded: %s", job.id, job.name)
        count_recorded(record)
        await self.execute(link, link.conversation.recorded(record, time.monotonic()))
        if record.outcome is not None or job.joined_to is not None:  # the call that is joined may be over by now
            self._session.handle.wake()
        elif record.queue is not None and (published_at is None or time.monotonic() - published_at > EARLY_SECONDS):
            await self._publish(job.id, record.queue)
        return None

    def _publish_early(self, record: RecordCall) -> float | None:
        """Publish the job while Postgres writes its row, if the row is sent at once; return since when.

        The task begins when this one waits for Postgres. A worker that looks before the row is there looks again.
        """
        if record.queue is None or not self._gateway.admissions.is_idle:
            return None
        self._session.tasks.create_task(self._publish(record.job.id, record.queue))
        return time.monotonic()

    async def _publish(self, job_id: UUID, queue: str) -> None:
        began = time.monotonic()
        await self._gateway.publisher.publish(job_id, queue)
        if self.tracer is not None:
            self.tracer.published(job_id, began, time.monotonic())

    async def _answer_without_row(self, link: UpstreamLink, record: RecordCall, *, may_be_running: bool) -> None:
        """Have the model told what is known; then settle the row, which says what has come of the call."""
        metrics.CALLS_UNRECORDED.inc()
        answer = link.conversation.not_recorded(record, time.monotonic(), may_be_running=may_be_running)
        await self.execute(link, answer)
        await self.recorder.settle_unrecorded(as_answered(record))
        self._session.handle.wake()

    async def _cancel(self, cancel: Cancel) -> None:
        """End the call at once if no worker has it. If one has, the worker hears of it and finishes the job."""
        logs.bind(job=cancel.job_id)
        await self.recorder.settled()  # the call may be on its way into its row
        statement = transitions.cancel(cancel.job_id, self._session.principal.tenant, cancel.reason)
        rows = await self.recorder.retry(lambda: self._gateway.store.rows(statement))
        log.info("job %s: %s", cancel.job_id, f"cancelled by {cancel.reason}" if rows else "is over, or out of reach")
        if rows and rows[0].state == JobState.CANCELLED:
            metrics.count_if_over(rows[0])
            self._session.handle.wake()

    async def _decide(self, decide: Decide) -> None:
        """Write the user's yes or no. After a yes, publish the job; after a no, its result is there."""
        logs.bind(job=decide.job_id)
        await self.recorder.settled()  # the call may be on its way into its row
        statement = approvals.decide(decide.job_id, self._session.principal.tenant, decide.approved)
        rows = await self.recorder.retry(lambda: self._gateway.store.rows(statement))
        answer = "approved" if decide.approved else "denied"
        log.info("job %s: %s", decide.job_id, answer if rows else f"not {answer}: it is decided, over, or out of reach")
        if rows and decide.approved:
            await self._gateway.publisher.publish(decide.job_id, rows[0].queue)
        else:
            for row in rows or ():
                metrics.count_if_over(row)
            self._session.handle.wake()

    async def _transfer(self, target: str) -> None:
        """Transfer the phone call, and end the session with that. If it is not transferred, the model says so.

        One transfer is under way at a time. Meanwhile its place is not asked for again, and another is refused.
        """
        session_id, line, under_way = self._session.session_id, self._session.line, self._transferring_to
        if under_way == target:
            return None  # the first ask tells what comes of it
        if under_way is not None:
            log.warning(
                "call not transferred: session %s to %s (one to %s is under way)", session_id, target, under_way
            )
            return await self._tell_of_transfer(for_another=True)
        self._transferring_to = target
        try:
            if line is None:
                raise CallControlFailed("it is no phone call")
            await line.control.transfer(target)
        except CallControlFailed as problem:
            log.warning("call not transferred: session %s to %s (%s)", session_id, target, problem)
            self._transferring_to = None
            return await self._tell_of_transfer()
        log.info("call transferred: session %s to %s", session_id, target)
        raise SessionEnded.because("call_transferred")

    async def _tell_of_transfer(self, *, for_another: bool = False) -> None:
        """Have the model told by the conversation at work, which may be a later one than that of the ask."""
        async with self._session.switching:  # while one link follows another, the next one is waited for
            link = self._session.link
            assert link is not None, "a conversation has asked"  # noqa: S101
            told = link.conversation.transfer_failed(time.monotonic(), for_another=for_another)
            await self.execute(link, told)

    async def end_unless_held(self) -> None:
        """Raise SessionEnded if another gateway holds the session: here it could record no call."""
        session = self._session
        async with session.switching:  # an epoch that is about to begin is this gateway's too
            statement = lifecycle.is_owned(session.session_id, self._gateway.gateway_id, session.epoch)
            try:
                held = await self._gateway.store.rows(statement)
            except (psycopg.Error, OSError):
                return
        if not held:
            raise SessionEnded(SUPERSEDED, "session_superseded")

    async def _note_upstream(self, link: UpstreamLink, upstream_id: str | None) -> None:
        """Write the Realtime API's id of the conversation, for those who read the row."""
        session_id = self._session.session_id
        statement = lifecycle.set_upstream_id(session_id, self._gateway.gateway_id, link.epoch, upstream_id)
        try:
            await self._gateway.store.count(statement)
        except (psycopg.Error, OSError) as problem:
            log.warning("upstream id not written: session %s (%s); skipped", session_id, type(problem).__name__)


def count_recorded(record: RecordCall) -> None:
    """Count a call that has its row, and its end if it is over already. A name that the model made up is no label."""
    tool = record.job.tool
    if record.job.joined_to is not None:
        return  # it is no work of its own, and ends with the call that it has joined
    labels = (tool.name, tool.queue) if tool else (metrics.UNKNOWN_TOOL, metrics.NO_QUEUE)
    metrics.CALLS_RECORDED.inc(*labels)
    if record.outcome is not None:
        metrics.CALLS_ENDED.inc(*labels, record.outcome.state)
