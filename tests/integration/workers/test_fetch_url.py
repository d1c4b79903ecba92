"""`fetch_url` against a real TLS server on this machine, which the test permits by name: the tool has no switch for
it.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from ringback import Call, ToolError
from tests.integration.toolbox.site import HERE, Respond, Site, page, redirect, serving
from workers import egress
from workers.egress import MAX_REDIRECTS, Address, Rules, is_public
from workers.tools import fetch_url as module
from workers.tools.public_web import Fetched

BOMB = gzip.compress(b"0" * 50_000_000, compresslevel=1)


def fetch(pages: dict[str, bytes | Respond], url: str, **options: Any) -> tuple[Fetched, Site]:
    """Fetch `url`, in which {port} stands for the site's."""

    async def run() -> tuple[Fetched, Site]:
        async with serving(pages) as site:
            return await site.fetcher(**options).fetch(url.format(port=site.port)), site

    return asyncio.run(run())


def test_a_page_is_read_from_the_checked_address_under_the_sites_own_name() -> None:
    fetched, site = fetch({"/a?b=c": page("grüße".encode())}, "https://site.test:{port}/a?b=c#d")
    assert (fetched.status, fetched.content_type, fetched.body.decode()) == (200, "text/plain", "grüße")
    assert not fetched.truncated
    assert f"Host: site.test:{site.port}\r\n" in site.heard[0]
    assert site.asked == ["site.test"]


def test_the_certificate_is_checked_against_the_name() -> None:
    with pytest.raises(ToolError, match=r"could not be read \(ConnectError\)"):
        fetch({"/": page(b"")}, "https://stranger.test:{port}/")


def test_a_redirect_is_followed_and_each_hop_is_checked_anew() -> None:
    pages: dict[str, bytes | Respond] = {"/": redirect("/next"), "/next": page(b"there", status="404 Not Found")}
    fetched, site = fetch(pages, "https://site.test:{port}/")
    assert (fetched.status, fetched.body, fetched.url) == (404, b"there", f"https://site.test:{site.port}/next")
    assert site.asked == ["site.test", "site.test"]


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("http://site.test/", "begin with https://"),
        ("https://site.test:22/", "Port 22"),
        ("https://me:secret@site.test/", "user name or password"),
        ("file:///etc/passwd", "begin with https://"),
    ],
)
def test_a_redirect_to_what_may_not_be_fetched_is_refused(location: str, sentence: str) -> None:
    with pytest.raises(ToolError, match=sentence):
        fetch({"/": redirect(location)}, "https://site.test:{port}/")


@pytest.mark.parametrize("inside", ["169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1"])
def test_a_redirect_to_a_private_address_is_refused(inside: str) -> None:
    async def by_name(host: str, port: int) -> Sequence[Address]:
        return [HERE if host == "site.test" else ip_address(inside)]

    async def run() -> None:
        async with serving({}) as site:
            site.pages["/"] = redirect(f"https://inside.test:{site.port}/")
            await site.fetcher(by_name).fetch(f"https://site.test:{site.port}/")

    with pytest.raises(ToolError, match=r"inside\.test is not on the public internet"):
        asyncio.run(run())


def test_redirects_without_end_are_given_up() -> None:
    with pytest.raises(ToolError, match=f"more than {MAX_REDIRECTS} times"):
        fetch({"/": redirect("/")}, "https://site.test:{port}/")


def test_a_name_that_points_elsewhere_a_moment_later_is_not_asked_again() -> None:
    answers = [[HERE], [ip_address("10.0.0.1")]]

    async def rebinding(host: str, port: int) -> Sequence[Address]:
        return answers.pop(0)

    fetched, _ = fetch({"/": page(b"pinned")}, "https://site.test:{port}/", resolve=rebinding)
    assert fetched.body == b"pinned"
    assert len(answers) == 1, "asked once, and connected to that answer"


def test_a_large_page_is_cut() -> None:
    fetched, _ = fetch({"/": page(b"x" * 300_000)}, "https://site.test:{port}/", max_bytes=1_000)
    assert (len(fetched.body), fetched.truncated) == (1_000, True)


def test_a_gzip_page_is_unpacked_and_a_bomb_is_not() -> None:
    packed = page(gzip.compress(b"hello"), Content_Encoding="gzip")
    assert fetch({"/": packed}, "https://site.test:{port}/")[0].body == b"hello"

    bomb, _ = fetch({"/": page(BOMB, Content_Encoding="gzip")}, "https://site.test:{port}/", max_bytes=1_000)
    assert (len(bomb.body), bomb.truncated) == (1_000, True)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (page(b"\x89PNG", "image/png"), "There is no text at .*, but image/png"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "something without a type"),
        (page(b"x", Content_Encoding="br"), r"packs its pages in a way \(br\)"),
        (page(b"no gzip", Content_Encoding="gzip"), "The page is damaged"),
        (b"nonsense\r\n\r\n", r"could not be read \(RemoteProtocolError\)"),
        (b"", r"could not be read \(RemoteProtocolError\)"),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence(answer: bytes, sentence: str) -> None:
    with pytest.raises(ToolError, match=sentence):
        fetch({"/": answer}, "https://site.test:{port}/")


