"""A conversation without sockets: its effects are performed at once, so that a test reads what would be sent."""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from simulator.conversation import Conversation
from simulator.effects import Effect, HangUp, Hear, Later, Play, Send, Speak, Track
from simulator.scripting.scenario import parse
from simulator.speech.vad import BYTES_PER_MS, SAMPLE_RATE

SPEECH_MS = 300


def sound(milliseconds: int, amplitude: int = 8000) -> bytes:
    """A tone of 440 Hz as PCM16 mono 24 kHz."""
    count = SAMPLE_RATE * milliseconds // 1000
    return array("h", (round(amplitude * math.sin(i * 440 * math.tau / SAMPLE_RATE)) for i in range(count))).tobytes()


def silence(milliseconds: int) -> bytes:
    return bytes(BYTES_PER_MS * milliseconds)


class Rehearsal:
    """A client and a player hand: sends events, and plays tracks only as far as a test says.

    ``words`` is what the ears recognise, turn by turn.
    """

    def __init__(self, scenario: str = "like: demo", words: Iterable[str] = (), model: str = "gpt-realtime") -> None:
        self.conversation = Conversation(parse(scenario, "test", "test.yaml"), model)
        self.words = iter(words)
        self.sent: list[dict[str, Any]] = []
        self.tracks: list[Track] = []
        self.later: list[Later] = []
        self.hung_up: HangUp | None = None
        self.perform(self.conversation.open())

    def perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    event = self.conversation.knobs.shown(effect.event)
                    if event is not None:
                        self.sent.append(event)
                case Play():
                    self.tracks.append(effect.track)
                case Hear():
                    self.perform(self.conversation.heard(effect.item_id, next(self.words, "")))
                case Speak():
                    voices = {text: sound(SPEECH_MS) for text in effect.texts}
                    self.perform(self.conversation.voiced(effect.response_id, voices))
                case Later():
                    self.later.append(effect)
                case HangUp():
                    self.hung_up = effect

    def send(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Send a client event and return what came back at once."""
        start = len(self.sent)
        self.perform(self.conversation.receive(json.dumps({"type": kind, **fields})))
        return self.sent[start:]

    def step(self) -> bool:
        """Play one step of the oldest track; False without a track."""
        self.tracks = [track for track in self.tracks if track.wait_ms is not None]
        if not self.tracks:
            return False
        self.perform(self.conversation.advance(self.tracks[0]))
        return True

    def play_out(self) -> list[dict[str, Any]]:
        """Play every track to its end and return the events."""
        start = len(self.sent)
        while self.step():
            pass
        return self.sent[start:]

    def play_until(self, kind: str) -> dict[str, Any]:
        """Play until a step sends an event of this type, and return it."""
        played = len(self.sent)
        while self.step():
            found = next((event for event in self.sent[played:] if event["type"] == kind), None)
            if found is not None:
                return found
            played = len(self.sent)
        raise AssertionError(f"{kind} was never sent; there were {[event['type'] for event in self.sent]}")

    def tools(self, *names: str, **session: Any) -> None:
        """Give the session tools, and text answers unless told otherwise."""
        listed = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in names]
        self.send(
            "session.update", session={"type": "realtime", "tools": listed, "output_modalities": ["text"], **session}
        )

    def type_in(self, text: str, **fields: Any) -> list[dict[str, Any]]:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        return self.send("conversation.item.create", item=item, **fields)

    def respond(self, **response: Any) -> dict[str, Any]:
        """Ask for a response, play it out, and return it as it was done."""
        self.send("response.create", **({"response": response} if response else {}))
        self.play_out()
        done: dict[str, Any] = self.last("response.done")["response"]
        return done

    def answer(self, call_id: str, output: Any) -> list[dict[str, Any]]:
        text = output if isinstance(output, str) else json.dumps(output)
        item = {"type": "function_call_output", "call_id": call_id, "output": text}
        return self.send("conversation.item.create", item=item)

    def hear(self, pcm: bytes) -> list[dict[str, Any]]:
        return self.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())

    def last(self, kind: str) -> dict[str, Any]:
        return next(event for event in reversed(self.sent) if event["type"] == kind)


def types(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def said(response: dict[str, Any]) -> str:
    """All that a finished response says."""
    parts = (part for item in response["output"] for part in item.get("content", []))
    return " ".join(part.get("text") or part.get("transcript") for part in parts)


def calls(response: dict[str, Any]) -> list[tuple[str, Any]]:
    """The calls of a finished response: tool and arguments."""
    found = (item for item in response["output"] if item["type"] == "function_call")
    return [(item["name"], json.loads(item["arguments"])) for item in found]


def error_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the error, which is the only event that came back."""
    assert types(events) == ["error"]
    error: dict[str, Any] = events[0]["error"]
    return error
