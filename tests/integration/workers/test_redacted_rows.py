"""Redacted values: the tool and the conversation get them, and Postgres never holds them in clear text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import structs
from sqlalchemy import select, text, update

from gateway.conversation.actions import RecordCall
from gateway.session.call_recorder import insert_redacted
from gateway.session.transcript_writer import TranscriptWriter
from gateway.storage.database import Store, open_pool
from ringback.config.settings import load
from ringback.jobs.outcomes import Outcome, from_row, succeeded
from ringback.privacy.encryption import new_key
from ringback.privacy.redaction import Redaction
from ringback.privacy.row_privacy import NoKey, RowPrivacy
from ringback.redis.notifications import stream_of
from ringback.statements.jobs import admission, deliveries
from ringback.statements.jobs.transitions import outcome_of
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions.items import Message
from ringback.tables import metadata, processes
from tests.integration.toolbox import bank
from tests.integration.toolbox.line import GATEWAY, PATIENCE, Line
from tests.integration.toolbox.runtimes import run_job
from tests.servers import execute
from tests.session_parts import gateway_context, session_state
from workers.execution.runtime import WorkerRuntime
from workers.settings import WorkerSettings
from workers.tool_registry import load_tools, refuse_without_key

CARD, IBAN = "4111 1111 1111 1111", "an account of Ada's"
KEY = new_key()
SECRETS = (CARD, IBAN, "4111 1111", "1111 1111", "account of")
"""Each with a space in it, which no id in a row has by chance."""


@pytest.fixture
def station_with(line: Line) -> Iterator[Callable[..., WorkerRuntime]]:
    stations = []

    def make(**given: Any) -> WorkerRuntime:
        settings = load(WorkerSettings, DATABASE_URL=line.database, REDIS_URL=line.redis_url, **given)
        runtime = WorkerRuntime(settings, load_tools(["tests.integration.toolbox.bank"]), ["errands"], lambda *_: None)
        stations.append(runtime)
        runtime.lease.start()
        assert runtime.lease.wait(PATIENCE)
        return runtime

    yield make
    for runtime in stations:
        runtime.stop()


@pytest.fixture
def row_privacy(line: Line) -> RowPrivacy:
    return load(WorkerSettings, DATABASE_URL=line.database, REDIS_URL=line.redis_url, RINGBACK_DATA_KEY=KEY).row_privacy


def record(line: Line, row_privacy: RowPrivacy, name: str, outcome: Outcome | None = None, **arguments: Any) -> UUID:
    """Record a call, as a gateway does."""
    tool = vars(bank)[name].announcement
    job = admission.NewJob(uuid4(), line.session, f"call_{uuid4().hex[:8]}", None, name, arguments, tool)

    async def write() -> bool:
        pool = open_pool(line.database, 1)
        try:
            return bool(await Store(pool).rows(insert_redacted(RecordCall(job, outcome), GATEWAY, 1, row_privacy)))
        finally:
            await pool.close()

    assert asyncio.run(write())
    return job.id


def take(line: Line) -> list[Any]:
    """Read the results, as the gateway does for its conversation."""
    with line.engine.connect() as connection:
        return list(execute(connection, deliveries.read_ready(line.session, GATEWAY, 1)).all())


def dump(line: Line) -> str:
    """Return all that Postgres holds."""
    with line.engine.connect() as connection:
        return "\n".join(
            str(row) for table in metadata.sorted_tables for row in connection.execute(select(table)).all()
        )


def test_the_tool_and_the_conversation_hear_it_and_no_row_shows_it(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy
) -> None:
    job = record(line, row_privacy, "transfer", iban=IBAN, note=CARD)
    assert not [secret for secret in SECRETS if secret in dump(line)]
    line.run(update(processes).where(processes.c.id == GATEWAY).values(doorbell_key=bytes(32)))
    run_job(station_with(RINGBACK_DATA_KEY=KEY), job)
    rings: Any = line.redis.xrange(stream_of(GATEWAY))
    assert rings
    assert not [fields for _, fields in rings if "result" in fields]
    row = line.job(job)
    assert row.arguments == {"iban": "[iban removed]", "note": "[card removed]"}
    assert (row.state, row.result["iban"], row.result["note"]) == ("succeeded", "[iban removed]", "[card removed]")
    assert row.result["heard"]["iban"] == "[a field removed]"
    assert not [secret for secret in SECRETS if secret in dump(line)]
    (answer,) = take(line)
    whole = from_row(**outcome_of(row_privacy.reveal(answer, line.session))).result
    assert whole == {"iban": IBAN, "note": CARD, "heard": {"iban": IBAN, "note": CARD}}


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        (CARD, "[card removed]"),
        (CARD.replace(" ", "\n" * 4), "[card removed]"),
        ("x" * 190 + CARD, None),
    ],
    ids=["as it is written", "over several lines", "where the line is cut"],
)
def test_a_summary_shows_no_more_than_the_row(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy, note: str, shown: str | None
) -> None:
    job = record(line, row_privacy, "transfer", iban=IBAN, note=note)
    run_job(station_with(RINGBACK_DATA_KEY=KEY), job)
    summary = line.job(job).summary
    assert summary == f"{shown} from [a field removed]" if shown else "4111" not in summary
    assert not [secret for secret in SECRETS if secret in dump(line)]


def test_the_summary_of_a_call_that_failed_is_redacted_too(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy
) -> None:
    job = record(line, row_privacy, "break_down", iban=IBAN)
    run_job(station_with(RINGBACK_DATA_KEY=KEY), job)
    assert line.job(job).summary == "nothing under [a field removed]"


@pytest.mark.parametrize("retryable", [True, False])
def test_what_a_tool_says_of_its_failure_is_redacted_and_heard_whole(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy, retryable: bool
) -> None:
    job, runtime = (
        record(line, row_privacy, "complain", note=CARD, retryable=retryable),
        station_with(RINGBACK_DATA_KEY=KEY),
    )
    run_job(runtime, job)
    if retryable:
        line.run(text("UPDATE jobs SET not_before = NULL"))
        run_job(runtime, job)
    row = line.job(job)
    assert (row.state, row.attempt) == ("failed", 2 if retryable else 1)
    assert row.error["message"] == "not with [card removed]"
    assert not [secret for secret in SECRETS if secret in dump(line)]
    (answer,) = take(line)
    assert from_row(**outcome_of(row_privacy.reveal(answer, line.session))).message == f"not with {CARD}"


def test_the_log_of_a_failure_holds_nothing_of_the_call(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy, caplog: pytest.LogCaptureFixture
) -> None:
    run_job(station_with(RINGBACK_DATA_KEY=KEY), record(line, row_privacy, "break_down", iban=IBAN))
    assert "tool raised LookupError (job " in caplog.text
    assert "bank.py" in caplog.text
    assert not [secret for secret in SECRETS if secret in caplog.text]


def test_a_call_that_was_answered_at_once_is_kept_no_otherwise(line: Line, row_privacy: RowPrivacy) -> None:
    record(line, row_privacy, "transfer", succeeded({"iban": IBAN, "note": CARD}), iban=IBAN, note="x")
    assert not [secret for secret in SECRETS if secret in dump(line)]
    (answer,) = take(line)
    assert row_privacy.reveal(answer, line.session).result == {"iban": IBAN, "note": CARD}


def test_a_conversation_that_is_built_anew_hears_it_whole(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy
) -> None:
    run_job(station_with(RINGBACK_DATA_KEY=KEY), record(line, row_privacy, "transfer", iban=IBAN, note=CARD))
    assert take(line)
    with line.engine.connect() as connection:
        (call,) = execute(connection, items.log_of_calls(line.session)).all()
    whole = row_privacy.reveal(call, line.session)
    assert (whole.arguments["iban"], whole.result["note"], whole.tool) == (IBAN, CARD, "transfer")


def test_a_call_that_joins_another_hears_it_whole(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy
) -> None:
    first = record(line, row_privacy, "transfer", iban=IBAN, note=CARD)

    def join() -> None:
        job = admission.NewJob(uuid4(), line.session, f"call_{uuid4()}", None, "transfer", {}, joined_to=first)
        assert line.run(admission.admit(job, GATEWAY, 1))

    join()
    run_job(station_with(RINGBACK_DATA_KEY=KEY), first)
    join()  # one that is over by now
    answers = [row_privacy.reveal(row, line.session).result["note"] for row in take(line)]
    assert answers == [CARD] * 3


def test_what_is_sealed_goes_with_the_conversation(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy
) -> None:
    runtime = station_with(RINGBACK_DATA_KEY=KEY)
    told = record(line, row_privacy, "transfer", iban=IBAN, note=CARD)
    run_job(runtime, told)
    assert take(line)
    untold, pending = (record(line, row_privacy, "transfer", iban=IBAN, note=CARD) for _ in range(2))
    run_job(runtime, untold)
    line.run(lifecycle.end_session(line.session, GATEWAY, 1, "client_left"))
    line.run(lifecycle.keep_for_history(line.session))
    sealed = {job: (line.job(job).sealed_arguments, line.job(job).sealed_result) for job in (told, untold)}
    assert sealed == {told: (None, None), untold: (None, None)}
    assert line.job(pending).sealed_arguments is not None  # its work goes on
    run_job(runtime, pending)
    after = line.job(pending)
    assert (after.state, after.delivery, after.sealed_arguments, after.sealed_result) == (
        *("succeeded", "history_only"),
        *(None, None),
    )


@pytest.mark.parametrize("keys", [{}, {"RINGBACK_DATA_KEY": new_key()}])
def test_a_worker_without_the_key_runs_nothing_it_can_not_read(
    line: Line, station_with: Callable[..., WorkerRuntime], row_privacy: RowPrivacy, keys: dict[str, str]
) -> None:
    job = record(line, row_privacy, "transfer", iban=IBAN, note=CARD)
    run_job(station_with(**keys), job)
    row = line.job(job)
    assert (row.state, row.error["code"]) == ("failed", "unreadable")


def test_a_gateway_without_the_key_runs_no_call_that_would_have_to_be_sealed(line: Line) -> None:
    job = record(line, RowPrivacy(Redaction(("card",))), "transfer", iban=IBAN, note=CARD)
    row = line.job(job)
    assert (row.state, row.error["code"], row.arguments["iban"]) == ("failed", "not_kept", "[iban removed]")
    assert not [secret for secret in SECRETS if secret in dump(line)]


def test_a_worker_with_such_a_tool_and_no_key_does_not_start() -> None:
    tools = load_tools(["tests.integration.toolbox.bank"])
    with pytest.raises(NoKey, match=r"tool transfer asks for iban, result\.iban .* `ringback data-key`"):
        refuse_without_key(tools.values(), RowPrivacy())


def test_without_a_rule_rows_are_as_they_were(line: Line) -> None:
    job = record(line, RowPrivacy(), "complain", note=CARD, retryable=False)
    row = line.job(job)
    assert (row.arguments["note"], row.sealed_arguments) == (CARD, None)


def test_what_is_said_is_written_down_without_it(line: Line, row_privacy: RowPrivacy) -> None:
    async def write() -> None:
        pool = open_pool(line.database, 1)
        transcript = TranscriptWriter(
            gateway_context(Store(pool), gateway_id=GATEWAY, row_privacy=row_privacy), session_state(line.session)
        )
        said = Message(1, "item_1", "user", [{"type": "input_audio", "text": f"it is {CARD}"}])
        transcript.keep([said, structs.replace(said, position=2, item_id="item_2")])
        assert await transcript.flush()
        await pool.close()

    asyncio.run(write())
    with line.engine.connect() as connection:
        messages = execute(connection, items.log_of_messages(line.session)).all()
    assert [message.content[0]["text"] for message in messages] == ["it is [card removed]"] * 2
