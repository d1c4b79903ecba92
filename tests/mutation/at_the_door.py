"""Guards of the gateway's connections, each taken away in turn: how many come in, and where the key goes."""

from __future__ import annotations

from tests.mutation.mutant import gone

WIRE, RECEPTION, UPSTREAM = (
    "gateway/server/uvicorn_protocols.py",
    "gateway/session/admission.py",
    "gateway/upstream/connection.py",
)
T_WIRE, T_CROWD = (
    "tests/unit/gateway/server/test_uvicorn_protocols.py",
    "tests/attacks/test_a21_to_a26_too_much_of_everything.py",
)
PICOWS_WIRE, T_PASSING = "gateway/server/picows_socket.py", "tests/unit/gateway/server/test_wire.py"
PICOWS_UPSTREAM, T_UPSTREAM = "gateway/upstream/picows_connection.py", "tests/unit/gateway/upstream/test_connection.py"
T_KEY = "tests/guarantees/test_g9_the_key_never_leaves_the_server.py"

AT_THE_DOOR = [
    gone("the wire: a request's time is not a WebSocket's", T_WIRE, WIRE, "if self._is_upgraded:", "if False:"),
    gone(
        "the wire: a crowd waits outside",
        T_WIRE,
        WIRE,
        "if len(WireSocket.at_the_door) >= MAX_AT_THE_DOOR:",
        "if False:",
    ),
    gone(
        "the wire: an admitted client leaves the queue",
        T_WIRE,
        WIRE,
        "at_the_door.discard(self)",
        "at_the_door",
        "def start_keepalive",
    ),
    gone("the wire: no frame overtakes one that waits", T_PASSING, PICOWS_WIRE, " and not self.queue.held", ""),
    gone("session quota: counted as sessions begin", T_CROWD, RECEPTION, "reason = self.why_not()", "reason = None"),
    gone(
        "the upstream: a pong behind what is not read is waited for",
        T_UPSTREAM,
        UPSTREAM,
        "if self._waits_since is not None and loop.time() - self._waits_since >= pong_seconds:",
        "if True:",
    ),
    gone(
        "the upstream: a message has so many pieces", T_UPSTREAM, PICOWS_UPSTREAM, " or self._pieces > MAX_PIECES", ""
    ),
    gone("the key: follows no redirect", T_KEY, UPSTREAM, "await _Connect(", "await connect("),
]
