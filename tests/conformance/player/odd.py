"""A Realtime server for as many connections as come: it answers each question, and has one odd manner at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.conformance.player.wire import Event, Wire

ITEM = "conversation.item.create"


def never(_connection: int) -> None:
    """Of no connection."""


@dataclass
class Odd:
    """What it says of itself is as OpenAI's does, but for what is given here.

    Args:
        refuses: the `error` that a connection, by its number from 1, answers a `session.update` with.
        names_event: that error names the update.
        expires: the `expires_at` of a connection.
        greets: it says session.created.
        warns: an `error` that comes before each session.updated.
        echoes: how items are shown: "as they are", "renamed", "never".
        deaf: the connections that answer no `response.create`.
    """

    refuses: Callable[[int], Event | None] = never
    names_event: bool = False
    expires: Callable[[int], float | None] = never
    greets: bool = True
    warns: Event | None = None
    echoes: str = "as they are"
    deaf: frozenset[int] = frozenset()
    connected: int = 0
    told: list[list[Event]] = field(default_factory=list)
    """The items that each connection was told, in their order."""
    asked: list[Event] = field(default_factory=list)
    """Every session.update."""
    _ids: Any = field(default_factory=lambda: count(1))

    async def __call__(self, wire: Wire) -> None:
        """The script of one connection."""
        self.connected += 1
        number, items = self.connected, list[Event]()
        self.told.append(items)
        if self.greets:
            await self._tell(wire, "session.created", session={"id": f"sess_{number}", "instructions": "default"})
        async for event in wire.events():
            kind = event["type"]
            if kind == "session.update":
                await self._configure(wire, number, event)
            elif kind == ITEM:
                items.append(event["item"])
                await self._echo(wire, event["item"])
            elif kind == "response.create" and number not in self.deaf:
                await self._answer(wire, f"answer {len(items)} of {number}")

    async def _configure(self, wire: Wire, number: int, event: Event) -> None:
        self.asked.append(event)
        refusal = self.refuses(number)
        if refusal is not None:
            named = {"event_id": event["event_id"]} if self.names_event else {}
            return await self._tell(wire, "error", error={"message": "No.", **refusal, **named})
        if self.warns is not None:
            await self._tell(wire, "error", error=self.warns)
        session = {**event["session"], "id": f"sess_{number}"}
        expires_at = self.expires(number)
        shown = session if expires_at is None else {**session, "expires_at": expires_at}
        return await self._tell(wire, "session.updated", session=shown)

    async def _echo(self, wire: Wire, item: Event) -> None:
        if self.echoes == "never":
            return
        own = {"id": f"own_{next(self._ids)}"} if self.echoes == "renamed" else {}
        for stage in ("added", "done"):
            await self._tell(wire, f"conversation.item.{stage}", previous_item_id=None, item={**item, **own})

    async def _answer(self, wire: Wire, text: str) -> None:
        response: Event = {"id": f"resp_{next(self._ids)}", "conversation_id": "conv_1"}
        item: Event = {"id": f"item_{next(self._ids)}", "type": "message", "role": "assistant", "status": "completed"}
        item["content"] = [{"type": "output_text", "text": text}]
        await self._tell(wire, "response.created", response={**response, "status": "in_progress", "output": []})
        await self._tell(wire, "conversation.item.added", item={**item, "content": []})
        await self._tell(wire, "response.output_item.done", response_id=response["id"], output_index=0, item=item)
        await self._tell(wire, "response.done", response={**response, "status": "completed", "output": [item]})

    async def _tell(self, wire: Wire, kind: str, **fields: Any) -> None:
        await wire.send({"type": kind, "event_id": f"event_{next(self._ids)}", **fields})
