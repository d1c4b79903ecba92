"""A collector for tests: a real receiver of OTLP over HTTP on this machine, which reads what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.receiver import PATIENCE, Receiver, receiving

SAYS_ERROR = 2
VARIABLES = frozenset(
    f"OTEL_{name}"
    for name in (
        *("EXPORTER_OTLP_ENDPOINT", "EXPORTER_OTLP_HEADERS", "RESOURCE_ATTRIBUTES", "SERVICE_NAME"),
        *("TRACES_SAMPLER", "TRACES_SAMPLER_ARG"),
    )
)
"""OpenTelemetry's variables that the documents name, and compose passes on."""


@dataclass(frozen=True)
class Told:
    """A span as the collector has it. Ids are hexadecimal; the root's `parent` is empty. Times are in nanoseconds."""

    service: str
    trace: str
    id: str
    parent: str
    name: str
    began: int
    ended: int
    attributes: dict[str, Any]
    is_error: bool
    links: tuple[str, ...] = ()


@dataclass
class Collector:
    """What arrived so far."""

    receiver: Receiver
    spans: list[Told] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What sends a process's traces here, soon."""
        url = self.receiver.url.removesuffix("/late")
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    def trace(self, trace_id: str, *, enough: int) -> list[Told]:
        """The spans of a trace in the order in which they began, once there are so many."""
        while len(found := [span for span in self.spans if span.trace == trace_id]) < enough:
            self._take()
        return sorted(found, key=lambda span: (span.began, span.parent != "", span.ended))

    def rest(self) -> list[Told]:
        """All spans, those too that nobody has waited for."""
        while not self.receiver.is_quiet():
            self._take()
        return self.spans

    def _take(self) -> None:
        posted = self.receiver.arrived.get(timeout=PATIENCE)
        assert (posted.path, posted.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
        self.bodies.append(posted.body)
        for resource in ExportTraceServiceRequest.FromString(posted.body).resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans.extend(_told(service, span) for span in scope.spans)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens for as long as the context lasts."""
    with receiving() as receiver:
        yield Collector(receiver)


def _told(service: str, span: Any) -> Told:
    return Told(
        service,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        span.status.code == SAYS_ERROR,
        tuple(link.trace_id.hex() for link in span.links),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
