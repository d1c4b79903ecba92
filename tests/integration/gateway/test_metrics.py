"""A whole line watched from outside: scraped over HTTP, a gateway of two processes as one; and its log as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.line import Line, eventually, running_line
from tests.local_http import LOCAL
from tests.ports import kept_port
from tests.scraped import TOKEN, Scraped, scrape

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PEOPLE = {"user", "session", "job", "tenant", "agent", "user_id", "session_id", "job_id"}
WEATHER = {"tool": "weather", "queue": "default"}
CALLERS = 6
WORKER_PORT = kept_port()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def line(database: str, redis_db: str, tmp_path: Path) -> Iterator[Line]:
    settings = {"RINGBACK_METRICS_TOKEN": TOKEN, "RINGBACK_METRICS_PORT": str(WORKER_PORT)}
    settings["RINGBACK_LOG_FORMAT"] = "json"
    several = {"RINGBACK_GATEWAY_PROCESSES": "2"}
    with running_line(database, redis_db, tmp_path, settings=settings, gateway_settings=several) as line:
        yield line


def once(line: Line, what: str, **expected: float) -> Scraped:
    """A scrape of the gateway in which each of these metrics has this value."""

    def seen() -> Scraped | None:
        found = scrape(line.url)
        return found if all(found.value(name) == value for name, value in expected.items()) else None

    scraped: Scraped = eventually(seen, what)
    return scraped


def has_slots(line: Line) -> bool:
    """The look that tells it is another than the one that tells of sessions."""
    return scrape(line.url).value("ringback_queue_slots", queue="default") > 0


def named_in_every_log(line: Line, session_id: str) -> None:
    """Each line of each log is an object; those about this session's call name both in fields."""
    (job,) = line.jobs(session_id)
    for process, words in (("gateway", "recorded: weather"), ("worker", "claimed"), ("worker", "succeeded")):
        about = partial(_about, line.logs / f"{process}.log", job["id"], words)
        (told,) = eventually(about, f"the {process} to log that the job is {words}")
        assert told["session"] == session_id, (process, words)
    uvicorns = json.loads(
        next(each for each in (line.logs / "gateway.log").read_text().splitlines() if "uvicorn" in each)
    )
    assert uvicorns["logger"] == "uvicorn.error"


def _about(log: Path, job_id: str, words: str) -> list[dict[str, Any]]:
    """The lines about this job that end with these words."""
    lines = [json.loads(each) for each in log.read_text().splitlines()]
    return [each for each in lines if each["message"].endswith(words) and each.get("job") == job_id]


def _succeeded(url: str) -> float:
    """How many calls a worker has counted."""
    return scrape(url).value("ringback_calls_ended_total", state="succeeded", **WEATHER)


async def test_what_two_gateway_processes_do_is_told_as_one(line: Line) -> None:
    assert LOCAL.get(f"{line.url}/metrics").status_code == 401
    async with line.call() as caller:
        await caller.hear_kind("session.created")
        await caller.ask("What is the weather in London UK?")
        await caller.hear_words("London")
        named_in_every_log(line, caller.session_id)
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(line.call()) for _ in range(CALLERS)]
        for caller in callers:
            await caller.hear_kind("session.created")
        talking = await asyncio.to_thread(once, line, "all sessions to be told", ringback_sessions=CALLERS)
    assert talking.value("ringback_sessions_limit") == 2 * 400
    assert talking.value("ringback_sessions_begun_total", how="new") == CALLERS + 1
    assert talking.value("ringback_upstream_connect_seconds_count") == CALLERS + 1
    assert talking.value("ringback_calls_recorded_total", **WEATHER) == 1
    assert talking.value("ringback_result_delivery_seconds_count") == 1
    assert talking.value("ringback_relayed_frames_total", to="client") > CALLERS
    assert talking.value("ringback_relayed_bytes_total", to="model") > 1_000
    await asyncio.to_thread(eventually, partial(has_slots, line), "the queue's places to be told")
    assert talking.value("ringback_event_loop_lag_seconds_count") > 0
    assert talking.labels & PEOPLE == set()
    over = await asyncio.to_thread(once, line, "no session to be left", ringback_sessions=0)
    assert over.value("ringback_sessions_ended_total", reason="client_closed") == CALLERS + 1
    url = f"http://127.0.0.1:{WORKER_PORT}"
    await asyncio.to_thread(eventually, partial(_succeeded, url), "the worker to have counted the call")
    worker = scrape(url)
    assert worker.value("ringback_calls_ended_total", state="succeeded", **WEATHER) == 1
    assert worker.labels & PEOPLE == set()
