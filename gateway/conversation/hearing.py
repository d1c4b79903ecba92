"""What an event of the Realtime API means to the calls of a conversation, and to whoever has the floor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.conversation.actions import Action, Cancel, Event, KeepMessages, RecordCall, SendToModel
from gateway.conversation.allowance import costs
from gateway.conversation.answers import Answers
from gateway.conversation.board import Board
from gateway.conversation.calls import Calls
from gateway.conversation.floor import Floor
from gateway.conversation.log import ItemLog
from gateway.conversation.words import tag_of
from ringback.jobs import CancelReason
from ringback.manners import OnBargeIn


@dataclass(slots=True)
class Hearing:
    """Listens for one conversation."""

    floor: Floor
    board: Board
    calls: Calls
    answers: Answers

    def hear(self, event: Event, log: ItemLog, now: float) -> list[Action]:
        """What is said is kept; and what is to be done about the event, which is nothing about most."""
        said = log.hear(event)
        kept: list[Action] = [KeepMessages(said)] if said else []
        return [*kept, *costs(event), *self._react(event, log, now)]

    def _react(self, event: Event, log: ItemLog, now: float) -> list[Action]:
        kind = event.get("type")
        if kind == "response.created" and _in_conversation(event):
            return self._begins(str((event.get("response") or {}).get("id")), tag_of(event))
        if kind == "response.done":
            response = event.get("response") or {}
            self.floor.response_done(str(response.get("id")), now, failed=response.get("status") == "failed")
            return self._placed(self.calls.response_done(response, now), log)
        if kind == "response.output_item.done":
            return self._placed(self.calls.item_done(event.get("item") or {}, event.get("response_id"), now), log)
        if kind in ("conversation.item.added", "conversation.item.created", "conversation.item.done"):
            self.answers.past_echoed(event.get("item") or {})
            return self.answers.echoed(event.get("item") or {})
        return self._turn(str(kind), now)

    def _begins(self, response_id: str, tag: str | None) -> list[Action]:
        """The server stops what it says when the user begins to speak, and not what it begins to say after that."""
        if not self.floor.response_created(response_id, tag):
            return []
        return self.hush()

    def hush(self) -> list[Action]:
        """What is being said is not to go on."""
        if self.floor.active is None:
            return []
        cancel = {"type": "response.cancel", "response_id": self.floor.active}
        return [SendToModel(self.answers.ids.ours("hush", cancel))]

    def _turn(self, kind: str, now: float) -> list[Action]:
        if kind == "input_audio_buffer.speech_started":
            return self._barged_in(now)
        if kind == "input_audio_buffer.committed":
            if self.board.committed():
                self.floor.speech_stopped(now)
        elif kind == "input_audio_buffer.speech_stopped":
            self.floor.speech_stopped(now)
        elif kind == "input_audio_buffer.timeout_triggered":
            self.board.silence()
            self.floor.speech_stopped(now)
        return []

    def _barged_in(self, now: float) -> list[Action]:
        """The user begins to speak: work goes on, but for what is not wanted in that case.

        What waits for a yes goes on waiting: it may be the yes.
        """
        self.floor.speech_started(now)
        self.board.user_turn(aloud=True)
        meant = [each for each in self.board.wanted() if each.manners.on_barge_in is OnBargeIn.CANCEL]
        unwanted = [each for each in meant if not each.waits_for_yes]
        for each in unwanted:
            self.board.unwant(each)
        return [Cancel(each.job_id, CancelReason.BARGE_IN) for each in unwanted]

    def _placed(self, actions: list[Action], log: ItemLog) -> list[Action]:
        """The same, each call with its place in the conversation; from now on an answer is awaited."""
        return [self._place(action, log) if isinstance(action, RecordCall) else action for action in actions]

    def _place(self, record: RecordCall, log: ItemLog) -> RecordCall:
        self.floor.call_began(record.job.call_id, record.job.response_id)
        return replace(record, job=replace(record.job, position=log.place_of_call(record.job.item_id)))


def _in_conversation(event: Event) -> bool:
    """An out-of-band response takes no slot; a server that names no conversation has only the one."""
    response = event.get("response") or {}
    return response.get("conversation_id", "") is not None
