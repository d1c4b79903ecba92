"""Does a `session.updated` say that our instructions and tools are in force?

A `session.update` is applied or rejected as a whole (Realtime API, session.updated), so its echo is the confirmation.
An echo that still shows what the session had before ours is none: it belongs to something else, or the update had no
effect. One that shows our instructions and no tools at all comes from a server that keeps its tools to itself, as half
an update is never applied. One that shows neither is the server's own wording of what it was told; it is accepted, and
said in the log.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from gateway.conversation.actions import Event
from gateway.upstream.quirks import Quirks


class Confirmation(Enum):
    """What an echo says of what we sent."""

    CONFIRMED = "confirmed"
    REWORDED = "reworded"
    NOT_APPLIED = "not applied"


def confirmation(before: Event, echoed: Event, sent: Event, quirks: Quirks) -> Confirmation:
    """Compare the session as it was created, as it was echoed and as we sent it; the worst of its parts counts."""
    words = tools = Confirmation.CONFIRMED
    # A part that is not echoed at all is believed: xAI shows no tools.
    if "instructions" in echoed:
        ours, theirs = _words(sent["instructions"]), _words(echoed["instructions"])
        words = _compare(_words(before.get("instructions")), theirs, ours)
    if "tools" in echoed:
        was, shown, wanted = (_names(each, quirks) for each in (before.get("tools"), echoed["tools"], sent["tools"]))
        tools = _compare(was, shown, wanted)
        if not echoed["tools"] and words is Confirmation.CONFIRMED and _has_news(before, echoed):
            tools = min(tools, Confirmation.REWORDED, key=list(Confirmation).index)
    return max(words, tools, key=list(Confirmation).index)


def _has_news(before: Event, echoed: Event) -> bool:
    """True where the instructions were others before: then the update was applied, and with them its tools."""
    return "instructions" in echoed and _words(before.get("instructions")) != _words(echoed["instructions"])


def _compare(before: object, echoed: object, sent: object) -> Confirmation:
    if echoed == sent:
        return Confirmation.CONFIRMED
    if not echoed or echoed == before:
        return Confirmation.NOT_APPLIED
    return Confirmation.REWORDED


def _words(instructions: Any) -> list[str]:
    """Servers trim and fold white space."""
    return str(instructions or "").split()


def _names(tools: Any, quirks: Quirks) -> frozenset[str]:
    """Return the names of these tools, as the provider's servers show them."""
    return frozenset(quirks.tool_name(tool) for tool in tools or [] if isinstance(tool, dict))
