"""Moves that a job may make, and the id of the item that answers it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from ringback.jobs.states import (
    JOINED_MOVES,
    LIVE,
    TERMINAL,
    Delivery,
    JobState,
    may_be_delivered,
    may_move,
    output_item_id,
)

MOVES = {
    "pending": "running timed_out cancelled",
    "running": "pending succeeded failed timed_out cancelled dead unknown",
    "succeeded": "",
    "failed": "",
    "timed_out": "",
    "cancelled": "",
    "dead": "",
    "unknown": "",
}
DELIVERY_MOVES = {
    "none": "ready history_only",
    "ready": "sent acked replayed history_only",
    "sent": "acked replayed spoken heard history_only",
    "acked": "replayed spoken heard",
    "replayed": "replayed spoken heard",
    "spoken": "replayed spoken heard",
    "heard": "replayed heard",
    "history_only": "",
}


@pytest.mark.parametrize("old", JobState)
def test_a_job_makes_exactly_the_moves_of_the_table(old: JobState) -> None:
    assert {new for new in JobState if may_move(old, new)} == set(MOVES[old].split())


def test_a_job_that_has_joined_another_may_end_in_any_way_and_never_runs() -> None:
    allowed = {new for new in JobState if may_move(JobState.PENDING, new, joined=True)}
    assert allowed == TERMINAL == {new for new in JobState if may_move(JobState.PENDING, new)} - LIVE | JOINED_MOVES
    for old in TERMINAL:
        assert not any(may_move(old, new, joined=True) for new in JobState)


@pytest.mark.parametrize("old", Delivery)
def test_an_answer_makes_exactly_the_moves_of_the_table(old: Delivery) -> None:
    assert {new for new in Delivery if may_be_delivered(old, new)} == set(DELIVERY_MOVES[old].split())


def test_every_state_is_live_or_over() -> None:
    assert {"pending", "running"} == LIVE
    assert set(JobState) == LIVE | TERMINAL
    assert not LIVE & TERMINAL


def test_an_items_id_is_worked_out_the_same_each_time() -> None:
    """The id is written down here: a gateway of another version must compute the same."""
    assert output_item_id(UUID("6ad5b6a2-3d0c-4f2b-9a39-3c1a6f0d2b11")) == "fco_4oifujqju2bfuzirqxtgoreo"


def test_a_secret_makes_an_items_id_that_the_page_of_a_call_cannot_compute() -> None:
    job = UUID("6ad5b6a2-3d0c-4f2b-9a39-3c1a6f0d2b11")
    assert output_item_id(job, "secret") == "fco_kt5ppos6u5jia6rekzdkcgrb"
    assert len({output_item_id(job), output_item_id(job, "secret"), output_item_id(job, "another")}) == 3


def test_item_ids_are_short_and_differ() -> None:
    ids = {output_item_id(uuid4()) for _ in range(1_000)}
    assert len(ids) == 1_000
    assert {len(item_id) for item_id in ids} == {28}
    assert all(item_id.startswith("fco_") and item_id.isascii() for item_id in ids)
