"""States of a job, and the moves it may make.

A *job* is one function call that a model asked for: `(session, call_id)` names it, Postgres keeps it. Its `state` says
how far the work is. Its `delivery`, separately, says how far the result is on its way back into the conversation. Both
are drawn, edge by edge, in docs/job-states.md.

Pure data: the statements in `ringback.statements` make these moves, each as one conditional UPDATE, and the database
refuses every other (migrations/versions/0003_manners.py and 0011_heard.py).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from enum import StrEnum
from uuid import UUID

DIGEST_BYTES = 15
"""Of an output's item id: 24 characters. The Realtime API refuses ids over 32."""


class JobState(StrEnum):
    """Progress of the work."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    DEAD = "dead"
    """Every attempt is used up, and none reported an outcome."""
    UNKNOWN = "unknown"
    """The effect of an at_most_once tool may have happened; it is never run again."""


class Delivery(StrEnum):
    """Progress of the result on its way back into the conversation that asked."""

    NONE = "none"
    READY = "ready"
    SENT = "sent"
    ACKED = "acked"
    REPLAYED = "replayed"
    """A rebuilt conversation took the result in."""
    SPOKEN = "spoken"
    """A response that had the result began to say it: its first audio or text went to the client."""
    HEARD = "heard"
    """The user has heard that response: its first second, or all of it where it is shorter (`HeardBy`)."""
    HISTORY_ONLY = "history_only"
    """The session ended first; the result is kept and not delivered."""


class HeardBy(StrEnum):
    """How it is known what of a response the user heard."""

    REPORT = "report"
    """The client said how much it had played (`ringback.playback`)."""
    TRUNCATE = "truncate"
    """The client cut the response off, and said where (`conversation.item.truncate`)."""
    CLOCK = "clock"
    """An estimate: so much audio was passed on, and so much time went by in which it was not cut off."""
    UNKNOWN = "unknown"
    """The client left, or did not say: it may have been heard or not."""


class Effect(StrEnum):
    """What running a tool twice would mean."""

    PURE = "pure"
    """The tool changes nothing: run it as often as needed."""
    IDEMPOTENT = "idempotent"
    """A second run with the same idempotency key changes nothing more."""
    AT_MOST_ONCE = "at_most_once"
    """The tool must not run twice, not even after a crash."""


class CancelReason(StrEnum):
    """Who cancelled a call, or why."""

    OPERATOR = "operator"
    CALLER = "caller"
    """The user, by a function that the model called for them."""
    BARGE_IN = "barge_in"
    REPLACED = "replaced"
    """The same call was made again, and the tool says that the newer one counts."""
    DENIED = "denied"
    """The user, or the operator who was asked, denied it."""
    UNHEARD = "unheard"
    """The gateway answered the model without knowing of the row, while Postgres was away."""


class Approval(StrEnum):
    """Approval of a call that needs it before it may start."""

    REQUESTED = "requested"
    GRANTED = "granted"
    DENIED = "denied"


IN_A_CONVERSATION = (Delivery.SENT, Delivery.ACKED, Delivery.REPLAYED, Delivery.SPOKEN, Delivery.HEARD)
"""Deliveries of results that a conversation was given: `delivered_epoch` says which had it last."""

LIVE = frozenset({JobState.PENDING, JobState.RUNNING})
TERMINAL = frozenset(JobState) - LIVE

# job-states.md letters these edges in the same order.
MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.PENDING: frozenset({JobState.RUNNING, JobState.TIMED_OUT, JobState.CANCELLED}),
    JobState.RUNNING: TERMINAL | {JobState.PENDING},
    **{state: frozenset() for state in TERMINAL},
}

JOINED_MOVES = TERMINAL - MOVES[JobState.PENDING]
"""States that a pending job may also reach if it has joined another: it ends as that one does, and never runs."""

DELIVERY_MOVES: dict[Delivery, frozenset[Delivery]] = {
    Delivery.NONE: frozenset({Delivery.READY, Delivery.HISTORY_ONLY}),
    Delivery.READY: frozenset({Delivery.SENT, Delivery.ACKED, Delivery.REPLAYED, Delivery.HISTORY_ONLY}),
    Delivery.SENT: frozenset(set(Delivery) - {Delivery.NONE, Delivery.READY, Delivery.SENT}),
    Delivery.ACKED: frozenset({Delivery.REPLAYED, Delivery.SPOKEN, Delivery.HEARD}),
    Delivery.REPLAYED: frozenset({Delivery.REPLAYED, Delivery.SPOKEN, Delivery.HEARD}),
    Delivery.SPOKEN: frozenset({Delivery.REPLAYED, Delivery.SPOKEN, Delivery.HEARD}),
    Delivery.HEARD: frozenset({Delivery.REPLAYED, Delivery.HEARD}),
    Delivery.HISTORY_ONLY: frozenset(),
}


def may_move(old: JobState, new: JobState, *, joined: bool = False) -> bool:
    """Return true if a job may go from `old` to `new` in one step; `joined`: it waits for the end of another."""
    if joined and old is JobState.PENDING:
        return new in TERMINAL
    return new in MOVES[old]


def may_be_delivered(old: Delivery, new: Delivery) -> bool:
    """Return true if a result may go from `old` to `new` in one step."""
    return new in DELIVERY_MOVES[old]


def output_item_id(job_id: UUID, secret: str = "") -> str:
    """Return the id of the conversation item that carries this job's result: always the same for one job.

    Args:
        job_id: of the job; whoever knows the session and the call can compute it.
        secret: of a call that goes past the gateway (`sessions.item_secret`): its page cannot compute the id with it.

    So a second `conversation.item.create` for one job would bear an id the conversation already has. 28 characters,
    because the Realtime API refuses item ids over 32.
    """
    digest = hmac.digest(secret.encode(), job_id.bytes, "sha256") if secret else hashlib.sha256(job_id.bytes).digest()
    return "fco_" + b32encode(digest[:DIGEST_BYTES]).decode().lower()
