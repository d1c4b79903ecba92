"""What a client asks for, on its way to the model: each event has an id, and is kept until the server confirms it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.conversation.actions import Action, Event, KeepMessages, KeepSettings, SendToClient, SendToModel
from gateway.conversation.client.out_of_band import OutOfBandResponses
from gateway.conversation.client.resend_buffer import ResendBuffer
from gateway.conversation.client.view import WORDS
from gateway.conversation.client_session import ClientSessionConfig
from gateway.conversation.event_names import (
    APPEND_AUDIO,
    CANCEL_RESPONSE,
    CLEAR_AUDIO,
    COMMIT_AUDIO,
    CREATE_ITEM,
    CREATE_RESPONSE,
    ITEM_TRUNCATED,
    REPORT_PLAYBACK,
    TRUNCATE_ITEM,
    UPDATE_SESSION,
)
from gateway.conversation.item_log import ItemLog
from gateway.conversation.tool_calls.client_tools import ClientTools
from gateway.conversation.turn_taking.scheduler import MAX_WAITING, ResponseScheduler
from gateway.conversation.turn_taking.user import Holding
from gateway.protocol import OURS, AppendAudio, Rejection
from gateway.upstream.events import ModelEvent, SessionUpdated

AUDIO = frozenset({APPEND_AUDIO, COMMIT_AUDIO})
CLIENTS = OURS + "client_"
"""The event_id of a client's event that came without one, so that an error about it can be told from ours."""
TRANSFER = "transfer"
"""What the event id of the gateway's message about a transfer says."""


