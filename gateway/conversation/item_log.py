"""Log of what was said, in order: a conversation can be built anew from it.

The Realtime API keeps the items of a conversation and gives none of them back. So the log notes each message as its
events pass: where it stands, who said it, and its words as the user said or heard them. What a client cuts off
(`conversation.item.truncate`) was not heard, and is cut here too. Calls stand in the same order; their arguments and
results are kept with their jobs. Outputs have no position: they follow their call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Event
from gateway.protocol.audio_formats import DEFAULT_BYTES_PER_SECOND, bytes_per_second
from gateway.upstream.events import (
    Item,
    ItemDeleted,
    ItemShown,
    ItemTranscribed,
    ItemTruncated,
    ModelEvent,
    ModelText,
    OutputItemFinished,
    SessionUpdated,
)
from ringback.statements.sessions.items import IMAGE_LEFT_OUT, Message

MAX_TEXT_CHARS = 16_000
"""Of one message: longer ones are pasted documents, and a rebuilt conversation must fit its window."""
MAX_IMAGE_CHARS = 262_144
"""Of the data URIs of one message; an image beyond that is remembered as having been there."""
MAX_MESSAGES = 2_000
"""Kept in memory: an hour of talk has some hundreds."""
MAX_CHARS = 4 * 1_048_576
"""Of all of them, pictures included: what a rebuilt conversation is told is far less."""
SPOKEN_CHARS_A_MS = 0.015
"""How fast a voice speaks whose sound did not pass the gateway, as on a WebRTC call: a guess, of English."""
NOT_TRANSCRIBED = "(The user said something here that was not transcribed.)"


@dataclass(slots=True)
class _Said:
    position: int
    item_id: str
    role: str
    parts: list[dict[str, Any]] = field(default_factory=list)
    words: str = ""
    """Deltas of what is being said right now."""
    sounded_ms: float = 0.0
    is_cut: bool = False
    """The user has heard no more of it, even if the server says more."""
    is_past: bool = False
    chars: int = 0

    def message(self) -> Message:
        parts = self.parts or ([{"type": "output_text", "text": self.words}] if self.words else [])
        return Message(self.position, self.item_id, self.role, parts)


class ItemLog:
    """The log of one session's conversation, through all its epochs."""

    def __init__(self, messages: Iterable[Message] = (), places: Iterable[tuple[str, int]] = ()) -> None:
        """`messages` were said in earlier epochs (`told_anew`); `places` are the calls' item ids and positions."""
        said = sorted(messages, key=lambda message: message.position)
        self._said = {m.item_id: _Said(m.position, m.item_id, m.role, m.content) for m in said}
        self._chars = 0
        for each in list(self._said.values()):
            self._weigh(each)
        self._calls = dict(places)
        taken = [said.position for said in self._said.values()] + list(self._calls.values())
        self._next = max(taken, default=0) + 1
        self._bytes_per_ms = DEFAULT_BYTES_PER_SECOND / 1_000

    @property
    def last(self) -> int:
        """The position of the last item."""
        return self._next - 1

    def told_anew(self) -> ItemLog:
        """Mark all messages as past: another conversation is told of them, and its server's echoes are no news."""
        for said in self._said.values():
            said.is_past = said.is_cut = True
        return self

    def is_past(self, item_id: str) -> bool:
        """Return True for a message of an earlier conversation: without its audio, it can only be cut short here."""
        said = self._said.get(item_id)
        return said is not None and said.is_past

    def hear(self, event: ModelEvent) -> list[Message]:
        """Note an event; return the messages that it makes known, or changes."""
        if type(event) is ItemShown or type(event) is OutputItemFinished:
            return self._shown(event.item)
        if type(event) is ModelText:
            self.note_text(str(event.item_id), event.delta)
        elif type(event) is ItemTranscribed:
            return self._transcribed(str(event.item_id), event.transcript)
        elif type(event) is ItemTruncated:
            return self.truncate(str(event.item_id), event.audio_end_ms)
        elif type(event) is ItemDeleted:
            return self._deleted(str(event.item_id))
        elif type(event) is SessionUpdated:
            self.note_session(event.session)
        return []

    def note_audio(self, item_id: str, chars: int) -> float:
        """Note so many characters of audio of this item; return how many seconds they sound."""
        said, sounds_ms = self._said.get(item_id), chars * 0.75 / self._bytes_per_ms
        if said is not None:
            said.sounded_ms += sounds_ms
        return sounds_ms / 1_000

    def note_text(self, item_id: str, delta: str) -> None:
        """Note a piece of what is being said in this item."""
        said = self._said.get(item_id)
        if said is not None and not said.is_cut and len(said.words) < MAX_TEXT_CHARS:
            said.words += _storable(delta)

    def place_of_call(self, item_id: object) -> int:
        """Return the position of a `function_call` item."""
        return self._place(item_id if isinstance(item_id, str) else "")

    def message(self, item_id: str) -> Message | None:
        """Return what was said in this item, as the user said or heard it; None if it is no message, or forgotten."""
        said = self._said.get(item_id)
        return None if said is None else said.message()

    def unfinished(self) -> list[Message]:
        """Return what was being said when the connection ended: the client has it so far."""
        return [said.message() for said in self._said.values() if said.words and not said.parts]

    def truncate(self, item_id: str, audio_end_ms: object) -> list[Message]:
        """Cut an item of the model short: the user has heard only so much of it."""
        said = self._said.get(item_id)
        if said is None or said.role != "assistant" or not isinstance(audio_end_ms, int | float):
            return []
        whole = " ".join(part.get("text", "") for part in said.parts) or said.words
        sounds_ms = said.sounded_ms or len(whole) / SPOKEN_CHARS_A_MS
        heard = _cut_at_a_word(whole, min(1.0, audio_end_ms / sounds_ms) if sounds_ms else 1.0)
        said.parts, said.words, said.is_cut = [{"type": "output_text", "text": heard}], "", True
        return [said.message()]

    def _shown(self, item: Item) -> list[Message]:
        item_id, role = item.id, item.role
        if item_id is None:
            return []
        if item.type == "function_call":
            self._place(item_id)
        if item.type != "message" or role not in ("user", "assistant", "system"):
            return []
        said = self._said.get(item_id)
        if said is None:
            said = self._said[item_id] = _Said(self._take_position(), item_id, role)
            self._weigh(said)
        if said.is_cut:
            return []
        parts = _parts(item.content or [])
        if not parts or parts == said.parts:
            return []
        said.parts, said.words = parts, ""
        self._weigh(said)
        return [said.message()]

    def _transcribed(self, item_id: str, transcript: str) -> list[Message]:
        said = self._said.get(item_id)
        if said is None or said.is_cut or not transcript.strip():
            return []
        said.parts = [{"type": "input_audio", "text": _storable(transcript.strip())}]
        return [said.message()]

    def _deleted(self, item_id: str) -> list[Message]:
        """Empty an item that was deleted: no later conversation is told of it."""
        said = self._said.get(item_id)
        if said is None:
            return []
        said.parts, said.words, said.is_cut = [], "", True
        return [said.message()]

    def note_session(self, session: Event) -> None:
        """Note the format of the model's audio, which says how long it sounds."""
        shape = ((session.get("audio") or {}).get("output") or {}).get("format")
        in_a_second = bytes_per_second(shape)
        if in_a_second is not None:
            self._bytes_per_ms = in_a_second / 1_000

    def _place(self, item_id: str) -> int:
        if item_id not in self._calls:
            self._calls[item_id] = self._take_position()
        return self._calls[item_id]

    def _take_position(self) -> int:
        self._next += 1
        return self._next - 1

    def _weigh(self, said: _Said) -> None:
        """Count the length of a message anew. If all are too long, forget the oldest: the rows have them."""
        before, said.chars = said.chars, sum(len(str(value)) for part in said.parts for value in part.values())
        self._chars += said.chars - before
        while len(self._said) > 1 and (self._chars > MAX_CHARS or len(self._said) > MAX_MESSAGES):
            oldest = self._said.pop(next(iter(self._said)))
            self._chars -= oldest.chars


