"""A34–A36: addresses that a model was talked into, and answers that are none."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from threading import Thread
from typing import Any

import pytest

from ringback import ToolError
from tests.attacks.toolbox.fort import Fort, answered, calling, in_thread, marker
from tests.integration.toolbox.site import HERE, Respond, page, redirect, serving
from workers import egress

pytestmark = [pytest.mark.anyio, pytest.mark.long]

TO_US = [
    *("https://127.0.0.1:{port}/", "https://localhost:{port}/", "https://[::1]:{port}/", "https://0.0.0.0:{port}/"),
    *(
        "https://2130706433:{port}/",
        "https://0x7f000001:{port}/",
        "https://0177.0.0.1:{port}/",
        "https://127.1:{port}/",
    ),
    *("https://[::ffff:127.0.0.1]:{port}/", "https://[::ffff:7f00:1]:{port}/", "https://[64:ff9b::7f00:1]:{port}/"),
    *("https://[2002:7f00:1::]:{port}/", "https://[::7f00:1]:{port}/", "https://example.org@127.0.0.1:{port}/"),
    *("http://127.0.0.1:{port}/", "http://a@127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_x", "//127.0.0.1:{port}/"),
    *("https://127.0.0.1/", "https://localhost:8443/", "https://①②⑦.⓪.⓪.①/", "https://127.0.0.1\\@example.org/"),
]
ELSEWHERE = [
    *(
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://2852039166/",
        "https://10.0.0.1/",
    ),
    *("https://192.168.0.1/", "https://172.16.0.1/", "https://100.64.0.1/", "https://[fe80::1]/", "https://[fc00::1]/"),
    *("file:///etc/passwd", "ftp://10.0.0.1/", "dict://127.0.0.1:6379/INFO", "ldap://127.0.0.1/", "jar:file:///x!/"),
    *("https://metadata.google.internal/", "https:///etc/passwd", "https://", "", " ", "https://[::1", "\u0000"),
]


@contextmanager
def listening() -> Iterator[tuple[int, list[Any]]]:
    """A server on this machine that nobody may reach; whoever does is written down."""
    came: list[Any] = []

    def wait(listener: socket.socket) -> None:
        while True:
            try:
                talk, who = listener.accept()
            except OSError:
                return
            came.append(who)
            talk.close()

    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        Thread(target=wait, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)


async def test_a34_however_an_address_of_ours_is_written_nobody_connects_to_it(fort: Fort) -> None:
    with listening() as (port, came):
        with socket.create_connection(("127.0.0.1", port)):
            pass  # so that the trap is known to work
        async with fort.stranger() as caller:
            for written in [*TO_US, *ELSEWHERE]:
                call_id = marker("call")
                await caller.ask(calling("fetch_url", {"url": written.format(port=port)}, call_id))
                output = await answered(fort, call_id)
                assert output["error"]["code"] in ("url_refused", "fetch_failed"), (written, output)
        assert len(came) == 1


# — A35: the same client, and sites of our own that it trusts —


def ask(pages: dict[str, bytes | Respond], names: Any = None, **limits: Any) -> Any:
    """Ask https://site.test/ as a tool would; `names` says where names lead."""

    async def here(host: str, port: int) -> Sequence[egress.Address]:
        return [HERE]

    async def run() -> Any:
        async with serving(pages) as site:
            for path, answer in list(pages.items()):
                if isinstance(answer, bytes):
                    pages[path] = answer.replace(b"{port}", str(site.port).encode())
            rules = egress.Rules(
                resolve=names or here,
                permits=lambda address: address == HERE or egress.is_public(address),
                ports=frozenset({site.port}),
                tls=site.trusting(),
                **limits,
            )
            async with egress.client(rules) as web:
                return await web.get(f"https://site.test:{site.port}/")

    return asyncio.run(run())


def first_here_then(address: str) -> Any:
    """A name that leads to the site at first."""
    answers = [HERE, ip_address(address)]

    async def names(host: str, port: int) -> Sequence[egress.Address]:
        return [answers.pop(0) if len(answers) > 1 else answers[0]]

    return names


INSIDE = ["169.254.169.254", "10.0.0.1", "::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"]


@pytest.mark.parametrize("address", INSIDE)
def test_a35_a_redirect_is_checked_as_the_first_address_was(address: str) -> None:
    with pytest.raises(ToolError, match="not on the public internet"):
        ask({"/": redirect("https://inside.test:{port}/")}, first_here_then(address))


@pytest.mark.parametrize("address", INSIDE)
def test_a35_a_name_that_turns_private_is_connected_to_where_it_was_checked(address: str) -> None:
    assert ask({"/": page(b"public")}, first_here_then(address)).text == "public"


@pytest.mark.parametrize("scheme", ["http://site.test/", "file:///etc/passwd", "gopher://site.test/", "//127.0.0.1/"])
def test_a35_a_redirect_to_another_scheme_or_port_is_refused(scheme: str) -> None:
    with pytest.raises(ToolError):
        ask({"/": redirect(scheme)})


def test_a35_a_chain_of_redirects_ends() -> None:
    pages: dict[str, bytes | Respond] = {f"/{n}": redirect(f"/{n + 1}") for n in range(30)}
    with pytest.raises(ToolError, match="more than 4 times"):
        ask({"/": redirect("/0"), **pages})


def test_a35_a_body_ends_however_it_is_packed() -> None:
    for body, how in ((b"x" * 2_000_000, {}), (gzip.compress(bytes(100_000_000)), {"Content_Encoding": "gzip"})):
        with pytest.raises(ToolError, match="longer than"):
            ask({"/": page(body, **how)})


def test_a35_a_body_that_drips_ends_with_its_time() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(ToolError, match="took more than"):
        ask({"/": drip}, total_seconds=0.5)


# — A36 —


def ended(fort: Fort, call_id: str) -> Any:
    """The row of a call, once it has an outcome."""
    job = fort.job(call_id)
    return job if job["finished_at"] else None


@pytest.mark.parametrize("kind", ["binary", "invalid text", "nothing like data", "no number", "nested", "nul"])
async def test_a36_an_answer_that_is_no_data_ends_its_call_and_nothing_else(fort: Fort, kind: str) -> None:
    odd, after = marker("call"), marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling("give", {"kind": kind}, odd))
        job = await in_thread(lambda: ended(fort, odd), f"{odd} to end")
        await caller.ask(calling("look", {"what": "still here"}, after))
        assert (await answered(fort, after))["seen"] == "still here"
    assert job["state"] in ("failed", "succeeded")
    assert not {"\x00", "\ud83d"} & set(str(job))


async def test_a36_an_answer_of_fifty_megabytes_ends_its_call_and_nothing_else(fort: Fort) -> None:
    large, after = marker("call"), marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling("shout", {"megabytes": 50}, large))
        assert (await answered(fort, large))["error"]["code"] == "result_too_large"
        await caller.ask(calling("look", {"what": "still here"}, after))
        assert (await answered(fort, after))["seen"] == "still here"
