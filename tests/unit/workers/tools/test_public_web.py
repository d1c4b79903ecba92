"""Which addresses may be fetched: every notation of one that may not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from ringback import ToolError
from workers.egress import PORTS, Address, Refused, checked_url, is_public, resolve
from workers.tools.public_web import Fetcher

PRIVATE = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:1.1.1.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b:1::1"),
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo, 127.0.0.1 inside
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"]


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_of_this_machine_this_network_or_nobody_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://example.org/", "begin with https://"),
        ("ftp://example.org/", "begin with https://"),
        ("file:///etc/passwd", "begin with https://"),
        ("gopher://example.org", "begin with https://"),
        ("example.org", "begin with https://"),
        ("https://", "begin with https://"),
        ("https:///path", "begin with https://"),
        ("https://user@example.org/", "user name or password"),
        ("https://user:pass@example.org/", "user name or password"),
        ("https://example.org@127.0.0.1/", "user name or password"),
        ("https://example.org:22/", "Port 22"),
        ("https://example.org:6379/", "Port 6379"),
        ("https://exa mple.org/\x00", "not an address"),
        ("https://[::1/", "not an address"),
        ("https://example.org/" + "x" * 2_048, "longer than 2048"),
    ],
)
def test_an_address_of_the_wrong_form_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as caught:
        checked_url(url, PORTS)
    assert caught.value.code == "url_refused"


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org:8443/a?b#c", " HTTPS://EXAMPLE.ORG/ "])
def test_an_address_of_the_right_form_passes(url: str) -> None:
    assert checked_url(url, PORTS).host == "example.org"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "0.0.0.0", "0", "169.254.169.254", "[::ffff:127.0.0.1]"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "127.1", "2852039166", "[::]", "[fe80::1%25lo]"),
    ],
)
def test_this_machine_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(ToolError) as caught:
        asyncio.run(Fetcher().fetch(f"https://{host}/"))
    said = str(caught.value)
    assert any(words in said for words in ("not on the public internet", "no site called", "not an address")), said


def test_the_systems_resolver_reads_numbers_as_addresses() -> None:
    assert [str(address) for address in asyncio.run(resolve("2130706433", 443))] == ["127.0.0.1"]


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def both(host: str, port: int) -> Sequence[Address]:
        return [ip_address("1.1.1.1"), ip_address("10.0.0.1")]

    with pytest.raises(Refused, match=r"rebound\.test is not on the public internet"):
        asyncio.run(Fetcher(resolve=both).fetch("https://rebound.test/"))


def test_a_name_that_does_not_exist_is_named() -> None:
    async def nowhere(host: str, port: int) -> Sequence[Address]:
        raise OSError("Name or service not known")

    with pytest.raises(ToolError, match=r"There is no site called nowhere\.test"):
        asyncio.run(Fetcher(resolve=nowhere).fetch("https://nowhere.test/"))
