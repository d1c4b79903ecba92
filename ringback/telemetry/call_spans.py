"""Tells the spans of calls to OpenTelemetry's SDK. Import this module only where traces are on (`tracing`).

The SDK keeps what it was told in a bounded queue, and one thread of its own sends it. No caller waits for a collector:
if that is away or slow, spans are dropped.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Thread, local
from time import sleep
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ringback.telemetry import names
from ringback.telemetry.call_trace import (
    TRACEPARENT,
    TRACESTATE,
    VENDOR,
    Attributes,
    Span,
    attempt_id,
    is_sampled_by,
    provider_in,
    root_id,
    trace_id,
    traceparent,
)

FLUSH_SECONDS = 1.0
"""How long the end of a process waits for its last spans to be sent."""
SPANS_AT_A_STRETCH = 8
"""How many spans the exporter's thread encodes before it lets others run: a quarter of a millisecond."""
NANO = 1_000_000_000
SCOPE = InstrumentationScope("ringback")
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
FAILED = Status(StatusCode.ERROR)
UNSET = Status(StatusCode.UNSET)


class AttemptIds(RandomIdGenerator):
    """Ids of spans that run: an attempt's follows from the job's id, those of the tool's own spans are random."""

    def __init__(self) -> None:
        self._given = local()

    def give(self, span_id: int | None) -> None:
        """Give the next span that this thread begins this id; None: a random one."""
        self._given.span = span_id

    def generate_span_id(self) -> int:
        return getattr(self._given, "span", None) or super().generate_span_id()


class AttemptSpan:
    """The span of an attempt that runs."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def fail(self, error: str) -> None:
        """Note that the attempt failed, with this `error.type`."""
        _fail(self._span, error)

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""
        self._span.set_attributes(dict(attributes))


class YieldingExporter(SpanExporter):
    """Exporter whose thread gives way to the others of its process after each `SPANS_AT_A_STRETCH`.

    To encode a batch takes 15 ms. For as long as a thread computes, any other gets Python's lock every 5 ms only
    (`sys.getswitchinterval`), and the event loop asks for it several times a call.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export(_Yielding(spans))

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Yielding(list[ReadableSpan]):
    """Spans of a batch, between which other threads may run."""

    def __iter__(self) -> Iterator[ReadableSpan]:
        for number, span in enumerate(super().__iter__(), 1):
            yield span
            if number % SPANS_AT_A_STRETCH == 0:
                sleep(0)  # releases the lock


class OneResource(Resource):
    """Resource of a process, whose hash is worked out once: the SDK's makes JSON of it for each span that is sent."""

    def __init__(self, like: Resource) -> None:
        super().__init__(like.attributes, like.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)


