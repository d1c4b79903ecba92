"""What the gateway must know of a provider's servers beforehand, because no event of theirs tells it in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CREATE_SECONDS = 10.0
"""If a response.create neither began a response nor was refused by then, the gateway takes it for lost. A server that
was slow before is given more."""
LONGEST_SECONDS = 7 * 86_400.0
"""No session lasts for a week: a later `expires_at` is written in another unit."""


def tool_name(tool: dict[str, Any]) -> str:
    """Return the name of a tool in an echoed session: at the top, or nested under `function` as xAI shows it."""
    return str((tool.get("function") or tool).get("name"))


@dataclass(frozen=True, slots=True)
class Quirks:
    """How one provider's servers behave."""

    create_seconds: float = CREATE_SECONDS
    """How long the server may take to begin a response, at least. The gateway takes a server that is silent for twice
    as long for hung."""
    ping_seconds: float = 15.0
    pong_seconds: float = 10.0
    """The gateway notices a half-open connection within the two of them."""
    answers_early_seconds: float | None = None
    """A call that takes longer is answered with "accepted, the result follows", for servers that hold the talk while a
    call has no output (`gateway.conversation.tool_calls.early_answers`). None: each call waits for its result."""
    deletes_items: bool = True
    """False: it answers `conversation.item.delete` with an error, so what is said once stays in the conversation."""
    tool_name: Callable[[dict[str, Any]], str] = tool_name
    """Reads the name of a tool as the server shows it in `session.updated`."""


USUAL = Quirks()
"""Of most servers."""


def lifetime(expires_at: float | None, now: float) -> float | None:
    """Return the seconds from now until a session ends, by its `expires_at`; None if that cannot be known.

    Most servers send Unix seconds; some send milliseconds, or the session's length. An end in the past tells no
    lifetime: the clocks may differ.

    Args:
        now: Unix time, in seconds.
    """
    if expires_at is None:
        return None
    readings = (expires_at - now, expires_at / 1_000 - now, expires_at)
    return next((seconds for seconds in readings if 0 < seconds <= LONGEST_SECONDS), None)
