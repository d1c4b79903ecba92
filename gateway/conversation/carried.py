"""What a session takes along from one epoch to the next, in the process that holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Event
from gateway.conversation.call_table import CallTable
from gateway.conversation.log import ItemLog
from gateway.conversation.rebuild import Past
from gateway.conversation.turn_taking.turns import Turns
from gateway.conversation.unheard import Unheard

DEEP = 3
"""session → audio → input → a field, which is replaced as a whole (Realtime API, session.update)."""


@dataclass(slots=True)
class Carried:
    """Everything that outlives an upstream connection.

    Args:
        has_past: earlier epochs hold something that the next conversation must be told.
        log: what was said; None where this process has heard nothing yet, and the rows have to tell.
        calls: every call, and what is known of it beside its row.
        turns: the user's turns.
        unheard: what the client has said and no server has confirmed.
        client_session: what the client has set of its session.
        lively_at: when the user last took part.
        untold: the calls whose results nobody has told the user yet.
        creates: the client's `response.create`s that no response has answered.
        user_waits: True where a response was under way, asked for or due; None where only the rows can tell.
    """

    has_past: bool = False
    log: ItemLog | None = None
    calls: CallTable = field(default_factory=CallTable)
    turns: Turns = field(default_factory=Turns)
    unheard: Unheard = field(default_factory=Unheard)
    client_session: Event = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    lively_at: float | None = None
    creates: tuple[Event, ...] = ()
    user_waits: bool | None = None

    def is_awaited(self, past: Past) -> bool:
        """True where the user waits for an answer that an earlier epoch did not come to give."""
        return past.user_waits if self.user_waits is None else self.user_waits


def merged(session: Event, update: Event, depth: int = DEEP) -> dict[str, Any]:
    """The session after an update: what the update leaves out stays as it is."""
    result = dict(session)
    for key, value in update.items():
        before = result.get(key)
        if depth > 1 and isinstance(before, dict) and isinstance(value, dict):
            value = merged(before, value, depth - 1)
        result[key] = value
    return result


@dataclass(slots=True)
class Settings:
    """What the client sets of its session: it counts once the server has taken it."""

    session: Event
    _asked: list[tuple[str, Event | None]] = field(default_factory=list)
    """By event id, in the order in which they went out; None stands for one of ours. A client may use an id twice."""

    def asked_ours(self, event: Event) -> None:
        """A session.update of our own goes out."""
        self._asked.append((event["event_id"], None))

    @property
    def answers_ours(self) -> bool:
        """True where the next session.updated is about one of ours: no news for the client."""
        return bool(self._asked) and self._asked[0][1] is None

    def asked(self, event: Event) -> None:
        """The client's session.update goes out."""
        self._asked.append((event["event_id"], event["session"]))

    @property
    def tools(self) -> list[Event]:
        """The functions that the client brings, by the last that it said of them."""
        asked = (update for _, update in reversed(self._asked) if update is not None and "tools" in update)
        brought: list[Event] = next(asked, self.session).get("tools", [])
        return brought

    @property
    def oldest(self) -> str | None:
        """The event id of the update that the server will answer next: they are answered in order."""
        return self._asked[0][0] if self._asked else None

    def is_asked(self, event_id: object) -> bool:
        """True where this event is an update that the server has not answered yet."""
        return any(update[0] == event_id for update in self._asked)

    def refused(self, event_id: object) -> Event | None:
        """The server did not take it, not even in part; returns what the client asked for, where it was the client."""
        refused = next((update for update in self._asked if update[0] == event_id), None)
        if refused is None:
            return None
        self._asked.remove(refused)
        return refused[1]

    def taken(self) -> Event | None:
        """A session.updated came: what is set now, or None where the client had asked for nothing."""
        if not self._asked:
            return None
        _, update = self._asked.pop(0)
        if update is None:
            return None
        self.session = merged(self.session, {key: value for key, value in update.items() if key != "type"})
        return self.session
