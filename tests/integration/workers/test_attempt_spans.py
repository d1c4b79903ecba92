"""Each attempt of a traced call is a span, which its tool runs in, and which holds nothing personal by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from ringback.config.settings import load
from ringback.telemetry import names
from ringback.telemetry.call_spans import CallSpans
from ringback.telemetry.call_trace import (
    TRACEPARENT,
    TRACESTATE,
    attempt_id,
    root_id,
    trace_id,
    traceparent,
)
from tests.collector import collecting
from tests.integration.toolbox.line import CELERY, PATIENCE, Line
from tests.integration.toolbox.runtimes import run_job
from tests.integration.toolbox.spanned import WORDS
from workers.execution.runtime import WorkerRuntime
from workers.settings import WorkerSettings
from workers.tool_registry import load_tools

SAID = "the caller's own words"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def runtime(line: Line, exporter: InMemorySpanExporter) -> Iterator[WorkerRuntime]:
    settings = load(WorkerSettings, DATABASE_URL=line.database, REDIS_URL=line.redis_url)
    tools = load_tools(["tests.integration.toolbox.spanned"])
    spans = CallSpans(SimpleSpanProcessor(exporter), "test")
    runtime = WorkerRuntime(settings, tools, ["errands"], lambda *_: None, spans=spans)
    runtime.lease.start()
    assert runtime.lease.wait(PATIENCE)
    yield runtime
    runtime.stop()


def told(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return list(exporter.get_finished_spans())


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def hex_ids(job_id: UUID, attempt: int) -> list[str]:
    return [f"{trace_id(job_id):032x}", f"{attempt_id(job_id, attempt):016x}"]


def run_twice(line: Line, runtime: WorkerRuntime) -> UUID:
    job_id = line.admit("refuse_once", text=SAID)
    line.run(text("UPDATE jobs SET max_attempts = 2"))
    run_job(runtime, job_id)
    line.run(text("UPDATE jobs SET not_before = NULL"))
    run_job(runtime, job_id)
    return job_id


@pytest.mark.parametrize("tool", ["where", "where_async"])
def test_a_tool_runs_in_its_attempts_span(
    line: Line, runtime: WorkerRuntime, exporter: InMemorySpanExporter, tool: str
) -> None:
    job_id = line.admit(tool, text=SAID)
    run_job(runtime, job_id, {TRACEPARENT: traceparent(job_id, is_sampled=True), TRACESTATE: "ringback=openai"})
    (span,) = told(exporter)
    job = line.job(job_id)
    assert job.result == hex_ids(job_id, 1)
    assert span.name == f"execute_tool {tool}"
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (trace_id(job_id), root_id(job_id))
    assert attributes_of(span) == {
        names.OPERATION: "execute_tool",
        names.TOOL: tool,
        names.TOOL_TYPE: "function",
        names.TOOL_CALL: job.call_id,
        names.CONVERSATION: str(line.session),
        names.AGENT: "demo",
        names.PROVIDER: "openai",
        names.JOB: str(job_id),
        names.ATTEMPT: 1,
        names.WORKER: runtime.lease.worker_id,
        names.JOB_STATE: "succeeded",
    }


def test_a_retry_is_the_next_attempt_of_the_same_trace_and_no_words_are_told(
    line: Line, runtime: WorkerRuntime, exporter: InMemorySpanExporter
) -> None:
    job_id = run_twice(line, runtime)
    first, second = told(exporter)
    assert [hex_ids(job_id, n) for n in (1, 2)] == [
        [f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"] for span in (first, second) if span.context
    ]
    assert (attributes_of(first)[names.ERROR_TYPE], first.status.is_ok) == ("not_yet", False)
    assert attributes_of(first)[names.JOB_STATE] == "pending"
    assert names.ERROR_TYPE not in attributes_of(second)
    sent = first.to_json() + second.to_json()
    assert SAID not in sent
    assert WORDS not in sent
    told_of = json.dumps([attributes_of(span) for span in (first, second)])
    assert not re.search(r"\bada\b", told_of), "an id may have these letters inside"


def test_personal_data_is_told_where_the_operator_says_so(
    line: Line, runtime: WorkerRuntime, exporter: InMemorySpanExporter
) -> None:
    assert runtime.spans is not None
    runtime.spans.tells_pii = True
    run_twice(line, runtime)
    first, second = (attributes_of(span) for span in told(exporter))
    assert first[names.ARGUMENTS] == second[names.ARGUMENTS] == json.dumps({"text": SAID})
    assert first[names.USER] == "ada"
    assert (names.RESULT in first, second[names.RESULT]) == (False, json.dumps(SAID))


def test_a_call_that_its_gateway_has_not_sampled_is_no_span(
    line: Line, runtime: WorkerRuntime, exporter: InMemorySpanExporter
) -> None:
    job_id = line.admit("where", text=SAID)
    run_job(runtime, job_id, {TRACEPARENT: traceparent(job_id, is_sampled=False)})
    assert (line.job(job_id).result, told(exporter)) == ([], [])


@pytest.mark.long  # a whole worker
def test_a_child_of_a_prefork_pool_tells_its_spans_although_celery_alone_sent_the_message(line: Line) -> None:
    with collecting() as collector, line.worker(*CELERY, "-P", "prefork", "-c", "1", **collector.environment) as parent:
        job_id = line.ask("echo", text=SAID)
        child = line.finished(job_id).result["pid"]
        (span,) = collector.trace(f"{trace_id(job_id):032x}", enough=1)
    assert child != parent.pid
    assert (span.service, span.parent) == ("ringback-worker", f"{root_id(job_id):016x}")
    assert f"-{child}-" in span.attributes[names.WORKER]


def test_a_message_continues_the_trace_whoever_sends_it(runtime: WorkerRuntime) -> None:
    job_id = UUID(int=7)
    assert runtime.spans is not None
    assert runtime.spans.headers(job_id) == {TRACEPARENT: traceparent(job_id, is_sampled=True)}
