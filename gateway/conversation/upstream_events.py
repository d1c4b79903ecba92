"""What an event of the model's server means to the calls of a conversation, and to who speaks next."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.conversation.actions import Action, Cancel, KeepMessages, SendToModel
from gateway.conversation.call_table import CallTable, Owner
from gateway.conversation.client.out_of_band import OutOfBandResponses
from gateway.conversation.event_names import CANCEL_RESPONSE
from gateway.conversation.item_log import ItemLog
from gateway.conversation.session_limits import costs
from gateway.conversation.tool_calls.intake import CallIntake
from gateway.conversation.tool_calls.results import ResultSender
from gateway.conversation.turn_taking.filler import is_filler_item, mark_of
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from gateway.conversation.turn_taking.slot import Active
from gateway.conversation.turn_taking.user import Speaking
from gateway.upstream.events import (
    ItemShown,
    ModelAudio,
    ModelEvent,
    ModelText,
    OtherEvent,
    OutputItemFinished,
    OutputItemStarted,
    PlayoutEnded,
    PlayoutStarted,
    RateLimitsUpdated,
    Response,
    ResponseFinished,
    ResponseStarted,
    UserAudioCleared,
    UserStartedSpeaking,
    UserStayedSilent,
    UserStoppedSpeaking,
    UserTurnCommitted,
)
from ringback.jobs.states import CancelReason
from ringback.tools.behavior import OnBargeIn


@dataclass(slots=True)
class UpstreamEvents:
    """Handling of the events of one open conversation."""

    scheduler: ResponseScheduler
    table: CallTable
    calls: CallIntake
    results: ResultSender
    out_of_band: OutOfBandResponses

    def hear(self, event: ModelEvent, log: ItemLog, now: float) -> list[Action]:
        """Keep what is said, and return the actions that follow from the event: most events cause none."""
        if self.out_of_band.is_about(event):
            self.scheduler.heard(event, now)
            if type(event) is ResponseStarted:
                self.scheduler.note_out_of_band(str(event.response.id))
            return costs(event)
        if type(event) is PlayoutStarted or type(event) is PlayoutEnded:
            self._played(event, now)
            return []
        begun = self._begins_unannounced(event, now)
        self.scheduler.heard(event, now)
        if type(event) is OtherEvent:
            return begun
        said = [] if event.item is not None and is_filler_item(event.item.id) else log.hear(event)
        if type(event) is ModelText:
            return begun
        if type(event) is ModelAudio:
            self._sounds(event, log.note_audio(str(event.item_id), event.chars), now)
            return begun
        kept: list[Action] = [KeepMessages(said)] if said else []
        react = _REACTIONS.get(type(event))
        return [*begun, *kept, *([] if react is None else react(self, event, now))]

    @staticmethod
    def hides(event: ModelEvent, seeded: Container[str]) -> bool:
        """Return True for items that the gateway has put into the conversation by itself."""
        item_id = (event.item.id if event.item is not None else None) or event.item_id
        return is_filler_item(item_id) or (event.item is not None and item_id in seeded)

    def _played(self, event: PlayoutStarted | PlayoutEnded, now: float) -> None:
        """Note what the server plays to the caller. A response of which only that is heard began before this epoch."""
        response_id = str(event.response_id)
        if not self.scheduler.knows(response_id):
            self.results.told_before()
        if isinstance(event, PlayoutStarted):
            self.scheduler.playout_began(response_id, now)
        else:
            self.scheduler.playout_ended(response_id, now, is_whole=event.is_whole)

    def _sounds(self, event: ModelAudio, seconds: float, now: float) -> None:
        """Note audio of the model. The first of a response, and of an item, says more than how long it lasts."""
        hearing, slot = self.scheduler.hearing, self.scheduler.slot
        hearing.item_began(event.response_id, event.item_id)
        if self.scheduler.heard_audio(seconds, now) and hearing.is_mute:
            active = slot if isinstance(slot, Active) else None
            hearing.voiced(event.response_id, active, now, self.scheduler.plays_until - seconds)

    def _response_started(self, event: ResponseStarted, now: float) -> list[Action]:
        response, response_id = event.response, str(event.response.id)
        if self.scheduler.is_active(response_id):
            return costs(event)  # an item of it came first
        if response.is_out_of_band:
            self.scheduler.note_out_of_band(response_id)
            return costs(event)
        return [*costs(event), *self._begins(response_id, mark_of(response), now)]

    def _begins(self, response_id: str, mark: str | None, now: float) -> list[Action]:
        """Begin a response. Cancel it if the user speaks: the server stops only what it was saying by then."""
        return self.cancel_response() if self.scheduler.began(response_id, mark, now) else []

    def _begins_unannounced(self, event: ModelEvent, now: float) -> list[Action]:
        """Begin a response whose start the server has not said: its first event tells that it began."""
        if type(event) is ResponseFinished:
            response_id = event.response.id
            unannounced = not event.response.is_out_of_band and self.scheduler.is_unannounced(
                response_id, has_ended=True
            )
        else:
            response_id = event.response_id
            unannounced = self.scheduler.is_unannounced(response_id)
        return self._begins(str(response_id), None, now) if unannounced else []

    def _response_finished(self, event: ResponseFinished, now: float) -> list[Action]:
        self.scheduler.ended(str(event.response.id), str(event.response.status), now)
        return [*costs(event), *self.calls.response_done(event.response, now)]

    def _item_started(self, event: OutputItemStarted, _now: float) -> list[Action]:
        self.calls.item_added(event.item, event.response_id)
        self.scheduler.hearing.item_began(event.response_id, event.item.id)
        return []

    def _item_finished(self, event: OutputItemFinished, now: float) -> list[Action]:
        item = event.item
        actions = self.calls.item_done(item, event.response_id, now)
        call = self.table.get(self.results.ids.of_row(item.call_id)) if item.call_id else None
        if call is not None and call.owner is Owner.CLIENT:  # no row tells of it
            call.position = self.calls.place(item.id)
        return actions

    def _item_shown(self, event: ItemShown, _now: float) -> list[Action]:
        return self.results.echoed(event.item)

    def _limited(self, event: RateLimitsUpdated, now: float) -> list[Action]:
        self.scheduler.pacing.note_limits(event.limits, now)
        return []

    def expire(self, now: float) -> list[Action]:
        """Give up what has not come in time. A call that waited for the end of such a response is answered."""
        self.scheduler.expire(now)
        if not self.scheduler.dead:
            return []
        dead, self.scheduler.dead = self.scheduler.dead, []
        ends = [Response(id=response_id, status="failed") for response_id in dead]
        return [action for end in ends for action in self.calls.response_done(end, now)]

    def cancel_response(self) -> list[Action]:
        """Cancel the active response."""
        slot = self.scheduler.slot
        if not isinstance(slot, Active):
            return []
        cancel = {"type": CANCEL_RESPONSE, "response_id": slot.response}
        return [SendToModel(self.results.ids.ours("hush", cancel))]

    def _user_stopped(self, _event: UserStoppedSpeaking, now: float) -> list[Action]:
        self.scheduler.hearing.user_ended(now, "heard")
        self.scheduler.user_ended(now, is_servers=True)
        return []

    def _turn_committed(self, _event: UserTurnCommitted, now: float) -> list[Action]:
        scheduler = self.scheduler
        has_not_stopped = isinstance(scheduler.user, Speaking)  # not every server says that speech stopped
        if has_not_stopped:
            scheduler.hearing.user_ended(now, "heard")
        if scheduler.turns.committed() or has_not_stopped:
            scheduler.user_ended(now, is_servers=scheduler.detects_turns)
        return []

    def _user_stayed_silent(self, _event: UserStayedSilent, now: float) -> list[Action]:
        self.scheduler.turns.note_silence()
        self.scheduler.hearing.user_ended(now, "silent")
        self.scheduler.user_ended(now, is_servers=True)
        return []

    def _audio_cleared(self, _event: UserAudioCleared, _now: float) -> list[Action]:
        self.scheduler.user_muted()
        return []

    def _barged_in(self, _event: UserStartedSpeaking, now: float) -> list[Action]:
        """Note that the user begins to speak; cancel the calls that their tool says are not wanted then.

        A call that waits for approval goes on waiting: the user may be giving it.
        """
        self.scheduler.user_began(now)
        self.scheduler.turns.begin(aloud=True)
        meant = [call for call in self.table.wanted() if call.behavior.on_barge_in is OnBargeIn.CANCEL]
        unwanted = [call for call in meant if not call.waits_for_yes]
        for call in unwanted:
            self.table.unwant(call)
        return [Cancel(call.job_id, CancelReason.BARGE_IN) for call in unwanted if call.job_id]


_Reaction: TypeAlias = Callable[[UpstreamEvents, Any, float], list[Action]]
_REACTIONS: dict[type[ModelEvent], _Reaction] = {
    ResponseStarted: UpstreamEvents._response_started,
    ResponseFinished: UpstreamEvents._response_finished,
    OutputItemStarted: UpstreamEvents._item_started,
    OutputItemFinished: UpstreamEvents._item_finished,
    ItemShown: UpstreamEvents._item_shown,
    RateLimitsUpdated: UpstreamEvents._limited,
    UserStartedSpeaking: UpstreamEvents._barged_in,
    UserStoppedSpeaking: UpstreamEvents._user_stopped,
    UserTurnCommitted: UpstreamEvents._turn_committed,
    UserStayedSilent: UpstreamEvents._user_stayed_silent,
    UserAudioCleared: UpstreamEvents._audio_cleared,
}
"""By the type of the event; the others mean nothing to a call or a turn. A `match` asks `isinstance` for each case,
and the class of a struct has a metaclass: eight such questions cost as much as the answer."""
