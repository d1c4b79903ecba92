"""The trace of a call: ids that each process derives from the job's id, the headers of its message, and its spans.

A call has one trace, whatever happens to its message. The trace's id is the job's id with its ninth byte moved to the
end: a sampler by ratio reads the last half of a trace's id, and that of a job's id begins with two bits that never
change; its first half tells the time. So a sweeper's message, a retry, or a worker that takes over continues the trace
without being told. The `traceparent` in a message tells what only its sender knows: whether the trace is sampled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias
from uuid import UUID

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
"""Headers of a message, as the W3C's Trace Context names them."""
VENDOR = "ringback"
"""Ringback's key in a `tracestate`; its value is the provider, which no row tells."""
FLAGS: Mapping[str, bool] = {"00": False, "01": True}
"""Ends of a `traceparent`: whether the trace is sampled."""
HALF = 8
"""Bytes of half a UUID, and of a span's id."""

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

_STATE = re.compile(rf"{VENDOR}=([a-z0-9_.]{{1,40}})")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a call's life that is over. Times are Unix seconds.

    Args:
        is_message: it sends a message that another process takes.
        error: the `error.type` of a span that failed; None: it did not.
        span_id: its id, if another process may tell the same part; None: any.
        joined_to: the job whose trace it points to.
    """

    name: str
    began: float
    ended: float
    attributes: Attributes = field(default_factory=dict)
    is_message: bool = False
    error: str | None = None
    span_id: int | None = None
    joined_to: UUID | None = None


def trace_id(job_id: UUID) -> int:
    """Return the id of the call's trace."""
    return int.from_bytes(job_id.bytes[:HALF] + job_id.bytes[HALF + 1 :] + job_id.bytes[HALF : HALF + 1])


def root_id(job_id: UUID) -> int:
    """Return the id of the span that all others of the trace stand under."""
    return int.from_bytes(job_id.bytes[HALF:])


def attempt_id(job_id: UUID, attempt: int) -> int:
    """Return the id of an attempt's span: its worker tells it, or the gateway if that worker was killed."""
    return int.from_bytes(sha256(job_id.bytes + attempt.to_bytes(HALF)).digest()[:HALF])


def traceparent(job_id: UUID, *, is_sampled: bool) -> str:
    """Return the header of a call's message."""
    return f"00-{trace_id(job_id):032x}-{root_id(job_id):016x}-{is_sampled:02x}"


def is_sampled_by(header: object, job_id: UUID) -> bool | None:
    """Return whether a `traceparent` says that the trace is sampled; None if it is not this job's own header.

    Any client of Redis can write a message, and its header must not name another trace.
    """
    if not isinstance(header, str) or header[:-2] != traceparent(job_id, is_sampled=False)[:-2]:
        return None
    return FLAGS.get(header[-2:])


def provider_in(header: object) -> str | None:
    """Return the provider that a `tracestate` names; None if the header is not one of Ringback's."""
    found = _STATE.fullmatch(header) if isinstance(header, str) else None
    return found[1] if found else None


def headers_in(headers: Mapping[str, object], job_id: UUID) -> dict[str, str]:
    """Return those of a message's headers that may be passed on: this job's own, as Ringback writes them."""
    parent, state = headers.get(TRACEPARENT), headers.get(TRACESTATE)
    if not isinstance(parent, str) or is_sampled_by(parent, job_id) is None:
        return {}
    return {TRACEPARENT: parent, **({TRACESTATE: str(state)} if provider_in(state) else {})}
