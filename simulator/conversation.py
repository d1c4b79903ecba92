"""Decides what the Realtime server does: each client event leads to a list of effects, without any I/O.

The session's loop calls :meth:`Conversation.receive` for each frame. It reports the results of effects by ``heard``
(recognised speech), ``voiced`` (synthesised speech) and ``advance`` (one more step of a track).
"""

from __future__ import annotations

import base64
import copy
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from simulator.behavior import Knobs
from simulator.config import SESSION_LIFETIME_S, default_session, updated
from simulator.effects import Effect, HangUp, Hear, Later, Play, Send, Track
from simulator.items import Item, checked_item
from simulator.responses.player import ResponsePlayer
from simulator.responses.responses import PlayedResponse
from simulator.scripting.scenario import Scenario
from simulator.scripting.script import Script
from simulator.speech.chunking import pieces_of_text
from simulator.speech.hints import hints
from simulator.speech.input_buffer import InputBuffer
from simulator.speech.telephony import decoded
from simulator.speech.vad import BYTES_PER_MS, Energy, Judge, SpeechStarted, SpeechStopped
from simulator.wire import Event, Refused, decoded_audio, invalid, mapping, missing, obfuscation, server_event, text

_REFUSALS = {
    "invalid_request_error": "The session could not be configured.",
    "server_error": "The server had an error while processing your request.",
    "rate_limit_exceeded": "Rate limit reached. Please try again later.",
}
_SPEECH_STARTED = "input_audio_buffer.speech_started"
_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_OF_NO_EVENT = "event_TODO"
"""What LocalAI's errors name instead of the event that they are about."""
_EXPIRED = "Your session hit the maximum duration of 60 minutes."


