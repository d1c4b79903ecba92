"""Who may have processes killed: the page of this gateway, opened on this machine."""

from __future__ import annotations

import pytest

from cli.local_stack.page.control_route import is_foreign

HERE = "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("client", "scheme", "host", "origins"),
    [
        ("127.0.0.1", "http", HERE, [f"http://{HERE}"]),
        ("127.0.0.1", "https", HERE, [f"https://{HERE}"]),
        ("::1", "http", "[::1]:8080", ["http://[::1]:8080"]),
        ("127.0.0.1", "http", "localhost:9000", ["http://localhost:9000"]),  # through a forwarded port
    ],
)
def test_the_page_itself_may_ask(client: str, scheme: str, host: str, origins: list[str]) -> None:
    assert not is_foreign(client, scheme, host, origins)


@pytest.mark.parametrize(
    ("client", "host", "origins", "why"),
    [
        ("10.0.0.7", HERE, [f"http://{HERE}"], "from another machine"),
        ("testclient", HERE, [f"http://{HERE}"], "from no address"),
        ("127.0.0.1", HERE, ["https://evil.example"], "from a foreign page"),
        ("127.0.0.1", HERE, ["http://127.0.0.1:3000"], "from another server's page on this machine"),
        ("127.0.0.1", HERE, [f"https://{HERE}"], "from another scheme"),
        ("127.0.0.1", HERE, ["null"], "from a page without an origin"),
        ("127.0.0.1", HERE, [], "from no page"),
        ("127.0.0.1", HERE, [f"http://{HERE}", f"http://{HERE}"], "twice"),
        ("127.0.0.1", "evil.example:8080", ["http://evil.example:8080"], "by a name made to point here"),
        ("127.0.0.1", "127.0.0.1.evil.example", ["http://127.0.0.1.evil.example"], "by a name like an address"),
        ("127.0.0.1", "", ["http://"], "without a host"),
    ],
)
def test_no_other_page_may(client: str, host: str, origins: list[str], why: str) -> None:
    assert is_foreign(client, "http", host, origins), why
