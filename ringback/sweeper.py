"""What any process does for all of them: let go, take back, time out, publish again. Decides, and does nothing.

A look is a generator. It yields one step after the other, is sent what came of each, and decides from that; gateways
(`gateway/background/lease_keeper.py`) and workers (`workers/leases/sweeper.py`) only carry the steps out, each in its
own way. A step that fails is told in the log by its name, and the next one follows.

Any number of processes may sweep at once, and one does for all: who looks and finds that none has swept for a moment
takes the turn (`processes.take_turn`) and does a whole round. The more processes live, the more seldom each looks: the
database hears as much of a hundred as of ten, and a process that is alone sweeps twice a second.

Redis is looked at before anything is published. Where it does not answer, nothing is published, or the pauses of
`sweeps.publish_due` would grow while no worker can hear. Where it has forgotten (flushed, restarted without its data, a
replica that took over), or was out of reach and is back, whatever is pending is published again at once. It has
forgotten where our marker is gone; one process of all wins the right to set it again, and does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from random import uniform
from typing import Any
from uuid import UUID

from sqlalchemy import Executable

from ringback.config.settings import SWEEP_SECONDS
from ringback.jobs.states import LIVE, JobState
from ringback.statements import processes
from ringback.statements.jobs import sweeps
from ringback.statements.sessions.lifecycle import owners

MARKER = "ringback:remembers"
"""A key without expiry: while it is there, Redis has forgotten nothing."""
BACK = "ringback:back"
"""Who publishes again after Redis was out of reach: the first of those that noticed."""
CLAIM_MS = 2_000
"""How long the one that publishes everything again is waited for; if it dies meanwhile, the next one does it."""
FORGET_EVERY = 120
"""Rounds: about once a minute, rows of processes that are long gone are removed."""
LOOKS_A_SECOND = 25.0
"""Of all processes together, to see whose turn it is; beside it the rounds are as many statements again."""
SELDOM_SECONDS = 4.0
"""The longest mean pause between two looks of one process: should all the others be killed, it goes on by itself."""
BATCHES = 20
"""Of `sweeps.publish_again` in one round: a second's work. The next round goes on."""
PASSING = frozenset({"40001", "40P01"})
"""SQLSTATEs of a serialization failure and of a deadlock: the statement is tried again in the next round."""

Command = tuple[str | int, ...]
"""A command of Redis, word by word."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run the statement in a transaction of its own; wants its rows ([] where it has none), or None where it failed."""

    statement: Executable
    name: str
    """What the log calls it."""
    returns: bool = True
    """False: it is known to return no rows."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send Redis the commands at once; wants the answers, or None where it does not answer or refuses one."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """Hand each job's id to its queue, in order; wants how many were taken before the first that was not."""

    jobs: tuple[tuple[UUID, str], ...]


@dataclass(frozen=True, slots=True)
class Ring:
    """Tell the gateway that its session has something ready; a failure is only lateness."""

    gateway_id: str
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Tell:
    """A line for the log."""

    text: str


Step = Run | Ask | Publish | Ring | Tell
Round = Generator[Step, Any, bool]
"""Returns True where there was more than one round takes: the next one should follow at once."""
Look = Generator[Step, Any, float]
"""Returns how many seconds to wait before the next one."""


