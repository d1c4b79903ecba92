"""Plays responses: decides which one plays, what it consists of, and what waits until it is over.

At most one response at a time writes to the default conversation; a second one is refused. Responses out of
band play beside it. A response that follows speech is announced at once and planned when the speech was
recognised.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator.behavior import Knobs
from simulator.config import Session, is_reasoning
from simulator.effects import Effect, Later, Play, Send, Speak
from simulator.faults import ResponseFaults
from simulator.items import Items, checked_item
from simulator.responses.responses import PlayedResponse
from simulator.scripting.scenario import Cut
from simulator.scripting.script import Call, Heard, Plan, Request, Say, Script
from simulator.speech.vad import BYTES_PER_MS
from simulator.understanding.offered import offered
from simulator.wire import Event, Refused, invalid, listed, mapping, new_id

# The longest delay of a held-back `response.done` if no further response begins.
_LATE_DONE_MS = 1000
_CHARACTERS_PER_TOKEN = 4
_MS_PER_AUDIO_TOKEN = 100
_RIVAL_LINE = "Let me see."
_PARAMETERS = frozenset(
    {
        *("conversation", "input", "instructions", "output_modalities", "audio", "tools", "tool_choice"),
        *("parallel_tool_calls", "max_output_tokens", "metadata", "prompt", "reasoning"),
    }
)


@dataclass
class ResponsePlayer:
    """The responses of one session.

    ``hearing`` holds the ids of spoken items that are being recognised; ``heard`` those that were.
    """

    script: Script
    session: Session
    items: Items = field(default_factory=Items)
    conversation_id: str = field(default_factory=lambda: new_id("conv"))
    hearing: set[str] = field(default_factory=set)
    heard: dict[str, Heard] = field(default_factory=dict)
    active: PlayedResponse | None = None
    beside: dict[str, PlayedResponse] = field(default_factory=dict)
    _requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    _plans: dict[str, Plan] = field(default_factory=dict)
    _after: list[Callable[[], list[Effect]]] = field(default_factory=list)
    _held: list[Event] = field(default_factory=list)
    _cached_tokens: int = 0

    def __post_init__(self) -> None:
        self.faults = ResponseFaults(self.knobs)

    def create(self, parameters: dict[str, Any] | None) -> list[Effect]:
        """Begin a response.

        Raises:
            Refused: the parameters are not valid, or a response is active already.
        """
        wanted = _checked_parameters(mapping(parameters, "response"))
        out_of_band = wanted.get("conversation") == "none"
        if self.active is not None and not out_of_band:
            message = (
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise Refused("conversation_already_has_active_response", message)
        if self.knobs.create_needs_outputs and not out_of_band and self.items.pending_calls():
            message = "Cannot create a response while function call outputs are pending."
            raise Refused("function_call_output_pending", message)
        self._items_of(wanted)
        played = self._new_response(wanted, out_of_band)
        self._requests[played.id] = wanted
        effects: list[Effect] = [Send(played.created()), *self._release_held()]
        effects += self.faults.begin()
        if self.faults.dies:
            return effects + self._die(played)
        return effects + self._prepare(played)

    def _die(self, played: PlayedResponse) -> list[Effect]:
        """End a response by an error only: the slot is free, and no `response.done` says so."""
        self._requests.pop(played.id)
        if self.beside.pop(played.id, None) is None:
            self.active = None
        dead = Refused("server_error", "The server had an error while processing your request.", type="server_error")
        return [Send(dead.event(None))]

    @property
    def knobs(self) -> Knobs:
        """How the server behaves."""
        return self.script.scenario.knobs

    def _new_response(self, wanted: dict[str, Any], out_of_band: bool) -> PlayedResponse:
        output = copy.deepcopy(self.session["audio"]["output"])
        output.update((wanted.get("audio") or {}).get("output") or {})
        response = {
            "object": "realtime.response",
            "id": new_id("resp"),
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": None if out_of_band else self.conversation_id,
            "output_modalities": wanted.get("output_modalities") or self.session["output_modalities"],
            "max_output_tokens": wanted.get("max_output_tokens") or self.session["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": None,
            "metadata": wanted.get("metadata"),
        }
        items = None if out_of_band else self.items
        played = PlayedResponse(response, items, self.knobs, self._input_tokens(), output["format"]["type"])
        if out_of_band:
            self.beside[played.id] = played
        else:
            self.active = played
        return played

    def _prepare(self, played: PlayedResponse) -> list[Effect]:
        """Plan a response, unless it has to wait for speech recognition."""
        if self.hearing or played.plan or played.id in self._plans:
            return []
        if self.faults.is_limited:
            self._requests.pop(played.id)
            played.load_plan(Plan((), Cut(status="failed")), {})
            return [Play(played)]
        plan = self._plan(played)
        texts = tuple(output.text for output in plan.outputs if isinstance(output, Say))
        if played.spoken and texts:
            self._plans[played.id] = plan
            return [Speak(played.id, texts)]
        played.load_plan(plan, {})
        return [Play(played)]

    def _plan(self, played: PlayedResponse) -> Plan:
        wanted = self._requests.pop(played.id)
        tools: list[dict[str, Any]] = wanted.get("tools") or self.session["tools"]
        choice = wanted.get("tool_choice", self.session["tool_choice"])
        offers = () if choice == "none" else tuple(offered(tools))
        request = Request(
            tools=frozenset(tool.name for tool in offers),
            offers=offers,
            instructions=wanted.get("instructions"),
            reasoning=is_reasoning(self.session["model"]),
            parallel=wanted.get("parallel_tool_calls", self.session.get("parallel_tool_calls", True)) is not False,
        )
        if played.items is not None:
            return self.script.plan(self.items, request, self.heard)
        items = self._items_of(wanted)
        aside = Script(self.script.scenario, set(self.script.told), set(self.script.replied_to))
        return aside.plan(items, request, self.heard)

    def _items_of(self, wanted: dict[str, Any]) -> Items:
        """Return the input of a response out of band: its own items, or the conversation's.

        Raises:
            Refused: it refers to an unknown item.
        """
        given: list[dict[str, Any]] | None = wanted.get("input")
        if given is None:
            return self.items
        items = Items()
        for raw in given:
            if raw.get("type") == "item_reference":
                items.append(self.items.require(str(raw.get("id")), "retrieve"))
            else:
                items.append(checked_item(raw, self.knobs.max_id_length)[0])
        return items

    def hears(self, item_id: str, text: str) -> list[Effect]:
        """Take the words of a spoken item, and plan the responses that waited for them."""
        self.hearing.discard(item_id)
        self.heard[item_id] = Heard(len(self.heard) + 1, text)
        waiting = [p for p in (self.active, *self.beside.values()) if p is not None]
        return [effect for played in waiting for effect in self._prepare(played)]

    def voiced(self, response_id: str, voices: dict[str, bytes]) -> list[Effect]:
        """Take the sound of a planned response and play it; it may have been cut off meanwhile."""
        plan = self._plans.pop(response_id, None)
        played = self._find(response_id)
        if plan is None or played is None:
            return []
        played.load_plan(plan, voices)
        return [Play(played)]

    def _find(self, response_id: str) -> PlayedResponse | None:
        if self.active is not None and self.active.id == response_id:
            return self.active
        return self.beside.get(response_id)

    def settle(self, played: PlayedResponse) -> list[Effect]:
        """After ``response.done``: free the place, and do what had to wait."""
        if self.beside.pop(played.id, None) is not None:
            return []
        self.active = None
        self._cached_tokens = sum(played.input_tokens)
        plan = played.plan
        if plan is not None and (played.completed or played.said_something):
            self.script.settle(plan)
        called = plan is not None and any(isinstance(output, Call) for output in plan.outputs)
        effects: list[Effect] = [Send(event) for event in self.faults.rate_limits(called=called)]
        waiting, self._after = self._after, []
        for then in waiting:
            effects += then()
        return effects + (self._rival() if called else [])

    def when_free(self, then: Callable[[], list[Effect]]) -> list[Effect]:
        """Call `then` now, or when the active response is over."""
        if self.active is None or self.knobs.items_during_response == "at_once":
            return then()
        self._after.append(then)
        return []

    def cancel(self, response_id: str | None) -> list[Effect]:
        """Cancel a response for the client.

        Raises:
            Refused: there is no such response, or none is active.
        """
        played = self._find(response_id) if response_id else self.active
        if played is None:
            raise Refused("response_cancel_not_active", "Cancellation failed: no active response found")
        return self._cut(played, "client_cancelled")

    def interrupt(self) -> list[Effect]:
        """Cancel the active response because the user began to speak; responses out of band go on."""
        return self._cut(self.active, "turn_detected") if self.active else []

    def _cut(self, played: PlayedResponse, reason: str) -> list[Effect]:
        self._plans.pop(played.id, None)
        knobs = self.knobs
        *events, done = played.cut(reason, trailing=knobs.trailing_deltas)
        late = knobs.late_done and played is self.active
        if late:
            self._held.append(done)
        else:
            events.append(done)
        effects: list[Effect] = [*(Send(event) for event in events), *self.settle(played)]
        return [*effects, Later(_LATE_DONE_MS, self._release_held)] if late else effects

    def _release_held(self) -> list[Effect]:
        held, self._held = self._held, []
        return [Send(event) for event in held]

    def _rival(self) -> list[Effect]:
        """Start an unrequested response, as turn detection may do at the worst moment."""
        lasts_ms = self.knobs.rival_response_ms
        if lasts_ms is None:
            return []
        rival = self._new_response({"output_modalities": ["text"]}, out_of_band=False)
        rival.knobs = rival.knobs.model_copy(update={"think_ms": lasts_ms})
        rival.load_plan(Plan((Say(_RIVAL_LINE),)), {})
        return [Send(rival.created()), Play(rival)]

    def _input_tokens(self) -> tuple[int, int, int]:
        words = [self.session["instructions"], json.dumps(self.session["tools"]), json.dumps(self.items.items)]
        text = sum(map(len, words)) // _CHARACTERS_PER_TOKEN
        audio = sum(map(len, self.items.audio.values())) // BYTES_PER_MS // _MS_PER_AUDIO_TOKEN
        return text, audio, min(self._cached_tokens, text)


def _checked_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(parameters) - _PARAMETERS)
    if unknown:
        param = f"response.{unknown[0]}"
        raise Refused("unknown_parameter", f"Unknown parameter: '{param}'.", param)
    if parameters.get("conversation", "auto") not in ("auto", "none"):
        raise invalid("response.conversation", "Supported values are: 'auto' and 'none'.")
    if parameters.get("output_modalities") not in (None, ["text"], ["audio"]):
        raise invalid("response.output_modalities", "Supported combinations are: ['text'] and ['audio'].")
    mapping(mapping(parameters.get("audio"), "response.audio").get("output"), "response.audio.output")
    listed(parameters.get("tools"), "response.tools")
    for raw in listed(parameters.get("input"), "response.input"):
        if raw.get("type") != "item_reference":
            checked_item(raw)
    return parameters
