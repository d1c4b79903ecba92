"""A webhook's receiver for tests: a real HTTP server on this machine that remembers what it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

PATIENCE = 20.0


@dataclass
class Posted:
    """One request. `headers` have lower-case names."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)  # type: ignore[no-any-return]


@dataclass
class Receiver:
    """`answers` are the statuses of the next requests, then 204; while `holds` is set nobody is answered."""

    url: str = ""
    arrived: SimpleQueue[Posted] = field(default_factory=SimpleQueue)
    answers: SimpleQueue[int] = field(default_factory=SimpleQueue)
    location: str | None = None
    may_answer: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    def next(self) -> Posted:
        """What arrives next."""
        return self.arrived.get(timeout=PATIENCE)

    def is_quiet(self) -> bool:
        """True where nothing has arrived that was not looked at."""
        return self.arrived.empty()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens for as long as the context lasts."""
    receiver = Receiver()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.arrived.put(Posted(self.path, headers, body))
            receiver.may_answer.wait(PATIENCE)
            try:
                status = receiver.answers.get_nowait()
            except Empty:
                status = 204
            self.send_response(status)
            if receiver.location is not None:
                self.send_header("location", receiver.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:  # a client that went without waiting for its answer
            pass

    server = Server(("127.0.0.1", 0), Taking)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/late"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()
