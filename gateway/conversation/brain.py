"""The session brain: it hears every event of one conversation and says what is to be done.

Four doors, each a plain function that returns a list of actions:

    receive_model(event, now)    an event of the Realtime API
    receive_client(frame, now)   a frame of the client that passed the policy
    deliver(job_id, …, now)      the outcome of a job, marked as sent
    tick(now)                    time has passed; `wake_at(now)` says when it matters
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from gateway.conversation.actions import (
    Acknowledge,
    Action,
    Close,
    Event,
    LetClientIn,
    RecordCall,
    SendToClient,
    SendToModel,
    Warn,
)
from gateway.conversation.calls import Calls
from gateway.conversation.confirmation import Confirmation, confirmation
from gateway.conversation.floor import REFUSED, Floor
from gateway.conversation.view import ClientView
from gateway.policy import OURS, ClientFrame
from ringback.agents import Agent
from ringback.jobs import output_item_id
from ringback.outcomes import Outcome, failed
from ringback.tools import Announcement

CLIENTS = OURS + "client_"
"""The event_id of a client's event that came without one, so that an error about it can be told from ours."""

INVALID_CALL = "invalid_tool_call_id"
"""The conversation has no call that this answer belongs to (Realtime API, error codes)."""
EXPIRED = "session_expired"
CLOSE_UPSTREAM = 1011


