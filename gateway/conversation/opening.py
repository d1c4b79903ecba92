"""How a connection to the Realtime API becomes a conversation that a client may take part in.

    session.created        → session.update with our instructions and tools
    an error               → where it names one of our tools, session.update again, without that tool
    session.updated        → they are in force; a session with a past asks for it
    the past               → its items are created, in order
    the last one's echo    → open

Nothing of the client is passed on before that. So nobody is heard while the past is told, and the server has no turn
to answer: its turn detection needs no turning off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.conversation.actions import Action, Close, Event, SendToModel, Warn
from gateway.conversation.clienttools import ClientTools
from gateway.conversation.confirmation import Confirmation, confirmation

CLOSE_UPSTREAM = 1011
ECHOES = frozenset({"conversation.item.added", "conversation.item.created", "conversation.item.done"})


@dataclass(slots=True)
class Opening:
    """The handshake of one connection.

    Args:
        configured: the `session` of our `session.update`.
        tools: all that the model is offered.
        ours: gives a client event of ours its `event_id`; the first argument says what it is for.
        has_past: True where earlier epochs hold something.
    """

    configured: Event
    tools: ClientTools
    ours: Callable[[str, Event], Event]
    has_past: bool = False
    is_open: bool = False
    wants_past: bool = False
    """Our instructions and tools are in force: now the past may be told (`tell`)."""
    session: Event = field(default_factory=dict)
    """As the server confirmed it."""
    _before: Event = field(default_factory=dict)
    _seeds: dict[str, str] = field(default_factory=dict)
    """The item that each of our events creates."""
    _last: str | None = None

    @property
    def seeded(self) -> frozenset[str]:
        """The items of the past: the client has heard of them in an earlier epoch."""
        return frozenset(self._seeds.values())

    @property
    def expires_at(self) -> int | None:
        """When the server will end the session (Unix seconds), where it says so."""
        moment = self.session.get("expires_at")
        return moment if isinstance(moment, int) and moment > 0 else None

    def receive(self, event: Event) -> list[Action]:
        """What to do about an event that comes before the conversation is open."""
        kind = event.get("type")
        if kind == "session.created":
            self._before = event.get("session") or {}
            return [self._configure()]
        if kind == "session.updated" and not self.session:
            return self._confirm(event)
        if kind == "error":
            return self._refused(event.get("error") or {})
        if kind in ECHOES and (event.get("item") or {}).get("id") == self._last:
            self.is_open = True
        return []

    def tell(self, items: Sequence[Event]) -> list[Action]:
        """Create the items of the past; with none of them the conversation is open at once."""
        actions: list[Action] = []
        for number, item in enumerate(items):
            known = {"id": f"rb_past_{number}", **item}
            event = self.ours("past", {"type": "conversation.item.create", "item": known})
            self._seeds[event["event_id"]] = self._last = known["id"]
            actions.append(SendToModel(event))
        self.is_open, self.wants_past = not actions, False
        return actions

    def _configure(self) -> SendToModel:
        return SendToModel(self.ours("configure", {"type": "session.update", "session": self.configured}))

    def _confirm(self, event: Event) -> list[Action]:
        """No audio is let in before the server says that our instructions and tools are in force."""
        session = event.get("session") or {}
        verdict = confirmation(self._before, session, self.configured)
        if verdict is Confirmation.NOT_APPLIED:
            refused = "the Realtime API did not take our instructions or tools"
            return [Warn(refused), Close(CLOSE_UPSTREAM, "upstream_refused")]
        reworded = "the Realtime API shows our instructions or tools in words of its own"
        warnings: list[Action] = [Warn(reworded)] if verdict is Confirmation.REWORDED else []
        self.session = session or {"id": None}
        self.is_open, self.wants_past = not self.has_past, self.has_past
        return warnings

    def _refused(self, error: Event) -> list[Action]:
        item = self._seeds.get(str(error.get("event_id")))
        if item is not None:
            self.is_open = self.is_open or item == self._last
            return [Warn(f"the rebuilt conversation did not take {item}: {error.get('code')}: {error.get('message')}")]
        left_out = None if self.session else self.tools.leave_out(error)
        if left_out is not None:
            self.configured = {**self.configured, "tools": self.tools.offer()}
            return [left_out, self._configure()]
        return [
            Warn(f"the Realtime API refused the session: {error.get('code')}: {error.get('message')}"),
            Close(CLOSE_UPSTREAM, "upstream_refused"),
        ]
