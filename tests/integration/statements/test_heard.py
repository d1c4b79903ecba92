"""What the user has heard of a result, in real rows: written by the owner of the session, and never taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import HeardBy
from ringback.moments import Moment, MomentKind
from ringback.statements.jobs import deliveries
from ringback.statements.jobs.deliveries import Told
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions import moments as statements
from ringback.tables import moments
from tests.integration.statements.statement_rows import Rows, world

SUNNY = succeeded({"sky": "clear"})


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


CLOCK = 110.0
"""The time of the session's clock at which all is written."""


def spoken(job: UUID, answer: str = "resp_1", ago: float = 0.5) -> Told:
    return Told(job, answer, CLOCK - ago, CLOCK - ago + 0.1)


def heard(job: UUID, answer: str = "resp_1", ago: float = 0.5) -> Told:
    return Told(job, answer, CLOCK - ago, CLOCK - ago + 0.1, CLOCK - 0.05, HeardBy.REPORT, 2_400.0, 1_500.0)


def unheard_at(job: UUID, answer: str, ago: float) -> Told:
    return Told(job, answer, CLOCK - ago, CLOCK - ago + 0.1, None, HeardBy.UNKNOWN, 2_400.0)


def unheard(job: UUID, answer: str = "resp_1") -> Told:
    return Told(job, answer, CLOCK - 0.5, CLOCK - 0.4, None, HeardBy.UNKNOWN, 2_400.0)


def note(rows: Rows, *told: Told, gateway: str = "gw", epoch: int = 1) -> list[Any]:
    return list(rows.run(deliveries.note_told(rows.session, gateway, epoch, told, CLOCK)))


def delivered(rows: Rows, *, echoed: bool = True) -> UUID:
    job = rows.answered(SUNNY)
    rows.deliver(echoed=echoed)
    return job


@pytest.mark.parametrize("echoed", [True, False], ids=["acked", "sent"])
def test_a_result_is_spoken_and_then_heard(rows: Rows, echoed: bool) -> None:
    job = delivered(rows, echoed=echoed)
    (first,) = note(rows, spoken(job))
    row = rows.job(job)
    assert (row.delivery, row.answer_id, row.heard_at, row.heard_by) == ("spoken", "resp_1", None, None)
    assert (first.tool, first.queue, first.is_new) == ("weather", "default", False)
    assert row.given_at < row.spoken_at or row.answer_began_at < row.spoken_at
    (second,) = note(rows, heard(job))
    row = rows.job(job)
    assert (row.delivery, row.heard_by, row.audio_ms, row.played_ms) == ("heard", "report", 2_400.0, 1_500.0)
    assert (second.is_new, float(second.waited)) == (True, (row.heard_at - row.finished_at).total_seconds())
    assert rows.steps(job)[-2:] == ["succeeded/spoken", "succeeded/heard"]


def test_both_may_be_written_at_once_and_twice(rows: Rows) -> None:
    job = delivered(rows)
    assert [row.is_new for row in note(rows, heard(job))] == [True]
    before = rows.job(job)
    assert [row.is_new for row in note(rows, heard(job))] == [False]
    assert rows.job(job) == before
    assert rows.steps(job)[-1:] == ["succeeded/heard"]


def test_what_was_heard_stays_heard_whatever_comes_of_it_later(rows: Rows) -> None:
    job = delivered(rows)
    note(rows, heard(job))
    for late in (spoken(job), unheard(job)):
        assert [row.is_new for row in note(rows, late)] == [False]
        assert (rows.job(job).delivery, rows.job(job).played_ms) == ("heard", 1_500.0)


def test_what_is_not_known_to_have_been_heard_stays_spoken(rows: Rows) -> None:
    job = delivered(rows)
    note(rows, spoken(job))
    note(rows, unheard(job))
    row = rows.job(job)
    assert (row.delivery, row.heard_by, row.heard_at, row.played_ms) == ("spoken", "unknown", None, None)


def test_an_answer_that_is_told_again_counts_until_one_is_heard(rows: Rows) -> None:
    job = delivered(rows)
    note(rows, spoken(job, "resp_1", ago=9.0))
    note(rows, heard(job, "resp_2", ago=3.0))
    row = rows.job(job)
    assert (row.delivery, row.answer_id, row.heard_by) == ("heard", "resp_2", "report")
    for late in (spoken(job, "resp_1", ago=9.0), unheard(job, "resp_3")):
        assert note(rows, late) == []
    assert rows.job(job) == row


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "reversed"])
def test_answers_that_are_written_together_count_as_if_each_had_come_alone(rows: Rows, order: int) -> None:
    """As after an outage of Postgres: what one of them was heard of is known to no one else."""
    heard_then_cut, cut_then_heard, unheard_twice = (delivered(rows) for _ in range(3))
    told = [
        heard(heard_then_cut, "resp_1", ago=9.0),
        spoken(heard_then_cut, "resp_2", ago=3.0),
        spoken(cut_then_heard, "resp_1", ago=9.0),
        heard(cut_then_heard, "resp_2", ago=3.0),
        unheard_at(unheard_twice, "resp_1", ago=9.0),
        unheard_at(unheard_twice, "resp_2", ago=3.0),
    ]
    note(rows, *told[::order])
    found = [rows.job(job) for job in (heard_then_cut, cut_then_heard, unheard_twice)]
    assert [(row.delivery, row.answer_id) for row in found] == [
        ("heard", "resp_1"),
        ("heard", "resp_2"),
        ("spoken", "resp_2"),
    ]


