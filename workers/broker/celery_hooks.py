"""Hooks of Celery and kombu that Ringback overrides or uses beyond their documented interfaces, as tested.

A new version may change any of them without notice. The requirements allow the minor version that was tested. A worker
on another version, or on one in which a hook differs, says so in its log at start (`changed`).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any

KOMBU = "kombu.transport.redis"


@dataclass(frozen=True, slots=True)
class Hook:
    """Place in the code of Celery, kombu or billiard.

    Args:
        place: `module:name.name`.
        why: what depends on it here.
        signature: of a function, as it was tested; None: anything but a function.
        ours: what replaces it here, as `module:name.name`; "": it is used, not replaced.
    """

    place: str
    why: str
    signature: str | None = None
    ours: str = ""


OVERRIDDEN = (
    Hook(
        f"{KOMBU}:QoS.append",
        "keeps no copy of a message that is taken",
        "(self, message, delivery_tag)",
        "workers.broker.transport:Quality.append",
    ),
    Hook(
        f"{KOMBU}:QoS.ack",
        "deletes no copy, as there is none",
        "(self, delivery_tag)",
        "workers.broker.transport:Quality.ack",
    ),
    Hook(
        f"{KOMBU}:QoS.restore_visible",
        "looks for no copies, which would need a script",
        "(self, start=0, num=10, interval=10)",
        "workers.broker.transport:Quality.restore_visible",
    ),
    Hook(
        f"{KOMBU}:Channel._brpop_read",
        "drops a message that is no JSON",
        "(self, **options)",
        "workers.broker.transport:Channel._brpop_read",
    ),
    Hook(
        f"{KOMBU}:Transport._deliver",
        "gives jobs to our pool of threads, and drops what is none of ours",
        "(self, message, queue)",
        "workers.broker.transport:Transport._deliver",
    ),
    Hook(
        "celery.worker.consumer:Consumer.ensure_connected",
        "reconnects within half a second",
        "(self, conn)",
        "workers.broker.consumer:Consumer.ensure_connected",
    ),
    Hook(
        "celery.worker.consumer:Consumer.on_connection_error_after_connected",
        "has the jobs published again whose messages may be lost",
        "(self, exc)",
        "workers.broker.consumer:Consumer.on_connection_error_after_connected",
    ),
    Hook(
        "celery.bootsteps:StartStopStep.start",
        "begins the worker's own duties after the pool and before the first message",
        "(self, parent)",
        "workers.app:Duties.start",
    ),
    Hook(
        "celery.bootsteps:StartStopStep.close",
        "learns that Celery shuts down",
        "(self, parent)",
        "workers.app:Duties.close",
    ),
    Hook(
        "celery.concurrency.asynpool:Worker.on_loop_start",
        "has a child of a prefork pool end before its next job, once a tool hangs in it",
        "(self, pid)",
        "workers.prefork:Child.on_loop_start",
    ),
    Hook(
        "celery.concurrency.prefork:TaskPool.did_start_ok",
        "keeps the worker where a child has died before the consumer's loop began",
        "(self)",
        "workers.prefork:TaskPool.did_start_ok",
    ),
    Hook(
        "celery.concurrency.thread:TaskPool.on_stop",
        "waits for the calls that hold no thread",
        "(self) -> 'None'",
        "workers.thread_pool:TaskPool.on_stop",
    ),
)
"""Celery or kombu calls each in the life of a worker."""

USED = (
    Hook(f"{KOMBU}:Channel.QoS", "the class that a channel makes"),
    Hook(f"{KOMBU}:Transport.Channel", "the class that a transport makes"),
    Hook(
        "kombu.connection:Connection._ensure_connection",
        "retries with our pauses",
        "(self, errback=None, max_retries=None, interval_start=2, interval_step=2, interval_max=30, callback=None, "
        "reraise_as_library_errors=True, timeout=None)",
    ),
    Hook("billiard.pool:Worker._make_protected_receive", "what a child waits for its next job with", "(self, conn)"),
    Hook("billiard.pool:EX_RECYCLE", "how a child ends that is to be replaced"),
    Hook("celery.concurrency.prefork:TaskPool.Pool", "the class that makes the children"),
    Hook("celery.concurrency.asynpool:AsynPool.Worker", "and the class of a child"),
    Hook("celery.worker.state:maybe_shutdown", "ends the wait for Redis when the worker is told to stop", "()"),
    Hook("celery.worker.state:should_stop", "begins Celery's warm shutdown, whatever REMAP_SIGTERM makes of SIGTERM"),
    Hook("celery.worker.state:reserved_requests", "what the pool has to do"),
    Hook("celery.concurrency.base:BasePool.num_processes", "how many slots the pool has"),
    Hook("celery.concurrency:ALIASES.threads", "names our pool of threads"),
    Hook("celery.worker.components:Pool", "the step after which our duties start"),
    Hook("celery.app.amqp:Queues.select_add", "adds the canary's queue", "(self, queue, **kwargs)"),
    Hook("celery.app.amqp:Queues.consume_from", "the queues of the command line"),
    Hook("celery.app.defaults:NAMESPACES.worker.disable_prefetch", "fetches a message when a thread is free for it"),
    Hook("celery.app.defaults:NAMESPACES.worker.consumer", "names our consumer"),
)


def changed() -> list[str]:
    """Return a sentence for each hook that differs from the tested one, with what depends on it."""
    found = []
    for hook in (*OVERRIDDEN, *USED):
        try:
            there = find(hook.place)
        except (ImportError, AttributeError, KeyError):
            found.append(f"{hook.place} is gone, which {hook.why}")
            continue
        seen = str(inspect.signature(there)) if hook.signature is not None else None
        if seen != hook.signature:
            found.append(f"{hook.place} takes {seen} and not {hook.signature}, and {hook.why}")
    return found


def find(place: str) -> Any:
    """Return the object at `module:name.name`; a name may be a key."""
    module, _, names = place.partition(":")
    found: Any = import_module(module)
    for name in names.split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    return found
