"""Prefork pool of a worker: it replaces a child that holds a hung tool.

`worker_pool` names it. Celery's pool keeps a child for ever. It also ends the whole worker if a child has died before
the consumer's loop began, as a child does that has lost its lease by then.
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
    """Child process of the pool."""

    def on_loop_start(self, pid: int) -> None:
        """Check before each job whether this child should end. Billiard calls this hook before the first job.

        The parent has received the result of the job before by then, so it misses none.
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
    """Pool that makes such children."""

    Worker = Child


class TaskPool(_TaskPool):  # type: ignore[misc]
    """Task pool that `workers.app` names."""

    Pool = Pool

    def did_start_ok(self) -> bool:
        """Accept a child that died early: it is replaced, as it would be a moment later. Celery calls this hook
        once.
        """
        return True
