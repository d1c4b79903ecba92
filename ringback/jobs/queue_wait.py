"""Estimate of how long a call waits for a worker, from the load of its queue. Pure."""

from __future__ import annotations


def expected_wait(
    pending: int, running: int, slots: int, mean_seconds: float | None, end_every: float | None
) -> float | None:
    """Return the seconds until one more call of the queue begins; None if that cannot be estimated.

    Args:
        pending: calls that wait for a worker already, and go first.
        running: calls that the queue's workers run now, of this queue or another.
        slots: how many calls those workers run at once.
        mean_seconds: how long a call of this queue holds its slot; None: not measured yet.
        end_every: seconds between two ends of the calls that run now; None: none runs.

    Without a slot there is no worker, and the wait is unknown. With a free slot there is no wait. Otherwise `pending` +
    1 calls must end first: those that run now, which may be quick although calls of this queue are slow, and then those
    that took their slots. If no call has been measured, no number is made up.
    """
    if slots <= 0:
        return None
    first = pending + 1 - (slots - running)
    if first <= 0:
        return 0.0
    of_these = min(first, running) if end_every is not None else 0
    later_every = end_every if mean_seconds is None else mean_seconds / slots
    if later_every is None:
        return None
    return of_these * (end_every or 0.0) + (first - of_these) * later_every