@dataclass(slots=True)
class ClientRequests:
    """Requests of the client in one conversation; `new_id` makes an id of the gateway, told what for."""

    scheduler: ResponseScheduler
    resend_buffer: ResendBuffer
    settings: ClientSessionConfig
    tools: ClientTools
    new_id: Callable[[str], str]
    must_call: bool = False
    """The session's `tool_choice` leaves the model no choice but to call a function."""
    out_of_band: OutOfBandResponses = field(default_factory=OutOfBandResponses)

    def says(self, event: Event, log: ItemLog, now: float) -> list[Action]:
        """Take in a checked event of the client."""
        refusal = self._refuse(event)
        if refusal is not None:
            return [SendToClient(refusal.as_event(self.new_id("refused")))]
        if event["type"] == REPORT_PLAYBACK:
            self.scheduler.hearing.reported(event["item_id"], event["played_ms"], now)
            return []
        event = {"event_id": self.new_id("client"), **event}
        kind = event["type"]
        self._note_user(kind, event, now)
        if kind == CREATE_RESPONSE and self.out_of_band.is_asked(event):
            return [SendToModel(self.out_of_band.asked(event))]
        if kind == CREATE_RESPONSE:
            self.scheduler.waiting.append(event)  # the rules say when it goes out
            return []
        if kind == UPDATE_SESSION:
            self.settings.asked(event)
        elif kind == CREATE_ITEM:
            event = self._created(event)
        elif kind == TRUNCATE_ITEM and log.is_past(event["item_id"]):
            return self._cut_short(event, log)
        if (event.get("item") or {}).get("type") != "function_call_output":  # the next conversation is told of it
            self.resend_buffer.said(event)
        return [SendToModel(self.tools.whole(event))]

    def appended(self, append: AppendAudio, now: float) -> AppendAudio:
        """Take in audio of the client; return it as it goes to the model."""
        if not isinstance(append.event_id, str):
            append.event_id = self.new_id("client")
        self.scheduler.user_appended(now)
        self.resend_buffer.appended(append)
        return append

    def _note_user(self, kind: str, event: Event, now: float) -> None:
        """Note what the client's event tells of its user."""
        item = event.get("item") or {}
        if kind == APPEND_AUDIO:
            self.scheduler.user_appended(now)
        elif kind == CLEAR_AUDIO:
            self.scheduler.user_muted()
        elif kind == CANCEL_RESPONSE:
            self.scheduler.client_stops(event.get("response_id"), now)
        elif kind == TRUNCATE_ITEM:
            self.scheduler.hearing.truncated(event["item_id"], event["audio_end_ms"], now)
            self.scheduler.client_cut(now)
        elif kind == COMMIT_AUDIO:
            user = self.scheduler.user
            self.scheduler.hearing.user_ended(now, "committed", user.since if isinstance(user, Holding) else None)
            self.scheduler.user_ended(now, is_servers=False)
        elif item.get("type") == "function_call_output":
            call = self.tools.waiting(item["call_id"])
            if call is not None:
                self.tools.answered(call, item["output"], now)
                self.scheduler.client_will_ask(now)
        elif _is_said(item):
            self.scheduler.turns.begin()
            self.scheduler.hearing.user_typed(now)
            self.scheduler.client_will_ask(now)

    def _refuse(self, event: Event) -> Rejection | None:
        """Return why a well-formed event may not be sent here; None if it may."""
        item = event.get("item") or {}
        if event["type"] == CREATE_RESPONSE and len(self.scheduler.waiting) >= MAX_WAITING:
            busy = "conversation_already_has_active_response"
            return Rejection(busy, WORDS[busy], event.get("event_id"))
        if item.get("type") == "function_call_output" and self.tools.waiting(item["call_id"]) is None:
            sentence = "item.call_id: no call of a function that this client brought waits for an answer under this id."
            return Rejection("forbidden_event", sentence, event.get("event_id"))
        taken = self.tools.taken(event.get("session") or {})
        if taken is not None:
            sentence = f"session.tools: {taken!r} is a function of the server's; give yours another name."
            return Rejection("invalid_value", sentence, event.get("event_id"))
        return None

    def _created(self, event: Event) -> Event:
        """Give an item an id, by which it is known if it has to be sent again."""
        if "id" in event["item"]:
            return event
        return {**event, "item": {"id": f"item_{self.new_id('said')}", **event["item"]}}

    def heard(self, event: ModelEvent) -> list[Action]:
        """Take in a server event that may confirm an event of the client."""
        taken: list[Action] = []
        if type(event) is SessionUpdated:
            self.note_session(event.session)
            settings = self.settings.taken(event.session)
            if settings is None:
                return []  # it answers an update of the gateway's
            taken = [KeepSettings(settings)]
        self.resend_buffer.heard(event)
        return taken

    def again(self, now: float, *, is_outdated: bool) -> list[Action]:
        """Return the client's unconfirmed events and settings, for a new connection; the gateway's words with them.

        `is_outdated`: the new connection was configured before the client's last settings.
        """
        session = {"type": "realtime", **self.settings.session}
        update = {"type": UPDATE_SESSION, "event_id": self.new_id("update"), "session": session}
        if is_outdated:
            self.settings.asked_ours(update)
        said = self.resend_buffer.again()
        for event in said:
            if event["type"] == UPDATE_SESSION:
                self.settings.asked(event)
            elif event["type"] in AUDIO:
                self._note_user(event["type"], event, now)  # a button that is held stays held
            elif str(event["event_id"]).startswith(OURS + TRANSFER):
                self.scheduler.owed_at = now  # the model is to speak of it
        kept: list[Action] = [] if self.settings.rejected is None else [KeepSettings(self.settings.session)]
        again = (*([update] if is_outdated else []), *said)
        return [*kept, *(SendToModel(self.tools.whole(event)) for event in again)]

    def note_session(self, session: Event) -> None:
        """Note from the session whether the server notices the user's turns, and answers them."""
        if "tool_choice" in session:
            self.must_call = session["tool_choice"] not in ("auto", "none", None)
        heard = (session.get("audio") or {}).get("input") or {}
        if "turn_detection" not in {**session, **heard}:
            return  # A server that does not echo it has not changed it.
        detection = {**session, **heard}["turn_detection"] or {}
        # xAI spells "off" as {"type": null}
        detects = bool(detection) and detection.get("type", "server_vad") is not None
        self.resend_buffer.detects_turns = detects
        if self.scheduler.detects_turns and not detects:
            self.scheduler.user_muted()
        self.scheduler.detects_turns = detects
        self.scheduler.server_answers = detects and detection.get("create_response", True) is not False

    def once_more(self, event_id: str) -> list[Action]:
        """Send a client's update again that was refused for a tool of the server, which is left out now."""
        session = self.settings.refused(event_id)
        if session is None:
            return []
        event = {"type": UPDATE_SESSION, "event_id": event_id, "session": session}
        self.settings.asked(event)
        return [SendToModel(self.tools.whole(event))]

    def refused(self, event_id: object) -> None:
        """Drop an event of the client that the server refused."""
        self.settings.refused(event_id)
        self.resend_buffer.refused(event_id)
        self.out_of_band.refused(event_id)

    def _cut_short(self, event: Event, log: ItemLog) -> list[Action]:
        """Truncate an item of an earlier epoch in the log alone: the server has no audio of it."""
        kept = log.truncate(event["item_id"], event["audio_end_ms"])
        fields = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        told = {"type": ITEM_TRUNCATED, "event_id": self.new_id("cut"), **fields}
        return [*([KeepMessages(kept)] if kept else []), SendToClient(told)]


def _is_said(item: Event) -> bool:
    """Return True for words of the user. A picture is no turn, and neither is a message of another role."""
    if item.get("type") != "message" or item.get("role") != "user":
        return False
    kinds = {part.get("type") for part in item.get("content") or [] if isinstance(part, dict)}
    return not kinds.isdisjoint(("input_text", "input_audio"))
