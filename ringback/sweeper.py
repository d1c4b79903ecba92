"""Sweeper, which any process runs for all: release, take back, time out, publish again. Decides only; does no I/O.

A look is a generator. It yields one step after the other, is sent the reply of each, and decides from that. Gateways
(`gateway/background/lease_keeper.py`) and workers (`workers/leases/sweeper.py`) execute the steps, each in its own way.
If a step fails, the log names it, and the next one follows.

Any number of processes may sweep at once, and usually one does for all: a process that finds that none has swept for a
moment takes the turn and does a round (`ringback.statements.looks`). The look tells which steps have work, and a round
takes no other: where nothing waits, it is that one statement. The more processes live, the more rarely each looks: the
database gets as many statements from a hundred as from ten. A process that is alone sweeps twice a second.

Each round asks Redis, before it publishes. If Redis does not reply, the round publishes no job: otherwise the pauses of
`sweeps.publish_due` would grow while no worker can hear. If Redis has forgotten (flushed, restarted without its data, a
replica that took over), or is back after an outage, all pending jobs are published again at once. It has forgotten if
the marker is gone; one process of all wins the right to set it again, and publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass
from random import uniform
from typing import Any
from uuid import UUID

from ringback.config.settings import SWEEP_SECONDS
from ringback.jobs.states import LIVE, JobState
from ringback.postgres.statement import Runnable
from ringback.statements import looks, processes
from ringback.statements.jobs import sweeps
from ringback.statements.sessions.calls import LEFT_SECONDS
from ringback.statements.sessions.lifecycle import owners

MARKER = "ringback:remembers"
"""Key without expiry: while it exists, Redis has forgotten no message."""
BACK = "ringback:back"
"""Key that the first process sets which notices that Redis is back: that process publishes again."""
CLAIM_MS = 2_000
"""How long the others wait for the process that publishes everything again; if it dies, the next one does it."""
FORGET_EVERY = 120
"""Rounds: about once a minute, rows of processes that are long gone are deleted."""
LOOKS_A_SECOND = 25.0
"""Looks of all processes together, each to ask for the turn; the rounds add about as many statements."""
MAX_PAUSE_SECONDS = 4.0
"""Longest mean pause between two looks of one process: if all others are killed, it goes on alone."""
BATCHES = 20
"""Batches of `sweeps.publish_again` in one round: a second's work. The next round goes on."""
PASSING = frozenset({"40001", "40P01"})
"""SQLSTATEs of a serialization failure and of a deadlock: the next round tries the statement again."""

Command = tuple[str | int, ...]
"""Command of Redis, word by word."""


@dataclass(frozen=True, slots=True)
class Run:
    """Step: run the statement in its own transaction; reply: its rows ([] if it has none), or None if it failed."""

    statement: Runnable
    name: str
    """Name in the log."""
    returns: bool = True
    """False: the statement returns no rows."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Step: send Redis the commands at once; reply: the replies, or None if it does not reply or refuses one."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """Step: publish each job's id to its queue, in order; reply: how many were accepted before the first refusal."""

    jobs: tuple[tuple[UUID, str], ...]


@dataclass(frozen=True, slots=True)
class Notify:
    """Step: notify the gateway that its session has a ready result; a failure only costs time."""

    gateway_id: str
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Log:
    """Step: write a line to the log."""

    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """Step: count the rows that the round has set right, by what was found. Those of calls have tool, queue, state."""

    what: str
    rows: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Wake:
    """Step: wake these tasks of the gateway, which have work."""

    tasks: frozenset[str]


Step = Run | Ask | Publish | Notify | Log | Count | Wake
Round = Generator[Step, Any, bool]
"""Returns True if there was more work than one round takes: the next should follow at once."""
Look = Generator[Step, Any, float]
"""Returns the seconds to wait before the next look."""

STEPS = frozenset(
    {
        *("lost_sessions", "lost_workers", "lost_jobs", "overdue_jobs"),
        *("unresumed_sessions", "late_results", "due_jobs"),
    }
)
"""Flags of a look, one for each step of a round. A round that follows a full one takes them all."""
ENDINGS = frozenset({"lost_sessions", "lost_jobs", "overdue_jobs", "unresumed_sessions", "late_results"})
"""Those after which a result may be ready in a session that has ended: the look could not see it yet."""
TASKS = frozenset({"due_webhooks", "erased_users", "held_sessions", "lost_announcements", "unattended_calls"})
"""Flags of a gateway's look, one for each of its tasks that waits for work."""


