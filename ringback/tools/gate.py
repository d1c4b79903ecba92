"""How much a tool bears, over all workers together: whether one more call of it may begin. Decides, and does nothing.

A *gate* is what all of them know of such a tool: one row of `tool_gates`. Who wants to begin a call locks that row,
asks here, and begins within the same transaction.

    the breaker is open              Refuse: the call is answered at once
    … and its time is over           Go, as the one probe; others are refused until that has ended, or had its time
    as many run as may               Wait, and look again; a call that ends wakes the first in line before that
    there is no token                Wait, until it is this call's turn; TooLong, where its deadline comes first
    others are in line before it     as if they were running, and had taken their tokens

Moments are seconds on the database's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from ringback.tools.behavior import Limits

LOOK_AGAIN_SECONDS = 1.0
"""Until a call that waits for a place looks by itself: only where whoever had the place could not wake it."""
LOOK_AGAIN_MAX_SECONDS = 8.0
"""For those far back in line: each look takes the tool's lock, and finds nothing."""
PROBE_GRACE_SECONDS = 2.0
"""Beyond its time-out, for a probe to be written down; then its worker is taken for lost, and another one is let go."""
CATCH_UP_SECONDS = 0.25
"""How late the messages of a line may be without its rate suffering: what they missed of it they make up for."""
ROUNDING = 1e-6
"""Of a token: what arithmetic may lack of a whole one."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What all workers know of a tool.

    Args:
        tokens: calls that might begin at once, when they were last counted.
        refilled_at: when that was.
        failures: in a row.
        open_until: until when it is left alone; None: it is not, or a call has gone well since.
        probe_until: how long the call that is to see whether it works again is waited for.
    """

    tokens: float
    refilled_at: float
    failures: int = 0
    open_until: float | None = None
    probe_until: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Calls of the tool, and the one that asks.

    Args:
        running: how many run.
        ahead: how many were put off, and are older than the one that asks.
        late: seconds since the turn of the one that asks; 0 where it was not put off.
    """

    running: int = 0
    ahead: int = 0
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Go:
    """Begin. `gate` is to be written; `is_probe`: its end says whether the tool works again."""

    gate: Gate
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet: put the call off for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """Not at all: the tool is left alone for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TooLong:
    """Not at all: its turn would come in so many seconds, and nobody waits for that long."""

    seconds: float


Answer = Go | Wait | Refuse | TooLong


class Ended(Enum):
    """What the end of a call says of its tool."""

    ANSWERED = auto()
    """It works; "there is no such order" is an answer as well."""
    FAILED = auto()
    """It does not: a fault, a time-out, or a word of the tool that it may work later."""
    LEFT = auto()
    """Nothing: it was cancelled or handed back, or has not begun."""


def decide(gate: Gate, limits: Limits, load: Load, now: float, *, timeout: float, seconds_left: float) -> Answer:
    """Whether a call begins now that may take `timeout` seconds, and is waited for for `seconds_left` more."""
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
    """The gate once a call has ended. While the breaker is open, only the probe says anything of how it is now."""
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
    """How many there are now; never more than `burst`, however long it has been quiet.

    But a line is no quiet time: a token that was there for one in line, whose message is late, is there still.
    """
    missed = min(float(load.ahead), rate * CATCH_UP_SECONDS) + rate * min(max(0.0, load.late), CATCH_UP_SECONDS)
    return min(burst + missed, gate.tokens + max(0.0, now - gate.refilled_at) * rate)
