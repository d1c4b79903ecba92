"""The handshake: how a connection to the Realtime API becomes a conversation that a client may take part in.

    session.created        → session.update with the agent's instructions and tools; a server may leave it out
    an error               → where it names one of our tools, session.update again, without that tool;
                             else without what the client has set; else the connection is given up
    session.updated        → they are in force; a session with a past asks for it
    the past               → its items are created, in order
    the last one's echo    → open; so it is after a moment without any

A connection that joins a live call gets no session.created, and asks at once. The conversation has its past.

An error that does not name our session.update may be a warning: it counts where no session.updated follows.
The client's frames are held until the conversation is open. So no user is heard while the past is told, and the server
has no turn to answer: its turn detection needs no turning off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Any

from gateway.close_codes import INTERNAL_ERROR
from gateway.conversation.actions import Action, Close, Event, Reopen, SendToModel, Warn
from gateway.conversation.event_names import CREATE_ITEM, UPDATE_SESSION
from gateway.conversation.reconnect.seeds import Seeds
from gateway.conversation.tool_calls.client_tools import ClientTools
from gateway.conversation.upstream_errors import is_refusal
from gateway.protocol import OURS
from gateway.upstream.events import (
    ErrorReported,
    ItemShown,
    ModelEvent,
    SessionCreated,
    SessionUpdated,
    UpstreamError,
)
from gateway.upstream.quirks import USUAL, Quirks

CREATED_SECONDS = 0.5
"""How long a server may take to say session.created: some say none."""
DOUBT_SECONDS = 1.0
"""How long after an error a session.updated shows that it was a warning."""
ECHO_SECONDS = 2.0
"""Between two items of the past that are shown: a server that shows no more of them shows none."""


class Confirmation(Enum):
    """What an echoed session says of our `session.update`."""

    CONFIRMED = "confirmed"
    REWORDED = "reworded"
    NOT_APPLIED = "not applied"


@dataclass(slots=True)
class Handshake:
    """The handshake of one connection.

    Args:
        configure: makes the `session` of our `session.update`, out of what is offered and set by then.
        tools: all that the model is offered.
        ours: gives an event its `event_id`; the first argument says what it is for.
        quirks: how the provider's servers behave.
        has_past: True where earlier epochs hold something. What refuses the first of them ends the session.
        joins: True where the connection attaches to a live conversation, which has its past: none is told.
    """

    configure: Callable[[], Event]
    tools: ClientTools
    ours: Callable[[str, Event], Event]
    quirks: Quirks = USUAL
    has_past: bool = False
    joins: bool = False
    is_open: bool = False
    wants_past: bool = False
    """Our instructions and tools are in force: now the past may be told (`tell`)."""
    session: Event = field(default_factory=dict)
    """As the server confirmed it."""
    configured: Event = field(default_factory=dict)
    """As it was last asked for."""
    seeds: Seeds = field(default_factory=Seeds)
    """The items of the past: the client has heard of them in an earlier epoch."""
    wake_at: float = inf
    """When `tick` has something to say, if no event comes first; infinity: only an event can tell."""
    _has_asked: bool = False
    _before: Event = field(default_factory=dict)
    _problem: UpstreamError | None = None
    """An error that is not known to be about our session.update."""

    def take_sessions(self) -> tuple[Event, Event]:
        """Return the session as asked for and as confirmed, and keep neither: each holds all tools and instructions."""
        sessions = self.configured, self.session
        self.configured, self.session, self._before = {}, {}, {}
        return sessions

    def receive(self, event: ModelEvent, now: float) -> list[Action]:
        """Take in an event that comes before the conversation is open; return what to do about it."""
        match event:
            case SessionCreated(session=session):
                self._before = session
                return [] if self._has_asked else self._ask()
            case SessionUpdated(session=session) if not self.session:
                return self._confirm(session)
            case ErrorReported(error=error):
                return self._hear_error(error, now)
            case ItemShown(item=item) if self.seeds.shown(item):
                self._wait_for_echoes(now)
        return []

    def tick(self, now: float) -> list[Action]:
        """Do what is due by now; the first call tells that the connection is there."""
        if self.wake_at == inf and not self._has_asked:
            self.wake_at = now if self.joins else now + CREATED_SECONDS
        if now < self.wake_at:
            return []
        self.wake_at = inf
        if self._problem is not None:
            return self._refused(self._problem)
        if not self._has_asked:
            return self._ask()
        self.is_open = bool(self.session)
        return [
            Warn(
                f"items of the past not shown by the Realtime API ({self.seeds.waiting}); going on without their echoes"
            )
        ]

    def hung_up(self) -> list[Action]:
        """Take a pending error for a refusal, as the server has ended the connection."""
        return [] if self._problem is None else self._refused(self._problem)

    def tell(self, items: Sequence[Event], now: float) -> list[Action]:
        """Create the items of the past; with none of them the conversation is open at once."""
        actions: list[Action] = []
        for number, item in enumerate(items):
            event = self.ours("past", {"type": CREATE_ITEM, "item": self.seeds.sown(item, number)})
            self.seeds.told(event)
            actions.append(SendToModel(event))
        self.wants_past = False
        self._wait_for_echoes(now)
        return actions

    def _wait_for_echoes(self, now: float) -> None:
        self.is_open = not self.seeds.waiting
        self.wake_at = inf if self.is_open else now + ECHO_SECONDS

    def _ask(self) -> list[Action]:
        self.configured, self._has_asked, self.wake_at = self._wanted(), True, inf
        return [SendToModel(self.ours("configure", {"type": UPDATE_SESSION, "session": self.configured}))]

    def _wanted(self) -> Event:
        """Return the session as it is asked for. A live call keeps its voice: many servers refuse another by then."""
        session = self.configure()
        voiced = (session.get("audio") or {}).get("output") or {}
        if not self.joins or "voice" not in voiced:
            return session
        silent = {name: value for name, value in voiced.items() if name != "voice"}
        return {**session, "audio": {**session["audio"], "output": silent}}

    def _confirm(self, session: Event) -> list[Action]:
        """Open the conversation if the server shows that the gateway's instructions and tools are in force."""
        if not self._has_asked:
            return []  # It answers another's update.
        verdict = confirmation(self._before, session, self.configured, self.quirks)
        if verdict is Confirmation.NOT_APPLIED:
            return [
                Warn(
                    "session update not applied by the Realtime API (instructions or tools); giving the connection up"
                ),
                self._give_up(),
            ]
        reworded = "session update reworded by the Realtime API (instructions or tools); going on"
        warnings: list[Action] = [Warn(reworded)] if verdict is Confirmation.REWORDED else []
        if self._problem is not None:
            warnings.append(
                Warn(f"session update applied after an error ({_in_words(self._problem)}); taking it for a warning")
            )
        self.session, self._problem, self.wake_at = session or {"id": None}, None, inf
        self.is_open, self.wants_past = not self.has_past, self.has_past
        return warnings

    def _hear_error(self, error: UpstreamError, now: float) -> list[Action]:
        named = error.event_id
        item = self.seeds.refused(named)
        if item is not None:
            self._wait_for_echoes(now)
            return [
                Warn(f"item of the past refused by the Realtime API ({item}: {_in_words(error)}); going on without it")
            ]
        if self.session:
            return [Warn(f"error while the conversation is rebuilt ({_in_words(error)}); going on")]
        if str(named).startswith(OURS):  # the gateway has sent no other event yet
            return self._refused(error)
        self._problem, self.wake_at = error, now + DOUBT_SECONDS
        return []

    def _refused(self, error: UpstreamError) -> list[Action]:
        self._problem, self.wake_at = None, inf
        left_out = self.tools.leave_out(error)
        if left_out is not None:
            return [left_out, *self._ask()]
        if not is_refusal(error):
            return [
                Warn(f"session not taken by the Realtime API for now ({_in_words(error)}); trying again"),
                Reopen("upstream_unavailable"),
            ]
        if self.tools.settings.reject():
            rejected = f"client's settings refused by the Realtime API ({_in_words(error)}); beginning without them"
            return [Warn(rejected), *self._ask()]
        return [
            Warn(f"session refused by the Realtime API ({_in_words(error)}); giving the connection up"),
            self._give_up(),
        ]

    def _give_up(self) -> Action:
        """End the session if no conversation has begun yet; else try another connection."""
        return Reopen("upstream_refused") if self.has_past else Close(INTERNAL_ERROR, "upstream_refused")


def _in_words(error: UpstreamError) -> str:
    return f"{error.code}: {error.message}"


def confirmation(before: Event, echoed: Event, sent: Event, quirks: Quirks) -> Confirmation:
    """Say whether an echoed session shows that our instructions and tools are in force; the worse part counts.

    The server applies a `session.update` as a whole or rejects it (Realtime API, session.updated), so its echo is the
    confirmation. An echo that still shows the session from before is no confirmation: it belongs to another update, or
    the update had no effect. If the echo shows our instructions and no tools, the server keeps its tools to itself.
    If it shows neither, the server has reworded what it was told: that is accepted, and logged.

    Args:
        before: the session as the server created it.
        echoed: the session as the server shows it now.
        sent: the session of our `session.update`.
        quirks: how the provider's servers show a tool.
    """
    words = tools = Confirmation.CONFIRMED
    # A part that the server does not echo is believed: xAI shows no tools.
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
