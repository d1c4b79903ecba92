"""The proxy that the guarantees break things with: each fault is what it says."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.proxy import Proxy, before_postgres, before_redis

pytestmark = pytest.mark.loopback

PATIENCE_S = 10.0


class Echo(socketserver.BaseRequestHandler):
    """Says everything again."""

    def handle(self) -> None:
        while piece := self.request.recv(1024):
            self.heard: list[bytes] = getattr(self.server, "heard")  # noqa: B009 - the server's own, untyped
            self.heard.append(piece)
            self.request.sendall(piece)


@pytest.fixture
def heard() -> list[bytes]:
    return []


@pytest.fixture
def proxy(heard: list[bytes]) -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        server.heard = heard  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with Proxy(("127.0.0.1", server.server_address[1])) as proxy:
            yield proxy
        server.shutdown()


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)


def said_again(line: socket.socket, words: bytes) -> bool:
    line.sendall(words)
    return line.recv(1024) == words


def ask(proxy: Proxy, words: bytes) -> bytes:
    """On a connection of its own, which may be reset as early as while it opens."""
    with closing(connected(proxy)) as line:
        line.sendall(words)
        return line.recv(1024)


def test_it_passes_everything_on(proxy: Proxy) -> None:
    with closing(connected(proxy)) as first, closing(connected(proxy)) as second:
        assert said_again(first, b"one")
        assert said_again(second, b"two")
        assert said_again(first, b"three")


def test_a_reset_is_a_reset_and_new_connections_are_taken(proxy: Proxy) -> None:
    with closing(connected(proxy)) as line:
        assert said_again(line, b"one")
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            line.recv(1024)
    with closing(connected(proxy)) as line:
        assert said_again(line, b"two")


def test_a_cut_is_an_end(proxy: Proxy) -> None:
    with closing(connected(proxy)) as line:
        assert said_again(line, b"one")
        proxy.cut()
        assert line.recv(1024) == b""


def test_refused_until_healed(proxy: Proxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        ask(proxy, b"one")
    proxy.heal()
    with closing(connected(proxy)) as line:
        assert said_again(line, b"two")


def test_a_half_open_line_says_nothing_and_what_was_held_up_comes_when_it_heals(
    proxy: Proxy, heard: list[bytes]
) -> None:
    with closing(connected(proxy)) as line:
        assert said_again(line, b"one")
        proxy.blackhole()
        line.sendall(b"two")
        line.setblocking(False)
        with pytest.raises(BlockingIOError):
            line.recv(1024)
        assert heard == [b"one"]
        proxy.heal()
        line.settimeout(PATIENCE_S)
        assert line.recv(1024) == b"two"


def test_a_stranded_line_is_dead_and_a_new_one_works(proxy: Proxy, heard: list[bytes]) -> None:
    with closing(connected(proxy)) as line, closing(connected(proxy)) as other:
        assert said_again(line, b"one")
        assert said_again(other, b"two")
        proxy.strand()
        line.sendall(b"three")
        with closing(connected(proxy)) as fresh:
            assert said_again(fresh, b"four")
        assert heard == [b"one", b"two", b"four"]


def test_an_answer_is_lost_and_what_was_asked_has_happened(proxy: Proxy, heard: list[bytes]) -> None:
    with closing(connected(proxy)) as line, closing(connected(proxy)) as other:
        proxy.lose_answer_to(b"COMMIT")
        line.sendall(b"COMMIT;")
        assert line.recv(1024) == b""
        assert proxy.lost.wait(PATIENCE_S)
        assert heard == [b"COMMIT;"]
        assert said_again(other, b"COMMIT;"), "once"


def test_an_answer_is_lost_without_a_word(proxy: Proxy, heard: list[bytes]) -> None:
    with closing(connected(proxy)) as line:
        proxy.lose_answer_to(b"COMMIT", silently=True)
        line.sendall(b"COMMIT;")
        assert proxy.lost.wait(PATIENCE_S)
        assert heard == [b"COMMIT;"]
        line.setblocking(False)
        with pytest.raises(BlockingIOError):
            line.recv(1024)


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("postgresql+psycopg://me:pw@db.example:6432/name", "postgresql+psycopg://me:pw@127.0.0.1:{port}/name"),
        ("postgresql+psycopg://me@/name?host={folder}&port=5432", "postgresql+psycopg://me@127.0.0.1:{port}/name"),
    ],
)
def test_a_postgres_url_leads_through_it(url: str, through: str, tmp_path: Path) -> None:
    with before_postgres(url.format(folder=tmp_path)) as (proxy, led):
        assert led == through.format(port=proxy.port)


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("redis://:pw@redis.example:7000/3", "redis://:pw@127.0.0.1:{port}/3"),
        ("redis://localhost", "redis://127.0.0.1:{port}"),
    ],
)
def test_a_redis_url_leads_through_it(url: str, through: str) -> None:
    with before_redis(url) as (proxy, led):
        assert led == through.format(port=proxy.port)