class Sweeping:
    """State of one process's sweeping from one look to the next.

    Args:
        sweeper_id: the process that declares others lost.
        is_gateway: whether this process is a gateway, which also looks for the work of its own tasks.
        left: what is left of the lease of a gateway whose calls others take (`calls.unattended`).
        chance: returns a random number between its arguments.
    """

    def __init__(
        self,
        sweeper_id: str,
        chance: Callable[[float, float], float] = uniform,
        *,
        is_gateway: bool = False,
        left: float = LEFT_SECONDS,
    ) -> None:
        self._sweeper_id = sweeper_id
        self._look = looks.look_of_gateway(sweeper_id, left) if is_gateway else looks.look(sweeper_id)
        self._chance = chance
        self._rounds = 0
        self._more = False
        self._away = False
        self._forgot = False
        self._suspect: frozenset[str] = frozenset()

    def suspect(self, queues: Iterable[str]) -> None:
        """Record that a lost process may have taken messages of these queues: the next look publishes them again."""
        self._suspect = self._suspect | frozenset(queues)

    def look(self) -> Look:
        """Do a round if it is this process's turn. If not, do only what no other process knows of."""
        found = yield Run(self._look, "take the turn")
        if found is None:
            return SWEEP_SECONDS
        row = found[0]
        if tasks := _flags(row, TASKS):
            yield Wake(tasks)
        if row.is_ours or self._more:
            self._more = yield from self.round(STEPS if self._more else _flags(row, STEPS))
        elif self._away or self._forgot or self._suspect:
            self._more = yield from self._publish(has_work=False)
        if self._more:
            return 0.0
        return self._pause(row.living)

    def round(self, work: Collection[str] = STEPS) -> Round:
        """Take the steps that have work. Take jobs back before publishing, so that this round publishes them again."""
        more = yield from self._lost_ones(work)
        more |= yield from self._finish_and_take_back(work)
        ended = yield from _rows_of("unresumed_sessions", work, sweeps.end_unresumed(), "end unresumed sessions")
        if not ENDINGS.isdisjoint(work):
            yield Run(sweeps.keep_late_results(), "keep late results", returns=False)
        if self._rounds % FORGET_EVERY == 0:
            yield Run(processes.forget_old(), "forget old processes", returns=False)
        self._rounds += 1
        return (yield from self._publish(bool(work))) or more or len(ended) >= sweeps.AT_ONCE

    def _pause(self, living: int) -> float:
        """Return a random pause: in step, the same process would have every turn, also one without Redis."""
        mean = min(max(living / LOOKS_A_SECOND, SWEEP_SECONDS), MAX_PAUSE_SECONDS)
        return self._chance(processes.TURN_SECONDS, 2 * mean - processes.TURN_SECONDS)

    def _lost_ones(self, work: Collection[str]) -> Round:
        release, end = sweeps.release_lost_sessions(self._sweeper_id), processes.end_lost_workers(self._sweeper_id)
        sessions = yield from _rows_of("lost_sessions", work, release, "release lost sessions")
        for session in sessions:
            yield Log(f"gateway lost (session {session.id}); the session is {session.state}")
        for worker in (yield from _rows_of("lost_workers", work, end, "end lost workers")):
            yield Log(f"worker lost ({worker.id}); its jobs are taken back")
            self.suspect(worker.queues)
        return len(sessions) >= sweeps.AT_ONCE

    def _finish_and_take_back(self, work: Collection[str]) -> Round:
        take_back = sweeps.take_back_lost(self._sweeper_id)
        lost = yield from _rows_of("lost_jobs", work, take_back, "take back from lost workers")
        overdue = yield from _rows_of("overdue_jobs", work, sweeps.time_out_overdue(), "time out overdue jobs")
        for job in lost:
            yield Log(f"job taken back ({job.id}) from a lost worker; it is {job.state}")
        for job in overdue:
            yield Log(f"job overdue ({job.id}); it is {job.state}")
        finished = {job.session_id for job in (*lost, *overdue) if JobState(job.state) not in LIVE}
        if finished:
            for session in (yield Run(owners(finished), "find gateways to notify")) or ():
                yield Notify(session.gateway_id, session.id)
        return max(len(lost), len(overdue)) >= sweeps.AT_ONCE

    def _publish(self, has_work: bool) -> Round:
        if not (yield from self._redis_is_there()) or not (has_work or self._forgot or self._suspect):
            return False
        if self._forgot and (yield from self._make_due_again()):
            # Without expiry, if it still exists: Redis may have forgotten once more meanwhile.
            kept = yield Ask((("SET", MARKER, self._sweeper_id, "XX"),))
            self._forgot = not (kept and kept[0])
        for queue in sorted(self._suspect):
            if (yield Run(sweeps.publish_taken(queue), f"publish again what queue {queue} may have lost")) is not None:
                self._suspect -= {queue}
        due = (yield Run(sweeps.publish_due(), "publish due jobs")) or ()
        if not due:
            return self._forgot
        published = yield Publish(tuple((job.id, job.queue) for job in due))
        if published < len(due):
            yield Log(f"publishing failed ({len(due) - published} jobs); trying again until the broker takes them")
            self._away = True
            return False
        return self._forgot or len(due) >= sweeps.AT_ONCE

    def _redis_is_there(self) -> Round:
        """Return True if jobs can be published. Find out whether Redis may have lost the messages of jobs."""
        keys = (MARKER, BACK) if self._away else (MARKER,)
        won = yield Ask(tuple(("SET", key, self._sweeper_id, "NX", "PX", CLAIM_MS) for key in keys))
        if won is None:
            if not self._away:
                yield Log("Redis unreachable; no job is published until it is back")
            self._away = True
            return False
        self._away = False
        if any(won):
            self._forgot = True
            yield Log("Redis restored, or emptied; all pending jobs are published again")
        return True

    def _make_due_again(self) -> Round:
        """Make all pending jobs due, in batches; return True if that was all."""
        for _ in range(BATCHES):
            batch = yield Run(sweeps.publish_again(), "publish again what Redis lost")
            if batch is None or len(batch) < sweeps.AGAIN_AT_ONCE:
                return batch is not None
        return False


def _rows_of(flag: str, work: Collection[str], statement: Runnable, name: str) -> Generator[Step, Any, Sequence[Any]]:
    """Run the statement of a step if the step has work, and have its rows counted; return them."""
    if flag not in work:
        return ()
    rows: Sequence[Any] = (yield Run(statement, name)) or ()
    if rows:
        yield Count(flag, tuple(rows))
    return rows


def _flags(row: Any, names: Collection[str]) -> frozenset[str]:
    """Return those of the flags that are true. A worker's look has no flags of a gateway's tasks."""
    return frozenset(name for name in names if getattr(row, name, False))
