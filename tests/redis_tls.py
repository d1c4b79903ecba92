"""TLS in front of a Redis, which takes nothing else: a connection that begins with one byte in clear is told of."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cli.local_stack.certificate import Certificate

HANDSHAKE = b"\x16"
"""What TLS begins with, as every record of a handshake does."""
CHUNK = 65_536


@dataclass
class Tap:
    """What has come in so far, a line for each connection."""

    url: str
    encrypted: int = 0
    in_clear: list[bytes] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why a client, or we, gave up a handshake."""


@contextmanager
def redis_behind_tls(redis_url: str, certificate: Certificate) -> Iterator[Tap]:
    """The same Redis at `rediss://` on a port of its own, for as long as the context lasts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    parts = urlsplit(redis_url)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        address = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{listener.getsockname()[1]}"
        tap = Tap(parts._replace(scheme="rediss", netloc=address).geturl())
        there = (parts.hostname or "127.0.0.1", parts.port or 6379)

        def accept() -> None:
            with suppress(OSError):  # the listener is closed
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=_serve, args=(client, there, context, tap), daemon=True).start()

        thread = threading.Thread(target=accept, name="tap", daemon=True)
        thread.start()
        try:
            yield tap
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(client: socket.socket, there: tuple[str, int], context: ssl.SSLContext, tap: Tap) -> None:
    with closing(client):
        head = client.recv(CHUNK, socket.MSG_PEEK)
        if not head.startswith(HANDSHAKE):
            if head:
                tap.in_clear.append(head)
            return
        try:
            encrypted = context.wrap_socket(client, server_side=True)
        except OSError as problem:
            tap.refused.append(str(problem))
            return
        tap.encrypted += 1
        with encrypted, socket.create_connection(there) as server:
            answers = threading.Thread(target=_pass_on, args=(server, encrypted), daemon=True)
            answers.start()
            _pass_on(encrypted, server)
            answers.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(CHUNK):
            sink.sendall(piece)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
