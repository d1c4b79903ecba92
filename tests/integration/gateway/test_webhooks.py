"""Answers that came after the end: posted to a real server from real rows, at least once, by one gateway at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from examples.receive_late_results import Forged, verified
from gateway.background.webhooks import AT_ONCE, Webhooks
from gateway.storage.database import Store, open_pool
from ringback.agents.agent import Agent, Webhook
from ringback.config.settings import postgres_url
from ringback.history import documents
from ringback.history.pagination import IdRange
from ringback.jobs.outcomes import succeeded
from ringback.statements import history as histories
from ringback.statements import webhooks
from ringback.statements.sessions.lifecycle import open_session
from ringback.tables import DEFAULT_TENANT
from tests.integration.statements.statement_rows import Rows, world
from tests.integration.statements.test_webhooks import due_again, late
from tests.receiver import PATIENCE, Receiver, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SUNNY = succeeded({"sky": "clear"})


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        rows.set_session(has_webhook=True)
        yield rows


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def agent(url: str | None) -> dict[str, Agent]:
    webhook = Webhook(url=url, secret_env="LATE_SECRET") if url else None
    return {"demo": Agent(name="demo", instructions="Help.", webhook=webhook)}


@asynccontextmanager
async def gateway(database: str, url: str | dict[str, Agent] | None, secret: str = SECRET) -> AsyncIterator[None]:
    """One gateway's webhooks, for as long as the context lasts; then it is as dead as after kill -9."""
    store = Store(open_pool(postgres_url(database), 4))
    agents = url if isinstance(url, dict) else agent(url)
    sending = Webhooks(store, lambda: agents, {"LATE_SECRET": secret} if secret else {})
    task = asyncio.create_task(sending.send())
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()


async def until(true: Callable[[], Any], what: str) -> None:
    give_up = monotonic() + PATIENCE
    while not true():
        assert monotonic() < give_up, f"waited in vain: {what}"
        await asyncio.sleep(0.02)


def test_a_late_answer_is_posted_signed_and_as_the_history_shows_it(
    database: str, rows: Rows, receiver: Receiver
) -> None:
    job = late(rows)
    (row,) = rows.run(histories.jobs_with_steps(DEFAULT_TENANT, IdRange.only(job)))
    shown = documents.job(row).model_dump(mode="json")

    async def run() -> None:
        async with gateway(database, receiver.url):
            await until(lambda: rows.job(job).notified_at, "the row says so")

    asyncio.run(run())
    posted = receiver.next()
    assert (posted.path, posted.headers["content-type"]) == ("/late", "application/json")
    assert posted.message_id == f"job_{job}"
    event = verified(posted.headers, posted.body, SECRET)
    assert event == posted.event
    assert (event["type"], event["timestamp"]) == ("job.finished", shown["finished_at"])
    assert event["data"] == {**shown, "notify_count": 1}
    assert event["data"]["result"] == {"sky": "clear"}
    row = rows.job(job)
    assert (row.notify_after, row.notify_count) == (None, 1)
    assert receiver.is_quiet()
    with pytest.raises(Forged):
        verified(posted.headers, posted.body.replace(b"clear", b"stormy"), SECRET)
    with pytest.raises(Forged):
        verified({**posted.headers, "webhook-timestamp": "1614265330"}, posted.body, SECRET)


@pytest.mark.parametrize("status", [500, 404, 301])
def test_an_answer_after_the_end_is_posted_once_its_receiver_is_well_again(
    database: str, rows: Rows, receiver: Receiver, status: int
) -> None:
    receiver.location = receiver.url + "/elsewhere" if status == 301 else None
    for _ in range(2):
        receiver.answers.put(status)
    job = late(rows)

    async def run() -> list[str]:
        async with gateway(database, receiver.url):
            ids = []
            for number in (1, 2, 3):
                ids.append((await asyncio.to_thread(receiver.next)).message_id)
                await until(lambda: rows.job(job).notify_count == number, "it is counted")  # noqa: B023
                if number < 3:
                    assert rows.job(job).notify_after is not None
                    due_again(rows)
            await until(lambda: rows.job(job).notified_at, "the third was taken")
            return ids

    assert asyncio.run(run()) == [f"job_{job}"] * 3
    assert receiver.is_quiet(), "where it was sent on to, or sent once more"


def test_only_what_nobody_heard_and_whose_session_has_a_webhook_is_posted(
    database: str, rows: Rows, receiver: Receiver
) -> None:
    heard = rows.answered(SUNNY)
    rows.set_session(has_webhook=False)
    silent = late(rows)
    rows.set_session(has_webhook=True)
    last = late(rows)

    async def run() -> None:
        async with gateway(database, receiver.url):
            await until(lambda: rows.job(last).notified_at, "the one that is to be posted")

    asyncio.run(run())
    assert receiver.next().message_id == f"job_{last}"
    assert receiver.is_quiet()
    assert [(rows.job(job).notify_after, rows.job(job).notify_count) for job in (heard, silent)] == [(None, 0)] * 2


