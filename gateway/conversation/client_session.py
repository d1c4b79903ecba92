"""What the client has set of its session, and which of its updates the server has still to answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Event

DEEP = 3
"""session → audio → input → a field, which is replaced as a whole (Realtime API, session.update)."""


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
    rejected: Event | None = None
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

    def reject(self) -> bool:
        """Begin without what the client has set, as the Realtime API refuses it; False where there is nothing."""
        if not self.session:
            return False
        self.rejected, self.session = self.session, {}
        return True

    def take_over(self, session: Event) -> bool:
        """What the client has set by now, elsewhere; True where the server has to be told of it."""
        if session == self.rejected:
            return False
        is_news, self.session = session != self.session, session
        return is_news

    def _certain(self) -> list[PendingUpdate]:
        return [asked for asked in self._asked if not asked.is_doubted]
