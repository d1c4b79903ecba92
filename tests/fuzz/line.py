"""A session without sockets: both decoders and a brain between them, held to what must be true of every frame."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from gateway import protocol
from gateway.conversation import Conversation
from gateway.conversation.actions import Action, KeepMessages, RecordCall, RecordUsage, SendToClient, SendToModel
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.upstream import realtime_events
from gateway.upstream.events import MalformedEvent
from ringback.agents.agent import Agent
from ringback.agents.client_policy import BROWSER, TRUSTED, ClientPolicy
from ringback.jobs.outcomes import succeeded
from ringback.statements.sessions.items import Message
from ringback.tools.behavior import ToolBehavior
from ringback.tools.spec import ToolSpec
from ringback.usage.prices import Usage
from tests.fuzz.oracle import OF_THE_GATEWAY, TYPES, strays
from tests.fuzz.seeds import CANARY, SESSION

MOST_SECONDS = 1.0
"""Of processor time for one frame, whatever it holds."""
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = {
    "weather": ToolSpec("weather", "The weather in a city.", CITY),
    "order": ToolSpec("order", "Order a cake.", CITY, behavior=ToolBehavior(requires_approval=True)),
}
AGENT = Agent(name="demo", instructions="Be kind.", tools=("*",))
POLICIES = (BROWSER, BROWSER, TRUSTED)
ID = UUID("6ad5b6a2-3d0c-4f2b-9a39-3c1a6f0d2b11")


class Wrong(AssertionError):
    """Something that must never be; the text says what, and the frame that did it is told beside it."""


class FuzzedLine:
    """One conversation; what is sent is checked, and what its brain does is done to it in turn."""

    def __init__(self, rng: random.Random, counts: Counter[str]) -> None:
        self._rng = rng
        self._counts = counts
        self.policy: ClientPolicy = rng.choice(POLICIES)
        self._wants = [wish for wish in ("jobs", "results", "approvals", "calls") if rng.random() < 0.5]
        self._now = 1_000.0
        self._epoch = 0
        self._records: list[RecordCall] = []
        self._calls: dict[UUID, RecordCall] = {}
        self._messages: dict[str, Message] = {}
        self._brain = self._conversation(CarriedState())
        if rng.random() < 0.95:
            self._open()

    def _conversation(self, carried: CarriedState) -> Conversation:
        self._epoch += 1
        told = {"epoch": self._epoch, "carried": carried, "greets": self._epoch == 1}
        return Conversation(ID, AGENT, dict(TOOLS), wants=self._wants, policy=self.policy, **told)  # type: ignore[arg-type]

    def _open(self) -> None:
        configure = self._perform(self._said({"type": "session.created", "session": {}}))
        echoed = {"type": "session.updated", "session": {**SESSION, **configure[0]["session"]}}
        self._perform(self._said(echoed))
        if self._brain.wants_past:
            self._remember()
        if not self._brain.is_open:
            raise Wrong("the conversation did not open")

    def _said(self, event: dict[str, Any]) -> list[Action]:
        return self._brain.receive_model(realtime_events.read(json.dumps(event)), self._now)

    def _remember(self) -> None:
        calls = [_past(record) for record in self._calls.values()]
        past = ConversationHistory(sorted(self._messages.values(), key=lambda message: message.position), calls)
        for event in self._perform(self._brain.remember(past, self._now)):
            if event["type"] == "conversation.item.create" and not self._brain.is_open:
                added = {"type": "conversation.item.added", "item": event["item"]}
                self._perform(self._said(added))

    def next_epoch(self) -> None:
        """The connection is gone; the conversation is built anew out of what is on record."""
        self._counts["epochs"] += 1
        self._perform(self._brain.cut("upstream_closed", self._now))
        self._brain = self._conversation(self._brain.carry(self._now))
        self._open()

    def from_client(self, frame: str | bytes) -> None:
        """A frame of the client: refused in words, or taken and written anew."""
        began = time.thread_time()
        said = protocol.read(frame, self.policy)
        append = protocol.read_audio(frame, self.policy.events) if isinstance(frame, str) else None
        if append is not None:
            self._check_append(append, said)
        if isinstance(said, protocol.Rejection):
            self._counts[f"client {said.rule}"] += 1
            _check_refusal(said)
        elif self._brain.is_open:
            self._counts["client passed"] += 1
            self._check_taken(said, self._brain.receive_client(said, self._now))
        _in_time(began)

    def _check_append(self, append: protocol.AppendAudio, said: protocol.ClientFrame | protocol.Rejection) -> None:
        """Audio that passes is what the long way would have sent on."""
        self._counts["client audio passed"] += 1
        told = {name: value for name, value in msgspec.to_builtins(append).items() if value is not None}
        if not isinstance(said, protocol.ClientFrame) or said.event != told:
            raise Wrong("audio passes that the long way does not send on so")

    def from_model(self, frame: str) -> None:
        """An event of the Realtime API, on the way that the session takes it."""
        began = time.thread_time()
        audio = realtime_events.passing_audio(frame)
        if audio is not None and self._brain.audio_passed(*audio, self._now):
            return
        text = realtime_events.passing_text(frame)
        if text is not None and self._brain.is_open and self._brain.text_passed(text, self._now):
            self._counts["model text passed"] += 1
            return
        detail = realtime_events.passing_detail(frame)
        if detail is not None and self._brain.is_open and self._brain.detail_passed(detail, self._now) is not None:
            self._counts["model detail passed"] += 1
            return
        try:
            event = realtime_events.read(frame)
        except MalformedEvent as problem:
            self._counts["model malformed"] += 1
            if not 0 < len(str(problem)) <= realtime_events.MAX_PROBLEM_CHARS:
                raise Wrong("a malformed event has no short reason") from None
        else:
            self._counts["model read"] += 1
            self._perform(self._brain.receive_model(event, self._now))
        _in_time(began)

    def pass_time(self) -> None:
        """The clock goes on, and calls come to their ends."""
        self._now += self._rng.choice((0.0, 0.05, 1.0, 40.0))
        self._perform(self._brain.tick(self._now))
        self._brain.wake_at(self._now)
        if self._rng.random() < 0.02:
            self._perform(self._brain.budget_spent("session_tokens", self._now))
        if self._records and self._brain.is_open:
            record = self._records.pop()
            self._perform(self._brain.recorded(record, self._now))
            job = record.job
            outcome = record.outcome or succeeded({"sky": "clear"})
            self._perform(self._brain.deliver(job.id, job.call_id, job.name, outcome, self._now))

    def _perform(self, actions: Sequence[Action]) -> list[dict[str, Any]]:
        """Checks what is to be done; gives back what went to the model."""
        sent: list[dict[str, Any]] = []
        for action in actions:
            if isinstance(action, SendToModel):
                sent.append(action.event)
                _check_written(action.event)
                if action.event["type"] not in TYPES:
                    raise Wrong(f"{action.event['type']} went to the model")
            elif isinstance(action, SendToClient):
                _check_written(action.event)
            elif isinstance(action, RecordUsage):
                Usage.of(action.usage)
            elif isinstance(action, RecordCall):
                self._records.append(action)
                self._calls[action.job.id] = action
                _check_storable(action)
            elif isinstance(action, KeepMessages):
                self._messages.update({message.item_id: message for message in action.messages})
        return sent

    def _check_taken(self, said: protocol.ClientFrame, actions: Sequence[Action]) -> None:
        """What goes to the model for a client is what was read from its frame, and all of it is the client's to say."""
        self._perform(actions)
        stray = strays(said.event, self.policy.name)
        if stray and said.event["type"] not in OF_THE_GATEWAY:
            raise Wrong(f"{stray} got through")
        if self.policy is BROWSER and CANARY in str(said.event.get("session")):
            raise Wrong("the session's own fields got through")
        again = protocol.read(msgspec.json.encode(said.event), self.policy)
        if not isinstance(again, protocol.ClientFrame) or again.event != said.event or again.left_out:
            raise Wrong(f"what was written anew would not pass once more: {again}")
        for action in actions:
            if isinstance(action, SendToModel) and action.event["type"] == said.event["type"]:
                sent = _same_names(action.event, said.event)
                if sent != said.event and not action.event["event_id"].startswith("rb_hush"):
                    raise Wrong(f"{sent} went to the model for {said.event}")


