"""A call's attempts, steps and durations are computed from its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from ringback.history import documents
from ringback.history.documents import Job, Step
from ringback.jobs.outcomes import MESSAGES
from ringback.tables import jobs

CREATED = datetime(2026, 1, 31, 12, tzinfo=UTC)
ID = UUID("3f2a9c1b-0000-4000-8000-00000000000a")
LOST = {"code": "worker_lost"}
BUSY = {"code": "busy", "message": "The shop is closed."}

Told = tuple[float, str, str, int, str | None, dict[str, str] | None]

# (ms, state, delivery, attempt, worker, error): the rows of job_events, as the trigger copies them out of the job.
ANSWERED: list[Told] = [
    (0.2, "pending", "none", 0, None, None),
    (3.0, "running", "none", 1, "w1", None),
    (803.0, "succeeded", "ready", 1, "w1", None),
    (804.5, "succeeded", "sent", 1, "w1", None),
    (840.5, "succeeded", "acked", 1, "w1", None),
]
RETRIED: list[Told] = [
    (0.0, "pending", "none", 0, None, None),
    (5.0, "running", "none", 1, "w1", None),
    (15.0, "pending", "none", 1, "w1", BUSY),
    (515.0, "running", "none", 2, "w2", BUSY),
    (535.0, "succeeded", "ready", 2, "w2", None),
]
RESCUED_IN_VAIN: list[Told] = [
    (0.0, "pending", "none", 0, None, None),
    (5.0, "running", "none", 1, "w1", None),
    (3005.0, "pending", "none", 1, "w1", LOST),
    (3010.0, "running", "none", 2, "w2", LOST),
    (6010.0, "dead", "ready", 2, "w2", LOST),
    (6011.0, "dead", "sent", 2, "w2", LOST),
]
REFUSED: list[Told] = [(0.0, "failed", "ready", 0, None, BUSY)]
NEVER_CLAIMED: list[Told] = [
    (0.0, "pending", "none", 0, None, None),
    (50_000.0, "timed_out", "ready", 0, None, {"code": "timed_out"}),
]
AT_WORK: list[Told] = [(0.0, "pending", "none", 0, None, None), (5.0, "running", "none", 1, "w1", None)]
REPLAYED: list[Told] = [*ANSWERED[:3], (9_803.0, "succeeded", "replayed", 1, "w1", None)]
TOO_LATE: list[Told] = [*ANSWERED[:3], (9_803.0, "succeeded", "history_only", 1, "w1", None)]


def told(rows: list[Told]) -> list[dict[str, Any]]:
    """Return the events as Postgres aggregates them: times are text."""
    names = ("state", "delivery", "attempt", "worker_id", "error")
    return [
        {"at": (CREATED + timedelta(milliseconds=ms)).isoformat(), "epoch": None, **dict(zip(names, rest, strict=True))}
        for ms, *rest in rows
    ]


def steps(rows: list[Told]) -> list[Step]:
    return [Step.model_validate(row) for row in told(rows)]


def job_row(rows: list[Told], **given: Any) -> SimpleNamespace:
    """Return a row of `statements.history.jobs_with_steps`: null, where no value is said here."""
    _, state, delivery, attempt, worker, error = rows[-1]
    now = {"state": state, "delivery": delivery, "attempt": attempt, "worker_id": worker, "error": error}
    asked = {"call_id": "call_1", "tool": "weather", "arguments": {"city": "London"}}
    bounds = {"effect": "pure", "timeout": 15.0, "max_attempts": 2, "deadline_at": CREATED, "publish_count": 0}
    times = {"created_at": CREATED}
    rest = {"queue": "default", "epoch": 1, "cancel_requested": False, "notify_count": 0}
    row = {"id": ID, "session_id": ID, **now, **asked, **bounds, **times, **rest}
    shown = dict.fromkeys(name for name in Job.model_fields if name in jobs.c)
    return SimpleNamespace(**{**shown, **row, "steps": told(rows), **given})


@pytest.mark.parametrize(
    ("rows", "attempts"),
    [
        (ANSWERED, [(1, "w1", 800.0, "succeeded", None)]),
        (RETRIED, [(1, "w1", 10.0, "retried", "busy"), (2, "w2", 20.0, "succeeded", None)]),
        (RESCUED_IN_VAIN, [(1, "w1", 3000.0, "lost", "worker_lost"), (2, "w2", 3000.0, "dead", "worker_lost")]),
        (REFUSED, []),
        (NEVER_CLAIMED, []),
        (AT_WORK, [(1, "w1", None, "running", None)]),
    ],
)
def test_attempts_are_read_out_of_the_steps(rows: list[Told], attempts: list[Any]) -> None:
    found = documents.attempts_of(steps(rows))
    assert [(a.number, a.worker_id, a.ms, a.ended, a.error and a.error.code) for a in found] == attempts


@pytest.mark.parametrize(
    ("rows", "waited", "ran", "delivered", "acked"),
    [
        (ANSWERED, 3.0, 800.0, 1.5, 36.0),
        (RETRIED, 5.0, 30.0, None, None),
        (RESCUED_IN_VAIN, 5.0, 6000.0, 1.0, None),
        (REFUSED, None, None, None, None),
        (NEVER_CLAIMED, None, None, None, None),
        (AT_WORK, 5.0, None, None, None),
        (REPLAYED, 3.0, 800.0, 9000.0, None),
        (TOO_LATE, 3.0, 800.0, None, None),
    ],
)
def test_the_timeline_tells_where_the_time_went(
    rows: list[Told], waited: float | None, ran: float | None, delivered: float | None, acked: float | None
) -> None:
    found = documents.timeline_of(steps(rows), documents.attempts_of(steps(rows)), CREATED)
    assert found.model_dump() == {
        "waited_ms": waited,
        "ran_ms": ran,
        "delivered_ms": delivered,
        "acked_ms": acked,
        **dict.fromkeys(("rang_ms", "floor_ms", "voice_ms", "heard_ms")),
    }


def at(ms: float | None) -> Any:
    return None if ms is None else CREATED + timedelta(milliseconds=ms)


@pytest.mark.parametrize(
    ("given", "began", "spoken", "heard", "split"),
    [
        (804.0, 1_104.0, 1_154.5, 2_154.5, (1.0, 300.0, 50.5, 1_000.0)),
        (804.0, 1_104.0, 1_154.5, None, (1.0, 300.0, 50.5, None)),
        (804.0, None, None, None, (1.0, None, None, None)),
        (802.9, 1_104.0, 1_154.5, 2_154.5, (0.0, 301.1, 50.5, 1_000.0)),
        (None, None, None, None, (None, None, None, None)),
    ],
    ids=["heard", "spoken", "given", "clocks that differ by a little", "not given"],
)
def test_the_timeline_splits_what_the_caller_waited_for(
    given: float | None, began: float | None, spoken: float | None, heard: float | None, split: tuple[float | None, ...]
) -> None:
    moments = {"given_at": at(given), "answer_began_at": at(began), "spoken_at": at(spoken), "heard_at": at(heard)}
    found = documents.job(job_row(ANSWERED, **moments)).timeline
    assert (found.rang_ms, found.floor_ms, found.voice_ms, found.heard_ms) == split


def test_a_sessions_timeline_has_its_moments_and_its_calls() -> None:
    row = SimpleNamespace(id=ID, created_at=CREATED, ended_at=None)
    moment = {"at": CREATED, "kind": "barge_in", "epoch": 1, "response_id": "resp_1", "ms": 420.0, "detail": None}
    jobs_of_it = documents.page_of_jobs([job_row(ANSWERED)], 1)
    found = documents.session_timeline(row, [SimpleNamespace(**moment)], jobs_of_it)
    assert [shown.model_dump() for shown in found.moments] == [moment]
    assert [job.id for job in found.jobs.data] == [ID]
    assert (found.session_id, found.is_cut) == (ID, False)


@pytest.mark.parametrize(
    ("rows", "workers", "errors"),
    [
        (ANSWERED, [None, "w1", "w1", None, None], [None] * 5),
        (RETRIED, [None, "w1", "w1", "w2", "w2"], [None, None, "busy", None, None]),
        (RESCUED_IN_VAIN, [None, "w1", "w1", "w2", "w2", None], [None, None, "worker_lost", None, "worker_lost", None]),
        (REFUSED, [None], ["busy"]),
        (NEVER_CLAIMED, [None, None], [None, "timed_out"]),
    ],
)
def test_a_transition_shows_a_worker_and_an_error_only_where_they_are_its_own(
    rows: list[Told], workers: list[str | None], errors: list[str | None]
) -> None:
    found = documents.transitions_of(steps(rows), CREATED)
    assert [step.worker_id for step in found] == workers
    assert [step.error and step.error.code for step in found] == errors
    assert [step.ms for step in found] == [row[0] for row in rows]


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (ANSWERED, None),
        (AT_WORK, None),
        (REFUSED, BUSY),
        (RESCUED_IN_VAIN, {"code": "worker_lost", "message": MESSAGES["worker_lost"]}),
        (RETRIED[:4], None),
    ],
)
def test_a_job_shows_the_error_it_ended_with_as_the_model_was_told(rows: list[Told], error: Any) -> None:
    listed = documents.page_of_jobs([job_row(rows)], 1).data[0]
    assert listed.error == documents.job(job_row(rows)).error
    assert (listed.error and listed.error.model_dump()) == error


def test_a_jobs_token_is_not_told() -> None:
    secret = UUID("5ec2e700-0000-4000-8000-000000000000")
    assert str(secret) not in documents.job(job_row(AT_WORK, token=secret)).model_dump_json()


def test_times_are_told_in_utc() -> None:
    row = job_row(AT_WORK)
    row.created_at = datetime.fromisoformat("2026-01-31T14:00:00+02:00")
    assert '"created_at":"2026-01-31T12:00:00Z"' in documents.job(row).model_dump_json()


def test_a_page_says_where_the_next_begins_and_leaves_out_the_row_over_its_limit() -> None:
    page = documents.page_of_jobs([job_row(ANSWERED), job_row(REFUSED)], 1)
    assert ([job.state for job in page.data], page.has_more) == (["succeeded"], True)
    assert page.next is not None
