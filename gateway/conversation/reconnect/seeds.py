"""The items of the past that a new conversation is told, and which of them it has shown.

A server shows each item that it takes, in the order in which they came. Some servers give an item another id, and some
show no items. So an item is known by its id, or else as the next one of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace

from gateway.conversation.actions import Event
from gateway.upstream.events import Item, ModelEvent

MAX_ID_CHARS = 32
"""OpenAI refuses a longer id; a server whose own are longer is given an item under a shorter one."""
POINTERS = ("item_id", "previous_item_id")
"""Fields in which an event names an item."""


@dataclass(slots=True)
class Seeds:
    """Items of the past that one conversation was told, under the ids that the gateway gave them."""

    ids: set[str] = field(default_factory=set)
    _waiting: dict[str, Event] = field(default_factory=dict)
    """Told, and neither shown nor refused; the oldest first."""
    _events: dict[str, str] = field(default_factory=dict)
    """The item that each of our events creates."""
    _known_as: dict[str, str] = field(default_factory=dict)
    """The server's id of an item, and the gateway's."""

    @property
    def waiting(self) -> int:
        """How many the server has not shown yet."""
        return len(self._waiting)

    def sown(self, item: Event, number: int) -> Event:
        """Return the item as it is told, under an id that every server takes."""
        short, ours = f"rb_past_{number}", item.get("id")
        if isinstance(ours, str) and len(ours) <= MAX_ID_CHARS:
            return item
        if isinstance(ours, str):
            self._known_as[short] = ours
        return {**item, "id": short}

    def told(self, event: Event) -> None:
        """Note that an item of the past goes out."""
        item_id = self._ours(event["item"].get("id"))
        self.ids.add(item_id)
        self._waiting[item_id] = event["item"]
        self._events[event["event_id"]] = item_id

    def shown(self, item: Item) -> bool:
        """Note an item that the server shows; return True if that is news. Items before it are waited for no longer."""
        ours = self._ours(item.id)
        if ours not in self.ids:
            found = self._like(item)
            if found is None:
                return False
            self._known_as[ours] = found
            ours = found
        if ours not in self._waiting:
            return False
        while next(iter(self._waiting)) != ours:
            del self._waiting[next(iter(self._waiting))]
        del self._waiting[ours]
        return True

    def refused(self, event_id: object) -> str | None:
        """Return the item of the past that this refused event was to create, if it was one."""
        item_id = self._events.get(str(event_id))
        self._waiting.pop(item_id or "", None)
        return item_id

    def holds(self, item_id: str) -> bool:
        """Return True for an item of the past, under the gateway's id or the server's."""
        return item_id in self.ids or item_id in self._known_as

    def named(self, event: ModelEvent) -> ModelEvent:
        """Return the event with our ids of the items of the past, instead of the ids that the server gave them."""
        if not self._known_as:
            return event
        raw = event.raw
        ours: Event = {name: self._known_as[raw[name]] for name in POINTERS if raw.get(name) in self._known_as}
        item = event.item
        if item is not None and item.id in self._known_as:
            item = replace(item, id=self._known_as[item.id])
            ours["item"] = {**raw["item"], "id": item.id}
        if not ours:
            return event
        return replace(event, raw={**raw, **ours}, item_id=ours.get("item_id", event.item_id), item=item)

    def _ours(self, item_id: object) -> str:
        known = str(item_id)
        return self._known_as.get(known, known)

    def _like(self, item: Item) -> str | None:
        """Return the oldest item of this kind that was not shown yet."""
        kind = (item.type, item.role, item.call_id)
        for item_id, told in self._waiting.items():
            if kind == (told.get("type"), told.get("role"), told.get("call_id")):
                return item_id
        return None
