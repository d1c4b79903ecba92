"""G9: the provider's key goes to the provider, and nowhere else, also where the provider itself goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cli.local_stack.embedded_servers import Servers
from ringback.postgres.migrate import upgrade
from tests.attacks.toolbox.fort import Fort, answered, calling, marker
from tests.line import KEY, Line, running_line
from tests.servers import own_database

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]


async def test_the_key_is_in_one_header_to_the_provider_and_in_nothing_that_anybody_reads(fort: Fort) -> None:
    words, call_id = marker(), marker("call")
    async with fort.stranger(ringback="jobs,results,resume") as caller:
        await caller.ask(words)
        await caller.hear_words(words)
        await caller.ask(calling("look", {"what": "x"}, call_id))
        await answered(fort, call_id)
    heard = fort.upstream_of(words)
    assert [name for name, value in heard.headers.items() if KEY in value] == ["Authorization"]
    assert KEY not in fort.model.everything(), "not even the provider is told it twice"
    for place, text in {"frames": "".join(caller.frames), "logs": fort.logs(), "rows": fort.rows()}.items():
        assert len(text) > 1_000, place
        assert KEY not in text, place


@asynccontextmanager
async def listening(answer: bytes, heard: list[bytes]) -> AsyncIterator[int]:
    """A server that writes down what it is asked, answers this, and hangs up; its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


ANSWER = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s"
QUOTED = b'{"error": {"message": "Incorrect API key provided: ' + KEY.encode() + b'"}}'
REFUSAL = ANSWER % (b"401 Unauthorized", len(QUOTED), b"", QUOTED)


async def test_a_provider_that_quotes_the_key_in_its_refusal_is_not_quoted(plugs: Servers, tmp_path: Path) -> None:
    told: list[bytes] = []
    async with listening(REFUSAL, told) as port:
        await asyncio.to_thread(hear_why, plugs, tmp_path, f"ws://127.0.0.1:{port}/v1/realtime", "custom")
    assert [KEY.encode() in head for head in told] == [True]


async def test_a_provider_that_sends_us_elsewhere_is_not_followed(plugs: Servers, tmp_path: Path) -> None:
    """The library takes `Authorization` away on the way to another host; Azure's header is another, and goes along."""
    told: list[bytes] = []
    elsewhere: list[bytes] = []
    async with listening(REFUSAL, elsewhere) as other:
        location = b"Location: ws://127.0.0.1:%d/v1/realtime\r\n" % other
        async with listening(ANSWER % (b"302 Found", 0, location, b""), told) as port:
            await asyncio.to_thread(hear_why, plugs, tmp_path, f"ws://127.0.0.1:{port}/v1/realtime", "azure")
    assert [KEY.encode() in head for head in told] == [True]
    assert elsewhere == []


def hear_why(servers: Servers, logs: Path, upstream: str, provider: str) -> None:
    """One session that the provider does not take, on a line of its own."""
    settings = {"REALTIME_PROVIDER": provider, "RINGBACK_UPSTREAM_RETRY_SECONDS": "0"}
    with own_database(servers.database_url, "ringback_g9") as database:
        upgrade(database)
        with running_line(database, servers.redis_url, logs, upstream=upstream, debug=True, settings=settings) as line:
            frames, reason = asyncio.run(goodbye(line))
        assert reason.startswith("upstream_")
        assert KEY not in frames
        log = (logs / "gateway.log").read_text(encoding="utf-8")
        assert "upstream refused: session " in log
        assert KEY not in log


async def goodbye(line: Line) -> tuple[str, str]:
    async with line.call() as caller:
        _, reason = await caller.hear_goodbye()
    return "".join(caller.frames), reason
