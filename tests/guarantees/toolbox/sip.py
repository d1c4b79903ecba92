"""Phones that call over SIP: the simulator announces them, or a test posts the webhook itself."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import count

import httpx
from websockets.asyncio.client import ClientConnection, connect

from gateway.webhook_signing import key_of, signed_headers
from simulator.server.control import PHONE_PATH
from tests.guarantees.toolbox.phone_agents import NUMBER
from tests.line import Event, eventually
from tests.local_http import LOCAL
from tests.played import Provider

SECRET, OLD_SECRET = "whsec_" + "A" * 43 + "=", "whsec_" + "B" * 43 + "="
CALLER = "+4930222"
_numbers = count(1)


def sip_headers(caller: str = CALLER, called: str = NUMBER, **headers: str) -> dict[str, str]:
    """What the INVITE of a call says."""
    return {"From": f"<sip:{caller}@trunk.example>;tag=1", "To": f"<sip:{called}@sip.example>", **headers}


def announcement(call_id: str, caller: str = CALLER, called: str = NUMBER, **headers: str) -> bytes:
    """The body of a webhook, as the Realtime API writes it."""
    sip = [{"name": name, "value": value} for name, value in sip_headers(caller, called, **headers).items()]
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
class Handset:
    """A phone that has dialled; `news` is what it was told of its call, oldest first."""

    socket: ClientConnection
    news: list[Event] = field(default_factory=list)
    listening: asyncio.Task[None] | None = None

    def told(self, kind: str) -> Event:
        """Wait for news of this kind."""

        def look() -> Event | None:
            return next((news for news in list(self.news) if news["type"] == kind), None)

        found: Event = eventually(look, f"the phone to be told {kind!r}, and not {self.news}")
        return found

    @property
    def call_id(self) -> str:
        return str(self.told("ringing")["call_id"])

    async def listen(self) -> None:
        async for frame in self.socket:
            if isinstance(frame, str):
                self.news.append(json.loads(frame))


def dials(provider: Provider, webhook: str | None = None, **said: str) -> Handset:
    """Dial; the simulator announces the call there, or the test does."""

    async def dial() -> Handset:
        url = provider.url.removesuffix("/v1/realtime") + PHONE_PATH
        handset = Handset(await connect(url, max_queue=None, proxy=None))
        handset.listening = asyncio.create_task(handset.listen())
        order = {"type": "dial", "webhook": webhook, "secret": SECRET, "headers": sip_headers(**said)}
        await handset.socket.send(json.dumps(order))
        return handset

    return provider.awaits(dial())


def acted(provider: Provider, call_id: str, act: str) -> Event:
    """Wait until a gateway has asked for this; returns the body."""
    found: list[Event] = eventually(lambda: provider.asked(call_id, act), f"{act} of {call_id}")  # type: ignore[arg-type]
    return found[0]


def is_untouched(provider: Provider, call_id: str) -> bool:
    """Whether no gateway has asked for anything of the call."""
    return not any(provider.asked(call_id, act) for act in ("accept", "reject", "refer", "hangup"))
