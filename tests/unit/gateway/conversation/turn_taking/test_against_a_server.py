"""Whatever a server does that keeps to the protocol, no result is lost, none is sent twice, and nobody is talked over.

Each example is a story of steps: a call is made, its result lands, somebody speaks, a response ends, events travel.
Steps that cannot happen at their place do nothing. Afterwards the world falls quiet, and the books are checked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.conversation.turn_taking.pacing import LONGEST_PAUSE_SECONDS
from ringback.tools.behavior import OnDuplicate, ToolBehavior
from tests.unit.gateway.conversation.script import WEATHER, Script
from tests.unit.gateway.conversation.turn_taking.server_model import Habits, Server

STEPS = st.tuples(
    st.sampled_from(
        [
            *("to server", "to client", "to client"),  # Events travel more often than anything else happens.
            *(
                "call",
                "result",
                "finish",
                "hear",
                "say a word",
                "take in",
                "announce",
                "report",
                "client create",
                "die",
            ),
        ]
    ),
    st.sampled_from([0.0, 0.05, 0.3]),
)
HABITS = st.builds(Habits, *[st.booleans()] * 8)
OFTEN = ToolBehavior(say_after=0.05, say_every=0.1, cancellable=False, on_duplicate=OnDuplicate.ALLOW)
SLOW = replace(WEATHER, behavior=OFTEN)
"""Its words are due often, and collide with everything."""
LONGEST_JOURNEY = 8
"""Steps that an event may be on its way: 2.4 s at most, and no bound of ours is reached by a slow network."""
CALLS_TO_BEGIN_WITH = 3
OURS = ("rb_speak", "rb_question", "rb_filler")
QUIET_ROUNDS = 2
"""Rounds of the longest pause in which nothing happens: the brain has no more to say."""


class World:
    """A brain and a server, and the network between them."""

    def __init__(self, habits: Habits) -> None:
        detection = {"type": "server_vad", "create_response": habits.answers_the_user}
        self.script = Script(SLOW, quiet_seconds=0.0).opened(audio={"input": {"turn_detection": detection}})
        self.server = Server(habits)
        self.waiting: list[str] = []
        """Calls whose tools still run."""
        self.recorded: list[str] = []
        self.ours: list[str] = []
        """The event ids of every response.create that the brain sent to have results told."""
        self._under_way: str | None = None
        self._active: str | None = None
        self._user_speaks = False
        self._ages: tuple[deque[int], deque[int]] = (deque(), deque())
        self._step = 0

    def play(self, step: str, seconds: float) -> None:
        self._step += 1
        self.pass_time(seconds)
        happen: dict[str, Callable[[], object]] = {
            "to server": self.server.read,
            "to client": self.hear_server,
            "call": self.server.ask_for_a_call,
            "result": self.result,
            "finish": self.server.finish,
            "hear": self.server.hear,
            "say a word": self.say_a_word,
            "take in": self.server.take_in,
            "announce": self.server.announce,
            "report": self.server.report,
            "client create": self.client_create,
            "die": self.server.die,
        }
        happen[step]()
        self._hurry()

    def begin(self) -> None:
        """A response has asked for a few calls, and everybody knows."""
        self.server.begin(None)
        for _ in range(CALLS_TO_BEGIN_WITH):
            self.server.ask_for_a_call()
        self._travel()

    def say_a_word(self) -> None:
        self.server.hear()
        self.server.hear()

    def client_create(self) -> None:
        self.script.client(type="response.create")
        self.sent()

    def hear_server(self) -> None:
        if not self.server.outbox:
            return
        event = self.server.outbox.popleft()
        match event["type"]:
            case "response.created":
                self._active, self._under_way = event["response"]["id"], None
            case "response.output_item.added":
                self._active, self._under_way = event["response_id"], None
            case "error" if event["error"].get("type") == "server_error":
                self._active = None
            case "response.done" if event["response"]["id"] == self._active:
                self._active = None
            case "input_audio_buffer.speech_started":
                self._user_speaks = True
            case "input_audio_buffer.speech_stopped":
                self._user_speaks = False
            case "error" if event["error"].get("event_id") in (None, self._under_way):
                self._under_way = None
        self.script.model(event)
        self.sent()

    def result(self) -> None:
        if self.waiting:
            self.script.deliver(self.waiting.pop())
            self.sent()

    def pass_time(self, seconds: float, *, is_slow: bool = True) -> None:
        """Have the brain do what is due meanwhile; where the network is not slow, the server hears of it at once."""
        until = self.script.now + seconds
        while (wake_at := self.script.conversation.wake_at(self.script.now)) <= until:
            self.script.wait(wake_at - self.script.now)
            self.sent()
            if not is_slow:
                self._travel()
        self.script.now = until

    def sent(self) -> None:
        """Put what the brain has just sent on its way, and hold it against the rules."""
        for record in self.script.records:
            self.waiting.append(record.job.call_id)
            self.recorded.append(record.job.call_id)
        for event in self.script.to_model:
            if event["type"] == "response.create":
                assert self._active is None, "it asked for a second response while one was active"
                assert self._under_way is None, "it asked again before the first create began or was refused"
                self._under_way = event["event_id"]
            if event["type"] == "response.create" and event["event_id"].startswith(
                ("rb_speak", "rb_question", "rb_filler")
            ):
                assert not self._user_speaks, "it spoke over the user"
                if event["event_id"].startswith("rb_speak"):
                    self.ours.append(event["event_id"])
            self.server.result_listener.append(event)
        self.script.actions = []

    def fall_quiet(self) -> None:
        """Nobody begins anything any more: every tool returns, every event arrives, every response ends."""
        if self.server.is_spoken_to:
            self.server.hear()
        quiet = 0
        for _ in range(1_000):
            before = (len(self.ours), len(self.server.responses), len(self.server.outputs))
            for happens in (
                self.server.announce,
                self.server.finish,
                self.server.report,
                self.server.take_in,
                self.result,
            ):
                self._travel()
                happens()
            self._travel()
            self.pass_time(LONGEST_PAUSE_SECONDS if quiet else 1.0, is_slow=False)
            after = (len(self.ours), len(self.server.responses), len(self.server.outputs))
            quiet = quiet + 1 if before == after and not self.waiting else 0
            if quiet > QUIET_ROUNDS:
                return
        raise AssertionError("it never comes to rest")

    def _travel(self) -> None:
        while self.server.result_listener or self.server.outbox:
            self.server.read()
            self.hear_server()

    def _hurry(self) -> None:
        """What has been on its way for long arrives."""
        for lane, ages in zip((self.server.result_listener, self.server.outbox), self._ages, strict=True):
            while len(ages) > len(lane):
                ages.popleft()
            ages.extend([self._step] * (len(lane) - len(ages)))
        if self._ages[0] and self._step - self._ages[0][0] > LONGEST_JOURNEY:
            self.server.read()
        if self._ages[1] and self._step - self._ages[1][0] > LONGEST_JOURNEY:
            self.hear_server()


@settings(max_examples=4 * settings().max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(habits=HABITS, steps=st.lists(STEPS, max_size=60))
@example(habits=Habits(), steps=[])
@example(
    habits=Habits(names_refusals=False, reports_ends_late=True, shows_metadata=False, announces=False),
    steps=[("result", 0.0), ("result", 0.0), ("say a word", 0.0), ("die", 0.0)],
)
def test_no_result_is_lost_doubled_or_spoken_over(habits: Habits, steps: list[tuple[str, float]]) -> None:
    world = World(habits)
    world.begin()
    for step, seconds in steps:
        world.play(step, seconds)
    world.fall_quiet()

    server = world.server
    assert sorted(server.outputs) == sorted(world.recorded), "each result is sent, once"
    told = [response for response in server.responses if not (response.is_word or response.has_died)]
    seen = frozenset[str]().union(*(response.saw for response in told))
    assert seen == set(server.outputs), "each result was there when some response began that could tell it"
    begun_by_us = [response for response in told if response.asked_by in world.ours]
    # A server that neither says which create it refused nor which one it took leaves open what was told: better twice.
    if habits.names_refusals or habits.shows_metadata:
        assert len(begun_by_us) <= len(server.outputs), "no result is spoken about twice"
