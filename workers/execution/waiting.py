"""What a call waits for. A call is carried out in steps, and between two of them it may hold no thread.

`run_job` and what it calls are generators: each `yield` says what to wait for, and gets True once it has come, False if
the time was over first. In a pool of threads the call gives its thread back meanwhile (`workers.thread_pool`). In a
process that runs one call at a time, its thread waits (`run_to_end`).
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Waiting(Future[bool]):
    """Wait for something that any thread may tell of, once: True if it came, False if the time was over first.

    Args:
        seconds: how long, from the `yield` on.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def over(self, came: bool = True) -> None:
        """End the wait. Only the first end counts."""
        if self.done():  # told before: an error that is raised and dropped costs more than all else here
            return
        with suppress(InvalidStateError):  # by another thread just now
            self.set_result(came)


Steps = Generator[Waiting, bool, T]
"""Steps of a call, which return a T at their end."""


def run_to_end(steps: Steps[T]) -> T:
    """Carry out all steps in this thread, which waits between them."""
    try:
        waiting = next(steps)
        while True:
            try:
                came = waiting.result(max(0.0, waiting.seconds))
            except TimeoutError:
                came = False
            waiting = steps.send(came)
    except StopIteration as end:
        result: T = end.value
        return result
