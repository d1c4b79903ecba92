"""The response slot of a conversation, as a state machine: `Idle`, `Asked` or `Active`, each frozen.

The Realtime API lets one response at a time write to a conversation. It begins one by itself when the user stops
speaking, and refuses a second with `conversation_already_has_active_response`. So the gateway has one `response.create`
under way at most, and the client's own waits in a queue until the slot is idle. The slot names who asked: the create
that is under way, unless the server raced it. The refusal of that create tells so.

`advance` is the only way from one state to the next. `TRANSITIONS` holds every pair of state and event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

from gateway.errors import GatewayError


class By(Enum):
    """Who asked for a response, or would ask for it."""

    CLIENT = "the client's create"
    RESULTS = "results"
    QUESTION = "a question"
    FILLER = "a filler"
    SERVER = "the server"

    @property
    def is_ours(self) -> bool:
        """True where the gateway asked."""
        return self in (By.RESULTS, By.QUESTION, By.FILLER)

    @property
    def tells_results(self) -> bool:
        """False for a response that was told to say something else."""
        return self not in (By.QUESTION, By.FILLER)


# — the states —


@dataclass(frozen=True, slots=True)
class Idle:
    """No response is active and none is asked for. `not_before`: the server refused one a moment ago."""

    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One `response.create` is under way. At `until` it is taken for lost.

    Args:
        create: its event id.
        about: the call ids that it is to tell, or to say something about.
    """

    create: str
    by: By
    at: float
    until: float
    about: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Active:
    """One response is active. At `until` its end is taken for lost.

    Args:
        create: the create that it is taken for; None where the server began it by itself.
        asked: when that create was sent.
        is_heard: some of it has reached the client.
        is_cut: the gateway has cancelled it; it tells no result.
        is_stopped: the client has cancelled it: its user wants no more of it.
        behind: a create that is under way although this response is another's.
    """

    response: str
    by: By
    create: str | None
    asked: float
    until: float
    about: frozenset[str] = frozenset()
    is_heard: bool = False
    is_cut: bool = False
    is_stopped: bool = False
    behind: Asked | None = None


Slot: TypeAlias = Idle | Asked | Active


# — the events —


@dataclass(frozen=True, slots=True)
class CreateSent:
    """The gateway sent this create."""

    asked: Asked


@dataclass(frozen=True, slots=True)
class ResponseBegan:
    """The server began a response (`response.created`).

    Args:
        named: the create that the response names by its metadata; None where it names none.
        is_servers: the response is known to be no create's: the server names them where there is one.
    """

    response: str
    at: float
    until: float
    named: Asked | None = None
    is_servers: bool = False


@dataclass(frozen=True, slots=True)
class CreateRefused:
    """The server has an active response already, and took no create. `create` is None where it does not say which."""

    create: str | None
    not_before: float


@dataclass(frozen=True, slots=True)
class ResponseFailed:
    """The server refused this create for another reason: it begins no response."""

    create: str


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """A response is over (`response.done`), completed or not."""

    response: str


@dataclass(frozen=True, slots=True)
class CreateLost:
    """The time is up: the create began no response, or the response did not end."""


SlotEvent: TypeAlias = CreateSent | ResponseBegan | CreateRefused | ResponseFailed | ResponseEnded | CreateLost


class ImpossibleTransition(AssertionError, GatewayError):
    """A create was to be sent while another is under way, or a response is active: a fault of the gateway's own."""


# — the transitions: each first line is its row in docs/turn-taking.md —


def _ask(_slot: Idle, event: CreateSent) -> Slot:
    """`Asked`: the create takes the slot from the moment when it is sent."""
    return event.asked


def _begin_unasked(_slot: Idle, event: ResponseBegan) -> Slot:
    """`Active`: the response is the server's own, or that of a create which was given up."""
    return _active(event, event.named)


def _block(_slot: Idle, event: CreateRefused) -> Slot:
    """`Idle`, and no create is sent for a while: the server has a response that the gateway does not know of."""
    return Idle(event.not_before)


def _unblock(_slot: Idle, _event: ResponseEnded) -> Slot:
    """`Idle`: that response is over."""
    return Idle()