def test_two_gateways_post_each_answer_once(database: str, rows: Rows, receiver: Receiver) -> None:
    wanted = [late(rows) for _ in range(3 * AT_ONCE)]

    async def run() -> None:
        async with gateway(database, receiver.url), gateway(database, receiver.url):
            await until(lambda: all(rows.job(job).notified_at for job in wanted), "all are posted")

    asyncio.run(run())
    assert sorted(receiver.next().message_id for _ in wanted) == sorted(f"job_{job}" for job in wanted)
    assert receiver.is_quiet()


def test_what_a_gateway_posted_as_it_died_is_posted_again_under_the_same_id(
    database: str, rows: Rows, receiver: Receiver
) -> None:
    job = late(rows)
    receiver.may_answer.clear()

    async def die_with_the_post_under_way() -> str:
        async with gateway(database, receiver.url):
            return (await asyncio.to_thread(receiver.next)).message_id

    async def go_on() -> str:
        async with gateway(database, receiver.url):
            again = await asyncio.to_thread(receiver.next)
            await until(lambda: rows.job(job).notified_at, "it was taken")
            return again.message_id

    first = asyncio.run(die_with_the_post_under_way())
    assert rows.job(job).notified_at is None
    receiver.may_answer.set()
    due_again(rows)
    assert asyncio.run(go_on()) == first == f"job_{job}"


def test_a_receiver_that_hangs_is_sent_a_bounded_number_at_once(database: str, rows: Rows, receiver: Receiver) -> None:
    wanted = [late(rows) for _ in range(AT_ONCE + 2)]
    receiver.may_answer.clear()

    async def run() -> None:
        async with gateway(database, receiver.url):
            for _ in range(AT_ONCE):
                await asyncio.to_thread(receiver.next)
            taken = [job for job in wanted if rows.job(job).notify_count]
            assert len(taken) == AT_ONCE
            receiver.may_answer.set()
            await until(lambda: all(rows.job(job).notified_at for job in wanted), "the rest follows")

    asyncio.run(run())


def test_a_receiver_that_hangs_holds_up_no_other_agents_answers(database: str, rows: Rows, receiver: Receiver) -> None:
    for _ in range(3 * AT_ONCE):
        late(rows)
    other = uuid4()
    rows.count(open_session(other, user_id="ada", agent="other", model="m", gateway_id="gw", has_webhook=True))
    waiting = late(Rows(rows.connection, other))
    receiver.may_answer.clear()
    with receiving() as well:
        agents = {**agent(receiver.url), "other": agent(well.url)["demo"].model_copy(update={"name": "other"})}

        async def run() -> None:
            async with gateway(database, agents):
                await until(lambda: rows.job(waiting).notified_at, "the other receiver has its answer")

        asyncio.run(run())
        receiver.may_answer.set()


@pytest.mark.parametrize(
    ("url", "secret", "says"),
    [
        ("http://127.0.0.1:9/", "", "LATE_SECRET: it is not set"),
        ("http://127.0.0.1:9/", "short", "LATE_SECRET: a secret is whsec_ and base64 of 24 bytes or more"),
        (None, SECRET, "agent demo names none any more"),
    ],
)
def test_without_a_url_or_a_secret_nothing_is_posted_and_the_log_says_so_once(
    database: str, rows: Rows, caplog: pytest.LogCaptureFixture, url: str | None, secret: str, says: str
) -> None:
    wanted = [late(rows) for _ in range(3)]

    async def run() -> None:
        async with gateway(database, url, secret):
            await until(lambda: all(rows.job(job).notify_count == 1 for job in wanted), "all were looked at")
            due_again(rows)
            await until(lambda: all(rows.job(job).notify_count == 2 for job in wanted), "and once more")

    with caplog.at_level(logging.WARNING, "gateway.background.webhooks"):
        asyncio.run(run())
    (line,) = [record.getMessage() for record in caplog.records]
    assert says in line
    assert "short" not in line.split(":")[-1]
    assert all(rows.job(job).notified_at is None for job in wanted)


def test_a_receiver_that_is_not_there_is_given_up_in_the_end(
    database: str, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    job = late(rows)
    rows.set(job, notify_count=webhooks.ATTEMPTS - 1)

    async def run() -> None:
        async with gateway(database, "http://127.0.0.1:9/"):
            await until(lambda: "giving up" in caplog.text, "the log says so")

    with caplog.at_level(logging.WARNING, "gateway.background.webhooks"):
        asyncio.run(run())
    row = rows.job(job)
    assert (row.notify_count, row.notify_after, row.notified_at) == (webhooks.ATTEMPTS, None, None)
    assert str(job) in caplog.text


def test_an_answer_that_cannot_be_posted_here_holds_up_no_other(
    database: str, rows: Rows, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a row was written by a version that this one does not know."""
    unreadable, other = late(rows), late(rows)
    whole = documents.job

    def job(row: Any) -> Any:
        if row.id == unreadable:
            raise LookupError("the row cannot be read")
        return whole(row)

    monkeypatch.setattr(documents, "job", job)

    async def run() -> None:
        async with gateway(database, receiver.url):
            await until(lambda: rows.job(other).notified_at, "the other is posted")
            await until(lambda: "trying again" in caplog.text, "the log says so")

    asyncio.run(run())
    assert "the row cannot be read" in caplog.text
    assert rows.job(unreadable).notified_at is None
