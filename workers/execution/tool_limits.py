"""Limits of this worker's tools: a gate that a worker asks before it claims a call, and tells how the call ended.

`ringback.tools.gate` decides. One transaction here locks the tool's row, asks, and claims or postpones, so that no two
workers take the same place. A worker that dies in its midst holds no place: Postgres rolls back, and a running row is
taken back with its worker's lease.

An operator's pause or limit of the queue or the tool comes first: its row is locked before that of the tool.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg

from ringback.jobs.outcomes import Outcome
from ringback.postgres.connections import Connection, execute
from ringback.postgres.statement import Bound
from ringback.statements.jobs import controls, gates, transitions
from ringback.telemetry import metrics
from ringback.tools.behavior import Limits
from ringback.tools.decorator import Tool
from ringback.tools.gate import (
    LOOK_AGAIN_SECONDS,
    Ended,
    Gate,
    Go,
    Load,
    Refuse,
    TooLong,
    Wait,
    after,
    decide,
)
from workers.execution.delayed_publisher import DelayedPublisher
from workers.execution.retry_policy import busy, unavailable
from workers.logs import ThrottledLogger
from workers.storage.database import Store, count, first

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)


@dataclass(frozen=True, slots=True)
class Limited:
    """What an operator has limited: the call's queue, its tool, or neither."""

    queue: str = ""
    tool: str = ""


NOT_LIMITED = Limited()


@dataclass(frozen=True, slots=True)
class Claimed:
    """Call that was claimed at a gate: the row of the claim, and what the gate said."""

    row: Any
    is_probe: bool = False
    answer: Outcome | None = None
    """Outcome of a call that is not to be run."""
    limited: Limited = NOT_LIMITED
    """Limits of an operator that the call takes a place of."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """Call that waits, for so many seconds or until it is woken; None: until an operator lets it go on."""

    seconds: float | None
    why: str = "by the limits of its tool"


@dataclass(frozen=True, slots=True)
class Controls:
    """What an operator has set of a call's queue and tool; None: no limit."""

    paused: bool = False
    of_queue: int | None = None
    of_tool: int | None = None

    @property
    def locked(self) -> list[str]:
        """Return the kinds that have a limit: the claim must not wait for those again."""
        return [kind for kind, most in (("queue", self.of_queue), ("tool", self.of_tool)) if most is not None]


