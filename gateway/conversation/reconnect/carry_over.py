"""What a session takes along from one epoch to the next, in the process that holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Event
from gateway.conversation.call_table import CallTable
from gateway.conversation.client.resend_buffer import ResendBuffer
from gateway.conversation.item_log import ItemLog
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.turns import UserTurns

DEEP = 3
"""session → audio → input → a field, which is replaced as a whole (Realtime API, session.update)."""


@dataclass(slots=True)
class CarriedState:
    """Everything that outlives an upstream connection.

    Args:
        has_past: earlier epochs hold something that the next conversation must be told.
        log: what was said; None where this process has heard nothing yet, and the rows have to tell.
        calls: every call, and what is known of it beside its row.
        turns: the user's turns.
        unheard: what the client has said and no server has confirmed.
        client_session: what the client has set of its session.
        aside: what it had set before, where the Realtime API refused to begin with it.
        lively_at: when the user last took part.
        untold: the calls whose results nobody has told the user yet.
        creates: the client's `response.create`s that no response has answered.
        user_waits: True where a response was under way, asked for or due; None where only the rows can tell.
    """

    has_past: bool = False
    log: ItemLog | None = None
    calls: CallTable = field(default_factory=CallTable)
    turns: UserTurns = field(default_factory=UserTurns)
    unheard: ResendBuffer = field(default_factory=ResendBuffer)
    client_session: Event = field(default_factory=dict)
    aside: Event | None = None
    untold: frozenset[str] = frozenset()
    lively_at: float | None = None
    creates: tuple[Event, ...] = ()
    user_waits: bool | None = None

    def is_awaited(self, past: ConversationHistory) -> bool:
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


def shows(session: object, update: object) -> bool:
    """True where the session holds what the update asks for."""
    if isinstance(update, dict) and isinstance(session, dict):
        return all(key in session and shows(session[key], value) for key, value in update.items())
    return session == update


@dataclass(slots=True)
class PendingUpdate:
    """A session.update that the server has not answered yet."""

    event_id: str
    session: Event
    is_ours: bool
    is_doubted: bool = False
    """An error came that names no event, and is most likely about this one."""


@dataclass(slots=True)
class ClientSessionConfig:
    """What the client sets of its session: it counts once the server has taken it."""

    session: Event
    aside: Event | None = None
    """What the client had set, and the Realtime API refuses: conversations begin without it."""
    _asked: list[PendingUpdate] = field(default_factory=list)
    """In the order in which they went out. A client may use an id twice."""

    def asked_ours(self, event: Event) -> None:
        """A session.update of our own goes out."""
        self._asked.append(PendingUpdate(event["event_id"], event["session"], is_ours=True))

    @property
    def answers_ours(self) -> bool:
        """True where the next session.updated is about one of ours: no news for the client."""
        return any(asked.is_ours for asked in (self._certain() or self._asked)[:1])

    def asked(self, event: Event) -> None:
        """The client's session.update goes out."""
        self._asked.append(PendingUpdate(event["event_id"], event["session"], is_ours=False))

    @property
    def tools(self) -> list[Event]:
        """The functions that the client brings, by the last that it said of them."""
        said = (asked.session for asked in reversed(self._certain()) if not asked.is_ours)
        brought: list[Event] = next((session for session in said if "tools" in session), self.session).get("tools", [])
        return brought

    @property
    def oldest(self) -> str | None:
        """The event id of the update that the server will answer next: they are answered in order."""
        return next((asked.event_id for asked in self._certain()), None)

    def is_asked(self, event_id: object) -> bool:
        """True where this event is an update that the server has not answered yet."""
        return any(asked.event_id == event_id for asked in self._certain())

    def doubt(self, event_id: object) -> None:
        """An error names no event: this update of the client's counts only where the session that comes shows it."""
        for asked in self._asked:
            if asked.event_id == event_id and not asked.is_doubted:
                asked.is_doubted = True
                return

    def refused(self, event_id: object) -> Event | None:
        """The server did not take it, not even in part; returns what the client asked for, where it was the client."""
        refused = next((asked for asked in self._certain() if asked.event_id == event_id), None)
        if refused is None:
            return None
        self._asked.remove(refused)
        return None if refused.is_ours else refused.session

    def taken(self, shown: Event) -> Event | None:
        """A session.updated came, with this session: what is set now; None where it is not the client's doing."""
        while self._asked:
            asked = self._asked.pop(0)
            if asked.is_doubted and (asked.is_ours or not shows(shown, asked.session)):
                continue
            if asked.is_ours:
                return None
            update = {key: value for key, value in asked.session.items() if key != "type"}
            self.session = merged(self.session, update)
            return self.session
        return None

    def set_aside(self) -> bool:
        """Begin without what the client has set, as the Realtime API refuses it; False where there is nothing."""
        if not self.session:
            return False
        self.aside, self.session = self.session, {}
        return True

    def take_over(self, session: Event) -> bool:
        """What the client has set by now, elsewhere; True where the server has to be told of it."""
        if session == self.aside:
            return False
        is_news, self.session = session != self.session, session
        return is_news

    def _certain(self) -> list[PendingUpdate]:
        return [asked for asked in self._asked if not asked.is_doubted]
