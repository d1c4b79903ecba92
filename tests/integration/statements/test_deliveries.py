"""Delivery in real rows: ready → sent → acked, or both at once, by the owner of the session, in its epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from ringback.jobs.outcomes import failed, from_row, succeeded
from ringback.statements.jobs import admission, deliveries
from ringback.statements.jobs.deliveries import TAKE_AT_ONCE
from ringback.statements.jobs.transitions import outcome_of
from ringback.statements.sessions import lifecycle
from tests.integration.statements.statement_rows import Rows, new_job, world
from tests.servers import execute

SUNNY = succeeded({"sky": "clear"})


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def waiting(rows: Rows, gateway: str) -> list[UUID]:
    return [row.id for row in rows.run(lifecycle.held_sessions(gateway)) if row.is_waiting]


def test_what_is_ready_is_read_with_its_outcome_and_stays_ready_until_it_is_marked(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    (read,) = rows.run(deliveries.read_ready(rows.session, "gw", 1))
    assert (read.id, read.tool) == (job, "weather")
    assert from_row(**outcome_of(read)) == SUNNY
    assert (rows.job(job).delivery, rows.job(job).delivered_epoch) == ("ready", None)
    assert rows.count(deliveries.mark(rows.session, "gw", 1, [job])) == 1
    assert (rows.job(job).delivery, rows.job(job).delivered_epoch) == ("sent", 1)
    assert rows.count(deliveries.read_ready(rows.session, "gw", 1)) == 0


def test_what_the_conversation_was_given_is_not_read_again(rows: Rows) -> None:
    given, other = rows.answered(SUNNY), rows.answered(SUNNY)
    assert [row.id for row in rows.run(deliveries.read_ready(rows.session, "gw", 1, given=[given]))] == [other]


def test_a_refusal_is_read_like_a_result(rows: Rows) -> None:
    refusal = failed("unknown_tool", "There is none.")
    rows.count(admission.admit(new_job(rows.session, None), "gw", 1, refusal))
    (read,) = rows.run(deliveries.read_ready(rows.session, "gw", 1))
    assert from_row(**outcome_of(read)) == refusal


def test_what_is_not_ready_is_neither_read_nor_marked(rows: Rows) -> None:
    asked, (running, _) = rows.asked(), rows.running()
    assert rows.count(deliveries.read_ready(rows.session, "gw", 1)) == 0
    assert rows.count(deliveries.mark(rows.session, "gw", 1, [asked, running], [running], 1)) == 0
    assert waiting(rows, "gw") == []


@pytest.mark.parametrize(("gateway", "epoch"), [("gw2", 1), ("unknown", 1), ("gw", 0), ("gw", 2)])
def test_only_the_owner_in_its_epoch_reads_and_marks(rows: Rows, gateway: str, epoch: int) -> None:
    job = rows.answered(SUNNY)
    assert rows.count(deliveries.read_ready(rows.session, gateway, epoch)) == 0
    assert rows.count(deliveries.mark(rows.session, gateway, epoch, [job], [job], 1)) == 0
    assert rows.job(job).delivery == "ready"


def test_a_gateway_that_lost_its_lease_reads_nothing_and_marks_what_it_has_given(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    rows.lose("gw")
    assert rows.count(deliveries.read_ready(rows.session, "gw", 1)) == 0
    assert rows.count(deliveries.mark(rows.session, "gw", 1, [job])) == 1, "the epoch is still its own"


@pytest.mark.parametrize(("state", "taken"), [("open", 1), ("draining", 1), ("detached", 0), ("ended", 0)], ids=str)
def test_an_answer_is_read_for_a_session_that_is_held(rows: Rows, state: str, taken: int) -> None:
    job = rows.answered(SUNNY)
    rows.set_state(state)
    assert len(waiting(rows, "gw")) == taken
    assert rows.count(deliveries.read_ready(rows.session, "gw", 1)) == taken
    assert rows.count(deliveries.mark(rows.session, "gw", 1, [job])) == taken


def test_an_answer_enters_the_epoch_that_is_there_when_it_is_read(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    rows.set_session(epoch=2, gateway_id="gw2")
    assert rows.count(deliveries.read_ready(rows.session, "gw", 1)) == 0
    assert rows.deliver(2, "gw2") == [job]
    assert (rows.job(job).epoch, rows.job(job).delivered_epoch) == (1, 2)


def test_a_session_reads_and_marks_nothing_of_another(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    other = uuid4()
    rows.count(lifecycle.open_session(other, user_id="bob", agent="demo", model="m", gateway_id="gw"))
    assert rows.count(deliveries.read_ready(other, "gw", 1)) == 0
    assert rows.count(deliveries.mark(other, "gw", 1, [job], [job], 1)) == 0
    assert rows.job(job).delivery == "ready"


def test_a_long_queue_of_answers_is_read_in_steps_without_those_that_were_given(rows: Rows) -> None:
    refusal = failed("unknown_tool", "No.")
    for _ in range(TAKE_AT_ONCE + 1):
        execute(rows.connection, admission.admit(new_job(rows.session, None), "gw", 1, refusal))
    rows.connection.commit()
    given = [row.id for row in rows.run(deliveries.read_ready(rows.session, "gw", 1))]
    assert len(given) == TAKE_AT_ONCE
    assert rows.count(deliveries.read_ready(rows.session, "gw", 1, given=given)) == 1


# — marked behind the send —


def test_an_echo_acknowledges_what_was_sent_in_this_epoch_once(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    rows.deliver()
    echoed = [job], [job], 7
    assert rows.count(deliveries.mark(rows.session, "gw", 2, *echoed)) == 0
    assert rows.count(deliveries.mark(rows.session, "gw", 1, *echoed)) == 1
    assert rows.count(deliveries.mark(rows.session, "gw", 1, *echoed)) == 0
    assert rows.job(job).answer_position == 7
    assert rows.steps(job)[2:] == ["succeeded/ready", "succeeded/sent", "succeeded/acked"]


def test_an_echo_that_comes_before_the_mark_is_written_with_it(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    assert rows.count(deliveries.mark(rows.session, "gw", 1, [job], [job], 7)) == 1
    row = rows.job(job)
    assert (row.delivery, row.delivered_epoch, row.answer_position) == ("acked", 1, 7)
    assert rows.steps(job)[2:] == ["succeeded/ready", "succeeded/acked"]


def test_an_echo_in_an_epoch_does_not_acknowledge_what_another_epoch_was_sent(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    rows.deliver()
    rows.set_session(epoch=2)
    assert rows.count(deliveries.mark(rows.session, "gw", 2, [job], [job], 7)) == 0


def test_a_mark_whose_reply_was_lost_is_written_again_to_no_effect(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    for moved in (1, 0):
        assert rows.count(deliveries.mark(rows.session, "gw", 1, [job])) == moved
    assert rows.steps(job)[-2:] == ["succeeded/ready", "succeeded/sent"]


def test_several_are_marked_at_once_and_only_those(rows: Rows) -> None:
    sent, echoed, neither = (rows.answered(SUNNY) for _ in range(3))
    assert rows.count(deliveries.mark(rows.session, "gw", 1, [echoed, sent], [echoed], 7)) == 2
    assert [rows.job(job).delivery for job in (sent, echoed, neither)] == ["sent", "acked", "ready"]
    assert [rows.job(job).answer_position for job in (sent, echoed, neither)] == [None, 7, None]


# — the look that makes every doorbell a hint —


def test_the_look_finds_the_sessions_of_its_own_gateway_once_each(rows: Rows) -> None:
    rows.answered(SUNNY)
    rows.answered(SUNNY)
    assert waiting(rows, "gw") == [rows.session]
    assert waiting(rows, "gw2") == []
    rows.deliver()
    assert waiting(rows, "gw") == []


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
        rows.deliver(echoed=before == "acked")
    rows.count(lifecycle.end_session(rows.session, "gw", 1, "client_left"))
    assert rows.count(lifecycle.keep_for_history(rows.session)) == int(kept)
    assert rows.job(job).delivery == ("history_only" if kept else before)


def test_the_owners_of_sessions_are_found_for_their_doorbells(rows: Rows) -> None:
    ended: Any = uuid4()
    rows.count(lifecycle.open_session(ended, user_id="bob", agent="demo", model="m", gateway_id="gw2"))
    rows.count(lifecycle.end_session(ended, "gw2", 1, "client_left"))
    found = rows.run(lifecycle.owners([ended, rows.session, uuid4()]))
    assert [(row.id, row.gateway_id) for row in found] == [(rows.session, "gw")]