class Sweeping:
    """One process's sweeping: what it must know from one look to the next.

    Args:
        sweeper_id: the process that declares others lost.
        chance: a random number between two.
    """

    def __init__(self, sweeper_id: str, chance: Callable[[float, float], float] = uniform) -> None:
        self._sweeper_id = sweeper_id
        self._chance = chance
        self._rounds = 0
        self._more = False
        self._away = False
        self._forgot = False
        self._suspect: frozenset[str] = frozenset()

    def suspect(self, queues: Iterable[str]) -> None:
        """Messages of these queues may be gone with whoever had taken them: the next look sees to it."""
        self._suspect = self._suspect | frozenset(queues)

    def look(self) -> Look:
        """A whole round if it is this process's turn. If not, only what no other process knows of."""
        turn = yield Run(processes.take_turn(self._sweeper_id), "see whose turn it is")
        if turn is None:
            return SWEEP_SECONDS
        is_ours, living = turn[0]
        if is_ours or self._more:
            self._more = yield from self.round()
        elif self._away or self._forgot or self._suspect:
            self._more = yield from self._publish()
        if self._more:
            return 0.0
        return self._pause(living)

    def round(self) -> Round:
        """Jobs are taken back before the publishing, so that the same round sends them out again."""
        more = yield from self._lost_ones()
        more |= yield from self._finish_and_take_back()
        more |= len((yield Run(sweeps.end_unresumed(), "end what was not resumed")) or ()) >= sweeps.AT_ONCE
        yield Run(sweeps.keep_late_answers(), "keep late answers", returns=False)
        if self._rounds % FORGET_EVERY == 0:
            yield Run(processes.forget_old(), "forget old processes", returns=False)
        self._rounds += 1
        return (yield from self._publish()) or more

    def _pause(self, living: int) -> float:
        """By chance: in step, the same process would have every turn, also one that cannot reach Redis."""
        mean = min(max(living / LOOKS_A_SECOND, SWEEP_SECONDS), SELDOM_SECONDS)
        return self._chance(processes.TURN_SECONDS, 2 * mean - processes.TURN_SECONDS)

    def _lost_ones(self) -> Round:
        sessions = (yield Run(sweeps.let_go_lost_sessions(self._sweeper_id), "let go lost sessions")) or ()
        for session in sessions:
            yield Tell(f"session {session.id} has lost its gateway: {session.state}")
        for worker in (yield Run(processes.lose_workers(self._sweeper_id), "lose workers")) or ():
            yield Tell(f"{worker.id} is lost")
            self.suspect(worker.queues)
        return len(sessions) >= sweeps.AT_ONCE

    def _finish_and_take_back(self) -> Round:
        lost = (yield Run(sweeps.take_back_lost(self._sweeper_id), "take back from lost workers")) or ()
        overdue = (yield Run(sweeps.time_out_overdue(), "time out what is overdue")) or ()
        for job in lost:
            yield Tell(f"job {job.id} was taken back from a lost worker: {job.state}")
        for job in overdue:
            yield Tell(f"job {job.id} is overdue: {job.state}")
        finished = {job.session_id for job in (*lost, *overdue) if JobState(job.state) not in LIVE}
        if finished:
            for session in (yield Run(owners(finished), "find whom to ring")) or ():
                yield Ring(session.gateway_id, session.id)
        return max(len(lost), len(overdue)) >= sweeps.AT_ONCE

    def _publish(self) -> Round:
        if not (yield from self._redis_is_there()):
            return False
        for queue in sorted(self._suspect):
            if (
                yield Run(sweeps.publish_taken_along(queue), f"publish again what queue {queue} may have lost")
            ) is not None:
                self._suspect -= {queue}
        due = (yield Run(sweeps.publish_due(), "publish what is due")) or ()
        if not due:
            return self._forgot
        published = yield Publish(tuple((job.id, job.queue) for job in due))
        if published < len(due):
            yield Tell(f"{len(due) - published} jobs could not be published; they will be once the broker takes them")
            self._away = True
            return False
        return self._forgot or len(due) >= sweeps.AT_ONCE

    def _redis_is_there(self) -> Round:
        """True where jobs can be published; what Redis may have forgotten is due again by then, or begins to be."""
        keys = (MARKER, BACK) if self._away else (MARKER,)
        won = yield Ask(tuple(("SET", key, self._sweeper_id, "NX", "PX", CLAIM_MS) for key in keys))
        if won is None:
            if not self._away:
                yield Tell("Redis cannot be reached; nothing is published until it is back")
            self._away = True
            return False
        self._away = False
        if any(won):
            self._forgot = True
            yield Tell("Redis is back, or has forgotten: everything pending is published again")
        if self._forgot and (yield from self._make_due_again()):
            # For good, if it is still there: Redis may have forgotten once more meanwhile.
            kept = yield Ask((("SET", MARKER, self._sweeper_id, "XX"),))
            self._forgot = not (kept and kept[0])
        return True

    def _make_due_again(self) -> Round:
        """Everything pending, in batches; True where that was all."""
        for _ in range(BATCHES):
            batch = yield Run(sweeps.publish_again(), "publish again what Redis forgot")
            if batch is None or len(batch) < sweeps.AGAIN_AT_ONCE:
                return batch is not None
        return False
