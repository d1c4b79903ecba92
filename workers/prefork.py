"""The prefork pool, as a worker of ours has it: a child that holds a hung tool is replaced.

`worker_pool` names it. Celery's own pool keeps a child for ever. It also ends the whole worker where a child has died
before the consumer's loop began, as a child does that has lost its lease by then.
"""

from __future__ import annotations

import sys
from typing import Any

from billiard.pool import EX_RECYCLE
from celery.concurrency import asynpool, prefork

_Worker: Any = asynpool.Worker  # Celery is not typed
_Pool: Any = asynpool.AsynPool
_TaskPool: Any = prefork.TaskPool


class Child(_Worker):  # type: ignore[misc]
    """What runs in a child."""

    def on_loop_start(self, pid: int) -> None:
        """billiard's own hook, before the first job: from here on the child looks before each whether it should end.

        The result of the job before has been heard by then, so the parent misses nothing.
        """
        super().on_loop_start(pid)
        wait: Any = self.wait_for_job  # type: ignore[has-type]

        def wait_unless_spent() -> Any:
            from workers.app import process

            if process.is_spent:
                sys.exit(EX_RECYCLE)  # which billiard has made its own
            return wait()

        self.wait_for_job = wait_unless_spent


class Pool(_Pool):  # type: ignore[misc]
    """Makes such children."""

    Worker = Child


class TaskPool(_TaskPool):  # type: ignore[misc]
    """Named in `workers.app`."""

    Pool = Pool

    def did_start_ok(self) -> bool:
        """Celery's own hook, asked once: a child that has died by then is replaced, as it would be a moment later."""
        return True
