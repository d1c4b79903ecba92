"""How long a call will wait for a worker, from what is measured of its queue. Pure."""

from __future__ import annotations


def expected_wait(pending: int, running: int, slots: int, mean_seconds: float | None) -> float | None:
    """Seconds until one more call of the queue is begun; None where nothing can be said.

    Args:
        pending: calls that wait for a worker already, and go first.
        running: calls that the queue's workers run now, of this queue or another.
        slots: how many calls those workers run at once.
        mean_seconds: how long a call holds its slot; None: none has been seen so far.

    With no slot at all there is no worker, and nobody knows when one comes. A free slot means no wait. Otherwise so
    many calls must end first, and with all slots busy one ends every `mean_seconds / slots`. Where no call has been
    measured there is no number to tell, and none is made up.
    """
    if slots <= 0:
        return None
    first = pending + 1 - (slots - running)
    if first <= 0:
        return 0.0
    return None if mean_seconds is None else first * mean_seconds / slots
