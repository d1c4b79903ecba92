"""Ids of sessions and calls: unique, side by side with those of their time, and a call's the same each time."""

from __future__ import annotations

from uuid import UUID, uuid4, uuid5

import pytest
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from ringback import ids
from ringback.ids import MARK_SECONDS, job_id_of, new_session_id
from ringback.telemetry.call_trace import trace_id

SESSION = UUID("a93b1f01-1111-8222-8333-444444444444")
RFC = "specified in RFC 4122"


def mark_of(number: UUID) -> str:
    return number.hex[:3]


def begun_at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> UUID:
    """The id of a session that began at this time."""
    monkeypatch.setattr(ids, "time", lambda: seconds)
    return new_session_id()


def test_ids_of_sessions_are_unique_and_of_version_8() -> None:
    made = {new_session_id() for _ in range(10_000)}
    assert len(made) == 10_000
    assert {(each.version, each.variant) for each in made} == {(8, RFC)}


def test_all_bits_but_those_of_mark_version_and_variant_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [begun_at(monkeypatch, 0.0).int for _ in range(200)]
    ever, always = 0, (1 << 128) - 1
    for each in made:
        ever, always = ever | each, always & each
    assert (ever ^ always).bit_count() == 128 - 12 - 4 - 2


def test_marks_change_after_a_quarter_of_an_hour_and_begin_again_after_fifty_days(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = 7_000 * MARK_SECONDS  # 2,904 beyond 4,096
    assert mark_of(begun_at(monkeypatch, whole)) == f"{7_000 % 4_096:03x}"
    assert mark_of(begun_at(monkeypatch, whole + MARK_SECONDS - 1)) == f"{7_000 % 4_096:03x}"
    assert mark_of(begun_at(monkeypatch, whole + MARK_SECONDS + 1)) == f"{7_001 % 4_096:03x}"
    assert mark_of(begun_at(monkeypatch, whole + 4_096 * MARK_SECONDS)) == f"{7_000 % 4_096:03x}"


def test_a_call_has_one_id_which_bears_the_mark_of_its_session() -> None:
    made = {job_id_of(SESSION, f"call_{n}") for n in range(10_000)}
    assert len(made) == 10_000
    assert {(each.version, each.variant) for each in made} == {(8, RFC)}
    assert {mark_of(each) for each in made} == {mark_of(SESSION)}
    assert job_id_of(SESSION, "call_7") == job_id_of(SESSION, "call_7")


def test_equal_calls_of_two_sessions_have_two_ids() -> None:
    assert job_id_of(SESSION, "call_1") != job_id_of(UUID(int=SESSION.int + 1), "call_1")


def test_a_session_from_before_ids_had_a_mark_keeps_the_ids_of_its_calls() -> None:
    before = uuid4()
    assert job_id_of(before, "call_1") == uuid5(before, "call_1")


def test_a_sampler_by_ratio_takes_its_share_of_one_sessions_calls() -> None:
    sampler, jobs = TraceIdRatioBased(0.1), [job_id_of(SESSION, f"call_{n}") for n in range(2_000)]
    taken = [each for each in jobs if sampler.should_sample(None, trace_id(each), "a call").decision.is_sampled()]  # type: ignore[no-untyped-call]
    assert 120 < len(taken) < 280
