"""What an event of the Realtime API means to the calls of a conversation, and to who speaks next."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from gateway.conversation.actions import Action, Cancel, Event, KeepMessages, RecordCall, SendToModel
from gateway.conversation.call_table import CallTable, Owner
from gateway.conversation.client.out_of_band import OutOfBandResponses
from gateway.conversation.item_log import ItemLog
from gateway.conversation.session_limits import costs
from gateway.conversation.tool_calls.intake import CallIntake
from gateway.conversation.tool_calls.results import ResultSender
from gateway.conversation.turn_taking.filler import is_filler_item, mark_of
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from gateway.conversation.turn_taking.slot import Active
from gateway.conversation.turn_taking.user import Speaking
from ringback.jobs.states import CancelReason
from ringback.tools.behavior import OnBargeIn

AUDIO = ("response.output_audio.delta", "response.audio.delta")
"""What the model says, as it is now called and as it was in the beta."""
ECHOES = frozenset({"conversation.item.added", "conversation.item.created", "conversation.item.done"})


@dataclass(slots=True)
class UpstreamEvents:
    """Listens for one conversation."""

    scheduler: ResponseScheduler
    table: CallTable
    calls: CallIntake
    results: ResultSender
    out_of_band: OutOfBandResponses

    def hear(self, event: Event, log: ItemLog, now: float) -> list[Action]:
        """What is said is kept; and what is to be done about the event, which is nothing about most."""
        if self.out_of_band.is_about(event):
            self.scheduler.heard(event, now)
            if event.get("type") == "response.created":
                self.scheduler.note_out_of_band(str(event["response"].get("id")))
            return list(costs(event))
        begun = self._begins_unannounced(event, now)
        self.scheduler.heard(event, now)
        said = [] if is_filler_item((event.get("item") or {}).get("id")) else log.hear(event)
        kept: list[Action] = [KeepMessages(said)] if said else []
        return [*begun, *kept, *costs(event), *self._react(event, log, now)]

    @staticmethod
    def hides(event: Event, seeded: Container[str]) -> bool:
        """Return True for items that the gateway has put into the conversation by itself."""
        item_id = (event.get("item") or {}).get("id") or event.get("item_id")
        return is_filler_item(item_id) or ("item" in event and item_id in seeded)

    def _react(self, event: Event, log: ItemLog, now: float) -> list[Action]:
        kind, item = event.get("type"), event.get("item") or {}
        if kind == "response.created":
            response_id = str((event.get("response") or {}).get("id"))
            if self.scheduler.is_active(response_id):
                return []  # an item of it came first
            if _in_conversation(event):
                return self._begins(response_id, mark_of(event), now)
            self.scheduler.note_out_of_band(response_id)
            return []
        if kind in AUDIO:
            self.sounds(log.audio_read(event), now)
            return []
        if kind == "response.done":
            return self._ends(event.get("response") or {}, log, now)
        if kind == "response.output_item.added":
            self.calls.item_added(item, event.get("response_id"))
            return []
        if kind == "response.output_item.done":
            return self._placed(self.calls.item_done(item, event.get("response_id"), now), item, log)
        if kind in ECHOES:
            return self.results.echoed(item)
        if kind == "rate_limits.updated":
            self.scheduler.pacing.note_limits(event.get("rate_limits"), now)
            return []
        return self._turn(str(kind), now)

    def sounds(self, seconds: float, now: float) -> bool:
        """So much of what the model says passes to the client; return False where it is nothing."""
        if seconds > 0.0:
            self.scheduler.heard_audio(seconds, now)
        return seconds > 0.0

    def _begins(self, response_id: str, mark: str | None, now: float) -> list[Action]:
        """The server stops what it says when the user begins to speak, and not what it begins to say after that."""
        return self.cancel_response() if self.scheduler.began(response_id, mark, now) else []

    def _begins_unannounced(self, event: Event, now: float) -> list[Action]:
        """Some servers leave out `response.created`: then the first event of a response tells that it began."""
        if event.get("type") == "response.done":
            response_id, has_ended = (event.get("response") or {}).get("id"), _in_conversation(event)
            unannounced = has_ended and self.scheduler.is_unannounced(response_id, has_ended=True)
        else:
            response_id = event.get("response_id")
            unannounced = self.scheduler.is_unannounced(response_id)
        return self._begins(str(response_id), None, now) if unannounced else []

    def _ends(self, response: Event, log: ItemLog, now: float) -> list[Action]:
        self.scheduler.ended(str(response.get("id")), str(response.get("status")), now)
        return self._placed(self.calls.response_done(response, now), {}, log)

    def expire(self, log: ItemLog, now: float) -> list[Action]:
        """Give up what has not come in time. A call that waited for the end of such a response is answered."""
        self.scheduler.expire(now)
        dead, self.scheduler.dead = self.scheduler.dead, []
        ends: list[Event] = [{"id": response_id, "status": "failed"} for response_id in dead]
        return [action for end in ends for action in self._placed(self.calls.response_done(end, now), {}, log)]

    def cancel_response(self) -> list[Action]:
        """What is being said is not to go on."""
        slot = self.scheduler.slot
        if not isinstance(slot, Active):
            return []
        cancel = {"type": "response.cancel", "response_id": slot.response}
        return [SendToModel(self.results.ids.ours("hush", cancel))]

    def _turn(self, kind: str, now: float) -> list[Action]:
        scheduler = self.scheduler
        if kind == "input_audio_buffer.speech_started":
            return self._barged_in(now)
        if kind == "input_audio_buffer.committed":
            has_not_stopped = isinstance(scheduler.user, Speaking)  # not every server says that speech stopped
            if scheduler.turns.committed() or has_not_stopped:
                scheduler.user_ended(now, is_servers=scheduler.detects_turns)
        elif kind == "input_audio_buffer.speech_stopped":
            scheduler.user_ended(now, is_servers=True)
        elif kind == "input_audio_buffer.timeout_triggered":
            scheduler.turns.note_silence()
            scheduler.user_ended(now, is_servers=True)
        elif kind == "input_audio_buffer.cleared":
            scheduler.user_muted()
        return []

    def _barged_in(self, now: float) -> list[Action]:
        """The user begins to speak: work goes on, but for what is not wanted in that case.

        What waits for a yes goes on waiting: it may be the yes.
        """
        self.scheduler.user_began(now)
        self.scheduler.turns.begin(aloud=True)
        meant = [call for call in self.table.wanted() if call.behavior.on_barge_in is OnBargeIn.CANCEL]
        unwanted = [call for call in meant if not call.waits_for_yes]
        for call in unwanted:
            self.table.unwant(call)
        return [Cancel(call.job_id, CancelReason.BARGE_IN) for call in unwanted if call.job_id]

    def _placed(self, actions: list[Action], item: Event, log: ItemLog) -> list[Action]:
        """The same, each call with its place in the conversation."""
        call = self.table.get(self.results.ids.of_row(str(item["call_id"]))) if item.get("call_id") else None
        if call is not None and call.owner is Owner.CLIENT:  # no row tells of it
            call.position = log.place_of_call(item.get("id"))
        return [self._place(action, log) if isinstance(action, RecordCall) else action for action in actions]

    def _place(self, record: RecordCall, log: ItemLog) -> RecordCall:
        return replace(record, job=replace(record.job, position=log.place_of_call(record.job.item_id)))


def _in_conversation(event: Event) -> bool:
    """An out-of-band response takes no slot; a server that names no conversation has only the one."""
    response = event.get("response") or {}
    return response.get("conversation_id", "") is not None
