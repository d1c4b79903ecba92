"""The simulator as a provider that a test plays: what its callers say, what its pages send, and what it refuses.

It runs in this process, in a thread of its own, so a test may look at its calls. It hears what the test says that a
caller says, and the scenario decides what the model makes of it. Any thread may ask.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from simulator.calls.call import Call
from simulator.calls.calls import Calls
from simulator.calls.legs import Leg, NoLeg
from simulator.calls.sdp import answer_without_media
from simulator.performer import Speech
from simulator.recorder import Recorder
from simulator.scripting.scenario import Scenario
from simulator.server.control import Act, Answer, Control, Hold
from simulator.server.server import Simulator
from simulator.speech.ears import Ears
from tests.line import KEY, eventually

Event = dict[str, Any]
Found = TypeVar("Found")
OFFER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendrecv\r\n"
SPEECH, SILENCE = b"\x00\x20" * 24, bytes(48)
"""A millisecond of each."""
SAID_MS = 200
"""How long what the model says sounds, unless the test says otherwise."""


class Ledger(Recorder):
    """All that came and went, oldest first, as the simulator's record has it."""

    def __init__(self) -> None:
        super().__init__(None)
        self.entries: list[Event] = []

    def _write(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)


class AllCalls(Calls):
    """Every call that was answered, also when it has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: dict[str, Call] = {}

    def begin(self, call: Call) -> None:
        self.answered[call.id] = call
        super().begin(call)


@dataclass(frozen=True)
class PlayedCall:
    """One call: its session, its items, and who has sent what."""

    provider: Provider
    call: Call

    @property
    def call_id(self) -> str:
        return self.call.id

    @property
    def session(self) -> Event:
        return self.call.conversation.player.session

    @property
    def items(self) -> dict[str, Event]:
        """The conversation, by the ids of its items."""
        return {item["id"]: item for item in list(self.call.conversation.items.items)}

    def outputs(self) -> list[Event]:
        """The outputs of functions that are in the conversation."""
        return [item for item in self.items.values() if item["type"] == "function_call_output"]

    @property
    def deleted(self) -> list[str]:
        """Ids of the items that were deleted."""
        return [event["item_id"] for event in self._events("out", "conversation.item.deleted")]

    @property
    def heard(self) -> list[Event]:
        """Every event of the gateways, in order."""
        return self._events("in")

    def sent(self, kind: str) -> list[Event]:
        """All events of one type that gateways have sent."""
        return self._events("in", kind)

    @property
    def responses(self) -> list[Event]:
        """The responses that gateways have asked for."""
        return self.sent("response.create")

    def asked(self, act: Act) -> list[Event]:
        """Bodies of the requests of one kind about this call."""
        return self.provider.asked(self.call_id, act)

    @property
    def hang_ups(self) -> int:
        """How often a gateway asked to hang up, heard or not."""
        return len(self.asked("hangup"))

    @property
    def hung_up(self) -> bool:
        return 200 in self.provider.answers(self.call_id, "hangup")

    @property
    def is_over(self) -> bool:
        return self.call.is_over

    @property
    def sidebands(self) -> list[int]:
        """Numbers of the connections of gateways that are open."""
        return [number for number in self.provider.numbers(self.call_id) if number in self.provider.control.connections]

    def _events(self, direction: str, kind: str | None = None) -> list[Event]:
        return self.provider.events(direction, self.provider.numbers(self.call_id), kind)


@dataclass(frozen=True)
class PlayedSession:
    """One conversation over a WebSocket of its own: what the gateway sent, and what its session is."""

    provider: Provider
    number: int

    def of_kind(self, kind: str) -> list[Event]:
        """All events of one type that the gateway has sent."""
        return self.provider.events("in", {self.number}, kind)

    def outputs(self, call_id: str | None = None) -> list[Event]:
        """The results of functions that it was given, of one call or of all."""
        items = [event["item"] for event in self.of_kind("conversation.item.create")]
        found = [item for item in items if item["type"] == "function_call_output"]
        return [item for item in found if call_id in (None, item["call_id"])]

    @property
    def session(self) -> Event:
        updated: Event = self.provider.events("out", {self.number}, "session.updated")[-1]["session"]
        return updated


@dataclass
class Provider:
    """The Realtime API of a test; `calls` has every call by its id, the newest last."""

    scenario: Scenario
    lengths: dict[str, int] = field(default_factory=dict)
    """How long some words sound, in milliseconds; all others do for `said_ms`."""
    said_ms: int = SAID_MS
    words: deque[str] = field(default_factory=deque)
    """What the next callers say, each in one turn."""
    answers_sent: list[str] = field(default_factory=list)
    """The SDP answers, oldest first."""
    recorded: tuple[str, str] | None = None
    """Location and SDP with which the next calls are answered, as a real server did."""
    control: Control = field(default_factory=Control)
    ledger: Ledger = field(default_factory=Ledger)
    _loop: asyncio.AbstractEventLoop | None = None
    _old: int = 0
    """So many entries of the ledger are of earlier tests."""

    @cached_property
    def simulator(self) -> Simulator:
        ears = Ears("the test", lambda *_: self.words.popleft() if self.words else "")
        speech = Speech(ears, lambda text: SPEECH * self.lengths.get(text, self.said_ms))
        return Simulator(
            self.scenario,
            key=KEY,
            speech=speech,
            control=self.control,
            media="none",
            calls=AllCalls(),
            recorder=lambda _: self.ledger,
        )

    @property
    def url(self) -> str:
        return self.simulator.url

    @property
    def calls(self) -> dict[str, PlayedCall]:
        calls = self.simulator.calls
        assert isinstance(calls, AllCalls)
        return {call_id: PlayedCall(self, call) for call_id, call in list(calls.answered.items())}

    @property
    def only(self) -> PlayedCall:
        """The call that was placed last."""
        return list(self.calls.values())[-1]

    @property
    def placed(self) -> list[tuple[str, bytes]]:
        """Content type and body of each request for a call."""
        requests = [entry["detail"] for entry in list(self.ledger.entries) if entry["direction"] == "request"]
        placed = [each for each in requests if each["target"].partition("?")[0].endswith("/calls")]
        return [(each["content_type"], each["body"].encode()) for each in placed]

    @property
    def conversations(self) -> list[PlayedSession]:
        """The conversations of this test that are no calls, oldest first."""
        opened = [entry for entry in self.ledger.entries[self._old :] if entry["direction"] == "open"]
        return [PlayedSession(self, entry["connection"]) for entry in opened if "call_id=" not in entry["detail"]]

    def events(self, direction: str, numbers: set[int], kind: str | None = None) -> list[Event]:
        """What came in or went out on these connections, of one type or of all."""
        entries = [entry for entry in list(self.ledger.entries) if entry["direction"] == direction]
        found = [entry["event"] for entry in entries if entry["connection"] in numbers]
        return [event for event in found if kind in (None, event["type"])]

    def numbers(self, call_id: str) -> set[int]:
        """Numbers of all sidebands that a call has had."""
        opened = [entry for entry in list(self.ledger.entries) if entry["direction"] == "open"]
        return {entry["connection"] for entry in opened if f"call_id={call_id}" in entry["detail"]}

    def asked(self, call_id: str, act: Act) -> list[Event]:
        """Bodies of the requests of one kind about a call."""
        return [json.loads(detail["body"] or "{}") for detail in self._about(call_id, act, "request")]

    def answers(self, call_id: str, act: Act) -> list[int]:
        """Statuses with which they were answered."""
        return [detail["status"] for detail in self._about(call_id, act, "answer")]

    def _about(self, call_id: str, act: Act, direction: str) -> list[Event]:
        details = [entry["detail"] for entry in list(self.ledger.entries) if entry["direction"] == direction]
        return [detail for detail in details if detail["target"].endswith(f"/{call_id}/{act}")]

    # — what it refuses —

    def refuses(self, act: Act, *statuses: int, times: int = 1, done: bool = False, **error: str) -> None:
        """Answer the next requests of a kind with these statuses, one after the other, each so many times."""
        for status in statuses:
            self.control.order_answer(Answer(act=act, status=status, times=times, done=done, **error))

    def accepts_again(self, *acts: Act) -> None:
        """Do from now on what is asked for."""
        for act in acts:
            self.control.order_answer(Answer(act=act, times=0))

    def holds(self, act: Act) -> None:
        """Do what is asked for, and tell nobody so until it is released."""
        self.control.order_hold(Hold(do="hold", act=act))

    def releases(self, act: Act) -> None:
        self.within(self.control.order_hold, Hold(do="release", act=act))

    def calm(self) -> None:
        """Do all that is asked for, and answer it."""
        self.recorded = None
        self.words.clear()
        self._old = len(self.ledger.entries)
        self.accepts_again("place", "accept", "reject", "refer", "hangup", "sideband")
        self.releases("accept")

    # — as the browser —

    def page_sends(self, call: PlayedCall, event: Event) -> None:
        """Have the page of the call send an event on its data channel."""
        self.within(call.call.receive, json.dumps(event), call.call.leg)

    # — as the caller, and the network —

    def speaks(self, call: PlayedCall, words: str) -> None:
        """Have the caller say this in one turn."""
        self.words.append(words)
        self.within(call.call.listen, SPEECH * 400 + SILENCE * 800)

    def asks_for(self, call: PlayedCall, name: str, arguments: Event) -> str:
        """Have the caller ask for what makes the model call a function; returns the call's id."""
        known = set(call.items)
        self.speaks(call, f"{name} {' '.join(map(str, arguments.values()))}")

        def look() -> Any:
            new = [item for item_id, item in call.items.items() if item_id not in known and item.get("name") == name]
            return [item for item in new if item["status"] == "completed"]

        (item,) = eventually(look, f"the model to call {name}")
        return str(item["call_id"])

    def tells(self, call: PlayedCall, *events: Event) -> None:
        """Tell every sideband these events, as they stand."""
        for event in events:
            self.within(call.call.send, event)

    def presses(self, call: PlayedCall, keys: str) -> None:
        for key in keys:
            self.within(call.call.press, key)

    def ends(self, call: PlayedCall) -> None:
        """Have the caller hang up."""
        self.within(call.call.end)

    def drops(self, call: PlayedCall, code: int = 1001) -> None:
        """Drop the sidebands; the call goes on."""
        for number in call.sidebands:
            self.within(self.control.connections[number].socket.drop, code)

    def ignores(self, call: PlayedCall) -> None:
        """Do nothing of what comes over the sidebands that are open, as if it were lost on the way."""
        for number in call.sidebands:
            self.within(self.control.connections[number].socket.hang)

    def attended(self, call: PlayedCall, sidebands: int = 1) -> None:
        """Wait until so many gateways are beside the call."""
        eventually(lambda: len(call.sidebands) == sidebands, f"{sidebands} sidebands of the call")

    def joined(self, call_id: str) -> PlayedCall:
        """Wait until a gateway is beside the call, and has asserted its session."""
        eventually(lambda: call_id in self.calls, "the call to be accepted")
        call = self.calls[call_id]
        self.attended(call)
        eventually(lambda: call.sent("session.update"), "the gateway to assert the session")
        return call

    # — inside —

    def within(self, do: Callable[..., Found], *arguments: Any) -> Found:
        """Do this in the simulator's thread; return what it returns."""

        async def doing() -> Found:
            return do(*arguments)

        return self.awaits(doing())

    def awaits(self, doing: Coroutine[Any, Any, Found]) -> Found:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(30)

    async def serve(self, began: threading.Event, over: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self.simulator.calls.answering = self._answer
        async with self.simulator.serving():
            began.set()
            await over.wait()

    async def _answer(self, offer: str, call: Call) -> tuple[str, Leg]:
        sdp = answer_without_media(offer)
        if self.recorded is not None:
            location, sdp = self.recorded
            call.id = location.rpartition("/")[2]
        self.answers_sent.append(sdp)
        return sdp, NoLeg()


@contextmanager
def played(scenario: Scenario, lengths: dict[str, int] | None = None, said_ms: int = SAID_MS) -> Iterator[Provider]:
    """Serve for as long as the context lasts."""
    provider, began = Provider(scenario, lengths or {}, said_ms), threading.Event()
    over: list[Callable[[], object]] = []

    async def main() -> None:
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        over.append(lambda: loop.call_soon_threadsafe(told.set))
        await provider.serve(began, told)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert began.wait(20), "the simulator does not serve"
    try:
        yield provider
    finally:
        provider.calm()
        over[0]()
        thread.join(20)