class Conversation:
    """One session of the server, from ``session.created`` on.

    Args:
        scenario: what the model says.
        model: the one of the URL.
        judge: what tells speech from other sound; None: its loudness, by the knob ``speech_level``.
    """

    def __init__(self, scenario: Scenario, model: str = "gpt-realtime", judge: Judge | None = None) -> None:
        session = default_session(scenario.model or model, _lifetime_s(scenario.knobs))
        if scenario.session:
            session = updated(session, {"type": "realtime", **scenario.session}, voice_locked=False)
        self.knobs = scenario.knobs
        self.player = ResponsePlayer(Script(scenario), session)
        self.items = self.player.items
        self.input = InputBuffer(judge or Energy(self.knobs.speech_level), lambda: self.knobs.new_id("item"))
        self.input.configure(session["audio"]["input"]["turn_detection"])
        self._answered_calls: set[str] = set()
        self._transcripts: dict[str, str] = {}
        self._handlers: dict[str, Callable[[Event], list[Effect]]] = {
            "session.update": self._session_update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "response.create": lambda event: self.player.create(event.get("response")),
            "response.cancel": lambda event: self.player.cancel(event.get("response_id")),
        }

    def configure(self, fields: Mapping[str, Any]) -> None:
        """Change the session before anyone is greeted, as the request that places a call may.

        Raises:
            Refused: the fields are not valid; none of them applies.
        """
        wanted = {"type": "realtime", **fields}
        if "model" in wanted:
            self.player.session["model"] = text(wanted["model"], "session.model")
        self.player.session = updated(self.player.session, wanted, voice_locked=False)
        self.input.configure(self.player.session["audio"]["input"]["turn_detection"])

    def open(self) -> list[Send]:
        """Return the first events of a new connection."""
        greetings = [server_event("session.created", session=copy.deepcopy(self.player.session))]
        if self.knobs.conversation_created:
            conversation = {"id": self.player.conversation_id, "object": "realtime.conversation"}
            greetings.append(server_event("conversation.created", conversation=conversation))
        return [Send(greeting) for greeting in greetings]

    def receive(self, frame: str | bytes) -> list[Effect]:
        """Handle one frame of the client; an invalid one gets an ``error`` event."""
        event: Any = {}
        try:
            event = _parsed(frame)
            return self._dispatch(event)
        except Refused as refused:
            return [Send(refused.event(self._echoed(event)))]

    def _echoed(self, event: Any) -> str | None:
        """Return the client's event id, if errors name it."""
        if self.knobs.error_event_id == "other":
            return _OF_NO_EVENT
        return event.get("event_id") if self.knobs.error_event_id == "echo" else None

    def _dispatch(self, event: Event) -> list[Effect]:
        kind = event.get("type")
        if kind is None:
            raise Refused("invalid_event", "The 'type' field is missing.", "type")
        handler = self._handlers.get(str(kind))
        if handler is None:
            known = ", ".join(f"'{name}'" for name in self._handlers)
            raise invalid("type", f"Invalid value: '{kind}'. Supported values are: {known}.")
        return handler(event)

    def advance(self, track: Track) -> list[Effect]:
        """Play one step of a track."""
        effects: list[Effect] = [Send(event) for event in track.advance()]
        if isinstance(track, PlayedResponse) and track.finished:
            effects += self.player.settle(track)
        return effects

    def heard(self, item_id: str, text: str) -> list[Effect]:
        """Take the recognised words of a spoken item; empty without speech recognition."""
        effects: list[Effect] = []
        if self.player.session["audio"]["input"]["transcription"] is not None:
            self._transcripts[item_id] = text
            seconds = len(self.items.audio.get(item_id, b"")) / BYTES_PER_MS / 1000
            effects.append(Play(Transcription(item_id, text, seconds)))
        return effects + self.player.hears(item_id, text)

    def voiced(self, response_id: str, voices: dict[str, bytes]) -> list[Effect]:
        """Take the sound of a response's texts: PCM16 mono 24 kHz by text."""
        return self.player.voiced(response_id, voices)

    def expire(self) -> list[Effect]:
        """End the session as the server does after its longest time."""
        return [Send(Refused("session_expired", _EXPIRED).event(None)), HangUp(1001, _EXPIRED)]

    def _session_update(self, event: Event) -> list[Effect]:
        if event.get("session") is None:
            raise missing("session")
        update = mapping(event["session"], "session")
        odd: list[Effect] = []
        if self.knobs.before_updated != "nothing":
            odd = [Send(_odd_refusal(self.knobs.before_updated).event(self._echoed(event)))]
            if not self.knobs.updated_follows:
                return odd
        session = updated(self.player.session, update, voice_locked=bool(self.items.sounded))
        self.player.session = session
        self.input.configure(session["audio"]["input"]["turn_detection"])
        return [*odd, Send(server_event("session.updated", session=copy.deepcopy(session)))]

    def _append(self, event: Event) -> list[Effect]:
        if "audio" not in event:
            raise missing("audio")
        return self.listen(self._as_pcm(decoded_audio(event["audio"], "audio")))

    def _as_pcm(self, sound: bytes) -> bytes:
        """Return sound in the session's input format as PCM."""
        return decoded(sound, self.player.session["audio"]["input"]["format"]["type"])

    def listen(self, pcm: bytes) -> list[Effect]:
        """Take the user's sound, PCM16 mono 24 kHz, of any length."""
        effects: list[Effect] = []
        for edge in self.input.append(pcm):
            effects += self._speech_started(edge) if isinstance(edge, SpeechStarted) else self._speech_stopped(edge)
        return effects

    def interrupts(self, effects: list[Effect]) -> bool:
        """Return whether the user has begun to speak here, and so cuts off what is being said."""
        began = any(isinstance(e, Send) and e.event["type"] == _SPEECH_STARTED for e in effects)
        return began and bool(self._turn_detection["interrupt_response"])

    def _speech_started(self, edge: SpeechStarted) -> list[Effect]:
        started = server_event(_SPEECH_STARTED, audio_start_ms=edge.at_ms, item_id=self.input.item_id)
        interrupts = self._turn_detection["interrupt_response"]
        return [Send(started), *(self.player.interrupt() if interrupts else [])]

    def _speech_stopped(self, edge: SpeechStopped) -> list[Effect]:
        item_id, pcm = self.input.take_turn(edge.at_ms)
        stopped = server_event("input_audio_buffer.speech_stopped", audio_end_ms=edge.at_ms, item_id=item_id)
        effects = [Send(stopped), *self._committed(item_id, pcm)]
        if not self._turn_detection["create_response"]:
            return effects
        try:
            return effects + self.player.create(None)
        except Refused as refused:
            return [*effects, Send(refused.event(None))]

    @property
    def _turn_detection(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.player.session["audio"]["input"]["turn_detection"]
        return settings

    def _commit(self, _event: Event) -> list[Effect]:
        return self._committed(*self.input.take_all())

    def _clear(self, _event: Event) -> list[Effect]:
        self.input.clear()
        return [Send(server_event("input_audio_buffer.cleared"))]

    def _committed(self, item_id: str, pcm: bytes) -> list[Effect]:
        """Turn committed audio into a user message, as recorded: its transcript comes later, in other events."""
        previous = self.items.last_id
        content = [{"type": "input_audio", "transcript": None}]
        item: Item = {"id": item_id, "type": "message", "status": "completed", "role": "user", "content": content}
        self.items.append(item)
        committed = server_event("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        return [Send(committed), *self._announced(item), self._hear(item_id, pcm)]

    def _hear(self, item_id: str, pcm: bytes) -> Effect:
        self.items.audio[item_id] = pcm
        self.player.hearing.add(item_id)
        patterns = [turn.hears for turn in self.player.script.scenario.turns if turn.hears]
        return Hear(item_id, pcm, hints(patterns, self.player.session["tools"]))

    def _announced(self, item: Item) -> list[Effect]:
        previous = self.items.previous_id(item["id"])
        at_end = None if self.knobs.done_previous_item_id == "null" else previous
        shown = {"item": copy.deepcopy(item)}
        return [
            Send(server_event("conversation.item.added", previous_item_id=previous, **shown)),
            Send(server_event("conversation.item.done", previous_item_id=at_end, **shown)),
        ]

    def _create_item(self, event: Event) -> list[Effect]:
        item, audio = checked_item(event.get("item"), self.knobs.max_id_length)
        if self.knobs.item_echo == "renamed":
            item["id"] = self.knobs.new_id("item")
        if self.knobs.lenient_items and "status" in event["item"]:
            item["status"] = event["item"]["status"]
        previous = event.get("previous_item_id")
        self.items.check_position(previous)
        self.items.check_new(item["id"])
        if item["type"] == "function_call_output":
            self._check_output(item["call_id"])
        return self.player.when_free(lambda: self._insert(item, audio, previous))

    def _check_output(self, call_id: str) -> None:
        if self.items.call(call_id) is None and not self.knobs.lenient_items:
            message = f"Tool call ID '{call_id}' not found in conversation."
            raise Refused("invalid_tool_call_id", message, "item.call_id")
        if call_id in self._answered_calls and self.knobs.second_output == "error":
            raise invalid("item.call_id", f"Tool call ID '{call_id}' has an output already.")
        self._answered_calls.add(call_id)

    def _insert(self, item: Item, audio: bytes | None, previous: str | None) -> list[Effect]:
        try:
            self.items.insert(item, previous)
        except Refused as refused:
            return [Send(refused.event(None))]
        effects = [] if self.knobs.item_echo == "missing" else self._announced(item)
        if self.knobs.ack_delay_ms:
            delayed = effects
            effects = [Later(self.knobs.ack_delay_ms, lambda: delayed)]
        return [*effects, self._hear(item["id"], self._as_pcm(audio))] if audio else effects

    def _retrieve_item(self, event: Event) -> list[Effect]:
        item = copy.deepcopy(self.items.require(_item_id(event), "retrieve"))
        pcm = self.items.audio.get(item["id"])
        if pcm is not None:
            item["content"][0]["audio"] = base64.b64encode(pcm).decode()
        if item["id"] in self._transcripts:
            item["content"][0]["transcript"] = self._transcripts[item["id"]]
        return [Send(server_event("conversation.item.retrieved", item=item))]

    def _truncate_item(self, event: Event) -> list[Effect]:
        item = self.items.require(_item_id(event), "truncate")
        if item.get("role") != "assistant" or _is_text(item):
            raise invalid("item_id", "Only model output audio messages can be truncated.")
        end_ms, sounded = event.get("audio_end_ms"), self.items.sounded[item["id"]]
        if not isinstance(end_ms, int):
            raise missing("audio_end_ms")
        if end_ms > sounded:
            raise invalid("audio_end_ms", f"Audio content of {sounded}ms is already shorter than {end_ms}ms")
        for part in item["content"]:
            part.pop("transcript", None)
        fields = {"item_id": item["id"], "content_index": event.get("content_index", 0), "audio_end_ms": end_ms}
        return [Send(server_event("conversation.item.truncated", **fields))]

    def _delete_item(self, event: Event) -> list[Effect]:
        if not self.knobs.deletes_items:
            raise Refused("not_implemented", "Deleting items is not implemented.")
        item_id = _item_id(event)
        self.items.remove(item_id)
        return [Send(server_event("conversation.item.deleted", item_id=item_id))]


class Transcription:
    """Track of the transcription events of one spoken item.

    Recorded: each word is a ``delta`` with the space before it, then ``completed`` has the whole sentence and
    the length of the audio in whole seconds.
    """

    def __init__(self, item_id: str, text: str, seconds: float) -> None:
        self._item_id = item_id
        self._text = text
        self._seconds = max(1, round(seconds))
        self._words = deque(pieces_of_text(f" {text}") if text else [])
        self._completed = False

    @property
    def wait_ms(self) -> float | None:
        """Zero while events are left, then None."""
        return None if self._completed else 0.0

    def advance(self) -> list[Event]:
        """Return the next delta, or ``completed``."""
        if self._words:
            word = self._words.popleft()
            return [self._event("delta", delta=word, obfuscation=obfuscation(word))]
        self._completed = True
        usage = {"type": "duration", "seconds": self._seconds}
        return [self._event("completed", transcript=self._text, usage=usage)]

    def _event(self, kind: str, **fields: Any) -> Event:
        return server_event(f"{_TRANSCRIPTION}.{kind}", item_id=self._item_id, content_index=0, **fields)


def _odd_refusal(kind: str) -> Refused:
    """Return an error that comes before `session.updated`: a warning about a field, or a real error."""
    if kind == "warning":
        return invalid("session.audio", "Specifying `session.audio` is not supported.")
    return Refused(kind, _REFUSALS[kind], type=kind)


def _lifetime_s(knobs: Knobs) -> float:
    shown_ms = knobs.expire_after_ms if knobs.lifetime_ms is None else knobs.lifetime_ms
    return SESSION_LIFETIME_S if shown_ms is None else shown_ms / 1000


def _is_text(item: Item) -> bool:
    return any(part["type"] == "output_text" for part in item["content"])


def _item_id(event: Event) -> str:
    item_id = event.get("item_id")
    if not isinstance(item_id, str):
        raise missing("item_id")
    return item_id


def _parsed(frame: str | bytes) -> Event:
    try:
        event = json.loads(frame)
    except ValueError as error:
        raise Refused("invalid_json", f"The frame is not valid JSON: {error}") from error
    if not isinstance(event, dict):
        raise Refused("invalid_event", "An event is a JSON object.")
    return event
