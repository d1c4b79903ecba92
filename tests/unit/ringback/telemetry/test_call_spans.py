"""Spans as the SDK exports them: ids, parents, samples, and the end of a process whose collector does not answer."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from uuid import UUID, uuid5

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ringback.telemetry import names
from ringback.telemetry.call_spans import CallSpans, YieldingExporter
from ringback.telemetry.call_trace import TRACEPARENT, TRACESTATE, Span, attempt_id, root_id, trace_id, traceparent
from ringback.telemetry.tracing import current_ids

JOB = UUID("825585da-1f0e-500f-b74f-32ab63ffa35a")
OTHER = UUID("631c0a84-7c03-589f-bd54-abaf4628a1a6")


class Memory:
    """A teller whose spans stay here."""

    def __init__(self, provider: str | None = "openai") -> None:
        self.exporter = InMemorySpanExporter()
        self.spans = CallSpans(SimpleSpanProcessor(self.exporter), "test", provider=provider)

    def told(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def memory() -> Memory:
    return Memory()


def ids_of(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def test_what_is_told_stands_under_the_root_of_its_job(memory: Memory) -> None:
    lost = attempt_id(JOB, 1)
    memory.spans.tell(
        JOB, [Span("record", 10.0, 10.5, {"a": 1}), Span("lost", 11.0, 12.0, error="worker_lost", span_id=lost)]
    )
    memory.spans.tell_root(JOB, Span("root", 9.0, 13.0, joined_to=OTHER))
    told = memory.told()
    assert ids_of(told["root"]) == (trace_id(JOB), root_id(JOB))
    assert told["root"].parent is None
    assert [(link.context.trace_id, link.context.span_id) for link in told["root"].links] == [
        (trace_id(OTHER), root_id(OTHER))
    ]
    for name in ("record", "lost"):
        parent = told[name].parent
        assert parent is not None
        assert (parent.trace_id, parent.span_id) == (trace_id(JOB), root_id(JOB))
    assert ids_of(told["lost"]) == (trace_id(JOB), lost)
    assert ids_of(told["record"])[1] not in (lost, root_id(JOB))
    assert (told["record"].start_time, told["record"].end_time) == (10_000_000_000, 10_500_000_000)
    assert (told["lost"].status.is_ok, dict(told["lost"].attributes or {})) == (
        False,
        {names.ERROR_TYPE: "worker_lost"},
    )


def test_a_span_that_would_end_before_it_began_lasts_no_time(memory: Memory) -> None:
    memory.spans.tell(JOB, [Span("ring", 10.0, 9.0)])
    assert memory.told()["ring"].end_time == 10_000_000_000


def test_an_attempt_holds_the_spans_of_its_tool_and_the_providers_name(memory: Memory) -> None:
    headers = memory.spans.headers(JOB)
    with memory.spans.attempt(JOB, 2, "attempt", {"a": 1}, headers) as span:
        inside = current_ids()
        span.fail("timed_out")
        span.note({"b": 2})
    told = memory.told()["attempt"]
    assert ids_of(told) == (trace_id(JOB), attempt_id(JOB, 2))
    assert inside == (f"{trace_id(JOB):032x}", f"{attempt_id(JOB, 2):016x}")
    assert current_ids() is None
    assert dict(told.attributes or {}) == {"a": 1, "b": 2, names.PROVIDER: "openai", names.ERROR_TYPE: "timed_out"}


def test_an_attempt_that_raises_is_no_open_span_and_keeps_no_words(memory: Memory) -> None:
    with pytest.raises(ValueError, match="private"), memory.spans.attempt(JOB, 1, "attempt", {}, {}):
        raise ValueError("private")
    told = memory.told()["attempt"]
    assert told.end_time is not None
    assert "private" not in told.to_json()


def test_the_next_span_of_a_thread_has_an_id_of_its_own(memory: Memory) -> None:
    with memory.spans.attempt(JOB, 1, "attempt", {}, {}):
        tracer = memory.spans._sdk.get_tracer("a tool")
        with tracer.start_as_current_span("inside"):
            pass
    inside = memory.told()["inside"]
    assert inside.parent is not None
    assert inside.parent.span_id == attempt_id(JOB, 1)
    assert ids_of(inside)[1] != attempt_id(JOB, 1)


def test_a_messages_header_decides_and_without_one_the_sampler_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    here, there = Memory().spans, Memory(provider=None).spans
    jobs = [uuid5(JOB, str(n)) for n in range(64)]
    assert {here.samples(job) for job in jobs} == {True, False}
    for job in jobs:
        headers = here.headers(job)
        assert headers == {TRACEPARENT: traceparent(job, is_sampled=here.samples(job)), TRACESTATE: "ringback=openai"}
        assert there.samples(job, headers[TRACEPARENT]) == there.samples(job) == here.samples(job)
        assert there.samples(job, traceparent(job, is_sampled=True)) is True
        assert there.samples(job, traceparent(job, is_sampled=False)) is False
        assert there.samples(job, traceparent(OTHER, is_sampled=not here.samples(job))) == here.samples(job)
    assert TRACESTATE not in there.headers(JOB)


@pytest.mark.parametrize(
    ("variable", "value", "service"),
    [
        ("OTEL_SERVICE_NAME", "mine", "mine"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,a=b", "other"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b", "test"),
    ],
)
def test_the_environment_names_the_service(
    variable: str, value: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    memory = Memory()
    memory.spans.tell(JOB, [Span("record", 1.0, 2.0)])
    assert memory.told()["record"].resource.attributes["service.name"] == service


class Stuck(SpanExporter):
    """An exporter whose collector does not answer before it may."""

    def __init__(self) -> None:
        self.begun, self.may_end = Event(), Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.begun.set()
        self.may_end.wait()
        return SpanExportResult.FAILURE


def test_a_collector_that_does_not_answer_holds_up_neither_a_call_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = Stuck()
    spans = CallSpans(BatchSpanProcessor(exporter, max_queue_size=4, max_export_batch_size=1), "test")
    try:
        for n in range(100):  # more than are kept
            spans.tell(JOB, [Span(f"record {n}", 1.0, 2.0)])
        assert exporter.begun.wait(20)
        spans.close()
        assert not exporter.may_end.is_set(), "closed, although what was told is not sent"
    finally:
        exporter.may_end.set()


@pytest.mark.parametrize("spans", [1, 8, 21])
def test_an_exporter_that_gives_way_sends_each_span_once_and_in_order(spans: int) -> None:
    memory = InMemorySpanExporter()
    told = [ReadableSpan(f"span {n}") for n in range(spans)]
    exporter = YieldingExporter(memory)
    assert exporter.export(told) is SpanExportResult.SUCCESS
    assert exporter.force_flush()
    assert list(memory.get_finished_spans()) == told
    exporter.shutdown()
    assert exporter.export(told) is SpanExportResult.FAILURE


def test_spans_of_one_process_are_grouped_under_its_one_resource(memory: Memory) -> None:
    memory.spans.tell(JOB, [Span("one", 1.0, 2.0), Span("two", 1.0, 2.0)])
    with memory.spans.attempt(JOB, 1, "attempt", {}, memory.spans.headers(JOB)):
        pass
    resources = [span.resource for span in memory.exporter.get_finished_spans()]
    assert len(set(resources)) == 1
    assert len(encode_spans(memory.exporter.get_finished_spans()).resource_spans) == 1
    like = Resource(resources[0].attributes, resources[0].schema_url)
    assert (resources[0], hash(resources[0])) == (like, hash(like))


def test_what_a_task_logs_names_the_trace(memory: Memory) -> None:
    token = attach(Context())
    try:
        memory.spans.enter(JOB)
        assert current_ids() == (f"{trace_id(JOB):032x}", f"{root_id(JOB):016x}")
    finally:
        detach(token)
