"""What a session's observer makes of a conversation: one trace for each call, told once its story is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextvars import copy_context
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.conversation.actions import RecordCall
from gateway.session import call_tracer
from gateway.session.call_tracer import CallTracer
from gateway.session.context import UpstreamLink
from gateway.storage import step_reader
from ringback.telemetry import names
from ringback.telemetry.call_spans import CallSpans
from ringback.telemetry.call_trace import root_id, trace_id
from tests.session_parts import gateway_context, session_state
from tests.unit.gateway.conversation.script import SESSION, Script, call, created, done, echo, job_of, meant

AUDIO = {"type": "response.output_audio.delta", "response_id": "R2", "item_id": "item_2", "delta": "AAAA" * 40_000}
"""2.5 seconds of it."""
TEXT = {"type": "response.output_text.delta", "response_id": "R2", "item_id": "item_2", "delta": "Clear."}
STOPPED = {"type": "input_audio_buffer.speech_stopped"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_1"}
ROOT = "invoke_agent demo"


@dataclass
class Observed:
    """A conversation that is observed, second by second; what the rows tell of a job is in `steps`."""

    tells_pii: bool = False
    steps: dict[UUID, list[Any]] = field(default_factory=dict)
    is_away: bool = False
    """Whether Postgres is."""
    hangs: bool = False
    ends: list[Coroutine[Any, Any, None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        spans = CallSpans(SimpleSpanProcessor(self.exporter), "test", provider="openai", tells_pii=self.tells_pii)
        settings: Any = {"provider": SimpleNamespace(name="openai")}
        gateway = gateway_context(SimpleNamespace(rows=self._rows), **settings)
        self.script = Script(now=time.monotonic()).opened()
        state = session_state(SESSION)
        state.tasks = cast(Any, SimpleNamespace(create_task=self.ends.append))
        self.tracer = CallTracer(spans, gateway, state, "gpt")
        self.link = UpstreamLink(1, cast(Any, None), self.script.conversation)

    def hear(self, *events: Any) -> None:
        """Each event comes a second after the one before."""
        for event in events:
            self.script.now += 1.0
            self.script.model(event)
            self.tracer.heard(self.link, meant(event), self.script.now)
            self._do()

    def record(self, call_id: str = "call_1") -> None:
        """The call's row is there, and its message is published."""
        copy_context().run(self.tracer.recorded, job_of(call_id), self.script.now)  # as in a task of its own
        self.tracer.published(job_of(call_id), self.script.now, self.script.now)
        self.script.conversation.recorded(self._record_of(call_id), self.script.now)

    def deliver(self, call_id: str = "call_1") -> None:
        self.script.now += 1.0
        self.script.deliver(call_id)
        self._do()

    def play(self, seconds: float = 5.0) -> None:
        """Nothing happens for so long but that the client plays what it has; the clock wakes the conversation then."""
        self.script.now += seconds
        self.script.actions = self.script.conversation.tick(self.script.now)
        self._do()

    def _do(self) -> None:
        self.tracer.did(self.link, self.script.actions, self.script.now)
        for action in self.script.actions:
            if isinstance(action, RecordCall):
                self._records[action.job.call_id] = action

    _records: dict[str, RecordCall] = field(default_factory=dict)

    def _record_of(self, call_id: str) -> RecordCall:
        return self._records[call_id]

    async def _rows(self, statement: Any) -> list[Any]:
        if self.is_away:
            raise psycopg.OperationalError
        if self.hangs:
            await asyncio.Event().wait()
        return [row for job_id in statement.given["job_ids"] for row in self.steps.get(job_id, [])]

    def run_ends(self) -> None:
        """Run what the session would run in tasks."""
        while self.ends:
            asyncio.run(self.ends.pop(0))

    def close(self, *, is_over: bool = True) -> None:
        last = self.script.conversation.left("client_closed", self.script.now)
        asyncio.run(self.tracer.close(last, self.script.now + 1.0, is_over=is_over))

    def told(self) -> list[tuple[str, int, int]]:
        """Each span's name, and the seconds from the first moment of all until it began and lasted."""
        self.run_ends()
        spans = self.exporter.get_finished_spans()
        first = min((span.start_time or 0 for span in spans), default=0)
        return sorted(
            (
                (span.name, round((begin(span) - first) / 1e9), round((end_of(span) - begin(span)) / 1e9))
                for span in spans
            ),
            key=lambda told: (told[1], told[0] != ROOT, told[2]),
        )

    @property
    def root(self) -> ReadableSpan:
        (root,) = [span for span in self.exporter.get_finished_spans() if span.name == ROOT]
        return root


