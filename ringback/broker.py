"""Celery, as Ringback uses it: a carrier of job ids, and of nothing else.

Every setting that differs from Celery's own default has its reason beside it; the measurements are in
docs/decisions/0006. The task's body lives in `workers.execute`; a gateway publishes by name and never imports it.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from ringback.keyspace import KEY_PREFIX

TASK = "ringback.run_job"

PUBLISH_TIMEOUT = 0.5
"""Seconds. A publish that takes longer is given up: the sweeper publishes from the row."""
WORKER_SOCKET_TIMEOUT = 5.0
"""Seconds. Longer than the one-second BRPOP a worker waits in, shorter than anybody's patience with a dead Redis."""
WORKER_THREADS = 500
"""Calls that one worker process runs at once: most of them wait for something else. A thread that waits costs 57 KiB
(docs/decisions/0014), and is made when a call needs it.
"""

SETTINGS: dict[str, Any] = {
    # JSON only: a message is an id, and unpickling one would run whatever Redis holds.
    "task_serializer": "json",
    "accept_content": ["json"],
    # The row holds the outcome, so nothing is kept in Redis, and nothing is sent about tasks.
    "task_ignore_result": True,
    "result_backend": None,
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    # The message is a hint: acknowledged before the run, because the lease brings a job back, in seconds.
    "task_acks_late": False,
    # One message at a time, or a busy worker sits on jobs that an idle one could run.
    "worker_prefetch_multiplier": 1,
    # The sweeper publishes again: a publisher that retries would hold up a live conversation.
    "task_publish_retry": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # A job outlives a lost connection: the row decides about duplicates.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # Nobody who reaches Redis may tell our workers what to do.
    "worker_enable_remote_control": False,
    # Threads: most tools wait for something, and 500 waiting ones cost 28 MiB in threads.
    "worker_pool": "threads",
    "worker_concurrency": WORKER_THREADS,
    "task_default_queue": "default",
    "worker_hijack_root_logger": False,
    "timezone": "UTC",
    "enable_utc": True,
}


def make_app(redis_url: str, *, socket_timeout: float = PUBLISH_TIMEOUT) -> Celery:
    """A Celery app on this Redis; opens nothing until it is used.

    Args:
        redis_url: `redis://…` or `rediss://…`.
        socket_timeout: seconds that one Redis round trip may take; without it a black hole hangs for ever.
    """
    app = Celery("ringback", broker=redis_url, set_as_current=False)
    app.conf.update(SETTINGS)
    app.conf.broker_transport_options = {
        "global_keyprefix": KEY_PREFIX,
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": min(socket_timeout, 2.0),
        "socket_keepalive": True,
        "health_check_interval": 10,
        # A channel that cannot be had at once is not waited for: kombu would try again after 2 s.
        "max_retries": 0,
    }
    return app
