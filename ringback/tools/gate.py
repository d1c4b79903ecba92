"""Limits of a tool, over all workers together: whether one more call of it may begin. Decides only; does no I/O.

A *gate* is the state that all workers share of such a tool: one row of `tool_gates`. A worker that wants to begin a
call locks that row, asks here, and begins within the same transaction.

    the breaker is open              Refuse: the call is answered at once
    … and its time is over           Go, as the one probe; others are refused until it has ended, or timed out
    `concurrency` calls run          Wait, and ask again; a call that ends wakes the first in line before that
    there is no token                Wait, until it is this call's turn; TooLong, if its deadline comes first
    others are in line before it     as if they were running, and had taken their tokens

Moments are seconds on the database's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from ringback.tools.behavior import Limits

LOOK_AGAIN_SECONDS = 1.0
"""Pause until a call that waits for a place asks again: needed only if a worker could not wake it."""
LOOK_AGAIN_MAX_SECONDS = 8.0
"""Pause for calls far back in line: each attempt takes the tool's lock in vain."""
PROBE_GRACE_SECONDS = 2.0
"""Time beyond a probe's time-out to record its end. Then its worker is assumed lost, and another probe may begin."""
CATCH_UP_SECONDS = 0.25
"""How late the messages of a line may be without loss of rate: they make up for what they missed."""
ROUNDING = 1e-6
"""Share of a token that arithmetic may lack of a whole one."""


@dataclass(frozen=True, slots=True)
class Gate:
    """State of a tool that all workers share.

    Args:
        tokens: calls that might begin at once, when they were last counted.
        refilled_at: when that was.
        failures: in a row.
        open_until: until when it gets no calls; None: the breaker is closed.
        probe_until: how long to wait for the probe, the call that shows whether it works again.
    """

    tokens: float
    refilled_at: float
    failures: int = 0
    open_until: float | None = None
    probe_until: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Load of the tool, seen from the call that asks.

    Args:
        running: how many run.
        ahead: how many were postponed, and are older than the one that asks.
        late: seconds since the turn of the one that asks; 0 if it was not postponed.
    """

    running: int = 0
    ahead: int = 0
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Go:
    """Decision to begin. Write `gate`; `is_probe`: its end shows whether the tool works again."""

    gate: Gate
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Decision to postpone the call for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """Decision to refuse the call: the tool gets no calls for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TooLong:
    """Decision to refuse the call: its turn would come in so many seconds, after its deadline."""

    seconds: float


Answer = Go | Wait | Refuse | TooLong


class Ended(Enum):
    """What the end of a call shows of its tool."""

    ANSWERED = auto()
    """The tool works; "there is no such order" is a result too."""
    FAILED = auto()
    """The tool does not work: a fault, a time-out, or its own error that it may work later."""
    LEFT = auto()
    """Unknown: the call was cancelled or handed back, or has not begun."""


def decide(gate: Gate, limits: Limits, load: Load, now: float, *, timeout: float, seconds_left: float) -> Answer:
    """Decide whether a call begins now that may take `timeout` seconds and has `seconds_left` until its deadline."""
    is_probe = False
    if limits.breaker_failures is not None and gate.open_until is not None:
        left_alone_until = max(gate.open_until, gate.probe_until or 0)
        if now < left_alone_until:
            return Refuse(left_alone_until - now)
        is_probe = True
    if limits.concurrency is not None and load.running + load.ahead >= limits.concurrency:
        rounds = 1 + load.ahead // limits.concurrency
        return Wait(min(LOOK_AGAIN_SECONDS * rounds, LOOK_AGAIN_MAX_SECONDS))
    if limits.rate is not None:
        tokens = _tokens(gate, limits.rate, limits.burst, load, now)
        lacking = 1 + load.ahead - tokens
        if lacking > ROUNDING:
            turn = lacking / limits.rate
            return Wait(turn) if turn < seconds_left else TooLong(turn)
        gate = replace(gate, tokens=max(0.0, tokens - 1), refilled_at=now)
    if is_probe:
        gate = replace(gate, probe_until=now + timeout + PROBE_GRACE_SECONDS)
    return Go(gate, is_probe)


def after(gate: Gate, limits: Limits, end: Ended, *, is_probe: bool, now: float) -> Gate:
    """Return the gate once a call has ended. While the breaker is open, only the probe counts."""
    is_open = gate.open_until is not None
    if limits.breaker_failures is None or (is_open and not is_probe):
        return gate
    if end is Ended.LEFT:
        return replace(gate, probe_until=None) if is_probe else gate
    if end is Ended.ANSWERED:
        return replace(gate, failures=0, open_until=None, probe_until=None)
    failures = gate.failures + 1
    opens = is_open or failures >= limits.breaker_failures
    return replace(
        gate, failures=failures, open_until=now + limits.breaker_seconds if opens else None, probe_until=None
    )


def _tokens(gate: Gate, rate: float, burst: int, load: Load, now: float) -> float:
    """Return the tokens there are now; never more than `burst`, however long it has been quiet.

    But a line is no quiet time: a token of a call in line whose message is late is still there.
    """
    missed = min(float(load.ahead), rate * CATCH_UP_SECONDS) + rate * min(max(0.0, load.late), CATCH_UP_SECONDS)
    return min(burst + missed, gate.tokens + max(0.0, now - gate.refilled_at) * rate)