def _parts(content: list[Any]) -> list[dict[str, Any]]:
    """Return the parts of an item in one shape. Speech without words yet has an empty text."""
    parts: list[dict[str, Any]] = []
    room, room_for_images = MAX_TEXT_CHARS, MAX_IMAGE_CHARS
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        words = part.get("transcript") or part.get("text") or "" if kind else ""
        text = _storable(words)[:room] if isinstance(words, str) else ""
        room -= len(text)
        if kind == "input_image":
            url = part.get("image_url")
            fits = isinstance(url, str) and len(url) <= room_for_images
            room_for_images -= len(url) if fits else 0
            parts.append({"type": kind, "image_url": url} if fits else {"type": "input_text", "text": IMAGE_LEFT_OUT})
        elif kind == "input_audio" or (kind == "input_text" and text):
            parts.append({"type": kind, "text": text})
        elif kind in ("output_text", "output_audio", "text", "audio") and text:
            parts.append({"type": "output_text", "text": text})
    return parts


def _storable(text: str) -> str:
    """Postgres keeps no NUL, and no half of a surrogate pair."""
    if text.isascii() and text.isprintable() and len(text) <= MAX_TEXT_CHARS:
        return text  # as most pieces of what is said
    return text[:MAX_TEXT_CHARS].replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _cut_at_a_word(text: str, share: float) -> str:
    """Return the share of a text that was heard; a word that was only begun does not count."""
    if share >= 1.0:
        return text
    kept = text[: int(len(text) * share)]
    return kept if text[len(kept) : len(kept) + 1].isspace() else kept.rpartition(" ")[0]
