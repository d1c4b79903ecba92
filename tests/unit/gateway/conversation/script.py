"""A script for the brain: each line is something that happens, and exactly what the brain has done about it.

    script = Script().opened()
    script.model(call("weather", "call_1")) == [Recorded]
    script.deliver("call_1") == [OUTPUT("call_1")]

Actions are told in short, one string each, so that a whole turn can be read at a glance; see `told`.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from gateway.conversation import Conversation
from gateway.conversation.actions import (
    Acknowledge,
    Action,
    Cancel,
    CheckBudget,
    Close,
    Decide,
    KeepMessages,
    KeepMoments,
    KeepSettings,
    LeaveOut,
    LetClientIn,
    NoteTold,
    RecordCall,
    RecordUsage,
    Reopen,
    SendToClient,
    SendToModel,
    TransferCall,
    Warn,
)
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.protocol import ClientFrame, Rejection, read
from gateway.upstream import realtime_events
from gateway.upstream.events import ModelEvent
from gateway.upstream.quirks import USUAL, Quirks
from ringback.agents.agent import Agent
from ringback.agents.client_policy import BROWSER, ClientPolicy
from ringback.agents.phone import Phone
from ringback.ids import job_id_of
from ringback.jobs.outcomes import Outcome, succeeded
from ringback.jobs.states import Effect, output_item_id
from ringback.tools.behavior import ToolBehavior
from ringback.tools.spec import ToolSpec

Event = dict[str, Any]

SESSION = UUID("6ad5b6a2-3d0c-8f2b-9a39-3c1a6f0d2b11")
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
PLAIN = ToolBehavior(cancellable=False)
"""Of tools beside which the gateway offers nothing of its own."""
WEATHER = ToolSpec("weather", "The weather in a city.", CITY, behavior=PLAIN)
ORDER = ToolSpec("order", "Order a cake.", CITY, effect=Effect.AT_MOST_ONCE, behavior=PLAIN)
GATHER, QUIET, HOLD = 0.25, 1.0, 20.0
SERVER_VAD = {"type": "server_vad", "create_response": True}


def meant(event: Event | ModelEvent) -> ModelEvent:
    """Return the domain event of what a server writes as JSON."""
    return realtime_events.read(json.dumps(event)) if isinstance(event, dict) else event


def agent(**fields: Any) -> Agent:
    """Of whom nothing is said but who waits for whom: its sessions last, and may be silent, for a day."""
    lasting = {"max_session_seconds": 86_400, "max_idle_seconds": 86_400}
    said = {"name": "demo", "instructions": "Be kind.", "tools": ("*",), "gather_seconds": GATHER}
    return Agent(**(said | lasting | fields))


def job_of(call_id: str) -> UUID:
    return job_id_of(SESSION, call_id)


def item_of(call_id: str) -> str:
    """The id of the item that answers this call."""
    return output_item_id(job_of(call_id))


NOT_TOLD = (KeepMessages, KeepSettings, KeepMoments, NoteTold, CheckBudget, RecordUsage)
"""What is written down of every conversation, and what each response costs: seen in `actions` alone."""


class Script:
    """One conversation.

    Args:
        now: when it begins, by the clock if the code under test reads one; it stands still unless `wait` moves it.
    """

    def __init__(
        self,
        *tools: ToolSpec,
        wants: tuple[str, ...] = (),
        queues: dict[str, float] | None = None,
        policy: ClientPolicy = BROWSER,
        carried: CarriedState | None = None,
        quirks: Quirks = USUAL,
        phone: Phone | None = None,
        joins: bool = False,
        secret: str = "",
        now: float = 1_000.0,
        **fields: Any,
    ) -> None:
        offered = {tool.name: tool for tool in tools or (WEATHER, ORDER)}
        waits = {} if queues is None else queues
        self.policy = policy
        more: dict[str, Any] = {"wants": wants, "policy": policy, "waits": waits.get, "carried": carried}
        more |= {"quirks": quirks, "phone": phone, "joins": joins, "secret": secret}
        self.conversation = Conversation(SESSION, agent(**fields), offered, **more)
        self.now = now
        self.offered: list[Event] = []
        """The functions that the model was last told of."""
        self.actions: list[Action] = []
        """What the last line made the brain do, whole."""
        self.everything: list[str] = []
        """What all lines made it do, in short."""
        self.seen: list[str] = []
        """The same, in short."""

    def opened(self, **session: Any) -> Script:
        """Past the handshake: the model has confirmed our instructions and tools."""
        self.model({"type": "session.created", "session": {}})
        self.model(updated(self, **session))
        assert self.conversation.is_open
        return self

    def model(self, *events: Event | ModelEvent) -> list[str]:
        heard = map(meant, events)
        return self._do([action for event in heard for action in self.conversation.receive_model(event, self.now)])

    def client(self, **event: Any) -> list[str]:
        frame = read(json.dumps(event), self.policy)
        assert isinstance(frame, ClientFrame), frame.message if isinstance(frame, Rejection) else frame
        return self._do(self.conversation.receive_client(frame, self.now))

    def recorded(self, *records: RecordCall) -> list[str]:
        """The rows of these calls are committed."""
        return self._do([act for each in records for act in self.conversation.recorded(each, self.now)])

    def progress(self, call_id: str, note: str) -> list[str]:
        return self._do(self.conversation.progressed(job_of(call_id), note))

    def deliver(
        self, call_id: str, outcome: Outcome | None = None, tool: str = "weather", *, more: bool = False
    ) -> list[str]:
        outcome = outcome or succeeded({"sky": "clear"})
        return self._do(self.conversation.deliver(job_of(call_id), call_id, tool, outcome, self.now, more=more))

    def wait(self, seconds: float) -> list[str]:
        """Time passes; the clock of the session ticks when the brain asked to be woken, and only then."""
        until, told_meanwhile = self.now + seconds, []
        while (wake_at := self.conversation.wake_at(self.now)) <= until:
            self.now = wake_at
            actions = self.conversation.tick(self.now)
            told_meanwhile += self._do(actions)
            assert actions or self.conversation.wake_at(self.now) != wake_at, (
                "it asked to be woken, and then nothing changed"
            )
        self.now = until
        return told_meanwhile

    @property
    def records(self) -> list[RecordCall]:
        return [action for action in self.actions if isinstance(action, RecordCall)]

    @property
    def kept(self) -> dict[str, str]:
        """The words of each message that is to be written down, by item."""
        messages = [
            message for action in self.actions if isinstance(action, KeepMessages) for message in action.messages
        ]
        return {message.item_id: " ".join(part.get("text", "") for part in message.content) for message in messages}

    @property
    def to_model(self) -> list[Event]:
        return [action.event for action in self.actions if isinstance(action, SendToModel)]

    @property
    def to_client(self) -> list[Event]:
        return [action.event for action in self.actions if isinstance(action, SendToClient)]

    @property
    def outputs(self) -> dict[str, Any]:
        """What the model reads as the answer to each call, as JSON data."""
        items = [event["item"] for event in self.to_model if event["type"] == "conversation.item.create"]
        return {item["call_id"]: json.loads(item["output"]) for item in items if "output" in item}

    @property
    def asked(self) -> str:
        """How the model was told what to say."""
        (message,) = [action.event for action in self.actions if _is_message(action)]  # type: ignore[union-attr]
        return str(message["item"]["content"][0]["text"])

    @property
    def last_create(self) -> str:
        """The event id of the response.create that was just sent."""
        (create,) = [event for event in self.to_model if event["type"] == "response.create"]
        return str(create["event_id"])

    def _do(self, actions: list[Action]) -> list[str]:
        for action in actions:
            if isinstance(action, SendToModel):
                assert action.event.get("event_id"), "everything we send bears an event_id"
        self.actions = actions
        for action in actions:
            if isinstance(action, SendToModel) and "tools" in action.event.get("session", {}):
                self.offered = action.event["session"]["tools"]
        self.seen = [told(action) for action in actions if not (isinstance(action, NOT_TOLD) or _is_message(action))]
        self.everything += self.seen
        return self.seen


def _is_message(action: Action) -> bool:
    """True for what tells the model the words of a filler, and for its removal: they go with their create."""
    return isinstance(action, SendToModel) and action.event["event_id"].startswith(("rb_message", "rb_tidy"))


IN_SHORT: dict[type[Action], str] = {
    Acknowledge: "acknowledge",
    LetClientIn: "let the client in",
    Warn: "warn",
    KeepMessages: "keep messages",
    KeepSettings: "keep settings",
    KeepMoments: "keep moments",
    NoteTold: "note what is told",
    CheckBudget: "check the budget",
    RecordUsage: "record usage",
}


def told(action: Action) -> str:
    """An action in short: `model: response.create`, `client: error`, `record call_1`, `acknowledge` …"""
    match action:
        case SendToModel(event):
            return f"model: {_event_told(event)}"
        case SendToClient(event):
            return f"client: {_event_told(event)}"
        case RecordCall(job, outcome):
            if outcome is None:
                return f"record {job.call_id}"
            return f"refuse {job.call_id}: {outcome.code}" if outcome.code else f"serve {job.call_id}"
        case Close(code, reason):
            return f"close {code} {reason}"
        case LeaveOut(tool, _):
            return f"leave out {tool.name}"
        case Reopen(reason):
            return f"reopen: {reason}"
        case Cancel(job_id, reason):
            return f"cancel {CALLS[job_id]}: {reason}"
        case Decide(job_id, approved):
            return f"{'approve' if approved else 'deny'} {CALLS[job_id]}"
        case _:
            return f"transfer to {action.target}" if isinstance(action, TransferCall) else IN_SHORT[type(action)]


def _event_told(event: Event) -> str:
    match event:
        case {"type": "conversation.item.create", "item": {"call_id": call_id}}:
            return f"output {call_id}"
        case {"type": "ringback.job", "job": job}:
            return f"job {job['call_id']} {job['tool']} {job['state']}"
        case {"type": "response.create", "response": {"metadata": {"ringback": _}}}:
            return "a word"
        case {"type": "session.update"} if event["event_id"].startswith("rb_offer"):
            return "offer"
    return str(event["type"])


SPEAK, WORD = "model: response.create", "model: a word"
CALLS = {job_of(name): name for name in ("a", "b", "c", "d", "e", "own")}
"""The calls that a script may see cancelled, by job."""


# — what the model says —


def updated(script: Script, **session: Any) -> Event:
    """The server's confirmation, as OpenAI sends it, unless told otherwise."""
    echoed = {
        "type": "realtime",
        "id": "sess_1",
        "model": "gpt-realtime-2.1",
        "instructions": script.conversation.agent.instructions,
        "tools": script.offered,
        "tool_choice": "auto",
        "audio": {"input": {"turn_detection": SERVER_VAD}},
    }
    return {"type": "session.updated", "event_id": "event_1", "session": echoed | session}


