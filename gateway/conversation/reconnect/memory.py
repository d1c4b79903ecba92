"""How much of its past a rebuilt conversation is told: a budget in tokens of the model's window, and what fits it.

The window must have room left for instructions, tools and the talk to come. So the past has a budget:

    what must be told      results that are news, and calls that still run: all of them; where they take more than a
                           third of the budget, the longest results are cut until they do not
    everything else        from the newest back, each in short: long texts and results cut, pictures named; the
                           newest of them as a whole, for which a quarter of the room is kept free

Only the server can count tokens; here they are estimated. Four bytes of UTF-8 are one token, which holds for English
and comes near for other scripts. A picture costs what the largest that is not scaled down costs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.conversation.actions import Event
from ringback.agents.agent import Agent

SMALL_WINDOW = 32_768
"""Tokens of gpt-realtime, its mini and 1.5 (OpenAI, models); also of every model that is not known here."""
LARGE_WINDOW = 128_000
"""Tokens of gpt-realtime-2 and what follows it (OpenAI, models)."""
WINDOW_SHARE = 3 / 8
"""Of the window, for the past: instructions and tools may take half of the small one."""
SMALL_BUDGET = int(SMALL_WINDOW * WINDOW_SHARE)
"""Of a model with the small window."""
WANTED_SHARE = 1 / 3
"""Of the budget, for what must be told."""
BYTES_PER_TOKEN = 4
ITEM_TOKENS = 8
"""Of an item, beside its words."""
PICTURE_TOKENS = 1_105
"""85, and 170 for each of six tiles (OpenAI, images and vision)."""
WHOLE_SHARE = 1 / 4
"""Of the rest, kept free for the newest as a whole: what the user showed or read just now is talked about."""
SHORT_CHARS = 2_000
"""Of a text or a result in short, some 500 tokens: the smallest budget holds a dozen of them."""
TOO_LONG_TOKENS = 2_000
"""What takes more even in short, such as the arguments of a call, is skipped where it does not fit."""
LEAST_CHARS = 200
"""Of a result that has to share its room with others: enough to tell what it is about."""

_LARGE_MODEL = re.compile(r"gpt-realtime-2(?!\d)")  # not the date of gpt-realtime-2025-08-28
_WORDS = ("text", "arguments", "output", "name")


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, or a call with its output, at its place in the conversation.

    Args:
        write: makes the items; given a number, no text of theirs is longer, and pictures are only named.
        is_wanted: it must be told.
    """

    position: int
    write: Callable[[int | None], list[Event]]
    is_wanted: bool = False


def budget(agent: Agent) -> int:
    """Return the tokens of an agent's past: its own figure, or a share of its model's window."""
    window = LARGE_WINDOW if _LARGE_MODEL.match(agent.model) else SMALL_WINDOW
    return agent.memory_tokens or int(window * WINDOW_SHARE)


def tokens_of(items: Iterable[Event]) -> int:
    """Return about how many tokens of the model's window these items take."""
    return sum(ITEM_TOKENS + _tokens_of(part) for item in items for part in (item, *(item.get("content") or ())))


def _tokens_of(part: Event) -> int:
    if part.get("type") == "input_image":
        return PICTURE_TOKENS
    return sum(len(part[name].encode(errors="replace")) for name in _WORDS if name in part) // BYTES_PER_TOKEN


def fitting(entries: Sequence[Entry], tokens: int) -> list[Event]:
    """Return the items of those entries that fit the budget, the oldest first."""
    wanted = [entry for entry in entries if entry.is_wanted]
    share = int(tokens * WANTED_SHARE)
    chosen = [*zip(wanted, _shared(wanted, share), strict=True)]
    room = tokens - min(share, tokens_of(item for _, items in chosen for item in items))
    chosen += _newest((entry for entry in entries if not entry.is_wanted), room)
    chosen.sort(key=lambda each: each[0].position)
    return [item for _, items in chosen for item in items]


def _shared(entries: Sequence[Entry], tokens: int) -> list[list[Event]]:
    """The items of all entries; where they are too long together, the longest are cut to one length."""
    whole = [entry.write(None) for entry in entries]
    sizes = [tokens_of(items) for items in whole]
    level = _level(sizes, tokens)
    return [
        items if size <= level else entry.write(max(LEAST_CHARS, _longest(items) * level // size))
        for entry, items, size in zip(entries, whole, sizes, strict=True)
    ]


def _level(sizes: Sequence[int], total: int) -> int:
    """The size to which the larger ones must shrink for all of them to fit."""
    left, level = total, total
    for number, size in enumerate(sorted(sizes)):
        level = left // (len(sizes) - number)
        if size > level:
            return level
        left -= size
    return max(level, *sizes, 0)


def _newest(entries: Iterable[Entry], room: int) -> list[tuple[Entry, list[Event]]]:
    """The newest entries that fit: many in short, and of these the newest as a whole."""
    newest = sorted(entries, key=lambda entry: entry.position, reverse=True)
    kept: dict[int, list[Event]] = {}
    reserved = int(room * WHOLE_SHARE)
    room = _add_short(newest, kept, room - reserved) + reserved
    for number, items in kept.items():
        whole = newest[number].write(None)
        more = tokens_of(whole) - tokens_of(items)
        if more <= room:
            kept[number] = whole
            room -= more
    _add_short(newest, kept, room)
    return [(newest[number], items) for number, items in kept.items()]


def _add_short(newest: Sequence[Entry], kept: dict[int, list[Event]], room: int) -> int:
    """Add what is not kept yet, by its number, in short; returns the room that is left."""
    for number, entry in enumerate(newest):
        if room <= ITEM_TOKENS:
            break
        items = [] if number in kept else entry.write(SHORT_CHARS)
        size = tokens_of(items)
        if size > room and size < TOO_LONG_TOKENS:
            break  # what is older than this is not told: a talk has no holes
        if items and size <= room:
            kept[number] = items
            room -= size
    return room


def _longest(items: Iterable[Event]) -> int:
    return max((len(item["output"]) for item in items if "output" in item), default=0)
