"""A Realtime API that phones ring at: it has calls accepted or rejected, and lets gateways join them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.webhook_signing import key_of, signed_headers
from tests.calls.provider import READ_ONLY, FakeCall, FakeProvider
from tests.guarantees.toolbox.phone_agents import NUMBER
from tests.line import PATIENCE, Event, eventually
from tests.local_http import LOCAL

SECRET, OLD_SECRET = "whsec_" + "A" * 43 + "=", "whsec_" + "B" * 43 + "="
CALLER = "+4930222"
_numbers = count(1)


def announcement(call_id: str, caller: str = CALLER, called: str = NUMBER, **headers: str) -> bytes:
    """The body of a webhook, as the Realtime API writes it."""
    said = {"From": f"<sip:{caller}@trunk.example>;tag=1", "To": f"<sip:{called}@sip.example>", **headers}
    sip = [{"name": name, "value": value} for name, value in said.items()]
    data = {"call_id": call_id, "sip_headers": sip}
    event = {"id": "evt_1", "object": "event", "created_at": 1, "type": "realtime.call.incoming", "data": data}
    return json.dumps(event).encode()


def posts(url: str, body: bytes, *, secret: str = SECRET, age: float = 0.0, **changed: str) -> httpx.Response:
    """Post a webhook; `changed` are headers that replace those of the signature."""
    message = changed.pop("webhook_id", f"wh_{next(_numbers)}_{time.time_ns()}")
    headers = signed_headers(key_of(secret), message, int(time.time() - age), body)
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return LOCAL.post(f"{url}/webhooks/openai", content=body, headers=headers)


@dataclass
class Asked:
    """What gateways have asked of one call, in order: what, and with which body."""

    acts: list[tuple[str, Event]] = field(default_factory=list)

    def bodies(self, act: str) -> list[Event]:
        return [body for name, body in list(self.acts) if name == act]


class PhoneProvider(FakeProvider):
    """A call is there once it rings; it can be joined once it is accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, Asked] = {}
        self.may_accept = threading.Event()
        """Cleared: a call is accepted, and the gateway is not told so."""
        self.may_accept.set()
        self.faults: list[tuple[str, int]] = []
        """What is answered so, although it is done: an act, and a status."""

    def rings(self) -> str:
        """Have a phone ring; returns the id of the call."""
        call_id = f"rtc_sip_{next(_numbers)}"
        self.asked[call_id] = Asked()
        return call_id

    async def _steer(self, request: Request) -> Response:
        call_id, what = request.path_params["call_id"], request.path_params["what"]
        if call_id not in self.asked:
            return JSONResponse({"error": {"code": "call_id_not_found"}}, 404)
        body = await request.body()
        self.asked[call_id].acts.append((what, json.loads(body) if body else {}))
        if what == "accept":
            accepted = await self._accept(call_id, json.loads(body))
            return self._fault(what) or accepted
        if what == "reject" and (refused := self._fault(what)) is not None:
            return refused
        if what == "hangup" and call_id in self.calls:
            self.calls[call_id].hung_up = True
        if call_id in self.calls:
            await self._end(self.calls[call_id])
        return Response(status_code=200)

    async def _accept(self, call_id: str, session: Event) -> Response:
        if call_id in self.calls:
            return JSONResponse({"error": {"code": "call_already_accepted"}}, 400)
        self.calls[call_id] = FakeCall(call_id, {**session, **READ_ONLY})
        await asyncio.to_thread(self.may_accept.wait, PATIENCE)
        return Response(status_code=200)

    def _fault(self, act: str) -> Response | None:
        found = next((fault for fault in self.faults if fault[0] == act), None)
        if found is None:
            return None
        self.faults.remove(found)
        return Response(status_code=found[1])

    def says(self, call: FakeCall, words: str, *, calls: str = "", arguments: Any = None, plays: bool = True) -> str:
        """Have the model say something, and maybe call a function in the same response; returns the response's id."""
        response, item = f"resp_{next(_numbers)}", f"item_{next(_numbers)}"
        message: Event = {"id": item, "type": "message", "role": "assistant", "content": []}
        place = {"response_id": response, "output_index": 0}
        about: Event = {"id": response, "conversation_id": "conv_1", "output": []}
        part = {**place, "item_id": item, "content_index": 0}
        events: list[Event] = [
            {"type": "response.created", "response": {**about, "status": "in_progress"}},
            {"type": "response.output_item.added", **place, "item": {**message, "status": "in_progress"}},
            {"type": "output_audio_buffer.started", "response_id": response},
            {"type": "response.output_audio_transcript.delta", **part, "delta": words},
            {"type": "response.output_audio_transcript.done", **part, "transcript": words},
        ]
        if calls:
            call_id = f"call_{next(_numbers)}"
            asked = {"id": f"item_{call_id}", "type": "function_call", "call_id": call_id, "name": calls}
            asked |= {"status": "completed", "arguments": json.dumps(arguments or {})}
            place = {"response_id": response, "output_index": 1}
            events.append({"type": "response.output_item.done", **place, "item": asked})
        events.append({"type": "response.done", "response": {**about, "status": "completed"}})
        self.tells(call, *events)
        if plays:
            self.played(call, response)
        return response

    def played(self, call: FakeCall, response: str) -> None:
        self.tells(call, {"type": "output_audio_buffer.stopped", "response_id": response})

    def joined(self, call_id: str) -> FakeCall:
        """Wait until a gateway is beside the call."""
        eventually(lambda: call_id in self.calls, "the call to be accepted")
        call = self.calls[call_id]
        self.attended(call)
        eventually(lambda: call.sent("session.update"), "the gateway to assert the session")
        return call

    def acted(self, call_id: str, act: str) -> Event:
        """Wait until a gateway has asked for this; returns the body."""
        asked = self.asked[call_id]
        eventually(lambda: asked.bodies(act), f"{act} of {call_id}")
        return asked.bodies(act)[0]


@contextmanager
def phone_provider() -> Iterator[PhoneProvider]:
    """Serve for as long as the context lasts."""
    provider = PhoneProvider()
    server = provider.serve()
    thread = threading.Thread(target=lambda: asyncio.run(provider.main(server)), daemon=True)
    thread.start()
    eventually(lambda: server.started, "the provider to listen")
    try:
        yield provider
    finally:
        provider.may_accept.set()
        server.should_exit = True
        thread.join(10)
