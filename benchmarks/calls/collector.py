"""A collector of traces that keeps what it is sent, and reads it only when it is asked how many calls were told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import monotonic

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE = 30.0
LOOK_SECONDS = 0.1
SPANS_OF_A_CALL = 11
"""The root and what stands under it, where the answer is text and a worker makes one attempt."""


@dataclass
class Collector:
    """What has arrived at `url`."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    def wait_for(self, calls: int) -> tuple[int, int]:
        """Return how many roots and spans have come, once each call is whole, or after so long in vain."""
        give_up = monotonic() + PATIENCE
        while (found := self._count()) < (calls, calls * SPANS_OF_A_CALL) and monotonic() < give_up:
            Event().wait(LOOK_SECONDS)
        return found

    def _count(self) -> tuple[int, int]:
        requests = map(ExportTraceServiceRequest.FromString, list(self.bodies))
        scopes = [scope for request in requests for sent in request.resource_spans for scope in sent.scope_spans]
        spans = [span for scope in scopes for span in scope.spans]
        return sum(not span.parent_span_id for span in spans), len(spans)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listen for as long as the context lasts."""
    collector = Collector()

    class Taking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Taking)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
