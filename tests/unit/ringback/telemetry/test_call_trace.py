"""The ids of a call's trace follow from its job's id, and only such ids are read from a message."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from ringback.telemetry import names
from ringback.telemetry.call_trace import (
    TRACEPARENT,
    TRACESTATE,
    attempt_id,
    headers_in,
    is_sampled_by,
    provider_in,
    root_id,
    trace_id,
    traceparent,
)

JOB = UUID("825585da-1f0e-500f-b74f-32ab63ffa35a")
OTHER = UUID("631c0a84-7c03-589f-bd54-abaf4628a1a6")
SESSION = UUID("5d43bad5-3f82-4b9a-896b-638911766b00")
SAMPLED = "00-825585da1f0e500f4f32ab63ffa35ab7-b74f32ab63ffa35a-01"


def test_the_trace_is_the_job_with_its_ninth_byte_at_the_end() -> None:
    assert traceparent(JOB, is_sampled=True) == SAMPLED
    assert traceparent(JOB, is_sampled=False) == SAMPLED[:-1] + "0"
    assert f"{trace_id(JOB):032x}" == SAMPLED.split("-")[1]
    assert f"{root_id(JOB):016x}" == SAMPLED.split("-")[2]


def test_each_attempt_of_each_job_has_an_id_of_its_own() -> None:
    ids = {attempt_id(job, attempt) for job in (JOB, OTHER) for attempt in (1, 2, 3)}
    assert len(ids) == 6
    assert ids.isdisjoint({root_id(JOB), root_id(OTHER), 0})


def test_a_sampler_by_ratio_takes_its_share_of_jobs() -> None:
    """Halves of a job's id would be sampled always or never: one tells the time, the other begins with fixed bits."""
    sampler, jobs = TraceIdRatioBased(0.1), [uuid5(SESSION, f"call_{n}") for n in range(2_000)]
    taken = [job for job in jobs if sampler.should_sample(None, trace_id(job), "a call").decision.is_sampled()]  # type: ignore[no-untyped-call]
    assert 120 < len(taken) < 280


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (SAMPLED, True),
        (SAMPLED[:-1] + "0", False),
        (traceparent(OTHER, is_sampled=True), None),
        (SAMPLED[:-2] + "ff", None),
        (SAMPLED.upper(), None),
        (SAMPLED + "\n", None),
        ("", None),
        (None, None),
        (7, None),
        ([SAMPLED], None),
    ],
)
def test_only_the_jobs_own_header_says_whether_it_is_sampled(header: object, said: bool | None) -> None:
    assert is_sampled_by(header, JOB) is said


@pytest.mark.parametrize(
    ("header", "provider"),
    [
        ("ringback=openai", "openai"),
        ("ringback=azure.ai.openai", "azure.ai.openai"),
        ("other=1,ringback=openai", None),
        ("ringback=", None),
        ("ringback=" + "a" * 41, None),
        ("ringback=<script>", None),
        ("ringback=openai\n", None),
        (None, None),
        ({}, None),
    ],
)
def test_a_provider_is_a_short_word(header: object, provider: str | None) -> None:
    assert provider_in(header) == provider


@pytest.mark.parametrize(
    ("headers", "passed"),
    [
        ({TRACEPARENT: SAMPLED, "task": "x"}, {TRACEPARENT: SAMPLED}),
        (
            {TRACEPARENT: SAMPLED, TRACESTATE: "ringback=xai"},
            {TRACEPARENT: SAMPLED, TRACESTATE: "ringback=xai"},
        ),
        ({TRACEPARENT: SAMPLED, TRACESTATE: {"a": "b"}}, {TRACEPARENT: SAMPLED}),
        ({TRACESTATE: "ringback=xai"}, {}),
        ({TRACEPARENT: {}}, {}),
        ({}, {}),
    ],
)
def test_of_a_message_only_its_own_trace_is_passed_on(headers: dict[str, object], passed: dict[str, str]) -> None:
    assert headers_in(headers, JOB) == passed


def test_what_may_be_personal_is_named_so() -> None:
    private = {names.ARGUMENTS, names.RESULT, names.USER}
    assert all("pii" in name.split(".") for name in private)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("openai", "openai"), ("azure", "azure.ai.openai"), ("xai", "x_ai"), ("custom", "custom")]
)
def test_a_provider_is_named_as_the_conventions_do(ours: str, theirs: str) -> None:
    assert names.provider_name(ours) == theirs
