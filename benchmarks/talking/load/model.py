"""The model of the load: a Realtime server that speaks in every session, in the shape of recorded traffic.

A response lasts five seconds: ten deltas of audio a second, of 4 to 10 KB each, and as many of its transcript. Between
two responses the user's turn is taken in. No two sessions in a row end a response at the same moment. On order a
response ends in a function call, and the next begins when the client asks for it.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.talking.load.orders import STAMP_DIGITS, Pacer, Stamps, obey

DELTA_SECONDS = 0.1
DELTAS = 50
"""Deltas of a response: five seconds of speech."""
APART = 21
"""By how many deltas a session's first response is shorter than that of the session before. It has no divisor with
`DELTAS`: so the ends of responses, which real talks have at any moment, are spread evenly over five seconds."""
SIZES = (4_096, 7_200, 8_800, 5_600, 9_600, 6_400, 8_000, 7_200)
"""Letters of base64 in a delta of audio, in turn."""
TYPE_ENDS = 200
_RANDOM = random.Random(2)
SOUNDS = [base64.b64encode(_RANDOM.randbytes(size // 4 * 3))[STAMP_DIGITS:] for size in SIZES]
USAGE = {
    "total_tokens": 821,
    "input_tokens": 789,
    "output_tokens": 32,
    "input_token_details": {"text_tokens": 313, "audio_tokens": 476, "cached_tokens": 256},
    "output_token_details": {"text_tokens": 9, "audio_tokens": 23},
}
_numbers = itertools.count(1)


class Session(WSListener):
    """One conversation, from the model's side."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._transport: Any = None
        self._number = next(_numbers)
        self._deltas = 0
        self.first = self._number * APART % DELTAS
        """The delta with which the response begins: the first response was under way when the session was heard."""
        self._response = self._item = ""
        self._front = b""
        self._waits = False
        """A call is under way: the next response begins when the client asks for it."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._model.sessions.append(self)
        created = {"type": "realtime", "id": f"sess_{self._number}", "model": "gpt-realtime"}
        self._send("session.created", session={**created, "output_modalities": ["audio"]})

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._model.sessions.remove(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        if payload.find(b"input_audio_buffer.append", 0, TYPE_ENDS) >= 0:
            self._model.heard += 1
            self._model.stamps.note(payload, b'"audio":')
        else:
            self._take(json.loads(payload))

    def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                self._send("session.updated", session={**event["session"], "id": f"sess_{self._number}"})
            case "conversation.item.create":
                item = event["item"]
                if item["type"] == "function_call_output":
                    self._model.outputs[item["call_id"]] = self._model.outputs.get(item["call_id"], 0) + 1
                self._send("conversation.item.added", previous_item_id=None, item=item)
                self._send("conversation.item.done", previous_item_id=None, item=item)
            case "response.create":
                self._waits = False

    def speak(self) -> None:
        """Send what comes next: a tenth of a second of speech, or the end of it."""
        if self._waits:
            return
        if not self._response:
            self._begin()
        stamp, sound = Stamps.now(), SOUNDS[self._deltas % len(SOUNDS)]
        front, self._deltas = self._front, self._deltas + 1
        self._transport.send(WSMsgType.TEXT, b'{"type":"response.output_audio.delta",' + front + stamp + sound + b'"}')
        self._transport.send(WSMsgType.TEXT, b'{"type":"response.output_audio_transcript.delta",' + front + b' word"}')
        self._model.sent += 1
        self._model.words += 1
        if self._deltas == DELTAS:
            self._end()
            self.first = 0

    def _begin(self) -> None:
        number = next(_numbers)
        self._deltas, self._response, self._item = self.first, f"resp_{number}", f"item_{number}"
        named = {"event_id": f"event_{number}", "response_id": self._response, "item_id": self._item}
        indexed = {**named, "output_index": 0, "content_index": 0, "delta": ""}
        self._front = json.dumps(indexed, separators=(",", ":")).encode()[1:-2]
        self._take_in_the_users_turn(number)
        response = {"object": "realtime.response", "id": self._response, "status": "in_progress", "output": []}
        self._send("response.created", response=response)
        message = {"id": self._item, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        self._send("response.output_item.added", response_id=self._response, output_index=0, item=message)
        self._send("conversation.item.added", previous_item_id=None, item=message)
        self._send("response.content_part.added", **self._at(), part={"type": "audio", "transcript": ""})

    def _take_in_the_users_turn(self, number: int) -> None:
        item_id, said = f"item_u{number}", "What is the weather like?"
        item = {"id": item_id, "type": "message", "status": "completed", "role": "user"}
        content = [{"type": "input_audio", "transcript": None}]
        self._send("input_audio_buffer.committed", previous_item_id=None, item_id=item_id)
        self._send("conversation.item.added", previous_item_id=None, item={**item, "content": content})
        self._send("conversation.item.done", previous_item_id=None, item={**item, "content": content})
        completed = "conversation.item.input_audio_transcription.completed"
        self._send(completed, item_id=item_id, content_index=0, transcript=said)

    def _end(self) -> None:
        said = " word" * (DELTAS - self.first)
        part = {"type": "audio", "transcript": said}
        self._send("response.output_audio.done", **self._at())
        self._send("response.output_audio_transcript.done", **self._at(), transcript=said)
        self._send("response.content_part.done", **self._at(), part=part)
        content = [{"type": "output_audio", "transcript": said}]
        item = {"id": self._item, "type": "message", "status": "completed", "role": "assistant", "content": content}
        output = [item]
        self._send("conversation.item.done", previous_item_id=None, item=item)
        self._send("response.output_item.done", response_id=self._response, output_index=0, item=item)
        if self._model.tool:
            output.append(self._call(self._model.tool))
        response = {"object": "realtime.response", "id": self._response, "status": "completed", "output": output}
        self._send("response.done", response={**response, "usage": USAGE})
        self._response = ""

    def _call(self, tool: str) -> dict[str, Any]:
        number = next(_numbers)
        item = {"id": f"item_{number}", "type": "function_call", "name": tool, "call_id": f"call_{number}"}
        begun = {**item, "status": "in_progress", "arguments": ""}
        done = {**item, "status": "completed", "arguments": "{}"}
        at = {"response_id": self._response, "output_index": 1}
        self._model.calls.append(f"call_{number}")
        self._waits = True
        self._send("response.output_item.added", **at, item=begun)
        self._send("conversation.item.added", previous_item_id=self._item, item=begun)
        called = {"item_id": item["id"], "call_id": item["call_id"], "name": tool, "arguments": "{}"}
        self._send("response.function_call_arguments.done", **at, **called)
        self._send("conversation.item.done", previous_item_id=self._item, item=done)
        self._send("response.output_item.done", **at, item=done)
        return done

    def _at(self) -> dict[str, Any]:
        return {"response_id": self._response, "item_id": self._item, "output_index": 0, "content_index": 0}

    def _send(self, kind: str, **rest: Any) -> None:
        event = {"type": kind, "event_id": f"event_{next(_numbers)}", **rest}
        self._transport.send(WSMsgType.TEXT, json.dumps(event, separators=(",", ":")).encode())


class Model:
    """All sessions, and what was sent and heard in all."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.sent = self.words = self.heard = 0
        self.tool = ""
        self.calls: list[str] = []
        self.outputs: dict[str, int] = {}
        self.stamps = Stamps()
        self._pacer = Pacer(DELTA_SECONDS)

    async def serve(self, port: int) -> dict[str, Any]:
        await ws_create_server(self._answer, "127.0.0.1", port)
        return {}

    def _answer(self, _: WSUpgradeRequest) -> WSListener:
        return Session(self)

    async def talk(self, number: int, tool: str = "", together: bool = False, first: int = 0) -> dict[str, Any]:
        """Speak in so many sessions; each response ends in a call of the tool, where one is named.

        Args:
            first: which session is the first of them.
            together: all first responses are whole: those of all sessions end within the same tenth of a second.
        """
        self.tool = tool
        if together:
            for session in self.sessions:
                session.first = 0
        await self._pacer.start(self.sessions[first : first + number], Session.speak)
        return {}

    async def hush(self) -> dict[str, Any]:
        await self._pacer.stop()
        return await self.report()

    async def mark(self) -> dict[str, Any]:
        self.stamps.mark()
        return await self.report()

    async def report(self) -> dict[str, Any]:
        counts = {"sent": self.sent, "heard": self.heard, "words": self.words, "open": len(self.sessions)}
        return {**counts, **self.stamps.quantiles()}

    async def called(self) -> dict[str, Any]:
        """All calls so far, and how often each was answered."""
        return {"calls": self.calls, "outputs": self.outputs}


async def main() -> None:
    model = Model()
    orders = (model.serve, model.talk, model.hush, model.mark, model.report, model.called)
    await obey({order.__name__: order for order in orders})


if __name__ == "__main__":
    uvloop.run(main())
