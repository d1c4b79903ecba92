"""Limits of this worker's tools: a gate that a worker asks before it claims a call, and tells how the call ended.

`ringback.tools.gate` decides. One transaction here locks the tool's row, asks, and claims or postpones, so that no two
workers take the same place. A worker that dies in its midst holds no place: Postgres rolls back, and a running row is
taken back with its worker's lease.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from ringback.jobs.outcomes import Outcome
from ringback.postgres.connections import Connection, execute
from ringback.statements.jobs import gates, transitions
from ringback.tools.behavior import Limits
from ringback.tools.decorator import Tool
from ringback.tools.gate import Ended, Gate, Go, Load, Refuse, TooLong, Wait, after, decide
from workers.execution.delayed_publisher import DelayedPublisher
from workers.execution.retry_policy import busy, unavailable
from workers.logs import ThrottledLogger
from workers.storage.database import Store, count, first

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)


@dataclass(frozen=True, slots=True)
class Claimed:
    """Call that was claimed at a gate: the row of the claim, and what the gate said."""

    row: Any
    is_probe: bool = False
    answer: Outcome | None = None
    """Outcome of a call that is not to be run."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """Call that waits, for so many seconds or until it is woken."""

    seconds: float
    why: str = "by the limits of its tool"


class ToolLimits:
    """Gates of the tools that have limits.

    Args:
        store: its `claims` pool is used: all that it writes is lost together in a crash of Postgres.
        tools: this worker's.
        later: publishes postponed calls.
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
        limits = self._limits[asked.tool]
        with self._pool.transaction() as connection:
            gate, now = _locked(connection, asked.tool, limits)
            load = _load(connection, job_id, asked.tool, limits)
            said = decide(gate, limits, load, now, timeout=asked.timeout, seconds_left=asked.seconds_left)
            if not isinstance(said, Wait):
                row = execute(connection, transitions.claim(job_id, worker_id, token)).fetchone()
                if row is not None and isinstance(said, Go) and said.gate != gate:
                    execute(connection, gates.save(asked.tool, said.gate))
                return None if row is None else _claimed(row, said)
            execute(connection, gates.postpone(job_id, said.seconds))
        self._delayed.publish(job_id, asked.queue, said.seconds)
        return Postponed(said.seconds)

    def ended(self, tool: str, end: Ended, *, is_probe: bool = False) -> None:
        """Record the end of a call: what it shows of the tool, and its place for the next in line. Never raises."""
        if tool not in self.names:
            return
        limits = self._limits[tool]
        try:
            if limits.breaker_failures is not None:
                self._note(tool, limits, end, is_probe)
            if limits.concurrency is not None and (woken := first(self._pool, gates.wake_first(tool))):
                self._delayed.publish(woken.id, woken.queue)
        except psycopg.Error as problem:
            _throttled.warning("gate update failed (tool %s): %s; a waiting call asks again by itself", tool, problem)

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


def _locked(connection: Connection, tool: str, limits: Limits) -> tuple[Gate, float]:
    (row,) = execute(connection, gates.lock(tool, limits.burst)).fetchall()
    return gates.gate_in(row), row.now


def _load(connection: Connection, job_id: UUID, tool: str, limits: Limits) -> Load:
    """Return the tool's load. A breaker alone does not need it."""
    if limits.concurrency is None and limits.rate is None:
        return Load()
    (row,) = execute(connection, gates.load_around(job_id, tool)).fetchall()
    return gates.load_in(row)


def _claimed(row: Any, said: Go | Refuse | TooLong) -> Claimed:
    match said:
        case Go(_, is_probe):
            return Claimed(row, is_probe)
        case Refuse(seconds):
            return Claimed(row, answer=unavailable(row.tool, seconds))
        case TooLong(seconds):
            return Claimed(row, answer=busy(row.tool, seconds))