def _begin_asked(slot: Asked, event: ResponseBegan) -> Slot:
    """`Active`: it is the create's response, or else, by the server's metadata, another's with the create behind it."""
    if event.is_servers or event.named not in (None, slot):
        return replace(_active(event, event.named), behind=slot)
    return _active(event, slot)


def _refuse_asked(slot: Asked, event: CreateRefused) -> Slot:
    """`Idle`, and no create is sent for a while: the create was not taken, and may be sent again."""
    return Idle(event.not_before) if event.create in (None, slot.create) else slot


def _fail_asked(slot: Asked, event: ResponseFailed) -> Slot:
    """`Idle`: the create was wrong."""
    return Idle() if event.create == slot.create else slot


def _begin_anew(slot: Active, event: ResponseBegan) -> Slot:
    """`Active`, the new one: the end of the response before it comes late, or never."""
    return _begin_asked(slot.behind, event) if slot.behind else _active(event, event.named)


def _refuse_active(slot: Active, event: CreateRefused) -> Slot:
    """`Active`, by the server: the response was not the refused create's."""
    if slot.behind is not None and event.create in (None, slot.behind.create):
        return replace(slot, behind=None)
    if slot.create is not None and event.create in (None, slot.create):
        return replace(slot, by=By.SERVER, create=None, about=frozenset(), is_cut=False)
    return slot


def _fail_active(slot: Active, event: ResponseFailed) -> Slot:
    """`Active`, by the server: the same, for another reason."""
    return _refuse_active(slot, CreateRefused(event.create, 0.0))


def _end(slot: Active, event: ResponseEnded) -> Slot:
    """`Idle`, or `Asked` where a create is behind it; an older response's end changes no state."""
    return (slot.behind or Idle()) if event.response == slot.response else slot


def _give_up_active(slot: Active, _event: CreateLost) -> Slot:
    """`Idle`, or `Asked` where a create is behind it: the response died without saying so."""
    return slot.behind or Idle()


def _free(_slot: Asked, _event: CreateLost) -> Slot:
    """`Idle`: the create was lost, and may be sent again."""
    return Idle()


def _stay(slot: Slot, _event: SlotEvent) -> Slot:
    """Keep the state."""
    return slot


TRANSITIONS: dict[tuple[type[Any], type[Any]], Callable[[Any, Any], Slot] | None] = {
    (Idle, CreateSent): _ask,
    (Idle, ResponseBegan): _begin_unasked,
    (Idle, CreateRefused): _block,
    (Idle, ResponseFailed): _stay,
    (Idle, ResponseEnded): _unblock,
    (Idle, CreateLost): _stay,
    (Asked, CreateSent): None,
    (Asked, ResponseBegan): _begin_asked,
    (Asked, CreateRefused): _refuse_asked,
    (Asked, ResponseFailed): _fail_asked,
    (Asked, ResponseEnded): _stay,
    (Asked, CreateLost): _free,
    (Active, CreateSent): None,
    (Active, ResponseBegan): _begin_anew,
    (Active, CreateRefused): _refuse_active,
    (Active, ResponseFailed): _fail_active,
    (Active, ResponseEnded): _end,
    (Active, CreateLost): _give_up_active,
}
"""By state and event. None: the gateway never does that."""


def advance(slot: Slot, event: SlotEvent) -> Slot:
    """Return the state after this event.

    Raises:
        ImpossibleTransition: a create while the slot is taken.
    """
    transition = TRANSITIONS[type(slot), type(event)]
    if transition is None:
        raise ImpossibleTransition(f"{type(event).__name__} while {slot}")
    return transition(slot, event)


def _active(event: ResponseBegan, asked: Asked | None) -> Active:
    if asked is None:
        return Active(event.response, By.SERVER, None, event.at, event.until)
    return Active(event.response, asked.by, asked.create, asked.at, event.until, asked.about)


def under_way(slot: Slot) -> Asked | None:
    """Return the create whose refusal may still come: under way, or the one that the active response is taken for."""
    match slot:
        case Asked():
            return slot
        case Active(behind=Asked() as behind):
            return behind
        case Active(create=str() as create):
            return Asked(create, slot.by, slot.asked, slot.until, slot.about)
    return None
