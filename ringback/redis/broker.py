"""Celery app, which carries job ids and no other data.

Every setting that differs from Celery's default has its reason beside it; the measurements are in docs/decisions/0006.
The task's body lives in `workers.execution.runner`; a gateway publishes by name and never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery
from celery.loaders.base import BaseLoader

from ringback.redis.keyspace import KEY_PREFIX

TASK = "ringback.run_job"

PUBLISH_TIMEOUT = 0.5
"""Seconds. A publish that takes longer is abandoned: the sweeper publishes from the row."""
WORKER_SOCKET_TIMEOUT = 5.0
"""Seconds. Longer than the one-second BRPOP a worker waits in, and short enough to notice a dead Redis."""
WORKER_THREADS = 500
"""Calls that one worker process runs at once; most of them wait, and hold no thread (docs/decisions/0095)."""

SETTINGS: dict[str, Any] = {
    # JSON only: a message is an id, and unpickling one would run what an attacker put into Redis.
    "task_serializer": "json",
    "accept_content": ["json"],
    # The row holds the outcome, so no result is kept in Redis, and no event about tasks is sent.
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
    # A client that reaches Redis must not control the workers.
    "worker_enable_remote_control": False,
    # Threads: most tools wait, and an async one holds no thread meanwhile.
    "worker_pool": "threads",
    "worker_concurrency": WORKER_THREADS,
    "task_default_queue": "default",
    "worker_hijack_root_logger": False,
    "timezone": "UTC",
    "enable_utc": True,
}


IGNORED_VARIABLES = (
    *("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND"),
    *("CELERY_CONFIG_MODULE", "CELERY_LOADER"),
)
"""Variables by which Celery overrides an app's settings. Here they belong to another service."""


def ignored(environment: Mapping[str, str]) -> str:
    """Return a sentence on variables that are set for Celery and ignored here; empty if there are none."""
    names = [name for name in IGNORED_VARIABLES if environment.get(name)]
    if not names:
        return ""
    are = "is" if len(names) == 1 else "are"
    return f"{', '.join(names)} {are} set and ignored: Ringback's messages go through the Redis at REDIS_URL"


class Loader(BaseLoader):  # type: ignore[misc]
    """Celery loader that reads no configuration: all of it is here."""

    def read_configuration(self, *_: object) -> dict[str, Any]:
        """Override Celery's hook, which would import what CELERY_CONFIG_MODULE names."""
        return {}


class App(Celery):  # type: ignore[misc]
    """Celery app that connects to the broker it was given, and ignores the environment."""

    backend_cls = "disabled://"

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """Connect as Celery does, but without CELERY_BROKER_READ_URL and CELERY_BROKER_URL."""
        return self._connection(url or self.conf["broker_url"], **options)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        """Connect as Celery does, but without CELERY_BROKER_WRITE_URL and CELERY_BROKER_URL."""
        return self._connection(url or self.conf["broker_url"], **options)


def make_app(redis_url: str, *, socket_timeout: float = PUBLISH_TIMEOUT) -> Celery:
    """Return a Celery app on this Redis. It opens no connection until it is used.

    Args:
        redis_url: `redis://…` or `rediss://…`.
        socket_timeout: seconds that one Redis round trip may take; without it a black hole hangs for ever.
    """
    # No fixups: for DJANGO_SETTINGS_MODULE, Celery's would import that module, which is another service's.
    app = App("ringback", broker=redis_url, loader=Loader, set_as_current=False, fixups=set())
    app.conf.update(SETTINGS)
    app.conf.broker_transport_options = {
        "global_keyprefix": KEY_PREFIX,
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": min(socket_timeout, 2.0),
        "socket_keepalive": True,
        "health_check_interval": 10,
        # If a channel is not free at once, do not wait: kombu would try again after 2 s.
        "max_retries": 0,
    }
    return app
