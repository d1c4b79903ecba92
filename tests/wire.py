"""Bytes as a stranger may put them on the wire, by hand: requests, upgrades and frames that no library would send."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE = 30.0
"""Seconds until a test says that something will not happen."""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, BINARY, CONT, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def all_of(talk: socket.socket) -> bytes:
    """Everything until the other side hangs up, in order or not."""
    found = b""
    with suppress(ConnectionResetError):
        while piece := talk.recv(65_536):
            found += piece
    return found


def pour(talk: socket.socket, data: bytes, times: int = 1) -> None:
    """So many times, or until nobody takes it any more."""
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(times):
            talk.sendall(data)


def ask(port: int, *pieces: bytes) -> bytes:
    """The answer to a request, and whatever else comes until the other side hangs up."""
    with dial(port) as talk:
        for piece in pieces:
            pour(talk, piece)
        return all_of(talk)


def upgrade(*headers: str, target: str = "/v1/realtime") -> bytes:
    """The request for a WebSocket."""
    lines = [f"GET {target} HTTP/1.1", "Host: here", "Connection: Upgrade", "Upgrade: websocket"]
    return "\r\n".join([*lines, f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", *headers, "", ""]).encode()


@contextmanager
def upgraded(port: int, *headers: str) -> Iterator[socket.socket]:
    """A WebSocket by hand. No extension may have been agreed to."""
    with dial(port) as talk:
        talk.sendall(upgrade(*headers))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += talk.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        assert b"extensions" not in answer.lower()
        yield talk


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
    """A masked frame, with a mask that changes nothing."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    if len(data) < 126:
        return head + bytes([0x80 | len(data)]) + bytes(4) + data
    if len(data) < 65_536:
        return head + bytes([0x80 | 126]) + struct.pack("!H", len(data)) + bytes(4) + data
    return head + bytes([0x80 | 127]) + struct.pack("!Q", len(data)) + bytes(4) + data


def frames_in(said: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole frames among the bytes, as kind and content."""
    while len(said) >= 2:
        length, at = said[1] & 0x7F, 2
        if length == 126:
            (length,), at = struct.unpack("!H", said[2:4]), 4
        elif length == 127:
            (length,), at = struct.unpack("!Q", said[2:10]), 10
        if len(said) < at + length:
            return
        yield said[0] & 0xF, said[at : at + length]
        said = said[at + length :]


def close_code(talk: socket.socket) -> int:
    """Of the goodbye, whatever was said before it."""
    for kind, content in frames_in(all_of(talk)):
        if kind == CLOSE:
            return int(struct.unpack("!H", content[:2])[0])
    raise AssertionError("hung up without a word")
