"""What the user is doing, as a state machine: `Silent`, `Speaking`, `Holding` or `TurnTaken`, each frozen.

Speaking is told by the server (`input_audio_buffer.speech_started`). Without its turn detection a client that appends
audio holds a button, until it commits or clears what it appended. A turn is taken when the user has come to an end and
an answer is about to be asked for, by the server or by the client: the gateway gives way for a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

QUIET_LINE_SECONDS = 30.0
"""After so long without a sound of the user's line, a lost `speech_stopped` no longer silences the model."""
LONGEST_TURN_SECONDS = 300.0
"""The same, although audio keeps coming: longer than any turn of a conversation."""
CLIENT_ASKS_SECONDS = 1.0
"""How long after a commit, or a typed message, the client's own `response.create` is waited for."""
SERVER_ANSWERS_SECONDS = 1.5
"""How long after the user's turn the server's own response is waited for; a server that was slower is given more."""
LONGEST_ANSWER_SECONDS = 10.0
"""However slow it was."""


@dataclass(frozen=True, slots=True)
class Silent:
    """The user is not heard."""


@dataclass(frozen=True, slots=True)
class Speaking:
    """The server hears the user. `heard`: when audio last came."""

    since: float
    heard: float


@dataclass(frozen=True, slots=True)
class Holding:
    """The client appends audio that no turn detection listens to, and has not committed it."""

    since: float
    heard: float


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """The user has come to an end. Until `until` an answer is waited for that the server or the client asks for."""

    until: float
    is_servers: bool


User: TypeAlias = Silent | Speaking | Holding | TurnTaken


@dataclass(frozen=True, slots=True)
class Started:
    """The server heard the user begin (`input_audio_buffer.speech_started`)."""

    at: float


@dataclass(frozen=True, slots=True)
class CameToEnd:
    """The user's turn is over: speech stopped, was committed, timed out, or a message was typed.

    `is_servers`: the server answers by itself; else the client asks.
    """

    until: float
    is_servers: bool


@dataclass(frozen=True, slots=True)
class Appended:
    """The client appended audio. `is_held`: no turn detection listens to it."""

    at: float
    is_held: bool


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was appended is thrown away, or turn detection went off: the user is muted."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A response began."""


UserEvent: TypeAlias = Started | CameToEnd | Appended | Cleared | Answered


def _begin(_user: User, event: Started) -> User:
    """`Speaking`."""
    return Speaking(event.at, event.at)


def _end(_user: User, event: CameToEnd) -> User:
    """`TurnTaken`: an answer is waited for that the server or the client asks for."""
    return TurnTaken(event.until, event.is_servers)


def _hold(user: User, event: Appended) -> User:
    """`Holding`, where no turn detection listens."""
    return Holding(event.at, event.at) if event.is_held else user


def _keep_on(user: Speaking | Holding, event: Appended) -> User:
    """The same: the line is alive. That is noted once a second, as a frozen record for each frame would cost."""
    return replace(user, heard=event.at) if event.at - user.heard >= 1.0 else user


def _mute(_user: User, _event: Cleared) -> User:
    """`Silent`: what was said is thrown away."""
    return Silent()


def _be_answered(_user: TurnTaken, _event: Answered) -> User:
    """`Silent`: the answer has begun."""
    return Silent()


def _stay(user: User, _event: UserEvent) -> User:
    """Keep the state."""
    return user


TRANSITIONS: dict[tuple[type[Any], type[Any]], Callable[[Any, Any], User]] = {
    (Silent, Started): _begin,
    (Silent, CameToEnd): _end,
    (Silent, Appended): _hold,
    (Silent, Cleared): _stay,
    (Silent, Answered): _stay,
    (Speaking, Started): _begin,
    (Speaking, CameToEnd): _end,
    (Speaking, Appended): _keep_on,
    (Speaking, Cleared): _mute,
    (Speaking, Answered): _stay,
    (Holding, Started): _begin,
    (Holding, CameToEnd): _end,
    (Holding, Appended): _keep_on,
    (Holding, Cleared): _mute,
    (Holding, Answered): _stay,
    (TurnTaken, Started): _begin,
    (TurnTaken, CameToEnd): _end,
    (TurnTaken, Appended): _hold,
    (TurnTaken, Cleared): _stay,
    (TurnTaken, Answered): _be_answered,
}
"""By state and event."""


def advance(user: User, event: UserEvent) -> User:
    """Return the state after this event."""
    return TRANSITIONS[type(user), type(event)](user, event)


def busy_until(user: User) -> float:
    """Return until when the gateway asks for no response; 0.0 while the user is silent."""
    match user:
        case Speaking(since, heard) | Holding(since, heard):
            return min(heard + QUIET_LINE_SECONDS, since + LONGEST_TURN_SECONDS)
        case TurnTaken(until=until):
            return until
    return 0.0


def is_talking(user: User, now: float) -> bool:
    """Return True if the user speaks, or holds the button."""
    return isinstance(user, Speaking | Holding) and busy_until(user) > now
