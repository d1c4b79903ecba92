"""Items that a client was shown, for one that asks to see an item again (`conversation.item.retrieve`).

SDKs ask by themselves, after each turn of the user and after each interruption. The gateway answers from what it has
shown: the server's own answer could hold what the client may not see, and servers unlike OpenAI's give none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Action, Event, SendToClient
from gateway.conversation.event_names import DELETE_ITEM, ITEM_DELETED, ITEM_RETRIEVED, RETRIEVE_ITEM
from gateway.conversation.item_log import ItemLog
from gateway.protocol import Rejection

MAX_SHOWN = 500
"""Items that are kept: an hour of talk has some hundreds."""
MAX_FIELD_CHARS = 1_000
"""Of one field of an item. What is longer is taken from the log, or left out, such as a picture or audio."""
MAX_NAME_CHARS = 64
"""Of an id that is quoted."""
NO_SUCH_ITEM = {
    RETRIEVE_ITEM: "item_retrieve_invalid_item_id",
    DELETE_ITEM: "item_delete_invalid_item_id",
}
"""The Realtime API's own codes: SDKs that wait for an item know them."""

_TRANSCRIPTS = {"input_audio": "transcript", "output_audio": "transcript", "audio": "transcript"}
_LOGGED = {"user": "input_text", "system": "input_text", "assistant": "output_text"}


@dataclass(slots=True)
class ItemRetrieval:
    """The items of one conversation that its client has seen, as it saw them last."""

    _shown: dict[str, Event] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Note an event that went to the client: it may show an item, or tell that one is gone."""
        item = event.get("item")
        if isinstance(item, dict) and isinstance(item.get("id"), str):
            self._shown.pop(item["id"], None)
            self._shown[item["id"]] = _within_bounds(item)
            while len(self._shown) > MAX_SHOWN:
                del self._shown[next(iter(self._shown))]
        elif event.get("type") == ITEM_DELETED:
            self._shown.pop(str(event.get("item_id")), None)

    def answer(self, asked: Event, log: ItemLog, event_id: str) -> list[Action]:
        """Answer a client's event that names an item; return [] if it may go on to the model."""
        kind = asked["type"]
        if kind not in NO_SUCH_ITEM:
            return []
        item = self._item(asked["item_id"], log)
        if item is None:
            sentence = f"The conversation has no item {asked['item_id'][:MAX_NAME_CHARS]!r} that this client was shown."
            refusal = Rejection(NO_SUCH_ITEM[kind], sentence, asked.get("event_id"), "item_id")
            return [SendToClient(refusal.as_event(event_id))]
        if kind == DELETE_ITEM:
            return []
        return [SendToClient({"type": ITEM_RETRIEVED, "event_id": event_id, "item": item})]

    def _item(self, item_id: str, log: ItemLog) -> Event | None:
        shown, said = self._shown.get(item_id), log.message(item_id)
        if said is None:
            return shown
        if shown is None:
            kind = _LOGGED.get(said.role, "input_text")
            parts = [{"type": kind, "text": part["text"]} for part in said.content if part.get("text")]
            shown = {"id": item_id, "object": "realtime.item", "type": "message", "role": said.role, "content": parts}
            return {**shown, "status": "completed"}
        return {**shown, "content": _with_words(shown.get("content") or [], said.content)}


def _with_words(shown: list[Any], said: list[dict[str, Any]]) -> list[Any]:
    """Return the parts as they were shown, with what was transcribed, said and cut off since."""
    words = [str(part.get("text") or "") for part in said]
    if not shown and any(words):  # the item was shown as it began, and what was said of it came in deltas
        return [{"type": part["type"], "text": part.get("text")} for part in said]
    parts = []
    for at, part in enumerate(shown):
        name = _TRANSCRIPTS.get(str(part.get("type")), "text") if isinstance(part, dict) else None
        if name is None or part.get("type") == "input_image":
            parts.append(part)
        else:
            parts.append({**part, name: (words[at] if at < len(words) else "") or part.get(name)})
    return parts


def _within_bounds(item: Event) -> Event:
    """Return the item without fields that are too large to be kept."""
    content = item.get("content")
    if not isinstance(content, list):
        return {name: value for name, value in item.items() if _fits(value)}
    parts = [
        {name: value for name, value in part.items() if _fits(value)} if isinstance(part, dict) else part
        for part in content
    ]
    return {**item, "content": parts}


def _fits(value: object) -> bool:
    return not isinstance(value, str) or len(value) <= MAX_FIELD_CHARS
