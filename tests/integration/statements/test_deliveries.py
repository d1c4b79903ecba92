"""Delivery in real rows: ready → sent → acked, by the owner of the session, in its epoch, and once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from ringback.jobs.outcomes import failed, from_row, succeeded
from ringback.statements.jobs import admission, deliveries
from ringback.statements.jobs.deliveries import TAKE_AT_ONCE
from ringback.statements.jobs.transitions import outcome_of
from ringback.statements.sessions import lifecycle
from tests.integration.statements.statement_rows import Rows, connected, new_job, world

SUNNY = succeeded({"sky": "clear"})


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def test_what_is_ready_is_taken_once_with_its_outcome(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    (taken,) = rows.run(deliveries.take_ready(rows.session, "gw", 1))
    assert (taken.id, taken.tool) == (job, "weather")
    assert from_row(**outcome_of(taken)) == SUNNY
    assert (rows.job(job).delivery, rows.job(job).delivered_epoch) == ("sent", 1)
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == 0


def test_a_refusal_is_taken_like_a_result(rows: Rows) -> None:
    refusal = failed("unknown_tool", "There is none.")
    rows.count(admission.admit(new_job(rows.session, None), "gw", 1, refusal))
    (taken,) = rows.run(deliveries.take_ready(rows.session, "gw", 1))
    assert from_row(**outcome_of(taken)) == refusal


def test_what_is_not_ready_is_not_taken(rows: Rows) -> None:
    rows.asked()
    rows.running()
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == 0
    assert rows.count(deliveries.waiting_sessions("gw")) == 0


@pytest.mark.parametrize(("gateway", "epoch"), [("gw2", 1), ("nobody", 1), ("gw", 0), ("gw", 2)])
def test_only_the_owner_in_its_epoch_takes(rows: Rows, gateway: str, epoch: int) -> None:
    job = rows.answered(SUNNY)
    assert rows.count(deliveries.take_ready(rows.session, gateway, epoch)) == 0
    assert rows.job(job).delivery == "ready"


def test_a_gateway_that_lost_its_lease_takes_nothing(rows: Rows) -> None:
    rows.answered(SUNNY)
    rows.lose("gw")
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == 0


@pytest.mark.parametrize(("state", "taken"), [("open", 1), ("draining", 1), ("detached", 0), ("ended", 0)], ids=str)
def test_an_answer_is_taken_into_a_session_that_is_held(rows: Rows, state: str, taken: int) -> None:
    rows.answered(SUNNY)
    rows.set_state(state)
    assert rows.count(deliveries.waiting_sessions("gw")) == taken
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == taken


def test_an_answer_enters_the_epoch_that_is_there_when_it_is_taken(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    rows.set_session(epoch=2, gateway_id="gw2")
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == 0
    assert rows.count(deliveries.take_ready(rows.session, "gw2", 2)) == 1
    assert (rows.job(job).epoch, rows.job(job).delivered_epoch) == (1, 2)


def test_a_session_takes_nothing_of_another(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    other = uuid4()
    rows.count(lifecycle.open_session(other, user_id="bob", agent="demo", model="m", gateway_id="gw"))
    assert rows.count(deliveries.take_ready(other, "gw", 1)) == 0
    assert rows.job(job).delivery == "ready"


def test_a_long_queue_of_answers_is_taken_in_steps(rows: Rows) -> None:
    refusal = failed("unknown_tool", "No.")
    for _ in range(TAKE_AT_ONCE + 1):
        rows.connection.execute(admission.admit(new_job(rows.session, None), "gw", 1, refusal))
    rows.connection.commit()
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == TAKE_AT_ONCE
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == 1


def test_two_who_take_at_once_take_each_answer_once(database: str, rows: Rows) -> None:
    job = rows.answered(SUNNY)
    with connected(database) as other:
        assert [row.id for row in other.execute(deliveries.take_ready(rows.session, "gw", 1))] == [job]
        rows.connection.exec_driver_sql("SET lock_timeout = '100ms'")
        with pytest.raises(Exception, match="lock timeout"):
            rows.count(deliveries.take_ready(rows.session, "gw", 1))
        rows.connection.rollback()
        other.commit()
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == 0


def test_one_whose_taking_failed_leaves_the_answer_ready(database: str, rows: Rows) -> None:
    rows.answered(SUNNY)
    with connected(database) as other:
        assert other.execute(deliveries.take_ready(rows.session, "gw", 1)).all()
        other.rollback()
    assert rows.count(deliveries.take_ready(rows.session, "gw", 1)) == 1


# — acknowledged —


def test_an_echo_acknowledges_what_was_sent_in_this_epoch_once(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    assert rows.count(deliveries.acknowledge([job], 1)) == 0, "it was not sent yet"
    rows.count(deliveries.take_ready(rows.session, "gw", 1))
    assert rows.count(deliveries.acknowledge([job], 2)) == 0
    assert rows.count(deliveries.acknowledge([job], 1)) == 1
    assert rows.count(deliveries.acknowledge([job], 1)) == 0
    assert rows.steps(job) == [
        "pending/none",
        "running/none",
        "succeeded/ready",
        "succeeded/sent",
        "succeeded/acked",
    ]


def test_several_are_acknowledged_at_once_and_only_those(rows: Rows) -> None:
    first, second, third = (rows.answered(SUNNY) for _ in range(3))
    rows.count(deliveries.take_ready(rows.session, "gw", 1))
    assert rows.count(deliveries.acknowledge([third, first], 1)) == 2
    assert rows.job(second).delivery == "sent"


# — the look that makes every doorbell a hint —


def test_the_look_finds_the_sessions_of_its_own_gateway_once_each(rows: Rows) -> None:
    rows.answered(SUNNY)
    rows.answered(SUNNY)
    assert [row.id for row in rows.run(deliveries.waiting_sessions("gw"))] == [rows.session]
    assert rows.count(deliveries.waiting_sessions("gw2")) == 0
    rows.count(deliveries.take_ready(rows.session, "gw", 1))
    assert rows.count(deliveries.waiting_sessions("gw")) == 0


# — sessions —


@pytest.mark.parametrize(("gateway", "ended"), [("gw", 1), ("gw2", 0)])
def test_only_its_owner_ends_a_session(rows: Rows, gateway: str, ended: int) -> None:
    assert rows.count(lifecycle.end_session(rows.session, gateway, 1, "client_left")) == ended
    assert (rows.session_row().ended_at is not None) is bool(ended)


def test_a_session_ends_once_and_keeps_its_first_reason(rows: Rows) -> None:
    rows.count(lifecycle.end_session(rows.session, "gw", 1, "client_left"))
    assert rows.count(lifecycle.end_session(rows.session, "gw", 1, "other")) == 0
    assert rows.session_row().end_reason == "client_left"


def test_the_upstreams_own_id_is_kept_by_the_owner(rows: Rows) -> None:
    assert rows.count(lifecycle.set_upstream_id(rows.session, "gw2", 1, "sess_2")) == 0
    assert rows.count(lifecycle.set_upstream_id(rows.session, "gw", 1, "sess_1")) == 1
    assert rows.session_row().upstream_id == "sess_1"


@pytest.mark.parametrize(
    ("before", "kept"),
    [("ready", True), ("sent", False), ("acked", False)],
)
def test_what_was_ready_when_a_session_ended_is_kept_for_the_history(rows: Rows, before: str, kept: bool) -> None:
    job = rows.answered(SUNNY)
    if before != "ready":
        rows.count(deliveries.take_ready(rows.session, "gw", 1))
    if before == "acked":
        rows.count(deliveries.acknowledge([job], 1))
    rows.count(lifecycle.end_session(rows.session, "gw", 1, "client_left"))
    assert rows.count(lifecycle.keep_for_history(rows.session)) == int(kept)
    assert rows.job(job).delivery == ("history_only" if kept else before)


def test_the_owners_of_sessions_are_found_for_their_doorbells(rows: Rows) -> None:
    ended: Any = uuid4()
    rows.count(lifecycle.open_session(ended, user_id="bob", agent="demo", model="m", gateway_id="gw2"))
    rows.count(lifecycle.end_session(ended, "gw2", 1, "client_left"))
    found = rows.run(lifecycle.owners([ended, rows.session, uuid4()]))
    assert [(row.id, row.gateway_id) for row in found] == [(rows.session, "gw")]
