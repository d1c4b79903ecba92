"""A53: words of strangers that want to be log lines of their own, with every logger at its most talkative."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from ringback.config.logs import MAX_LINE_CHARS
from tests.attacks.toolbox.fort import Fort, answered, calling, marker
from tests.line import TOKEN
from tests.wire import ask

pytestmark = [pytest.mark.anyio, pytest.mark.long]

FORGED = "\r\n2026-01-01 00:00:00,000 INFO    gateway.app: all is FORGED\x1b[2J\x1b[31m\u2028\u202e"
LARGE = "L" * 20_000
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ +\S+: ")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")
CELERYS_BANNER = 40
"""Lines that Celery prints when a worker starts and ends."""


def logs(fort: Fort) -> list[Path]:
    found = sorted(path for path in fort.line.logs.glob("*.log") if path.name.startswith(("gateway", "worker")))
    assert len(found) >= 2
    return found


async def test_a53_what_strangers_say_begins_no_line_and_ends_none(fort: Fort) -> None:
    port = int(fort.line.url.rpartition(":")[2])
    words = marker("forge")
    head = f"Host: here\r\nUser-Agent: {words} \x1b[2J\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    await asyncio.to_thread(ask, port, f"GET /v1/sessions/{words}%0d%0aFORGED HTTP/1.1\r\n{head}".encode("latin-1"))
    for target in (
        f"/v1/jobs?session={words}%0d%0aFORGED%1b[2J",
        f"/{words}%0aFORGED",
        f"/v1/sessions/{words}{'%0a' * 300}",
    ):
        await asyncio.to_thread(fort.request, "GET", target)
    stumbling, unknown = marker("call"), marker("call")
    async with fort.stranger() as caller:
        for frame in (
            {"type": words + FORGED},
            {"type": "response.cancel", "event_id": words + FORGED},
            {"type": "session.update", "session": {words + FORGED: words + FORGED}},
            {"type": "conversation.item.truncate", "item_id": words + FORGED, "content_index": "x"},
        ):
            await caller.socket.send(json.dumps(frame))
        await caller.ask(calling("stumble", {"words": words + FORGED + LARGE}, stumbling))
        await answered(fort, stumbling)
        await caller.ask(calling(words + FORGED, {"a": FORGED}, unknown))
        await answered(fort, unknown)
    for path in logs(fort):
        text = path.read_text(encoding="utf-8", errors="strict")
        lines = text.split("\n")
        odd = [line for line in lines if line and not STAMP.match(line) and not line.startswith("  ")]
        assert not [line for line in odd if "FORGED" in line or words in line], path.name
        assert len(odd) < CELERYS_BANNER, odd[:5]
        assert not CONTROL.search(text), path.name
        assert max(map(len, lines)) < MAX_LINE_CHARS + 1_000, path.name
        assert not [line for line in lines if line.startswith("2026-01-01")]
    assert words in fort.logs(), "it was written, in its place"


async def test_a53_no_credential_is_in_a_log_though_a_stranger_puts_it_where_logs_are_made(fort: Fort) -> None:
    """Beside what is planted in the line: what a tool's exception holds."""
    call_id = marker("call")
    said = "it said 401 for Authorization: Bearer abcdefghijklmnop and sk-proj-0123456789abcdef at redis://u:hunter22@h"
    async with fort.stranger() as caller:
        await caller.ask(calling("stumble", {"words": said}, call_id))
        await answered(fort, call_id)
    fort.says("it said 401", "worker*")
    written = "\n".join(path.read_text(encoding="utf-8") for path in logs(fort) if path.name.startswith("worker"))
    assert [secret for secret in ("abcdefghijklmnop", "0123456789abcdef", "hunter22") if secret in written] == []
