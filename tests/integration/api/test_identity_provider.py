"""Keys over HTTP, from a server that answers as a provider does, and as one does not."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from gateway.auth import key_sets
from gateway.auth.key_sets import JwtProvider, KeySet, fetcher
from gateway.errors import Unavailable
from tests.unit.gateway.auth.signing import RULES, claims, key_set, signed

pytestmark = pytest.mark.anyio

ANSWERS = {
    "/keys": (200, {}, key_set().encode()),
    "/elsewhere": (302, {"Location": "/keys"}, b""),
    "/gone": (404, {}, key_set().encode()),
    "/huge": (200, {}, b" " * (key_sets.MAX_BYTES + 1) + key_set().encode()),
    "/page": (200, {}, b"<html>sign in</html>"),
    "/empty": (200, {}, b'{"keys": []}'),
}


class House(BaseHTTPRequestHandler):
    """Says what `ANSWERS` has for a path."""

    def do_GET(self) -> None:
        status, headers, body = ANSWERS[self.path]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name for it
        """Nothing is said on standard error."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def house() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), House) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_provider_s_keys_are_fetched_and_its_users_let_in(house: str) -> None:
    provider = JwtProvider(RULES, KeySet(fetcher(f"{house}/keys")))
    assert (await provider.principal(signed(claims()))).user == "ada"
    assert (await provider.principal(signed(claims(), "two", "EC"))).user == "ada"


@pytest.mark.parametrize("path", sorted(set(ANSWERS) - {"/keys"}))
async def test_what_is_no_key_set_lets_nobody_in_and_makes_nobody_a_stranger(house: str, path: str) -> None:
    with pytest.raises(Unavailable) as nobody:
        await JwtProvider(RULES, KeySet(fetcher(house + path))).principal(signed(claims()))
    assert nobody.value.status == 503


async def test_where_nobody_listens_nobody_is_a_stranger() -> None:
    with pytest.raises(Unavailable) as nobody:
        await JwtProvider(RULES, KeySet(fetcher("http://127.0.0.1:1/keys"))).principal(signed(claims()))
    assert nobody.value.status == 503
