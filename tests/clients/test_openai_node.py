"""The official `openai` package for Node, as a server uses it and as a browser does; only base URL and key are changed.

It is fetched by npm into a folder of the test's own. Where there is no Node, no npm, or nothing to fetch from, the
tests say so and are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from cli.local_stack.certificate import certificate_in
from tests.clients.conftest import Fetch
from tests.clients.tls import tls_in_front_of
from tests.line import PATIENCE, TOKEN, Event, Line

SCRIPT = Path(__file__).parent / "node" / "talk.mjs"
PACKAGES = ("openai", "ws")
QUESTION = "What is the weather in London UK?"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def folder(fetch: Fetch) -> Path:
    """Holds the script and its packages, and the certificate that is made there."""
    folder = fetch(*PACKAGES)
    shutil.copy(SCRIPT, folder)
    return folder


async def talk(line: Line, folder: Path, way: str, token: str = TOKEN) -> Event:
    """What one run of the script told."""
    certificate = certificate_in(folder)
    async with tls_in_front_of(int(line.url.rpartition(":")[2]), certificate) as port:
        node = await asyncio.create_subprocess_exec(
            *("node", "--experimental-websocket", SCRIPT.name, way, f"https://127.0.0.1:{port}/v1", token, QUESTION),
            cwd=folder,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(certificate.certificate)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                said, complained = await node.communicate()
        except TimeoutError:
            node.kill()
            said, complained = await node.communicate()
    assert said, complained.decode()
    told: Event = json.loads(said)
    return told


@pytest.mark.parametrize("way", ["header", "subprotocol"])
def test_a_typed_question_is_answered(way: str, line: Line, folder: Path) -> None:
    told = asyncio.run(talk(line, folder, way))
    assert told["errors"] == []
    assert told["answers"][-1] == "In London, UK it is 12 degrees with light rain."
    assert told["events"][0] == "session.created"
    assert "session.updated" in told["events"]


@pytest.mark.parametrize("way", ["header", "subprotocol"])
def test_an_unknown_token_does_not_get_in(way: str, line: Line, folder: Path) -> None:
    told = asyncio.run(talk(line, folder, way, token="not-known-here"))
    assert told["events"] == []
    assert told["errors"]
