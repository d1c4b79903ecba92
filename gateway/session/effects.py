"""What a session's brain wants done, done: events written, calls recorded, messages kept. It decides nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from gateway.close_codes import SUPERSEDED
from gateway.conversation.actions import (
    Acknowledge,
    Action,
    Cancel,
    CheckBudget,
    Close,
    Decide,
    Event,
    KeepMessages,
    KeepSettings,
    LeaveOut,
    LetClientIn,
    RecordCall,
    RecordUsage,
    Reopen,
    SendToClient,
    SendToModel,
    Warn,
)
from gateway.conversation.tool_calls.intake import as_answered
from gateway.session.call_recorder import CallRecorder, Recorded
from gateway.session.client_connection import ClientConnection
from gateway.session.context import GatewayContext, SessionEnded, SessionStart, UpstreamLink
from gateway.session.transcript_writer import TranscriptWriter
from gateway.session.upstream_switcher import UpstreamSwitcher
from gateway.upstream.connection import UpstreamClosed
from gateway.upstream.providers import adapt_session
from ringback.agents.hosted_tools import with_secrets
from ringback.jobs.states import JobState
from ringback.statements.jobs import approvals, deliveries, transitions
from ringback.statements.sessions import lifecycle

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class EffectExecutor:
    """The hands of one session. What takes time is done in tasks of `tasks`, which end with the session."""

    tasks: asyncio.TaskGroup

    def __init__(
        self, context: GatewayContext, start: SessionStart, client: ClientConnection, switcher: UpstreamSwitcher
    ) -> None:
        self._context = context
        self._start = start
        self._client = client
        self._handle = start.handle
        self._switcher = switcher
        wait, session_id = context.settings.call_wait_seconds, start.session_id
        self.recording = CallRecorder(
            context.store, context.publisher, start.principal.tenant, lambda: switcher.epoch, wait
        )
        model = context.settings.realtime_model or start.agent.model
        self.account = context.budgets.account(session_id, start.principal, start.agent, model)
        redaction = context.publisher.row_privacy.redaction
        self.transcript = TranscriptWriter(
            context.store, session_id, context.gateway_id, lambda: switcher.epoch, redaction
        )

    async def do(self, link: UpstreamLink, action: Action) -> None:
        """Carry out one action of the link's brain."""
        match action:
            case SendToModel(event):
                await self._send_to_model(link, event)
            case SendToClient(event):
                await self._client.send(as_text(event))
            case RecordCall() | Cancel() | Decide():
                self.tasks.create_task(self._move(link, action))
            case CheckBudget() | RecordUsage():
                self.tasks.create_task(self._look_into_purse(link, action))
            case Acknowledge(job_id, position):
                link.echoed[job_id] = position
                if not link.is_acknowledging:  # whoever writes next takes these along: after an outage there are many
                    link.is_acknowledging = True
                    self.tasks.create_task(self._acknowledge_soon(link))
            case KeepMessages(messages):
                self.transcript.keep(messages)
            case KeepSettings(session):
                self.transcript.keep_settings(session)
            case Warn(text):
                log.warning("session %s: %s", self._start.session_id, text)
            case _:
                self._turn(link, action)

    def _turn(self, link: UpstreamLink, action: Action) -> None:
        """The turns that the life of a link takes."""
        match action:
            case LetClientIn(upstream_id):
                self._switcher.note_expiry(link, action)
                self.tasks.create_task(self._note_upstream(link, upstream_id))
            case Reopen(reason):
                link.why_closed = reason
                link.upstream.abort()
            case LeaveOut(tool, why):
                self._context.tool_catalog.leave_out(self._start.agent, tool, why)
            case Close(code, reason):
                raise SessionEnded(code, reason)

    async def _send_to_model(self, link: UpstreamLink, event: Event) -> None:
        if event["type"] == "session.update":
            provider = self._context.settings.realtime_provider
            session = with_secrets(event["session"], os.environ)
            event = {**event, "session": adapt_session(provider, session)}
        try:
            await link.upstream.send(as_text(event))
        except UpstreamClosed:
            return  # whoever reads from it notices as well, and what matters is said again in the next epoch

    async def _look_into_purse(self, link: UpstreamLink, action: CheckBudget | RecordUsage) -> None:
        """A response begins, or is over: where nothing is left for it, or for one more, the session is over."""
        if isinstance(action, CheckBudget):
            spent = await self.account.check(link.epoch, action.response_id)
        else:
            spent = await self.account.record(link.epoch, action)
        if spent is not None:
            await self._perform(link, link.conversation.budget_spent(spent, time.monotonic()))

    async def _move(self, link: UpstreamLink, action: RecordCall | Cancel | Decide) -> None:
        """What a call's row has to be told."""
        if isinstance(action, RecordCall):
            return await self._record(link, action)
        await self.recording.settled()  # the call in question may be on its way
        if isinstance(action, Cancel):
            return await self._cancel(action)
        return await self._decide(action)

    async def _record(self, link: UpstreamLink, record: RecordCall) -> None:
        """The row first, the message second; and an answer where there can be no row."""
        known = await self.recording.record(record, link.epoch)
        if known in (Recorded.NEVER, Recorded.UNHEARD):
            await self._answer_without_row(link, record, may_be_running=known is Recorded.UNHEARD)
            return
        if known is Recorded.NOT_NEW:
            await self.hang_up_unless_ours()
            if link.epoch != self._switcher.epoch:
                log.warning("job %s is not recorded: its conversation is over", record.job.id)
                return
            # Its row is there already: it was committed, and nobody heard of it.
        log.info("job %s recorded: %s", record.job.id, record.job.name)
        await self._perform(link, link.conversation.recorded(record, time.monotonic()))
        if record.outcome is not None or record.job.joined_to is not None:  # the call that is joined may be over by now
            self._handle.bell.set()
        elif record.job.tool is not None and not record.job.needs_approval:
            await self._context.publisher.publish(record.job.id, record.job.tool.queue)

    async def _answer_without_row(self, link: UpstreamLink, record: RecordCall, *, may_be_running: bool) -> None:
        """The model hears what is known; the row follows, and says what has come of the call."""
        await self._perform(
            link, link.conversation.not_recorded(record, time.monotonic(), may_be_running=may_be_running)
        )
        await self.recording.remember(as_answered(record))
        self._handle.bell.set()

    async def _cancel(self, cancel: Cancel) -> None:
        """Over at once where no worker has it; else its worker hears of it, and its answer comes as any other does."""
        statement = transitions.cancel(cancel.job_id, self._start.principal.tenant, cancel.reason)
        rows = await self.recording.insist(lambda: self._context.store.rows(statement))
        log.info("job %s: %s", cancel.job_id, f"cancelled by {cancel.reason}" if rows else "is over, or out of reach")
        if rows and rows[0].state == JobState.CANCELLED:
            self._handle.bell.set()

    async def _decide(self, decide: Decide) -> None:
        """A yes has it published; after a no its answer is there."""
        statement = approvals.decide(decide.job_id, self._start.principal.tenant, decide.approved)
        rows = await self.recording.insist(lambda: self._context.store.rows(statement))
        answer = "approved" if decide.approved else "denied"
        log.info("job %s: %s", decide.job_id, answer if rows else f"not {answer}: it is decided, over, or out of reach")
        if rows and decide.approved:
            await self._context.publisher.publish(decide.job_id, rows[0].queue)
        else:
            self._handle.bell.set()

    async def hang_up_unless_ours(self) -> None:
        """A session that others hold can record nothing: better no line than one that never answers."""
        async with self._switcher.switching:  # an epoch that is about to begin is ours as well
            statement = lifecycle.owned(self._start.session_id, self._context.gateway_id, self._switcher.epoch)
            try:
                ours = await self._context.store.rows(statement)
            except (SQLAlchemyError, OSError):
                return
        if not ours:
            raise SessionEnded(SUPERSEDED, "session_superseded")

    async def _note_upstream(self, link: UpstreamLink, upstream_id: str | None) -> None:
        session_id = self._start.session_id
        statement = lifecycle.connected(session_id, self._context.gateway_id, link.epoch, upstream_id)
        try:
            await self._context.store.count(statement)
        except (SQLAlchemyError, OSError) as problem:
            log.warning("session %s: its upstream id is not kept (%s)", session_id, type(problem).__name__)

    async def _acknowledge_soon(self, link: UpstreamLink) -> None:
        try:
            while link.echoed and await self.acknowledge(link):
                pass
        finally:
            link.is_acknowledging = False

    async def acknowledge(self, link: UpstreamLink) -> bool:
        """Write down which answers the conversation has; False where Postgres does not take it now."""
        echoed = dict(link.echoed)
        if not echoed:
            return True
        try:
            await self._context.store.count(deliveries.acknowledge(echoed, link.epoch, max(echoed.values())))
        except (SQLAlchemyError, OSError) as problem:
            # The next echo, or the end of the session, tells of these as well.
            log.warning("%d jobs stay at sent for now (%s)", len(echoed), type(problem).__name__)
            return False
        for job_id in echoed:
            link.echoed.pop(job_id, None)
        return True

    async def _perform(self, link: UpstreamLink, actions: Sequence[Action]) -> None:
        for action in actions:
            await self.do(link, action)


def as_text(event: Event) -> str:
    """An event as it goes over the wire."""
    return _encode(event).decode()