def test_a_site_that_drips_is_given_up_when_the_time_is_up() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(ToolError, match=r"The site took more than 0\.3 seconds"):
        fetch({"/": drip}, "https://site.test:{port}/", total_seconds=0.3)


def test_a_site_that_is_down_is_worth_another_attempt() -> None:
    async def run() -> None:
        async with serving({}) as site:
            fetcher = site.fetcher()
        await fetcher.fetch(f"https://site.test:{site.port}/")

    with pytest.raises(ToolError, match="could not be read") as caught:
        asyncio.run(run())
    assert caught.value.retryable


def test_the_tool_reads_the_words_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> Any:
        async with serving({"/": page(b"<p>hello<p>" + b"word " * 4_000, "text/html")}) as site:
            monkeypatch.setattr(module, "fetcher", site.fetcher())
            return await module.fetch_url(f"https://site.test:{site.port}/", Call())

    answer = asyncio.run(run())
    assert answer["text"].startswith("hello\nword word")
    assert (answer["status"], answer["content_type"], answer["truncated"]) == (200, "text/html", True)
    assert len(answer["text"]) == 12_000


def test_the_tool_as_it_ships_opens_no_door() -> None:
    shipped = module.fetcher
    assert (shipped.permits, sorted(shipped.ports)) == (is_public, [443, 8443])
    with pytest.raises(ToolError, match="not on the public internet"):
        asyncio.run(module.fetch_url("https://127.0.0.1/", Call()))


# — the client, as authors of tools have it —


def asked(pages: dict[str, bytes | Respond], path: str, resolve: Any = None, **limits: Any) -> tuple[Any, Site]:
    async def run() -> tuple[Any, Site]:
        async with serving(pages) as site:
            fetcher = site.fetcher(resolve)
            rules = Rules(fetcher.resolve, fetcher.permits, fetcher.ports, fetcher.tls, **limits)
            async with egress.client(rules, headers={"X-Mine": "yes"}) as web:
                answer = await web.post(f"https://site.test:{site.port}{path}", json={"a": 1})
            return answer, site

    return asyncio.run(run())


def test_an_author_asks_as_with_httpx_and_gets_the_body_unpacked() -> None:
    packed = page(gzip.compress(b'{"b": 2}'), "application/json", Content_Encoding="gzip")
    answer, site = asked({"/": packed}, "/")
    assert answer.json() == {"b": 2}
    assert "POST / HTTP/1.1" in site.heard[0]
    assert "X-Mine: yes" in site.heard[0]
    assert f"Host: site.test:{site.port}\r\n" in site.heard[0]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (page(b"x" * 1_001), "longer than 1000 bytes"),
        (page(BOMB, Content_Encoding="gzip"), "longer than 1000 bytes"),
        (redirect("http://site.test/"), "begin with https://"),
        (page(b"x", Content_Encoding="zstd"), r"\(zstd\)"),
    ],
    ids=["large", "bomb", "redirect", "zstd"],
)
def test_what_an_author_may_not_have_is_refused_in_a_sentence_for_the_model(answer: bytes, sentence: str) -> None:
    with pytest.raises(ToolError, match=sentence):
        asked({"/": answer}, "/", max_bytes=1_000)


def test_a_name_that_turns_private_between_two_hops_is_refused_at_the_second() -> None:
    answers = [[HERE], [ip_address("169.254.169.254")]]

    async def rebinding(host: str, port: int) -> Sequence[Address]:
        return answers.pop(0)

    with pytest.raises(ToolError, match="not on the public internet"):
        asked({"/": redirect("/again"), "/again": page(b"")}, "/", resolve=rebinding)


def test_all_hops_have_one_time_together() -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(redirect("/"))
        await writer.drain()

    with pytest.raises(ToolError, match=r"more than 0\.5 seconds"):
        asked({"/": slowly}, "/", total_seconds=0.5, max_redirects=20)


def test_two_names_of_one_address_do_not_share_a_connection() -> None:
    async def run() -> None:
        async with serving({"/": page(b"x")}) as site:
            fetcher = site.fetcher()
            rules = Rules(fetcher.resolve, fetcher.permits, fetcher.ports, fetcher.tls)
            async with egress.client(rules) as web:
                assert (await web.get(f"https://site.test:{site.port}/")).text == "x"
                await web.get(f"https://stranger.test:{site.port}/")

    with pytest.raises(httpx.ConnectError):
        asyncio.run(run())


def test_the_environment_opens_no_door(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answer, _ = asked({"/": page(b"x")}, "/")
    assert answer.text == "x"
