"""One conversation with one model: it takes in every event and returns the actions that follow from it.

Its entry points are plain functions, each of which returns a list of actions:

    receive_model(event, now)    an event of the model's server
    receive_client(frame, now)   a frame of the client that passed the policy
    remember(past, now)          what earlier epochs hold, once `wants_past` is true
    deliver(job_id, …, now)      the outcome of a job, marked as sent
    progressed(job_id, note)     what a running job says of itself; `approved(job_id, now)`: it may start
    tools_came(tools, now)       workers serve more, or newer, functions
    tick(now)                    time has passed; `wake_at(now)` says when it matters
    budget_spent(why, now)       the budget is used up
    cut(reason, now)             the connection is gone; `carry(now)` is for the next epoch
    left(reason, now)            the client is gone

Most frames pass: they cause no action, and `wake_at` moves to later at most. They have entry points of their own.

    audio_passed(item_id, …, now)   audio of the model; `text_passed`, `detail_passed`: its text, details of its items
    audio_appended(append, now)     audio of the client
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from functools import partial
from math import inf
from uuid import UUID

from gateway.conversation.actions import Action, KeepMessages, LetClientIn, RecordCall, Reopen, SendToClient
from gateway.conversation.call_table import CallTable
from gateway.conversation.client.requests import ClientRequests
from gateway.conversation.client.view import ClientView
from gateway.conversation.client_session import ClientSessionConfig
from gateway.conversation.event_ids import EventIds
from gateway.conversation.event_names import ANSWER_APPROVAL, APPEND_AUDIO, SESSION_UPDATED
from gateway.conversation.item_log import ItemLog
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.handshake import Handshake
from gateway.conversation.reconnect.memory import budget
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.session_limits import SessionLimits, end, spent
from gateway.conversation.speaker import Speaker
from gateway.conversation.tool_calls.approvals import Approvals
from gateway.conversation.tool_calls.builtin_tools import BuiltinTools
from gateway.conversation.tool_calls.client_tools import ClientTools
from gateway.conversation.tool_calls.intake import CallIntake, Waits, unknown_wait, unrecorded
from gateway.conversation.tool_calls.loop_guard import ToolLoopGuard
from gateway.conversation.tool_calls.rendering import DeliveryContext
from gateway.conversation.tool_calls.results import ResultSender
from gateway.conversation.turn_taking.call_end import CallEnd
from gateway.conversation.turn_taking.hearing import Hearing
from gateway.conversation.turn_taking.pacing import Pacing
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from gateway.conversation.turn_taking.slot import Active
from gateway.conversation.turns import UserTurns
from gateway.conversation.upstream_errors import DOUBT_SECONDS, UpstreamErrors
from gateway.conversation.upstream_events import UpstreamEvents
from gateway.protocol import ClientFrame
from gateway.upstream.events import WITHIN_A_TURN, ErrorReported, ModelEvent, PassingDetail, PassingText, SessionUpdated
from gateway.upstream.quirks import USUAL, Quirks
from ringback.agents.agent import Agent
from ringback.agents.client_policy import BROWSER, ClientPolicy
from ringback.agents.phone import Phone
from ringback.jobs.outcomes import Outcome
from ringback.tools.spec import ToolSpec


class Conversation:
    """One conversation with one model, in one epoch.

    Args:
        session_id: the gateway's id of the session, which names the rows.
        agent: who the model is to be.
        tools: what it may call, by name.
        epoch: which of the session's conversations this is.
        carried: the state that earlier epochs left.
        wants: what the client asked for beside the Realtime API: "jobs", "results", "approvals", "calls".
        policy: what the client may say and see.
        began_at: when the session began, by the session's clock; None: with this conversation.
        waits: how long a call is expected to wait for a worker.
        greets: True where the client waits for its `session.created`; False where it has had one.
        quirks: how the provider's servers behave.
        joins: the connection attaches to a live call: the conversation is the same in each epoch, and its server plays.
        phone: what the agent may do with the phone call that this is; None: it is none.
        secret: of a call, for the ids of its outputs.
    """

    def __init__(
        self,
        session_id: UUID,
        agent: Agent,
        tools: dict[str, ToolSpec],
        *,
        epoch: int = 1,
        carried: CarriedState | None = None,
        wants: Container[str] = (),
        policy: ClientPolicy = BROWSER,
        began_at: float | None = None,
        waits: Waits = unknown_wait,
        greets: bool = True,
        quirks: Quirks = USUAL,
        joins: bool = False,
        phone: Phone | None = None,
        secret: str = "",
    ) -> None:
        self.session_id, self.agent, self.tools = session_id, agent, tools
        self._ids = ids = EventIds(epoch, secret)
        self._greets, self._epoch, self._joins = greets, epoch, joins
        self._carried_state = carried = carried or CarriedState()
        self._log = carried.log or ItemLog()
        self.calls, self._turns = table, turns = CallTable(), UserTurns()
        table.go_on_from(carried.calls)
        turns.go_on_from(carried.turns)
        self.limits = SessionLimits(agent, began_at)
        self._scheduler = scheduler = ResponseScheduler(
            table, turns, agent.gather_seconds, agent.quiet_seconds, agent.hold_seconds
        )
        scheduler.asks_aloud = "approvals" not in wants
        call_end = CallEnd(scheduler, carried.wanted_end)
        builtin_tools = BuiltinTools(table, turns, scheduler.asks_aloud, phone, call_end)
        self._hearing = scheduler.hearing = carried.hearing or Hearing(why="resumed" if carried.has_past else "first")
        self._hearing.hears_by(reports="playback" in wants, is_elsewhere=joins and "audio" in agent.output_modalities)
        scheduler.pacing = Pacing(quirks.create_seconds)
        scheduler.waiting.extend(carried.creates)
        loop_guard = ToolLoopGuard(agent)
        settings = ClientSessionConfig(carried.client_session, carried.rejected_session)
        clients = ClientTools(tools, builtin_tools, settings, table, agent.hosted_tools)
        self._view = ClientView(str(session_id), policy, "calls" in wants, clients.owns)
        self._approvals = Approvals(table, builtin_tools, ids.ours)
        parts = session_id, agent, tools, table, turns, builtin_tools, loop_guard, clients, ids
        self._intake = CallIntake(*parts, lambda item_id: self._log.place_of_call(item_id), waits)
        self._results = ResultSender(table, ids, "jobs" in wants, lambda: self._log.last, quirks.answers_early_seconds)
        self._client = ClientRequests(scheduler, carried.resend_buffer, clients.settings, clients, ids.new)
        self.audio_appended = self._client.appended
        self._speaker = Speaker(scheduler, loop_guard, self._client, clients, ids.ours, call_end, quirks.deletes_items)
        self._upstream_events = UpstreamEvents(scheduler, table, self._intake, self._results, self._client.out_of_band)
        self._upstream_errors = UpstreamErrors(scheduler, self._client, self._results, self._view)
        self._delivery_context = DeliveryContext(client_shows="results" in wants, max_chars=agent.max_result_chars)
        self._is_outdated = self._is_given_up = self._is_spent = self._has_more = False
        self._news: list[Action] = []
        """About calls of the past, for a client that has not been let in yet."""
        configured = partial(clients.configured, agent)
        self._handshake = Handshake(configured, clients, ids.ours, quirks, carried.has_past, joins)

    @property
    def is_open(self) -> bool:
        """True from the moment when the client's frames may be passed on."""
        return self._handshake.is_open

    @property
    def is_expired(self) -> bool:
        """True once the Realtime API has said that the session has lasted as long as it may; it closes next."""
        return self._upstream_errors.said_expired

    @property
    def wants_past(self) -> bool:
        """True while only the past is missing (`remember`)."""
        return self._handshake.wants_past

    @property
    def untold(self) -> frozenset[str]:
        """The calls of earlier epochs whose results are known not to have been told."""
        return self._carried_state.untold

    def receive_model(self, event: ModelEvent, now: float) -> list[Action]:
        """Take in an event of the model's server that has not passed."""
        if not self.is_open:
            return self._open(event, now)
        event = self._handshake.seeds.named(event)
        is_ours = type(event) is SessionUpdated and self._client.settings.answers_ours
        actions = [*self._client.heard(event), *self._upstream_events.hear(event, self._log, now)]
        self.limits.note_turn(self._turns.number, now)
        if type(event) is ErrorReported:
            return [*actions, *self._upstream_errors.hear(event, now), *self._speak(now)]
        visible = self._view.show(event.raw)
        if visible is not None and not is_ours and not self._upstream_events.hides(event, self._handshake.seeds.ids):
            actions.append(SendToClient(visible))
        return actions if type(event) in WITHIN_A_TURN else [*actions, *self._speak(now)]

    def audio_passed(self, item_id: str, chars: int, now: float) -> bool:
        """Note so many characters of the model's audio, which go straight to the client.

        Return False where there are none, or these are the first of a response: `receive_model` decides.
        """
        if self._hearing.is_mute:
            return False
        return self._scheduler.heard_audio(self._log.note_audio(item_id, chars), now)

    def text_passed(self, text: PassingText, now: float) -> bool:
        """Note a piece of text, which goes straight to the client; return False if `receive_model` decides."""
        is_shown = self._view.shows_as_it_came(text.item_id) and not self._handshake.seeds.holds(text.item_id)
        if not is_shown or not self._scheduler.heard_text(text.response_id, now):
            return False
        if text.response_id is not None:
            self._log.note_text(text.item_id, text.delta)
        return True

    def detail_passed(self, detail: PassingDetail, now: float) -> bool | None:
        """Note a detail of an item; return True if it goes to the client, None if `receive_model` decides."""
        seeds = self._handshake.seeds
        if seeds.holds(detail.item_id) or not self._scheduler.heard_text(detail.response_id, now, is_words=False):
            return None
        return self._view.shows_detail(detail.type, detail.item_id)

    def receive_client(self, frame: ClientFrame, now: float) -> list[Action]:
        """Take in a client's frame, checked by `gateway.protocol`: what goes to the model is written anew from it."""
        self.limits.note_client(frame.event["type"], now)
        if answered := self._view.answer(frame, self._log, self._ids.new):
            return answered
        if frame.event["type"] == ANSWER_APPROVAL:
            return [*self._approvals.answered(frame.event, now), *self._speak(now)]
        said = self._client.says(frame.event, self._log, now)
        if frame.event["type"] == APPEND_AUDIO:
            return said  # fifty times a second, and it makes no response due
        # A filler gives way to the client.
        hushed = self._upstream_events.cancel_response() if self._scheduler.gives_way() else []
        return [*said, *hushed, *self._speak(now)]

    def remember(self, past: ConversationHistory, now: float) -> list[Action]:
        """Build the conversation anew: what was said and called before, and the answers that are there by now."""
        self._log = self._carried_state.log or ItemLog(past.messages, past.places)
        past = replace(past, client_calls=self.calls.of_client())
        items = [] if self._joins else past.items(self._delivery_context, budget(self.agent))
        if self._joins:  # what a gateway before this one has sent may be told right now
            self._scheduler.pacing.retry_at = now + DOUBT_SECONDS
        else:
            self._log.told_anew()
        actions = self._handshake.tell(items, now)
        self.calls.keep({call.call_id for call in past.calls})
        for each in past.calls:
            known, call = self._intake.remember(each, now)
            self._news += self._results.remember(known, call, self._delivery_context, now)
        self._news += self._approvals.still_wanted(now)
        if self._carried_state.is_awaited(past) and not self._joins:
            self._scheduler.owed_at = now
        return self._opened(actions, now)

    def cut(self, reason: str, now: float) -> list[Action]:
        """Keep what was said on a connection that is gone, and tell the client that its response ended."""
        if not self.is_open:
            return self._handshake.hung_up()
        said = self._log.unfinished()
        self._hearing.cut(reason, now, self._scheduler.plays_until)
        return [*([KeepMessages(said)] if said else []), *self._speaker.cut(reason), *self._hearing.take(now)]

    def left(self, reason: str, now: float) -> list[Action]:
        """Return what is still to be written of a client that is gone, with the reason for the history."""
        self._hearing.left(reason, now)
        return self._hearing.take(now)

    def carry(self, now: float) -> CarriedState:
        """Return the state with which the next epoch begins."""
        if not self.is_open:
            # Results that it was told of and did not come to tell are news for the next epoch.
            settings, untold = self._client.settings, self._carried_state.untold | self.calls.not_surely_told()
            return replace(
                self._carried_state, untold=untold, client_session=settings.session, rejected_session=settings.rejected
            )
        return CarriedState(
            has_past=True,
            log=self._log,
            calls=self.calls,
            turns=self._turns,
            resend_buffer=self._client.resend_buffer,
            client_session=self._client.settings.session,
            untold=self.calls.not_surely_told(),
            lively_at=self.limits.lively_at,
            creates=tuple(self._scheduler.client_creates()),
            user_waits=self._scheduler.is_owed(now),
            hearing=self._hearing,
            wanted_end=self._speaker.call_end.wanted,
        )

    def take_over(self, carried: CarriedState) -> None:
        """Take over newer state: an earlier epoch went on while this one was being opened."""
        self._is_outdated = self._client.settings.take_over(carried.client_session)
        self._carried_state, self._speaker.call_end.wanted = carried, carried.wanted_end
        self.calls.go_on_from(carried.calls)
        self._turns.go_on_from(carried.turns)
        self._scheduler.waiting = list(carried.creates)

    def is_quiet(self, now: float) -> bool:
        """Return True if neither side speaks or is about to, and no end of a phone call is pending."""
        return self.is_open and self._scheduler.is_quiet(now) and not self._speaker.call_end.is_pending

    def is_speaking(self, now: float) -> bool:
        """Return True while the model's voice is played, as far as is known."""
        return self._scheduler.plays_until > now

    @property
    def is_idle(self) -> bool:
        """No call is running."""
        return not self.calls.awaited()

    def recorded(self, record: RecordCall, now: float) -> list[Action]:
        """Note that the call's row is committed. Its result may have come before: a worker sees the row no later."""
        state = record.outcome.state if record.outcome else "pending"
        call = self.calls.recorded(record.job.call_id)
        if call is None or not call.is_running:
            return []
        return [*self._results.tell(call, state), *self._approvals.wanted(call.call_id, now)]

    def not_recorded(self, record: RecordCall, now: float, *, may_be_running: bool = False) -> list[Action]:
        """Answer the model although it is not known in time whether the row is committed."""
        outcome = unrecorded(record, may_be_running=may_be_running)
        return self.deliver(record.job.id, record.job.call_id, record.job.name, outcome, now)

    def deliver(
        self, job_id: UUID, call_id: str, tool: str, outcome: Outcome, now: float, *, more: bool = False
    ) -> list[Action]:
        """Send a job's result into the conversation, even while a response runs; it is spoken of when the rules say so.

        `more`: another result is delivered next, and both are spoken of together.
        """
        rendering = self._intake.answered(call_id, outcome, self._delivery_context, now)
        self._has_more = more
        given = self._results.give(job_id, call_id, tool, outcome.state, rendering, now)
        return [*given, *self._speak(now)]

    def approved(self, job_id: UUID, now: float) -> list[Action]:
        """Note that a call was approved elsewhere: the user need not be asked any more."""
        return self._speak(now) if self._approvals.given(job_id, now) else []

    def transfer_failed(self, now: float, *, for_another: bool = False) -> list[Action]:
        """Have the model tell the caller that the call is not transferred; `for_another`: one is under way already."""
        return [*self._speaker.transfer_failed(now, for_another=for_another), *self._speak(now)]

    def progressed(self, job_id: UUID, note: str) -> list[Action]:
        """Note what a running job last said of itself, for the client and for the next filler."""
        return self._results.progressed(self.calls.by_job(job_id), note)

    def tools_came(self, tools: dict[str, ToolSpec], now: float) -> list[Action]:
        """Offer the model these functions too."""
        self.tools.update(tools)
        return self._speak(now)

    def budget_spent(self, why: str, now: float) -> list[Action]:
        """End the session, as its budget is used up, and cancel a response that runs. Only the first call does."""
        if self._is_spent:
            return []
        self._is_given_up = self._is_spent = True
        told = SendToClient(spent(why, self._ids.new("budget")))
        return [*self._upstream_events.cancel_response(), told, end("budget_spent")]

    def tick(self, now: float) -> list[Action]:
        """Do what is due by now."""
        if not self.is_open:
            return self._opened(self._handshake.tick(now), now)
        over = self.limits.over(now, is_busy=bool(self.calls.running()) or isinstance(self._scheduler.slot, Active))
        if not (over or self._speaker.hangs(now)):
            return self._speak(now)
        self._is_given_up = True
        return over or [Reopen("upstream_hung")]

    def wake_at(self, now: float) -> float:
        """Return when `tick` should be called, if no event comes first; infinity: only an event matters."""
        if not self.is_open:
            return self._handshake.wake_at
        if self._is_given_up or self._has_more:
            return inf
        return min(self._speaker.wake_at(now), self._results.wake_at(), self.limits.wake_at(), self._hearing.wake_at())

    # — before the client is let in —

    def _open(self, event: ModelEvent, now: float) -> list[Action]:
        actions = self._handshake.receive(event, now)
        event = self._handshake.seeds.named(event)
        if event.item is not None:
            self._view.show(event.raw)  # It tells what stands before what, for events that point at a hidden item.
            self._results.echoed(event.item)
        return self._opened(actions, now)

    def _opened(self, actions: list[Action], now: float) -> list[Action]:
        """Return the actions; if the conversation is open by now, also what is due then."""
        if not self.is_open:
            return actions
        configured, session = self._handshake.take_sessions()
        self.limits.began(now, self._carried_state.lively_at, self._turns.number)
        self._hearing.opened(self._epoch, now, is_new_client=self._greets)
        for each in (configured, session):  # what the server does not echo is as it was asked for
            self._client.note_session(each)
            self._log.note_session(each)
        expires_at = session.get("expires_at")
        kind = {} if self._greets else {"type": SESSION_UPDATED}
        greeting = self._view.created(session, self._ids.new("created")) | kind
        return [
            *actions,
            LetClientIn(session.get("id"), expires_at if isinstance(expires_at, int | float) else None),
            *([SendToClient(greeting)] if self._greets or self._client.settings.rejected is not None else []),
            *self._news,
            *self._client.again(now, is_outdated=self._is_outdated),
            *self._speak(now),
        ]

    def _speak(self, now: float) -> list[Action]:
        if self._is_given_up or self._has_more or not self.is_open:
            return self._hearing.take(now)
        expired = self._upstream_events.expire(now)
        return [*expired, *self._results.answer_early(now), *self._speaker.say(now), *self._hearing.take(now)]
