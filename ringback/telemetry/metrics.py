"""Every metric of gateway and workers. Call sites count through these names, and never through a library.

No label names a user, a session, a job or an agent: `tests/unit/ringback/telemetry/test_metrics.py` lists the labels
that there are. A tool is a label only if a worker serves it; what a model makes up counts as `UNKNOWN_TOOL`. What is
told of the whole database (queues, breakers, waiting results) is the same from each gateway: take `max`, not `sum`.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from ringback.jobs.states import LIVE, JobState
from ringback.telemetry.instruments import Counter, Exposition, Gauge, Histogram, Instrument

UNKNOWN_TOOL = "(unknown)"
"""Label `tool` of a call whose tool no worker serves."""
NO_QUEUE = "(none)"
"""Label `queue` of such a call."""

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets of what takes milliseconds."""
SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Buckets of what a caller waits for."""

BUILD = Gauge("ringback_build_info", "1, with the version.", "version", "python", across="livemax")

# — sessions —

SESSIONS = Gauge("ringback_sessions", "Sessions that this process holds now.", across="livesum")
SESSIONS_LIMIT = Gauge("ringback_sessions_limit", "Sessions that it holds at most.", across="livesum")
SESSIONS_BEGUN = Counter("ringback_sessions_begun_total", "Sessions that began here, by how: new or resumed.", "how")
SESSIONS_ENDED = Counter("ringback_sessions_ended_total", "Sessions that ended here, or left, by reason.", "reason")
REFUSALS = Counter("ringback_admission_refusals_total", "Clients refused before the upgrade, by error code.", "code")
RECONNECTS = Counter(
    "ringback_reconnects_total", "Epochs that followed another in the same session, by why that one ended.", "reason"
)
UPSTREAM_CONNECT = Histogram(
    "ringback_upstream_connect_seconds", "Until the Realtime API took a connection.", buckets=QUICK
)
UPSTREAM_FAILURES = Counter(
    "ringback_upstream_failures_total", "Attempts to open an upstream conversation that failed, by kind.", "kind"
)
RELAYED_FRAMES = Counter("ringback_relayed_frames_total", "Frames written, by receiver: client or model.", "to")
RELAYED_BYTES = Counter("ringback_relayed_bytes_total", "Bytes of those frames; a character counts as one byte.", "to")
RECORDING_LOST = Counter("ringback_recording_lost_seconds_total", "Seconds of voices that could not be recorded.")
GUARDED = Counter(
    "ringback_guard_findings_total",
    "What pages did on calls that they may not, by what and what was done.",
    "what",
    "did",
)
BARGE_INS = Counter("ringback_barge_ins_total", "Times that a user began to speak while the model spoke.")

# — calls —

CALLS_RECORDED = Counter("ringback_calls_recorded_total", "Calls whose row was committed.", "tool", "queue")
CALLS_ENDED = Counter("ringback_calls_ended_total", "Calls that ended, by state.", "tool", "queue", "state")
CALLS_RETRIED = Counter("ringback_calls_retried_total", "Attempts after which another follows.", "tool", "queue")
CALLS_POSTPONED = Counter("ringback_calls_postponed_total", "Claims put off by the limits of a tool.", "tool", "queue")
CALLS_UNRECORDED = Counter("ringback_calls_unrecorded_total", "Calls answered without a row, as Postgres was away.")
QUEUE_WAIT = Histogram("ringback_queue_wait_seconds", "From a call's row to its first claim.", "queue", buckets=SLOW)
RUN_SECONDS = Histogram("ringback_run_seconds", "What an attempt took in the tool.", "tool", "queue", buckets=SLOW)
DELIVERY_SECONDS = Histogram(
    "ringback_result_delivery_seconds", "From an outcome in its row until the Realtime API is sent it.", buckets=QUICK
)
RESULT_WAIT = Histogram(
    "ringback_result_wait_seconds",
    "From an outcome in its row until its user has heard it.",
    "tool",
    "queue",
    buckets=SLOW,
)
STALE_OUTCOMES = Counter("ringback_stale_outcomes_total", "Outcomes dropped, as the worker no longer held the call.")

# — queues, told from the rows by each gateway —

QUEUE_CALLS = Gauge(
    "ringback_queue_calls", "Calls of a queue that are pending or running.", "queue", "state", across="livemostrecent"
)
QUEUE_SLOTS = Gauge(
    "ringback_queue_slots", "Calls that the workers of a queue run at once.", "queue", across="livemostrecent"
)
QUEUE_OLDEST = Gauge(
    "ringback_queue_oldest_seconds", "Age of the oldest pending call.", "queue", across="livemostrecent"
)
RESULTS_WAITING = Gauge(
    "ringback_results_waiting", "Results that no conversation was given yet.", across="livemostrecent"
)
BREAKER_OPEN = Gauge("ringback_tool_breaker_open", "1 if the breaker is open.", "tool", across="livemostrecent")

# — what keeps it running —

LEASE_FAILURES = Counter("ringback_lease_renewal_failures_total", "Renewals of this process's lease that failed.")
RESCUES = Counter(
    "ringback_rescues_total",
    "Rows that a sweep of this process set right, by what it found.",
    "what",
    at_zero=("lost_sessions", "lost_workers", "lost_jobs"),
)
REPUBLISHED = Counter("ringback_jobs_republished_total", "Jobs whose message a sweep published again.")
PUBLISH_FAILURES = Counter("ringback_publish_failures_total", "Messages that Redis did not take.")
REDIS_FAILURES = Counter("ringback_redis_failures_total", "Commands that Redis did not answer, or refused.")
POOL_SIZE = Gauge("ringback_postgres_pool_size", "Connections of a pool at most.", "pool", across="livesum")
POOL_USED = Gauge("ringback_postgres_pool_used", "Connections of a pool in use.", "pool", across="livesum")
POOL_EXHAUSTED = Counter(
    "ringback_postgres_pool_exhausted_total",
    "Statements that got no connection.",
    "pool",
    at_zero=("gateway", "worker"),
)
WEBHOOKS = Counter(
    "ringback_webhooks_total",
    "Posts to webhooks: sent, failed (tried again) or given_up.",
    "result",
    at_zero=("sent", "failed", "given_up"),
)
LOOP_LAG = Histogram("ringback_event_loop_lag_seconds", "How late the gateway's event loop ran a timer.", buckets=QUICK)
WORKER_LAG = Histogram(
    "ringback_worker_lag_seconds", "How late a thread of the worker got the interpreter.", buckets=QUICK
)
WORKER_SLOTS = Gauge("ringback_worker_slots", "Calls that this worker runs at once.", across="livesum")
WORKER_CALLS = Gauge("ringback_worker_calls", "Calls that it runs now.", across="livesum")
STUCK_THREADS = Gauge("ringback_stuck_threads", "Threads whose call is over, and that run on.", across="livesum")

ALL: dict[str, Instrument[Any]] = {each.name: each for each in list(globals().values()) if isinstance(each, Instrument)}
"""Each metric, by name."""

exposition = Exposition(list(ALL.values()))
"""Metrics of this process."""


class Tally:
    """Frames and bytes of one direction, in plain numbers: what passes must not pay for a metric.

    A hot path adds to `frames` and `bytes` itself. `write` brings the metrics up to date.
    """

    __slots__ = ("_to", "_told", "bytes", "frames")

    def __init__(self, to: str) -> None:
        self._to = to
        self.frames = self.bytes = 0
        self._told = (0, 0)

    def write(self) -> None:
        """Add to the metrics what was counted since the last time."""
        frames, counted = self.frames, self.bytes
        RELAYED_FRAMES.inc(self._to, by=frames - self._told[0])
        RELAYED_BYTES.inc(self._to, by=counted - self._told[1])
        self._told = frames, counted


TO_CLIENT, TO_MODEL = Tally("client"), Tally("model")


def count_rescues(what: str, rows: Iterable[Any]) -> None:
    """Count rows that a sweep has set right, and the calls among them that are over now."""
    for row in rows:
        RESCUES.inc(what)
        if hasattr(row, "tool"):
            count_if_over(row)


def count_if_over(row: Any) -> None:
    """Count the end of a call, if its row (`tool`, `queue`, `state`) says that it is over."""
    if JobState(row.state) not in LIVE:
        CALLS_ENDED.inc(row.tool, row.queue, row.state)


def begin(*, shared: bool = False) -> None:
    """Measure from now on, and say which build it is. `shared`: this process forks others that are scraped with it."""
    exposition.begin(shared=shared)
    BUILD.set(1, version("ringback"), platform.python_version())