def created(response_id: str, conversation_id: str | None = "conv_1") -> Event:
    return {"type": "response.created", "response": {"id": response_id, "conversation_id": conversation_id}}


def done(response_id: str, status: str = "completed", *output: Event) -> Event:
    response = {"id": response_id, "conversation_id": "conv_1", "status": status, "output": list(output)}
    return {"type": "response.done", "response": response}


def function_call(call_id: str, arguments: Any = None, *, name: str = "weather", status: str = "completed") -> Event:
    text = arguments if isinstance(arguments, str) else json.dumps({"city": "Rome"} if arguments is None else arguments)
    item = {"id": f"item_{call_id}", "type": "function_call", "name": name, "call_id": call_id}
    return item | {"status": status, "arguments": text}


def finished(item: Event, response_id: str = "R1") -> Event:
    return {"type": "response.output_item.done", "response_id": response_id, "output_index": 0, "item": item}


def call(call_id: str, response_id: str = "R1", **item: Any) -> Event:
    """A finished function_call item."""
    return finished(function_call(call_id, **item), response_id)


def echo(call_id: str, kind: str = "added") -> Event:
    """The server shows the answer to this call as an item of the conversation."""
    item = {"id": item_of(call_id), "type": "function_call_output", "call_id": call_id, "output": "…"}
    return {"type": f"conversation.item.{kind}", "item": item, "previous_item_id": f"item_{call_id}"}


def refused(event_id: str | None, code: str = "conversation_already_has_active_response") -> Event:
    error = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None, "event_id": event_id}
    return {"type": "error", "event_id": "event_9", "error": error}


STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u", "audio_start_ms": 0}
STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u", "audio_end_ms": 900}
HEARD_STARTED, HEARD_STOPPED = f"client: {STARTED['type']}", f"client: {STOPPED['type']}"
