"""Observes one session for the traces of its calls: it notes moments, and tells a call's spans once its story is over.

A session has one where traces are on, and None otherwise. It changes nothing: it is shown the domain events that the
conversation has received, and the actions that are executed. No span is open meanwhile, so none is left open if the
session ends at any moment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from gateway.conversation.actions import Acknowledge, Action, KeepMoments, NoteTold, RecordCall, SendToModel
from gateway.conversation.call_table import Call, Stage
from gateway.conversation.event_names import CREATE_ITEM
from gateway.session.call_story import CallStory, ResponseLife, Setting, root_of, spans_of
from gateway.session.context import GatewayContext, SessionState, UpstreamLink
from gateway.upstream.events import (
    ItemShown,
    ModelEvent,
    Response,
    ResponseFinished,
    ResponseStarted,
    UserStartedSpeaking,
    UserStoppedSpeaking,
    UserTurnCommitted,
)
from ringback.moments import Moment, MomentKind
from ringback.privacy.redaction import of_arguments
from ringback.statements.jobs.deliveries import Told
from ringback.telemetry import names

if TYPE_CHECKING:
    from ringback.telemetry.call_spans import CallSpans

MAX_STORIES = 256
"""Calls of one session that are followed at once; beyond it the oldest is told as far as it is known."""
MAX_RESPONSES = 32
"""Responses whose moments are remembered."""


class CallTracer:
    """Observer of one session."""

    def __init__(self, spans: CallSpans, gateway: GatewayContext, session: SessionState, model: str) -> None:
        provider = names.provider_name(gateway.settings.provider.name)
        self._spans = spans
        self._gateway = gateway
        self._session = session
        self._setting = Setting(str(session.session_id), session.agent.name, provider, model)
        self._stories: dict[UUID, CallStory] = {}
        self._by_item: dict[str, CallStory] = {}
        """By the id of the item that brings the result."""
        self._responses: dict[str, ResponseLife] = {}
        self._turn_ended: float | None = None
        self._has_stopped = False
        """The server has said that the user's speech stopped, and has not taken in the turn yet."""

    # — what it is shown —

    def heard(self, link: UpstreamLink, event: ModelEvent, now: float) -> None:
        """Note an event of the model's server, once the conversation has received it."""
        match event:
            case UserStartedSpeaking():
                self._has_stopped = False
            case UserStoppedSpeaking():
                self._turn_ended, self._has_stopped = now, True
            case UserTurnCommitted():
                self._turn_ended = self._turn_ended if self._has_stopped else now
                self._has_stopped = False
            case ItemShown(item=item) if item.role == "user" and not _is_spoken(item.content):
                self._turn_ended = now
            case ResponseStarted(response=response) if not response.is_out_of_band:
                self._began(link, str(response.id), now)
            case ResponseFinished(response=response):
                self._finished(link, response, now)

    def did(self, link: UpstreamLink, actions: Iterable[Action], now: float) -> None:
        """Note the actions that are executed next, all before the first of them has to wait."""
        for action in actions:
            match action:
                case RecordCall():
                    self._follow(action, link.epoch, now)
                case SendToModel(event) if event["type"] == CREATE_ITEM:
                    story = self._by_item.get(str(event["item"].get("id")))
                    if story is not None:
                        story.given, story.echoed = now, None
                case Acknowledge(job_id):
                    if (story := self._stories.get(job_id)) is not None:
                        story.echoed = now
                case KeepMoments(moments):
                    self._spoke(moments)
                case NoteTold(told):
                    for story in self._heard_out(told):
                        self._end(story, now)

    def recorded(self, job_id: UUID, now: float) -> None:
        """Note that the call's row is committed. What its task logs from here on names the trace."""
        if (story := self._stories.get(job_id)) is not None:
            story.recorded = now
            self._spans.enter(job_id)

    def published(self, job_id: UUID, began: float, now: float) -> None:
        """Note that the broker has the call's message, which was on its way since `began`."""
        if (story := self._stories.get(job_id)) is not None:
            story.published = began, now

    async def close(self, last: Iterable[Action], now: float, *, is_over: bool) -> None:
        """Tell the stories that are left.

        Args:
            last: what the conversation still had written of a client that is gone.
            is_over: False if another connection may resume the session, whose tracer then tells the rest of each story
                whose result was not told.
        """
        for action in last:
            if isinstance(action, NoteTold):
                self._heard_out(action.told)
        whole = [story for story in self._stories.values() if is_over or story.is_told]
        steps = await self._gateway.steps.of([story.job_id for story in whole]) if whole else {}
        for story in whole:
            self._tell(story, steps.get(story.job_id, ()), now)
        for story in self._stories.values():
            self._spans.tell(story.job_id, spans_of(story, (), _offset()))

    # — stories —

    def _follow(self, record: RecordCall, epoch: int, now: float) -> None:
        job = record.job
        if job.id in self._stories or not self._spans.samples(job.id):
            return
        story = CallStory(
            self._setting,
            job.id,
            job.name,
            job.call_id,
            now,
            queue=job.tool.queue if job.tool is not None and record.outcome is None else None,
            epoch=epoch,
            turn_ended=self._turn_ended,
            asks=self._responses.get(job.response_id or ""),
            joined_to=job.joined_to,
        )
        if self._spans.tells_pii:
            fields = job.tool.behavior.redact if job.tool else ()
            shown = self._gateway.row_privacy.redaction.data(job.arguments, of_arguments(fields))
            story.private = {names.ARGUMENTS: json.dumps(shown), names.USER: self._session.principal.user}
        self._keep(story, now)

    def _keep(self, story: CallStory, now: float) -> None:
        if len(self._stories) >= MAX_STORIES:
            self._tell(next(iter(self._stories.values())), (), now)
        self._stories[story.job_id] = self._by_item[self._session.output_id(story.job_id)] = story

    def _began(self, link: UpstreamLink, response_id: str, now: float) -> None:
        life = ResponseLife(response_id, now)
        while len(self._responses) >= MAX_RESPONSES:
            self._responses.pop(next(iter(self._responses)))
        self._responses[response_id] = life
        for call in link.conversation.calls.credited(response_id):
            story = self._stories.get(call.job_id) if call.job_id else None
            if story is None and call.stage is Stage.CREDITED:  # and not told before, by a story of its own
                story = self._adopted(call, link.epoch, now)
            if story is not None and not story.is_told:
                story.tells = life

    def _adopted(self, call: Call, epoch: int, now: float) -> CallStory | None:
        """Return a new story of a call that an earlier gateway has recorded; None if the call is not traced."""
        if call.job_id is None or not self._spans.samples(call.job_id):
            return None
        told = CallStory(self._setting, call.job_id, call.name, call.call_id, asked=call.landed_at, epoch=epoch)
        told.given, told.is_adopted = call.landed_at, True
        self._keep(told, now)
        return told

    def _spoke(self, moments: Iterable[Moment]) -> None:
        """Note when responses spoke. Of one that says text alone this is known as it ends."""
        for moment in moments:
            life = self._responses.get(moment.response_id or "")
            if moment.kind is MomentKind.RESPONSE_SPOKE and life is not None:
                life.sounded = moment.at

    def _finished(self, link: UpstreamLink, response: Response, now: float) -> None:
        life = self._responses.get(str(response.id))
        if life is None:
            return
        life.ended, life.status, life.usage = now, response.status, response.usage
        for story in list(self._stories.values()):
            is_its = link.conversation.calls.teller_of(story.call_id) == life.id
            if story.tells is life and not is_its:  # it was cut off unheard: another response follows
                story.tells = None
            elif is_its and life.sounded is None:  # silent; if it has said text, the actions that follow tell of it
                self._end(story, now)

    def _heard_out(self, told: Iterable[Told]) -> list[CallStory]:
        """Note what the user heard of results; return the stories of which no more will be known."""
        over = []
        for each in told:
            story = self._stories.get(each.job_id)
            if story is None or story.heard_by is not None:
                continue
            story.tells = self._responses.get(each.answer_id, story.tells)  # as in the row, the last one counts
            if each.heard_by is not None:
                story.heard, story.heard_by = each.heard_at, each.heard_by
                over.append(story)
        return over

    def _end(self, story: CallStory, now: float) -> None:
        if story.over is None:
            story.over = now
            self._session.tasks.create_task(self._tell_with_steps(story, now))

    async def _tell_with_steps(self, story: CallStory, over_at: float) -> None:
        steps = await self._gateway.steps.gathered(story.job_id)
        if self._stories.get(story.job_id) is story:  # not told meanwhile
            self._tell(story, steps, over_at)

    def _tell(self, story: CallStory, steps: Sequence[Any], over_at: float) -> None:
        del self._stories[story.job_id], self._by_item[self._session.output_id(story.job_id)]
        offset = _offset()
        self._spans.tell(story.job_id, spans_of(story, steps, offset))
        self._spans.tell_root(story.job_id, root_of(story, steps, offset, over_at))


def _offset() -> float:
    """Return Unix time less the session's clock."""
    return time.time() - time.monotonic()


def _is_spoken(content: Any) -> bool:
    """Return True for a message of the user's that holds audio: its turn ended before it was shown."""
    return any(isinstance(part, dict) and part.get("type") == "input_audio" for part in content or ())