class Conversation:
    """One conversation with one model, in one epoch.

    Args:
        session_id: ours, which names the rows.
        agent: who the model is to be.
        tools: what it may call, by name.
        job_events: True where the client asked for `ringback.job` events.
    """

    def __init__(
        self, session_id: UUID, agent: Agent, tools: dict[str, Announcement], *, job_events: bool = False
    ) -> None:
        self.session_id = session_id
        self.agent = agent
        self.tools = tools
        self.is_open = False
        self.is_expired = False
        """The Realtime API said that the session has lasted as long as it may; it closes next."""
        self._job_events = job_events
        self._calls = Calls(session_id, agent, tools)
        self._floor = Floor(gather_seconds=agent.gather_seconds)
        self._view = ClientView(str(session_id))
        self._sent: dict[str, tuple[UUID, str, str]] = {}
        self._errands: dict[str, str] = {}
        self._count = 0
        self._before: Event = {}
        self._configured = agent.session([tool.for_model() for tool in tools.values()])

    def receive_model(self, event: Event, now: float) -> list[Action]:
        """An event of the Realtime API; audio deltas may be relayed without asking."""
        if not self.is_open:
            return self._configure(event)
        actions = self._listen(event, now)
        if event.get("type") == "error":
            return [*actions, *self._error(event, now), *self._speak(now)]
        if event.get("type") == "session.updated":
            self._note_session(event.get("session") or {})
        visible = self._view.show(event)
        if visible is not None:
            actions.append(SendToClient(visible))
        return [*actions, *self._speak(now)]

    def receive_client(self, frame: ClientFrame, now: float) -> list[Action]:
        """A client's frame, checked by `gateway.policy`: what goes to the model is written anew from it."""
        if frame.is_empty_update:
            shown = {"type": "session.updated", "event_id": self._id("updated"), "session": self._view.last_session()}
            return [SendToClient(shown)]
        event = frame.event if "event_id" in frame.event else {**frame.event, "event_id": self._id("client")}
        if event["type"] == "response.create":
            self._floor.create_sent(event["event_id"], now)
        return [SendToModel(event)]

    def recorded(self, record: RecordCall) -> list[Action]:
        """The call's row is committed."""
        state = record.outcome.state if record.outcome else "pending"
        return self._tell(record.job.id, record.job.call_id, record.job.name, state)

    def not_recorded(self, record: RecordCall, now: float) -> list[Action]:
        """The row could not be committed: the model is answered all the same, at once."""
        sorry = failed(
            "temporarily_unavailable", "The function cannot be run right now. Say so, and offer to try later."
        )
        return self.deliver(record.job.id, record.job.call_id, record.job.name, record.outcome or sorry, now)

    def deliver(self, job_id: UUID, call_id: str, tool: str, outcome: Outcome, now: float) -> list[Action]:
        """A job's answer enters the conversation, even while a response runs; speaking of it is another matter."""
        item_id = output_item_id(job_id)
        if item_id in self._sent:
            return []
        self._sent[item_id] = self._sent[call_id] = (job_id, call_id, tool)
        self._calls.closed(call_id)
        self._floor.result_landed(call_id, now)
        item = {"id": item_id, "type": "function_call_output", "call_id": call_id, "output": outcome.output()}
        create = self._ours("output", {"type": "conversation.item.create", "item": item})
        self._errands[create["event_id"]] = item_id
        return [SendToModel(create), *self._tell(job_id, call_id, tool, outcome.state), *self._speak(now)]

    def tick(self, now: float) -> list[Action]:
        """Time has passed."""
        return self._speak(now)

    def wake_at(self, now: float) -> float | None:
        """When `tick` should be called, if no event comes first."""
        return self._floor.wake_at(now)

    # — before the client is let in —

    def _configure(self, event: Event) -> list[Action]:
        kind = event.get("type")
        if kind == "session.created":
            self._before = event.get("session") or {}
            return [SendToModel(self._ours("configure", {"type": "session.update", "session": self._configured}))]
        if kind == "session.updated":
            return self._confirm(event)
        if kind == "error":
            error = event.get("error") or {}
            return [
                Warn(f"the Realtime API refused the session: {error.get('code')}: {error.get('message')}"),
                Close(CLOSE_UPSTREAM, "upstream_refused"),
            ]
        return []

    def _confirm(self, event: Event) -> list[Action]:
        """No audio is let in before the server says that our instructions and tools are in force."""
        session = event.get("session") or {}
        verdict = confirmation(self._before, session, self._configured)
        if verdict is Confirmation.NOT_APPLIED:
            refused = "the Realtime API did not take our instructions or tools"
            return [Warn(refused), Close(CLOSE_UPSTREAM, "upstream_refused")]
        reworded = "the Realtime API shows our instructions or tools in words of its own"
        warnings: list[Action] = [Warn(reworded)] if verdict is Confirmation.REWORDED else []
        self.is_open = True
        self._note_session(session)
        created = {**event, "type": "session.created", "session": self._view.session(session)}
        return [*warnings, LetClientIn(session.get("id")), SendToClient(created)]

    def _note_session(self, session: Event) -> None:
        heard = (session.get("audio") or {}).get("input") or {}
        if "turn_detection" not in {**session, **heard}:
            return  # A server that does not echo it has not changed it.
        detection = {**session, **heard}["turn_detection"] or {}
        self._floor.auto_response = bool(detection) and detection.get("create_response", True) is not False

    # — what an event means to us —

    def _listen(self, event: Event, now: float) -> list[Action]:
        kind = event.get("type")
        if kind == "response.created" and _in_conversation(event):
            self._floor.response_created(str((event.get("response") or {}).get("id")))
        elif kind == "response.done":
            return self._response_done(event.get("response") or {})
        elif kind == "response.output_item.done":
            return self._record(self._calls.item_done(event.get("item") or {}, event.get("response_id")))
        elif kind in ("conversation.item.added", "conversation.item.created", "conversation.item.done"):
            return self._echo(event.get("item") or {})
        elif kind == "input_audio_buffer.speech_started":
            self._floor.speech_started(now)
        elif kind in ("input_audio_buffer.speech_stopped", "input_audio_buffer.timeout_triggered"):
            self._floor.speech_stopped(now)
        return []

    def _response_done(self, response: Event) -> list[Action]:
        self._floor.response_done(str(response.get("id")))
        return [action for record in self._calls.response_done(response) for action in self._record(record)]

    def _record(self, record: RecordCall | None) -> list[Action]:
        if record is None:
            return []
        self._floor.call_began(record.job.call_id, record.job.response_id)
        return [record]

    def _echo(self, item: Event) -> list[Action]:
        sent = self._sent.get(str(item.get("id")))
        if sent is None and item.get("type") == "function_call_output":
            sent = self._sent.get(str(item.get("call_id")))  # Not every server keeps the ids that a client gives.
        if sent is None:
            return []
        job_id, call_id, tool = sent
        if not self._floor.result_echoed(call_id):
            return []
        return [Acknowledge(job_id), *self._tell(job_id, call_id, tool, "acked")]

    def _error(self, event: Event, now: float) -> list[Action]:
        """Our own errors stay with us; `already has an active response` is routine and only means later."""
        error = event.get("error") or {}
        code, event_id = error.get("code"), error.get("event_id")
        if code == EXPIRED:
            self.is_expired = True
            return []  # The client is told when the connection ends, and once.
        if code == REFUSED:
            event_id = self._floor.create_refused(event_id, now)
        if isinstance(event_id, str) and event_id.startswith(CLIENTS):
            self._floor.create_failed(event_id)
            return [SendToClient({**event, "error": {**error, "event_id": None}})]
        # A client cannot answer a call, so what is wrong with an answer is never the client's fault.
        if code != INVALID_CALL and not (isinstance(event_id, str) and event_id.startswith(OURS)):
            self._floor.create_failed(event_id)
            return [SendToClient(event)]
        if code == REFUSED:
            return []
        item_id = self._errands.pop(str(event_id), None)
        if item_id is not None:
            job_id, call_id, _ = self._sent[item_id]
            self._floor.call_closed(call_id)
            return [Warn(f"the conversation did not take the answer of job {job_id}: {code}")]
        return [Warn(f"the Realtime API refused {event_id}: {code}: {error.get('message')}")]

    # — speaking —

    def _speak(self, now: float) -> list[Action]:
        if not self.is_open or not self._floor.may_speak(now):
            return []
        create = self._ours("speak", {"type": "response.create"})
        self._floor.create_sent(create["event_id"], now)
        return [SendToModel(create)]

    def _tell(self, job_id: UUID, call_id: str, tool: str, state: str) -> list[Action]:
        if not self._job_events:
            return []
        job = {"id": str(job_id), "call_id": call_id, "tool": tool, "state": str(state)}
        return [SendToClient({"type": "ringback.job", "event_id": self._id("job"), "job": job})]

    def _ours(self, what: str, event: dict[str, Any]) -> Event:
        return {**event, "event_id": self._id(what)}

    def _id(self, what: str) -> str:
        self._count += 1
        return f"{OURS}{what}_{self._count}"


def _in_conversation(event: Event) -> bool:
    """An out-of-band response takes no slot; a server that names no conversation has only the one."""
    response = event.get("response") or {}
    return response.get("conversation_id", "") is not None
