"""Servers on one's own machine, each by its scenario of the simulator: its manners, met by its provider's profile.

The gateway's conversation and the simulator's talk without sockets and on one clock, so a slow call takes no time.
Sources: huggingface/speech-to-speech 1.1.0, its wheel; LocalAI, `core/http/endpoints/openai/realtime.go`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.conversation import Conversation
from gateway.conversation.actions import Acknowledge, Action, RecordCall, SendToClient, SendToModel
from gateway.protocol import ClientFrame, read
from gateway.upstream import realtime_events
from gateway.upstream.providers import CUSTOM, LOCALAI, PROVIDERS, SPEECH_TO_SPEECH, Provider
from ringback.agents.client_policy import BROWSER
from ringback.jobs.outcomes import succeeded
from ringback.tools.behavior import ToolBehavior
from ringback.tools.spec import ToolSpec
from simulator.scripting.scenario import load
from tests.unit.gateway.conversation.script import SESSION, Event, agent, job_of
from tests.unit.simulator.rehearsal import Rehearsal, silence, sound

PARIS = "What is the weather in Paris?"
SUNNY = {"city": "Paris", "summary": "In Paris it is sunny."}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SLOW = 20.0
WAITING = load("demo").waiting.says
"""What the simulated model says of a call that still runs."""


class Duet:
    """A gateway's conversation by a provider's profile, in front of the simulator with the scenario of that name.

    Every call is recorded at once. Time passes by `wait` alone.
    """

    def __init__(self, provider: Provider, scenario: str | None = None, **behavior: Any) -> None:
        said_at = ToolBehavior.from_data({"cancellable": False, **behavior})
        weather = ToolSpec("weather", "The weather in a city.", CITY, behavior=said_at)
        who = agent(session={"output_modalities": ["text"]})
        self.brain = Conversation(SESSION, who, {"weather": weather}, quirks=provider.quirks)
        self.server = Rehearsal(f"like: {scenario or provider.name}")
        self.now, self._read = 1_000.0, 0
        self.to_model: list[Event] = []
        self.to_client: list[Event] = []
        self.acknowledged = self.recorded = 0
        self.call_id = ""
        self.settle()

    def client(self, **event: Any) -> None:
        frame = read(json.dumps(event), BROWSER)
        assert isinstance(frame, ClientFrame)
        self._do(self.brain.receive_client(frame, self.now))
        self.settle()

    def ask(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        self.client(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
        self.client(type="response.create")

    def say(self, words: str) -> None:
        """The user says it aloud, and the server notices the end of the turn by itself."""
        self.server.words = iter([words])
        audio = base64.b64encode(silence(300) + sound(700) + silence(1_000)).decode()
        self.client(type="input_audio_buffer.append", audio=audio)

    def finish(self) -> None:
        """The tool has its result."""
        job_id = job_of(self.call_id)
        self._do(self.brain.deliver(job_id, self.call_id, "weather", succeeded(SUNNY), self.now))
        self.settle()

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (wake_at := self.brain.wake_at(self.now)) <= until:
            self.now = wake_at
            self._do(self.brain.tick(self.now))
            self.settle()
        self.now = until

    def settle(self) -> None:
        """Play the server, and have its events heard, until both are silent."""
        while True:
            events = self._heard()
            if not events and not self.server.step():
                return
            for event in events:
                self._do(self.brain.receive_model(realtime_events.read(json.dumps(event)), self.now))

    def _heard(self) -> list[Event]:
        events = self.server.sent[self._read :]
        self._read = len(self.server.sent)
        return events

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case SendToModel(event):
                    self.to_model.append(event)
                    self.server.perform(self.server.conversation.receive(json.dumps(event)))
                case SendToClient(event):
                    self.to_client.append(event)
                case Acknowledge():
                    self.acknowledged += 1
                case RecordCall(job):
                    self.recorded += 1
                    self.call_id = job.call_id
                    self._do(self.brain.recorded(action, self.now))

    @property
    def heard(self) -> list[str]:
        """The answers that the client was shown."""
        done = (event["response"] for event in self.to_client if event["type"] == "response.done")
        texts = (part.get("text") for each in done for item in each["output"] for part in item.get("content", []))
        return [text for text in texts if text]

    @property
    def outputs(self) -> list[Any]:
        """What the model was told as outputs of calls, oldest first."""
        items = [event["item"] for event in self.to_model if event["type"] == "conversation.item.create"]
        return [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]

    @property
    def refusals(self) -> Iterator[str]:
        """What the server refused, by whatever names it."""
        return (str(each["error"]["code"] or each["error"]["type"]) for each in self.server.sent if "error" in each)

    @property
    def errors(self) -> list[Event]:
        return [event for event in self.to_client if event["type"] == "error"]


LOCAL = {provider.name: provider for provider in (SPEECH_TO_SPEECH, LOCALAI)}


@pytest.mark.parametrize("provider", LOCAL.values(), ids=LOCAL)
@pytest.mark.parametrize("seconds", [0.1, SLOW])
def test_a_call_goes_all_the_way_round_and_is_told_once(provider: Provider, seconds: float) -> None:
    duet = Duet(provider)
    duet.ask(PARIS)
    assert duet.recorded == 1
    duet.wait(seconds)
    duet.finish()
    duet.wait(30.0)
    assert [text for text in duet.heard if "sunny" in text] == [SUNNY["summary"]]
    assert duet.outputs[-1] == SUNNY
    assert duet.acknowledged == 1
    assert duet.errors == []


@pytest.mark.parametrize("provider", LOCAL.values(), ids=LOCAL)
def test_the_user_is_answered_while_a_slow_call_runs(provider: Provider) -> None:
    duet = Duet(provider)
    duet.ask(PARIS)
    duet.wait(SLOW)
    before = len(duet.heard)
    duet.ask("Hello!")
    assert len(duet.heard) == before + 1
    assert list(duet.refusals) == []
    duet.finish()
    duet.wait(30.0)
    assert [text for text in duet.heard if "sunny" in text] == [SUNNY["summary"]]


@pytest.mark.parametrize("provider", LOCAL.values(), ids=LOCAL)
@pytest.mark.parametrize("aloud", [False, True])
def test_a_question_right_behind_the_call_is_answered_before_its_result(provider: Provider, aloud: bool) -> None:
    duet = Duet(provider)
    duet.ask(PARIS)
    before = len(duet.heard)
    if aloud:
        duet.say("Hello!")
    else:
        duet.ask("Hello!")
    assert ("function_call_output_pending" in duet.refusals) == (provider is SPEECH_TO_SPEECH)
    duet.wait(10.0)
    assert len(duet.heard) == before + 1
    assert duet.errors == []
    duet.finish()
    duet.wait(30.0)
    assert [text for text in duet.heard if "sunny" in text] == [SUNNY["summary"]]


def test_without_the_profile_the_talk_is_held_and_goes_on_when_the_slow_call_has_ended() -> None:
    duet = Duet(CUSTOM, SPEECH_TO_SPEECH.name)
    duet.ask(PARIS)
    duet.wait(SLOW)
    before = len(duet.heard)
    duet.ask("Hello!")
    duet.wait(SLOW)
    assert "function_call_output_pending" in duet.refusals
    assert (len(duet.heard), duet.errors) == (before, [])
    duet.finish()
    duet.wait(30.0)
    assert len(duet.heard) > before
    assert "sunny" in " ".join(duet.heard)


@pytest.mark.parametrize("provider", LOCAL.values(), ids=LOCAL)
def test_a_filler_is_said_while_a_slow_call_runs_and_costs_no_error(provider: Provider) -> None:
    duet = Duet(provider, say_after=3.0)
    duet.ask(PARIS)
    duet.wait(SLOW)
    fillers = [event for event in duet.to_model if event["event_id"].startswith("rb_filler")]
    deletes = [event for event in duet.to_model if event["type"] == "conversation.item.delete"]
    assert (len(fillers), len(deletes)) == (1, 1 if provider.quirks.deletes_items else 0)
    assert (list(duet.refusals), duet.errors) == ([], [])
    assert WAITING in duet.heard


def test_only_the_server_that_holds_the_talk_is_answered_early() -> None:
    early = {}
    for name, provider in LOCAL.items():
        duet = Duet(provider)
        duet.ask(PARIS)
        duet.wait(SLOW)
        early[name] = [output["status"] for output in duet.outputs]
    assert early == {"speech_to_speech": ["accepted"], "localai": []}
    assert [name for name, provider in PROVIDERS.items() if provider.quirks.answers_early_seconds is not None] == [
        SPEECH_TO_SPEECH.name
    ]


def test_the_client_sees_neither_the_early_answer_nor_the_second_call() -> None:
    duet = Duet(SPEECH_TO_SPEECH)
    duet.ask(PARIS)
    duet.wait(SLOW)
    duet.finish()
    duet.wait(30.0)
    assert "function_call" not in json.dumps(duet.to_client)
    assert "rb_fc" not in json.dumps(duet.to_client)
