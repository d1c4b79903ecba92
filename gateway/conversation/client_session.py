"""Settings that the client has made of its session, and the updates that the server has not answered yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Event

DEEP = 3
"""session → audio → input → a field, which is replaced as a whole (Realtime API, session.update)."""


def merged(session: Event, update: Event, depth: int = DEEP) -> dict[str, Any]:
    """Return the session after an update: what the update leaves out stays as it is."""
    result = dict(session)
    for key, value in update.items():
        before = result.get(key)
        if depth > 1 and isinstance(before, dict) and isinstance(value, dict):
            value = merged(before, value, depth - 1)
        result[key] = value
    return result


def shows(session: object, update: object) -> bool:
    """Return True if the session holds what the update asks for."""
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
    """An error that names no event is most likely about this one."""


@dataclass(slots=True)
class ClientSessionConfig:
    """Settings of the client: each counts once the server has taken it."""

    session: Event
    rejected: Event | None = None
    """Settings of the client that the Realtime API refuses: conversations begin without them."""
    _asked: list[PendingUpdate] = field(default_factory=list)
    """In the order in which they went out. A client may use an id twice."""

    def asked_ours(self, event: Event) -> None:
        """Note that a session.update of the gateway goes out."""
        self._asked.append(PendingUpdate(event["event_id"], event["session"], is_ours=True))

    @property
    def answers_ours(self) -> bool:
        """True if the next session.updated answers an update of the gateway: no news for the client."""
        return any(asked.is_ours for asked in (self._certain() or self._asked)[:1])

    def asked(self, event: Event) -> None:
        """Note that a session.update of the client goes out."""
        self._asked.append(PendingUpdate(event["event_id"], event["session"], is_ours=False))

    @property
    def tools(self) -> list[Event]:
        """The functions that the client brings, by its last update."""
        said = (asked.session for asked in reversed(self._certain()) if not asked.is_ours)
        brought: list[Event] = next((session for session in said if "tools" in session), self.session).get("tools", [])
        return brought

    @property
    def oldest(self) -> str | None:
        """The event id of the update that the server will answer next: they are answered in order."""
        return next((asked.event_id for asked in self._certain()), None)

    def is_asked(self, event_id: object) -> bool:
        """Return True if this event is an update that the server has not answered yet."""
        return any(asked.event_id == event_id for asked in self._certain())

    def doubt(self, event_id: object) -> None:
        """Doubt an update, as an error names no event: it counts only if the next session shows it."""
        for asked in self._asked:
            if asked.event_id == event_id and not asked.is_doubted:
                asked.is_doubted = True
                return

    def refused(self, event_id: object) -> Event | None:
        """Drop an update that the server refused as a whole; return what it asked for, if it was the client's."""
        refused = next((asked for asked in self._certain() if asked.event_id == event_id), None)
        if refused is None:
            return None
        self._asked.remove(refused)
        return None if refused.is_ours else refused.session

    def taken(self, shown: Event) -> Event | None:
        """Take in the session of a session.updated; return the client's settings, or None if they did not change."""
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
        """Set aside what the client has set, as the Realtime API refuses it; return False if it has set no field."""
        if not self.session:
            return False
        self.rejected, self.session = self.session, {}
        return True

    def take_over(self, session: Event) -> bool:
        """Take over the settings of another epoch; return True if the server has to be told of them."""
        if session == self.rejected:
            return False
        is_news, self.session = session != self.session, session
        return is_news

    def _certain(self) -> list[PendingUpdate]:
        return [asked for asked in self._asked if not asked.is_doubted]
