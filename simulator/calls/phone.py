"""Phone calls: one rings, a webhook is told, and what the receiver decides happens to the call.

The caller is a WebSocket of the control API. Its first frame dials; then keys and sound go in, and news and sound come
out::

    {"type": "dial", "webhook": "http://…", "secret": "whsec_…", "headers": {"From": "sip:+15550100@example.com"}}
    {"type": "dtmf", "key": "5"}

    {"type": "ringing", "call_id": "rtc_…"}    {"type": "webhook", "status": 200, "attempts": 1}
    {"type": "answered"}    {"type": "rejected", "status_code": 603}    {"type": "referred", "target_uri": "tel:…"}
    {"type": "ended"}
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.calls.call import Call
from simulator.calls.calls import Calls
from simulator.calls.legs import SocketLeg
from simulator.calls.webhooks import WebhookError, deliver, incoming_call
from simulator.wire import Event, Refused, invalid, mapping, missing, text

UNAVAILABLE = 480
"""The SIP status of a call whose webhook nobody took."""
_HEADERS = {"From": "sip:+15550100@sip.example.com", "To": "sip:proj_simulated@sip.api.openai.com"}


@dataclass(frozen=True)
class Dial:
    """Whom a phone calls: the webhook that is told, and what the INVITE says. Without a webhook it only rings."""

    webhook: str
    secret: str
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_HEADERS))
    repeat: int = 1

    @classmethod
    def of(cls, frame: str | bytes) -> Dial:
        """Parse a phone's first frame.

        Raises:
            Refused: it dials nothing.
        """
        order = _parsed(frame)
        if order.get("webhook", "") is None:
            order = {**order, "webhook": "", "secret": ""}
        for name in ("webhook", "secret"):
            if name not in order:
                raise missing(name)
        headers = {name: text(value, "headers") for name, value in mapping(order.get("headers"), "headers").items()}
        repeat = order.get("repeat", 1)
        if not isinstance(repeat, int) or repeat < 1:
            raise invalid("repeat", "Expected a number, 1 or more.")
        return cls(text(order["webhook"], "webhook"), text(order["secret"], "secret"), {**_HEADERS, **headers}, repeat)


class Phone:
    """One phone call from the dialling to its end. Its call is held by ``calls`` once it is accepted."""

    def __init__(self, call: Call, calls: Calls, leg: SocketLeg) -> None:
        self.call = call
        self._calls = calls
        self._leg = leg
        self._is_ringing = True
        call.leg = leg

    async def run(self, dial: Dial, frames: AsyncIterator[str | bytes]) -> None:
        """Ring, and follow what the receiver does and the caller sends, until either side hangs up."""
        self._calls.phones[self.call.id] = self
        self._leg.tell({"type": "ringing", "call_id": self.call.id})
        telling = asyncio.create_task(self._tell(dial))
        try:
            async for frame in frames:
                self._take(frame)
        finally:
            del self._calls.phones[self.call.id]
            self.call.end()
            telling.cancel()
            await asyncio.wait([telling])

    def accept(self, session: Mapping[str, Any]) -> None:
        """Answer the call with a session.

        Raises:
            Refused: the session is not valid, or the call does not ring.
        """
        self._must_ring()
        if "type" not in session:
            raise missing("type")
        self.call.conversation.configure(session)
        self._is_ringing = False
        self._calls.begin(self.call)
        self._leg.tell({"type": "answered"})
        self.call.connected()

    def reject(self, status: int) -> None:
        """Refuse the call with a SIP status.

        Raises:
            Refused: the call does not ring.
        """
        self._must_ring()
        self._is_ringing = False
        self._ended({"type": "rejected", "status_code": status})

    def refer(self, target: str) -> None:
        """Pass the caller on: this call ends.

        Raises:
            Refused: the call has not been accepted.
        """
        if self.call.id not in self._calls.live:
            raise Refused("invalid_call", "Only an accepted call can be referred.")
        self._leg.tell({"type": "referred", "target_uri": target})
        self.call.end()

    def _take(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            if self.call.is_connected:
                self.call.listen(frame)
            return
        order = _parsed(frame)
        if order.get("type") == "dtmf" and self.call.is_connected:
            self.call.press(text(order.get("key"), "key"))

    async def _tell(self, dial: Dial) -> None:
        if not dial.webhook:
            return  # a test tells of it itself
        try:
            delivery = await deliver(
                dial.webhook, dial.secret, incoming_call(self.call.id, dial.headers), repeat=dial.repeat
            )
        except WebhookError as error:
            self._ended({"type": "error", "message": str(error)})
            return
        self._leg.tell({"type": "webhook", "status": delivery.status, "attempts": delivery.attempts})
        if self._is_ringing and not (delivery.status and delivery.status < 300):
            self.reject(UNAVAILABLE)

    def _must_ring(self) -> None:
        if not self._is_ringing:
            raise Refused("invalid_call", "The call does not ring any more: it was answered, rejected or has ended.")

    def _ended(self, news: Event) -> None:
        self._leg.tell(news)
        self._leg.hang_up()


def _parsed(frame: str | bytes) -> dict[str, Any]:
    try:
        order = json.loads(frame)
    except ValueError as error:
        raise Refused("invalid_json", f"A phone sends JSON or sound: {error}") from error
    return mapping(order, "frame")
