"""Which calls run here, also where a job runs a second time before its first run has left."""

from __future__ import annotations

from uuid import uuid4

from workers.leases.in_flight import InFlightCalls

JOB, OTHER = uuid4(), uuid4()


def test_a_call_is_here_until_it_has_left() -> None:
    calls = InFlightCalls()
    with calls.started(JOB) as cancellation:
        calls.cancel([OTHER])
        assert (len(calls), cancellation.requested.is_set(), calls.cancelled(JOB)) == (1, False, False)
        calls.cancel([JOB, OTHER])
        assert (cancellation.requested.is_set(), calls.cancelled(JOB), calls.cancelled(OTHER)) == (True, True, False)
    assert len(calls) == 0


def test_a_job_that_was_given_back_and_begins_again_before_its_first_run_has_left_is_here_twice() -> None:
    calls = InFlightCalls()
    first = calls.started(JOB)
    first.__enter__()
    with calls.started(JOB) as second:
        first.__exit__(None, None, None)
        assert len(calls) == 1, "a worker that stops waits for it, or hands it back"
        calls.cancel([JOB])
        assert second.requested.is_set()
    assert len(calls) == 0
