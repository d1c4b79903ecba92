"""The control API: faults on demand, for tests that decide at run time what breaks and when.

Each request is one order: ``POST /control?do=drop&code=1006&connection=3``. It exists only with ``--control``, and only
for programs on this machine, not for web pages. ``GET /control`` lists the connections.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from simulator.behavior import KnobError, Knobs, Refusal
from simulator.scripting.scenario import Scenario

CONTROL_PATH = "/control"
CALLER_PATH = "/control/calls/"
"""Followed by a call's id: a WebSocket that stands in for the caller's browser."""
PHONE_PATH = "/control/phone"
"""A WebSocket that is a phone, and dials."""


class ControlledSocket(Protocol):
    """Actions on an open WebSocket."""

    def drop(self, code: int) -> None:
        """End the connection with this close code; 1006 cuts it without a close frame."""

    def cut(self) -> None:
        """End the connection in the middle of a frame."""

    def hang(self) -> None:
        """Answer pings, and send no more events."""

    def blackhole(self) -> None:
        """Stop reading, too: pings go unanswered, and the connection stays."""


class ControlledConnection(Protocol):
    """An open connection, and the session behind it."""

    @property
    def socket(self) -> ControlledSocket:
        """The connection's WebSocket."""

    def expire(self) -> None:
        """End the session as the server does after its longest duration."""

    def shown(self) -> dict[str, Any]:
        """Return the session's id, and when it expires."""


class Order(BaseModel):
    """One order; fields that its ``do`` does not need are ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: Literal["drop", "cut", "hang", "blackhole", "expire", "refuse"]
    connection: int | Literal["all"] = "all"
    code: Annotated[Literal[1000, 1001, 1006, 1011, 1012], BeforeValidator(int)] = 1006
    status: Annotated[Literal[401, 403, 404, 429, 500, 503], BeforeValidator(int)] = 429
    times: int = Field(default=1, ge=0)


Act = Literal["place", "accept", "reject", "refer", "hangup", "sideband"]
"""What a server asks of a call: each over HTTP but the last, which is an upgrade."""


class Answer(BaseModel):
    """How the next requests of one kind about calls are answered.

    ``done``: what they ask for is done all the same, as where an answer was lost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: Literal["answer"] = "answer"
    act: Act
    status: int = Field(default=503, ge=400, le=599)
    times: int = Field(default=1, ge=0)
    done: bool = False
    code: str | None = None
    message: str | None = None


class Hold(BaseModel):
    """Do what the requests of one kind ask for, and answer none of them until ``do=release``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: Literal["hold", "release"]
    act: Act


@dataclass
class Control:
    """The open connections by their number, and the faults of further ones and of requests about calls."""

    connections: dict[int, ControlledConnection] = field(default_factory=dict)
    knobs: dict[str, str] = field(default_factory=dict)
    _refuse: Refusal | None = None
    _answers: dict[str, list[Answer]] = field(default_factory=dict)
    _held: dict[str, asyncio.Event] = field(default_factory=dict)

    def answer_to(self, act: Act) -> Answer | None:
        """Return how the next request of that kind is answered, and count it; None: as ever."""
        if not (ordered := self._answers.get(act)):
            return None
        first, *rest = ordered
        more = first.times - 1
        self._answers[act] = [first.model_copy(update={"times": more}), *rest] if more else rest
        return first

    def left(self, act: Act) -> int:
        """Return how many requests of that kind are still to be answered otherwise."""
        return sum(answer.times for answer in self._answers.get(act, ()))

    async def released(self, act: Act) -> None:
        """Wait while answers of that kind are held."""
        if act in self._held:
            await self._held[act].wait()

    def refusal(self) -> Refusal | None:
        """Return the refusal of the next connection, if any, and count it."""
        refusal = self._refuse
        if refusal is not None:
            more = refusal.times - 1
            self._refuse = refusal.model_copy(update={"times": more}) if more else None
        return refusal

    def turned(self, scenario: Scenario) -> Scenario:
        """Return the scenario with the knobs of the last order."""
        return scenario.turned(self.knobs)

    def answer(self, method: str, target: str) -> tuple[int, str]:
        """Execute a request; return the HTTP status and the JSON text of the answer."""
        if method == "GET":
            return 200, json.dumps({"connections": {n: one.shown() for n, one in self.connections.items()}})
        given: dict[str, Any] = dict(parse_qsl(urlsplit(target).query))
        try:
            return 200, json.dumps({"connections": self._obey(given)})
        except ValidationError as error:
            first = error.errors()[0]
            return 400, json.dumps({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"})
        except KnobError as error:
            return 400, json.dumps({"error": str(error)})

    def order_answer(self, answer: Answer) -> None:
        """Answer further requests so, behind those that were ordered before; ``times`` 0 cancels all of that kind."""
        self._answers[answer.act] = [*self._answers.get(answer.act, ()), answer] if answer.times else []

    def order_hold(self, hold: Hold) -> None:
        """Hold answers of one kind, or release them."""
        if hold.do == "hold":
            self._held.setdefault(hold.act, asyncio.Event())
        elif (held := self._held.pop(hold.act, None)) is not None:
            held.set()

    def _obey(self, given: dict[str, Any]) -> list[int]:
        """Execute an order, and return the numbers of its connections."""
        if given.get("do") == "answer":
            self.order_answer(Answer.model_validate(given))
            return []
        if given.get("do") in ("hold", "release"):
            self.order_hold(Hold.model_validate(given))
            return []
        if given.get("do") == "knobs":
            knobs = {name: value for name, value in given.items() if name != "do"}
            Knobs().turned(knobs)
            self.knobs = knobs
            return []
        order = Order.model_validate(given)
        if order.do == "refuse":
            self._refuse = Refusal(status=order.status, times=order.times) if order.times else None
            return []
        wanted = [number for number in self.connections if order.connection in (number, "all")]
        for number in wanted:
            _do(order, self.connections[number])
        return wanted


def _do(order: Order, connection: ControlledConnection) -> None:
    match order.do:
        case "drop":
            connection.socket.drop(order.code)
        case "cut":
            connection.socket.cut()
        case "hang":
            connection.socket.hang()
        case "blackhole":
            connection.socket.blackhole()
        case "expire":
            connection.expire()


def may_control(host: str, headers: Mapping[str, str]) -> bool:
    """Return whether a caller is on this machine and is no web page, which always sends its origin."""
    return ipaddress.ip_address(host).is_loopback and "Origin" not in headers and "Sec-Fetch-Site" not in headers