def test_an_older_answer_takes_no_newer_ones_place(rows: Rows) -> None:
    job = delivered(rows)
    note(rows, spoken(job, "resp_2", ago=1.0))
    assert note(rows, spoken(job, "resp_1", ago=5.0)) == []


@pytest.mark.parametrize("told", [spoken, heard])
def test_a_result_that_no_conversation_was_given_is_not_heard(rows: Rows, told: Any) -> None:
    ready, (running, _) = rows.answered(SUNNY), rows.running()
    assert note(rows, told(ready), told(running)) == []
    assert rows.job(ready).delivery == "ready"


@pytest.mark.parametrize(("gateway", "epoch"), [("gw2", 1), ("gw", 2)], ids=["another's", "another epoch's"])
def test_only_the_owner_in_its_epoch_says_what_was_heard(rows: Rows, gateway: str, epoch: int) -> None:
    job = delivered(rows)
    assert note(rows, heard(job), gateway=gateway, epoch=epoch) == []
    assert rows.job(job).delivery == "acked"


@pytest.mark.parametrize(
    ("told", "delivery"), [(None, "replayed"), (spoken, "spoken"), (heard, "heard")], ids=["untold", "spoken", "heard"]
)
def test_a_rebuilt_conversation_takes_it_in_and_what_was_heard_stays(rows: Rows, told: Any, delivery: str) -> None:
    job = delivered(rows)
    if told is not None:
        note(rows, told(job))
    rows.count(lifecycle.next_epoch(rows.session, "gw", 1))
    assert [row.id for row in rows.run(items.replay(rows.session, "gw", 2))] == [job]
    row = rows.job(job)
    assert (row.delivery, row.delivered_epoch) == (delivery, 2)
    assert note(rows, heard(job, "resp_9", ago=0.2), epoch=1) == [], "the old epoch is over"


def test_what_was_said_before_the_epoch_may_be_heard_in_the_next(rows: Rows) -> None:
    job = delivered(rows)
    note(rows, spoken(job))
    rows.count(lifecycle.next_epoch(rows.session, "gw", 1))
    rows.run(items.replay(rows.session, "gw", 2))
    assert [row.is_new for row in note(rows, heard(job), epoch=2)] == [True]
    assert (rows.job(job).delivery, rows.job(job).delivered_epoch) == ("heard", 2)


def test_the_moment_at_which_it_was_given_is_that_of_the_gift_and_not_of_the_record(rows: Rows) -> None:
    old, new = rows.answered(SUNNY), rows.answered(SUNNY)
    rows.count(deliveries.mark(rows.session, "gw", 1, [old, new], [], None, {old: 60.0, new: 1.0}))
    apart = rows.job(new).given_at - rows.job(old).given_at
    assert 58.9 < apart.total_seconds() < 59.1
    before = rows.job(old).given_at
    rows.count(deliveries.mark(rows.session, "gw", 1, [old], [old], 3, {old: 1.0}))
    assert rows.job(old).given_at == before, "the first time counts"


BEGAN = Moment(MomentKind.RESPONSE_BEGAN, 100.0, 1, "resp_1", detail="results")
ENDED = Moment(MomentKind.RESPONSE_ENDED, 102.5, 1, "resp_1", 2_400.0, "completed")


def save(rows: Rows, *numbered: tuple[int, Moment], gateway: str = "gw", epoch: int = 1) -> list[Any]:
    return list(rows.run(statements.save(rows.session, gateway, epoch, numbered, CLOCK)))


def test_moments_are_kept_once_with_the_time_at_which_they_happened(rows: Rows) -> None:
    assert [row[1:] for row in save(rows, (1, BEGAN), (2, ENDED))] == [(1, 1), (1, 2)]
    assert len(save(rows, (2, ENDED))) == 1, "it was written, and its answer was lost"
    began, ended = rows.run(select(moments).order_by(moments.c.at))
    assert abs((ended.at - began.at).total_seconds() - 2.5) < 0.05
    assert (began.kind, began.response_id, began.detail) == ("response_began", "resp_1", "results")
    assert (ended.kind, ended.ms, ended.tenant) == ("response_ended", 2_400.0, "default")
    assert rows.run(statements.count(rows.session))[0].number == 2


@pytest.mark.parametrize(("gateway", "epoch"), [("gw2", 1), ("gw", 2)], ids=["another's", "another epoch's"])
def test_only_the_owner_in_its_epoch_keeps_moments(rows: Rows, gateway: str, epoch: int) -> None:
    assert save(rows, (1, BEGAN), gateway=gateway, epoch=epoch) == []
    assert rows.run(statements.count(rows.session))[0].number == 0