class ToolLimits:
    """Gates of the tools that have limits.

    Args:
        store: its `claims` pool is used: all that it writes is lost together in a crash of Postgres.
        tools: this worker's.
        delayed: publishes postponed calls.
    """

    def __init__(self, store: Store, tools: Mapping[str, Tool], delayed: DelayedPublisher) -> None:
        self._pool = store.claims
        self._delayed = delayed
        self._limits = {name: tool.announcement.limits for name, tool in tools.items()}
        self.names = frozenset(name for name, limits in self._limits.items() if limits.is_gated)
        self.ungated = frozenset(tools) - self.names
        """Names of the other tools, whose calls may be claimed at once."""

    def claim(self, job_id: UUID, asked: Any, worker_id: str, token: UUID) -> Claimed | Postponed | None:
        """Claim a job of a tool that has a gate; None if it cannot be claimed.

        Args:
            asked: the row of `gates.wanted_tool`.

        Raises:
            psycopg.Error: it may have been claimed; `claim.give_up` undoes that.
        """
        with self._pool.transaction() as connection:
            control = _controls(connection, asked) if asked.is_controlled else Controls()
            if control.paused:
                execute(connection, gates.hold(job_id))
                return Postponed(None, "as an operator has paused its queue or tool")
            limits = _narrowed(self._limits[asked.tool], control)
            gate, now = _locked(connection, asked.tool, limits)
            load = _load(connection, job_id, asked.tool, limits)
            said = _wait_for_queue(connection, asked.queue, control) or decide(
                gate, limits, load, now, timeout=asked.timeout, seconds_left=asked.seconds_left
            )
            if not isinstance(said, Wait):
                claiming = transitions.claim(job_id, worker_id, token, locked=control.locked)
                row = execute(connection, claiming).first
                if row is not None and isinstance(said, Go) and said.gate != gate:
                    execute(connection, gates.save(asked.tool, said.gate))
                return None if row is None else replace(_claimed(row, said), limited=_limited(asked, control))
            execute(connection, gates.postpone(job_id, said.seconds))
        metrics.CALLS_POSTPONED.inc(asked.tool, asked.queue)
        self._delayed.publish(job_id, asked.queue, said.seconds)
        return Postponed(said.seconds)

    def ended(self, tool: str, end: Ended, *, is_probe: bool = False, limited: Limited = NOT_LIMITED) -> None:
        """Record the end of a call: what it shows of the tool, and its place for the next in line. Never raises."""
        limits = self._limits[tool]
        if not (limits.is_gated or limited.queue or limited.tool):
            return
        try:
            if limits.breaker_failures is not None:
                self._note(tool, limits, end, is_probe)
            if limits.concurrency is not None or limited.tool:
                self._wake(gates.wake_first(tool))
            if limited.queue:
                self._wake(gates.wake_first_in(limited.queue))
        except psycopg.Error as problem:
            _throttled.warning("gate update failed (tool %s): %s; a waiting call asks again by itself", tool, problem)

    def _wake(self, sleeping: Bound) -> None:
        if woken := first(self._pool, sleeping):
            self._delayed.publish(woken.id, woken.queue)

    def _note(self, tool: str, limits: Limits, end: Ended, is_probe: bool) -> None:
        if end is not Ended.FAILED and not is_probe:
            if end is Ended.ANSWERED:
                count(self._pool, gates.reset_failures(tool))
            return
        with self._pool.transaction() as connection:
            gate, now = _locked(connection, tool, limits)
            changed = after(gate, limits, end, is_probe=is_probe, now=now)
            if changed != gate:
                execute(connection, gates.save(tool, changed))
        if (changed.open_until is None) != (gate.open_until is None):
            logger.warning("breaker %s (tool %s)", "closed" if changed.open_until is None else "opened", tool)


def _controls(connection: Connection, asked: Any) -> Controls:
    """Lock what an operator has set of the call's queue and tool, and return it."""
    found = execute(connection, controls.lock(asked.queue, asked.tool)).rows
    of = {row.kind: row.concurrency for row in found}
    return Controls(any(row.paused for row in found), of.get("queue"), of.get("tool"))


def _narrowed(limits: Limits, control: Controls) -> Limits:
    """Return the tool's limits with the operator's, if that is less."""
    both = [each for each in (limits.concurrency, control.of_tool) if each is not None]
    return replace(limits, concurrency=min(both, default=None))


def _wait_for_queue(connection: Connection, queue: str, control: Controls) -> Wait | None:
    """Return a wait if as many calls of the queue run as the operator allows. The lock of the control is held."""
    if control.of_queue is None:
        return None
    (row,) = execute(connection, gates.running_in(queue)).rows
    return Wait(LOOK_AGAIN_SECONDS) if row.running >= control.of_queue else None


def _limited(asked: Any, control: Controls) -> Limited:
    queue, tool = control.of_queue is not None, control.of_tool is not None
    return Limited(asked.queue if queue else "", asked.tool if tool else "")


def _locked(connection: Connection, tool: str, limits: Limits) -> tuple[Gate, float]:
    (row,) = execute(connection, gates.lock(tool, limits.burst)).rows
    return gates.gate_in(row), row.now


def _load(connection: Connection, job_id: UUID, tool: str, limits: Limits) -> Load:
    """Return the tool's load. A breaker alone does not need it."""
    if limits.concurrency is None and limits.rate is None:
        return Load()
    (row,) = execute(connection, gates.load_around(job_id, tool)).rows
    return gates.load_in(row)


def _claimed(row: Any, said: Go | Refuse | TooLong) -> Claimed:
    match said:
        case Go(_, is_probe):
            return Claimed(row, is_probe)
        case Refuse(seconds):
            return Claimed(row, answer=unavailable(row.tool, seconds))
        case TooLong(seconds):
            return Claimed(row, answer=busy(row.tool, seconds))