def begin(span: ReadableSpan) -> int:
    assert span.start_time is not None
    return span.start_time


def end_of(span: ReadableSpan) -> int:
    assert span.end_time is not None
    return span.end_time


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_reader, "GATHER_SECONDS", 0.0)


@pytest.fixture
def observed() -> Observed:
    return Observed()


def ask(observed: Observed) -> None:
    observed.hear(STOPPED, COMMITTED, created("R1"), call("call_1"))
    observed.record()
    observed.hear(done("R1"))


TOLD = [
    (ROOT, 0, 9),
    ("generate_live_content gpt", 2, 2),
    ("record", 3, 0),
    ("send default", 3, 0),
    ("send result", 5, 1),
    ("wait for the floor", 5, 2),
    ("first audio", 7, 1),
    ("generate_live_content gpt", 7, 2),
]
HEARD = [*TOLD, ("heard", 8, 1)]


@pytest.mark.parametrize("uptime", [5.0, 10_000_000.0])
def test_a_call_is_one_trace_from_the_end_of_speech_until_its_result_is_heard(
    uptime: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic() - uptime
    monkeypatch.setattr(time, "monotonic", lambda: time.perf_counter() - began)
    observed = Observed()
    ask(observed)
    observed.deliver()
    observed.hear(echo("call_1"), created("R2"), AUDIO, done("R2"))
    assert observed.told() == [], "its story is not over"
    observed.play()
    assert observed.told() == HEARD
    root = observed.root
    assert root.context is not None
    assert (root.context.trace_id, root.context.span_id) == (trace_id(job_of("call_1")), root_id(job_of("call_1")))
    observed.close()
    assert observed.told() == HEARD, "and is told once"


@pytest.mark.parametrize("is_over", [True, False])
def test_a_result_that_is_never_heard_is_told_with_its_response(observed: Observed, is_over: bool) -> None:
    ask(observed)
    observed.deliver()
    observed.hear(echo("call_1"), created("R2"), AUDIO, done("R2"))
    observed.close(is_over=is_over)
    assert observed.told() == TOLD, "also if another gateway resumes the session: it has nothing to tell of this call"


def test_what_is_told_as_text_is_heard_as_its_response_ends(observed: Observed) -> None:
    ask(observed)
    observed.deliver()
    observed.hear(echo("call_1"), created("R2"), TEXT, done("R2"))
    assert observed.told() == HEARD


def test_a_silent_response_ends_the_story(observed: Observed) -> None:
    ask(observed)
    observed.deliver()
    observed.hear(echo("call_1"), created("R2"), done("R2"))
    assert [name for name, _, _ in observed.told()].count(ROOT) == 1
    assert not {"first audio", "heard"} & {name for name, _, _ in observed.told()}


def test_a_response_that_tells_a_result_again_begins_no_other_trace(observed: Observed) -> None:
    observed.hear(created("R1"), call("call_1"), call("call_2"))
    observed.record("call_1")
    observed.record("call_2")
    observed.hear(done("R1"))
    observed.deliver("call_1")
    observed.hear(echo("call_1"), created("R2"), AUDIO, done("R2"))
    observed.play()
    observed.deliver("call_2")
    observed.hear(echo("call_2"), created("R3"), {**AUDIO, "response_id": "R3", "item_id": "item_3"}, done("R3"))
    observed.play()
    observed.close()
    assert [name for name, _, _ in observed.told()].count(ROOT) == 2
    assert [name for name, _, _ in observed.told()].count("heard") == 2


def test_a_response_that_is_cut_off_unheard_tells_no_result(observed: Observed) -> None:
    ask(observed)
    observed.deliver()
    observed.hear(echo("call_1"), created("R2"), done("R2", "cancelled"))
    assert observed.told() == []
    observed.hear(created("R3"), {**AUDIO, "response_id": "R3"}, done("R3"))
    observed.play()
    assert ("generate_live_content gpt", 9, 2) in observed.told()
    assert [name for name, _, _ in observed.told()].count("generate_live_content gpt") == 2, "R1 and R3"


@pytest.mark.parametrize(
    ("events", "from_stop"),
    [
        ([STOPPED, COMMITTED], 2),
        ([{"type": "input_audio_buffer.speech_started"}, STOPPED, COMMITTED], 2),
        ([COMMITTED], 1),
        ([{"type": "conversation.item.added", "item": {"type": "message", "role": "user", "content": []}}], 1),
        (
            [
                STOPPED,
                COMMITTED,
                {
                    "type": "conversation.item.added",
                    "item": {"type": "message", "role": "user", "content": [{"type": "input_audio"}]},
                },
            ],
            3,
        ),
        ([], 0),
    ],
)
def test_the_users_turn_ends_as_the_server_or_the_client_says(
    observed: Observed, events: list[Any], from_stop: int
) -> None:
    observed.hear(*events, created("R1"), call("call_1"))
    observed.close()
    told = observed.told()
    (asked,) = [began for name, began, _ in told if name == "generate_live_content gpt"]
    assert asked == from_stop


def test_a_user_who_hangs_up_leaves_no_span_open(observed: Observed) -> None:
    ask(observed)
    observed.close()
    assert [name for name, _, _ in observed.told()] == [ROOT, "generate_live_content gpt", "record", "send default"]
    assert (observed.root.attributes or {})[names.END_REASON] == "not_told"


def test_of_a_session_that_may_be_resumed_the_next_gateway_tells_the_root(observed: Observed) -> None:
    ask(observed)
    observed.close(is_over=False)
    assert [name for name, _, _ in observed.told()] == ["generate_live_content gpt", "record", "send default"]


def test_a_call_of_an_earlier_gateway_is_taken_up_once_it_is_told(observed: Observed) -> None:
    ask(observed)
    other = Observed(steps={job_of("call_1"): [step(-100.0, "pending")]})
    other.script, other.link = observed.script, observed.link
    other.deliver()
    other.hear(echo("call_1"), created("R2"), AUDIO, done("R2"))
    other.play()
    names_told = [name for name, _, _ in other.told()]
    assert names_told[0] == ROOT
    assert {"wait for the floor", "first audio"} <= {*names_told}
    assert end_of(other.root) - begin(other.root) > 90e9


def step(ago: float, state: str, attempt: int = 0, **fields: Any) -> Any:
    """A row of what happened to the job; `ago` is in seconds from now."""
    given = {"job_id": job_of("call_1"), "code": None, "approval": None, "worker_id": None, **fields}
    return SimpleNamespace(at=time.time() + ago, state=state, attempt=attempt, **given)


def test_the_rows_tell_what_happened_elsewhere_and_without_them_the_trace_shows_less(observed: Observed) -> None:
    for is_away in (True, False):
        seen = Observed(is_away=is_away)
        ask(seen)
        seen.steps[job_of("call_1")] = [
            step(-3.0, "pending"),
            step(-2.0, "running", 1),
            step(-1.0, "pending", 1, code="worker_lost"),
        ]
        seen.deliver()
        seen.hear(echo("call_1"), created("R2"), AUDIO, done("R2"))
        seen.play()
        found = {name for name, _, _ in seen.told()}
        assert (
            {"wait for a worker", "execute_tool weather"} <= found
            if not is_away
            else found == {name for name, _, _ in HEARD}
        )


def test_a_session_that_ends_while_postgres_hangs_tells_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_reader, "READ_SECONDS", 0.01)
    observed = Observed(hangs=True)
    ask(observed)
    observed.close()
    assert [name for name, _, _ in observed.told()] == [ROOT, "generate_live_content gpt", "record", "send default"]


def test_a_call_that_is_not_sampled_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    observed = Observed()
    ask(observed)
    observed.close()
    assert observed.told() == []


def test_personal_data_is_told_only_if_the_operator_says_so() -> None:
    for tells_pii in (False, True):
        observed = Observed(tells_pii=tells_pii)
        ask(observed)
        observed.close()
        private = {name: value for name, value in (observed.root.attributes or {}).items() if ".pii." in name}
        assert bool(private) is tells_pii
        assert not tells_pii or private == {names.ARGUMENTS: '{"city": "Rome"}', names.USER: "ada"}
        assert ("Rome" in observed.root.to_json()) is tells_pii


def test_too_many_calls_at_once_cost_no_memory(observed: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_tracer, "MAX_STORIES", 2)
    observed.hear(created("R1"), *(call(f"call_{n}") for n in range(3)))
    assert [name for name, _, _ in observed.told()].count(ROOT) == 1
    observed.close()
    assert [name for name, _, _ in observed.told()].count(ROOT) == 3