def _past(record: RecordCall) -> PastCall:
    job = record.job
    outcome = record.outcome or succeeded({"sky": "clear"})
    named = {"item_id": job.item_id, "call_id": job.call_id, "response_id": job.response_id, "tool": job.name}
    return PastCall(job_id=job.id, position=job.position or 0, arguments=job.arguments, outcome=outcome, **named)  # type: ignore[arg-type]


def _same_names(sent: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Less the ids that it was given on the way, and the tools of the server beside which a client's are offered."""
    sent = dict(sent)
    if "event_id" not in said:
        del sent["event_id"]
    if "item" in said and "id" not in said["item"]:
        sent["item"] = {name: value for name, value in sent["item"].items() if name != "id"}
    if said.get("response", {}).get("conversation") == "none":  # it is offered no functions
        sent["response"] = {**sent["response"], "tool_choice": said["response"].get("tool_choice", "none")}
        if "tool_choice" not in said["response"]:
            del sent["response"]["tool_choice"]
    if "tools" in said.get("session", {}):
        names = {tool["name"] for tool in said["session"]["tools"]}
        tools = [tool for tool in sent["session"]["tools"] if tool["name"] in names]
        sent["session"] = {**sent["session"], "tools": tools}
    return sent


def _check_written(event: dict[str, Any]) -> None:
    """It can be written, and read again in one way only."""
    text = msgspec.json.encode(event)
    if msgspec.json.decode(text) != event:
        raise Wrong("what is written is not what was meant")


def _check_refusal(refusal: protocol.Rejection) -> None:
    if refusal.rule not in protocol.RULES or not refusal.message.endswith("."):
        raise Wrong(f"no sentence of ours: {refusal}")
    text = msgspec.json.encode(refusal.as_event("rb_refused")).decode()
    if len(text) > 6 * (protocol.MAX_PROBLEM_CHARS + protocol.MAX_EVENT_ID_CHARS) + 1_000:
        raise Wrong("a refusal as long as what it refuses")


def _check_storable(record: RecordCall) -> None:
    """Postgres would take it."""
    job = record.job
    texts = [
        job.call_id,
        job.name,
        job.response_id or "",
        job.item_id or "",
        msgspec.json.encode(job.arguments).decode(),
    ]
    if any("\x00" in text for text in texts) or "\\u0000" in texts[-1].replace("\\\\", ""):
        raise Wrong("a NUL on its way into a row")


def _in_time(began: float) -> None:
    if time.thread_time() - began > MOST_SECONDS:
        raise Wrong(f"it took more than {MOST_SECONDS} s")