class CallSpans:
    """Teller of the spans of calls, for one process.

    Args:
        processor: what happens to a span that has ended.
        service: `service.name`, unless the environment says another.
        provider: the provider of the Realtime API, which the messages of calls tell their workers.
        tells_pii: whether spans may hold arguments, results and users.
    """

    def __init__(
        self, processor: SpanProcessor, service: str, *, provider: str | None = None, tells_pii: bool = False
    ) -> None:
        self._ids = AttemptIds()
        self._processor = processor
        self._most_characters = SpanLimits().max_span_attribute_length
        # Without the SDK's own hook at exit, which waits 30 s for a collector.
        self._sdk = TracerProvider(resource=_resource(service), id_generator=self._ids, shutdown_on_exit=False)
        self._sdk.add_span_processor(processor)
        self._tracer = self._sdk.get_tracer(SCOPE.name)
        self.provider = provider
        self.tells_pii = tells_pii

    def samples(self, job_id: UUID, parent: object = None) -> bool:
        """Return whether the call is traced: as its message's `traceparent` says, else by the sampler."""
        said = is_sampled_by(parent, job_id)
        if said is not None:
            return said
        # By the trace's id, so that each process with the same sampler decides the same, in whatever span this runs.
        said_here = self._sdk.sampler.should_sample(Context(), trace_id(job_id), names.INVOKE)
        return said_here.decision is Decision.RECORD_AND_SAMPLE

    def headers(self, job_id: UUID) -> dict[str, str]:
        """Return the headers of a call's message."""
        parent = {TRACEPARENT: traceparent(job_id, is_sampled=self.samples(job_id))}
        return parent | ({TRACESTATE: f"{VENDOR}={self.provider}"} if self.provider else {})

    def tell(self, job_id: UUID, spans: Iterable[Span]) -> None:
        """Tell what stands under the root of the call's trace."""
        root = _root_context(job_id)
        for span in spans:
            own = SpanContext(root.trace_id, span.span_id or _any_id(), is_remote=False, trace_flags=SAMPLED)
            self._tell(span, own, root)

    def tell_root(self, job_id: UUID, root: Span) -> None:
        """Tell the root of the call's trace: its whole life."""
        own = SpanContext(trace_id(job_id), root_id(job_id), is_remote=False, trace_flags=SAMPLED)
        self._tell(root, own, None)

    @contextmanager
    def attempt(
        self, job_id: UUID, attempt: int, name: str, attributes: Attributes, headers: Mapping[str, object]
    ) -> Iterator[AttemptSpan]:
        """Run an attempt of a sampled call in its span, which spans of the tool's own code stand under."""
        provider = provider_in(headers.get(TRACESTATE))
        said = {**attributes, **({names.PROVIDER: provider} if provider else {})}
        self._ids.give(attempt_id(job_id, attempt))
        try:
            span = self._tracer.start_span(name, _under_root(job_id), SpanKind.INTERNAL, said)
        finally:
            self._ids.give(None)
        token = attach(trace.set_span_in_context(span))
        try:
            yield AttemptSpan(span)
        finally:
            detach(token)
            span.end()

    def enter(self, job_id: UUID) -> None:
        """Make the task that this code runs in part of the call's trace, so that its log lines name it."""
        attach(_under_root(job_id))

    def close(self) -> None:
        """Send what is left, within `FLUSH_SECONDS`."""
        closing = Thread(target=self._sdk.shutdown, name="traces-flush", daemon=True)
        closing.start()
        closing.join(FLUSH_SECONDS)

    def _tell(self, told: Span, own: SpanContext, parent: SpanContext | None) -> None:
        """Hand over a span that is over. A span of the SDK's own is made to run, and costs five times as much."""
        failed = {} if told.error is None else {names.ERROR_TYPE: told.error}
        span = ReadableSpan(
            told.name,
            own,
            parent,
            self._sdk.resource,
            self._cut({**told.attributes, **failed}),
            links=(Link(_root_context(told.joined_to)),) if told.joined_to else (),
            kind=SpanKind.PRODUCER if told.is_message else SpanKind.INTERNAL,
            status=FAILED if failed else UNSET,
            start_time=int(told.began * NANO),
            end_time=int(max(told.began, told.ended) * NANO),
            instrumentation_scope=SCOPE,
        )
        self._processor.on_end(span)

    def _cut(self, attributes: Attributes) -> Attributes:
        """Return the attributes, texts no longer than OpenTelemetry's variables allow."""
        most = self._most_characters
        if most is None:
            return attributes
        return {name: value[:most] if isinstance(value, str) else value for name, value in attributes.items()}


def open_call_spans(service: str, *, provider: str | None, runs_tools: bool, tells_pii: bool) -> CallSpans:
    """Return what tells spans to the collector that OpenTelemetry's environment variables name."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    processor = BatchSpanProcessor(YieldingExporter(OTLPSpanExporter()))
    spans = CallSpans(processor, service, provider=provider, tells_pii=tells_pii)
    if runs_tools and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(spans._sdk)
    return spans


def _resource(service: str) -> Resource:
    """Return what the environment says of this process; `service.name` given here would win over it."""
    is_named = "OTEL_SERVICE_NAME" in os.environ or f"{SERVICE_NAME}=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return OneResource(Resource.create({} if is_named else {SERVICE_NAME: service}))


def _root_context(job_id: UUID) -> SpanContext:
    return SpanContext(trace_id(job_id), root_id(job_id), is_remote=True, trace_flags=SAMPLED)


def _any_id() -> int:
    return random.getrandbits(64) or 1


def _under_root(job_id: UUID) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(_root_context(job_id)), Context())


def _fail(span: trace.Span, error: str) -> None:
    span.set_attribute(names.ERROR_TYPE, error)
    span.set_status(Status(StatusCode.ERROR))
