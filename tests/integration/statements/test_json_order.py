"""Names keep their written order: of schemas, arguments, results, and the client's settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import null, select, update

from ringback.history.pagination import IdRange
from ringback.jobs.outcomes import succeeded
from ringback.statements import history, processes
from ringback.statements.jobs import admission, deliveries, transitions
from ringback.statements.json_order import in_order
from ringback.statements.sessions import items, lifecycle
from ringback.tables import jobs as jobs_table
from ringback.tables import sessions as sessions_table
from ringback.tables import worker_tools
from tests.integration.statements.statement_rows import WEATHER, Rows, new_job, world

WRITTEN = {"reasoning": "first", "n": {"zz": 1, "a": [{"later": 1, "b": 2}]}, "answer": "last"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "n": {}, "level": {}, "tags": {}, "when": {}}}
TOKEN = sha256(b"token").digest()


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def text(value: Any) -> str:
    """Return a text that shows the order: dicts in another order are equal."""
    return json.dumps(value)


def ended(rows: Rows, result: Any = WRITTEN) -> Any:
    job = rows.asked()
    (claimed,) = rows.run(transitions.claim(job, "w"))
    assert rows.count(transitions.finish(job, claimed.token, succeeded(result))) == 1
    return job


def test_a_worker_gets_the_arguments_as_they_were_written(rows: Rows) -> None:
    job = new_job(rows.session, arguments=WRITTEN)
    rows.count(admission.admit(job, "gw", 1))
    (claimed,) = rows.run(transitions.claim(job.id, "w"))
    assert text(claimed.arguments) == text(WRITTEN)
    (listed,) = rows.run(items.log_of_calls(rows.session))
    assert text(listed.arguments) == text(WRITTEN)


def test_a_conversation_and_the_history_get_the_result_as_it_was_written(rows: Rows) -> None:
    job = ended(rows)
    (shown,) = rows.run(history.jobs_with_steps("default", IdRange(job, job)))
    assert text(shown.result) == text(WRITTEN)
    assert "result_in_order" not in shown._mapping
    (called,) = rows.run(history.calls_of(rows.session))
    assert text(called.result) == text(WRITTEN)
    (taken,) = rows.run(deliveries.read_ready(rows.session, "gw", 1))
    assert text(taken.result) == text(WRITTEN)


@pytest.mark.parametrize("is_over", [True, False])
def test_a_call_that_joins_another_gets_its_result_as_it_was_written(rows: Rows, is_over: bool) -> None:
    first, token = rows.running()
    joined = None if is_over else rows.joining(first)
    rows.count(transitions.finish(first, token, succeeded(WRITTEN)))
    joined = joined or rows.joining(first)
    (found,) = rows.run(select(in_order(jobs_table.c.result)).where(jobs_table.c.id == joined))
    assert text(found.result) == text(WRITTEN)


def test_a_model_is_shown_the_parameters_as_they_were_declared(rows: Rows) -> None:
    tool = replace(WEATHER, parameters=SCHEMA)
    for statement in processes.announce("w", [tool]):
        rows.count(statement)
    for live in (processes.live_tools(), history.served_tools()):
        (row,) = rows.run(live)
        assert text(processes.spec_from_row(row).parameters) == text(SCHEMA)


def test_what_a_client_has_set_is_resumed_as_it_was_written(rows: Rows) -> None:
    rows.set_session(resume_hash=TOKEN, resume_seconds=60.0)
    rows.count(lifecycle.save_client_session(rows.session, "gw", 1, WRITTEN))
    (resumed,) = rows.run(lifecycle.resume(TOKEN, sha256(b"next").digest(), user_id="ada", gateway_id="gw2"))
    assert text(resumed.client_session) == text(WRITTEN)


# — beside processes of the version before, which do not know the order —


def test_rows_of_the_version_before_are_read_as_they_are(rows: Rows) -> None:
    job = ended(rows)
    rows.connection.execute(
        update(jobs_table).where(jobs_table.c.id == job).values(arguments_in_order=null(), result_in_order=null())
    )
    (shown,) = rows.run(history.jobs_with_steps("default", IdRange(job, job)))
    assert (shown.arguments, shown.result) == ({"city": "Rome"}, WRITTEN)


def test_what_the_version_before_has_changed_since_counts(rows: Rows) -> None:
    rows.set_session(resume_hash=TOKEN, resume_seconds=60.0)
    rows.count(lifecycle.save_client_session(rows.session, "gw", 1, WRITTEN))
    changed = update(sessions_table).where(sessions_table.c.id == rows.session).values(client_session={"a": 1})
    assert rows.count(changed) == 1
    (resumed,) = rows.run(lifecycle.resume(TOKEN, sha256(b"next").digest(), user_id="ada", gateway_id="gw2"))
    assert resumed.client_session == {"a": 1}


def test_a_worker_of_the_version_before_announces_what_is_read(rows: Rows) -> None:
    for statement in processes.announce("w", [replace(WEATHER, parameters=SCHEMA)]):
        rows.count(statement)
    rows.count(update(worker_tools).values(parameters_in_order=null()))
    (row,) = rows.run(processes.live_tools())
    assert row.parameters == SCHEMA


@pytest.mark.parametrize("result", [None, {}, [], "text", 1.5, {"a": None}])
def test_any_result_is_kept(rows: Rows, result: Any) -> None:
    job = ended(rows, result)
    (shown,) = rows.run(history.jobs_with_steps("default", IdRange(job, job)))
    assert shown.result == result
