"""What the spans of one call take, by their parts: a call as it is told by a gateway, and as it is run by a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import thread_time
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from benchmarks.calls.collector import SPANS_OF_A_CALL, collecting
from benchmarks.measuring.receipts import insist
from gateway.session.call_story import CallStory, ResponseLife, Setting, root_of, spans_of
from ringback.jobs.states import HeardBy
from ringback.telemetry import names
from ringback.telemetry.call_spans import CallSpans
from ringback.telemetry.call_trace import Attributes

AT_ONCE = 512
"""Spans of one export, as OpenTelemetry's SDK has it by default."""
ROUNDS = 5
USED = {"input_tokens": 300, "output_tokens": 50}


class Kept(SpanProcessor):
    """Keeps the spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def costs(calls: int) -> dict[str, float]:
    """Return the microseconds of processor time that each part of a call takes: the median of some rounds."""
    with collecting() as collector:
        exporter = OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces")
        rounds = [_round(calls, exporter) for _ in range(ROUNDS)]
        told, _ = collector.wait_for(calls * ROUNDS)
        insist("calls that were told", told, calls * ROUNDS)
    return {part: median(each[part] for each in rounds) for part in rounds[0]}


def _round(calls: int, exporter: OTLPSpanExporter) -> dict[str, float]:
    kept, took = Kept(), dict[str, float]()
    spans = CallSpans(kept, "ringback-gateway", provider="openai")
    stories = [(_story(), _steps()) for _ in range(calls)]
    with _timed(took, "gateway: made", calls):
        for story, steps in stories:
            spans.headers(story.job_id)
            spans.tell(story.job_id, spans_of(story, steps, 0.0))
            spans.tell_root(story.job_id, root_of(story, steps, 0.0, 3.1))
    insist("spans of each call, beside the worker's", len(kept.spans) >= calls * (SPANS_OF_A_CALL - 1), True)
    with _timed(took, "gateway: encoded and sent", calls):
        _send(exporter, kept.spans)
    kept.spans.clear()
    headers = [(story, spans.headers(story.job_id)) for story, _ in stories]
    with _timed(took, "worker: made", calls):
        for story, of_message in headers:
            with spans.attempt(story.job_id, 1, f"{names.EXECUTE} work", _said(story), of_message) as span:
                span.note({names.JOB_STATE: "succeeded"})
    with _timed(took, "worker: encoded and sent", calls):
        _send(exporter, kept.spans)
    return took


def _send(exporter: OTLPSpanExporter, spans: list[ReadableSpan]) -> None:
    for first in range(0, len(spans), AT_ONCE):
        result = exporter.export(spans[first : first + AT_ONCE])
        insist("an export", result, SpanExportResult.SUCCESS)


@contextmanager
def _timed(took: dict[str, float], part: str, calls: int) -> Iterator[None]:
    began = thread_time()  # the collector has threads of its own
    yield
    took[part] = 1_000_000 * (thread_time() - began) / calls


def _said(story: CallStory) -> Attributes:
    """What a worker says of an attempt."""
    job, session = str(story.job_id), story.setting.session_id
    return {
        names.OPERATION: names.EXECUTE,
        names.TOOL: story.tool,
        names.TOOL_TYPE: names.FUNCTION,
        names.TOOL_CALL: story.call_id,
        names.CONVERSATION: session,
        names.AGENT: "demo",
        names.JOB: job,
        names.ATTEMPT: 1,
        names.WORKER: "worker_1",
    }


def _story() -> CallStory:
    """A call that was told by a response, and heard."""
    lives = [ResponseLife(f"resp_{n}", float(n), n + 0.1, n + 0.5, "completed", USED) for n in (1, 2)]
    setting = Setting(str(uuid4()), "demo", "openai", "gpt-realtime")
    return CallStory(
        setting,
        uuid4(),
        "work",
        "call_1",
        asked=1.2,
        queue="default",
        turn_ended=0.9,
        asks=lives[0],
        tells=lives[1],
        heard_by=HeardBy.REPORT,
        recorded=1.3,
        published=(1.25, 1.31),
        given=1.8,
        echoed=1.85,
        heard=3.0,
        over=3.1,
    )


def _steps() -> list[Any]:
    happened = ((1.3, "pending", 0), (1.4, "running", 1), (1.7, "succeeded", 1))
    fields = {"worker_id": "worker_1", "approval": None, "code": None}
    return [SimpleNamespace(at=at, state=state, attempt=attempt, **fields) for at, state, attempt in happened]
