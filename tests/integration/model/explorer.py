"""Every order in which the actors' steps can come, each state once: a walk in depth, with a savepoint at each step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from ringback.jobs.outcomes import succeeded
from ringback.statements.jobs import sweeps, transitions
from tests.integration.model.actors import JOB, OVERDUE, SESSION, TOKEN, Local, Program, World, resumed
from tests.integration.model.clock import set_clock
from tests.integration.model.expected import Job, Session
from tests.integration.model.rows import RealRows

HEALER, NEWCOMER = "well", "newcomer"


@dataclass
class Explorer:
    """One beginning, and every way on from it.

    Args:
        rows: in a world that holds SESSION and JOB, and all processes that act.
        programs: what each actor does.
    """

    rows: RealRows
    programs: dict[str, Program]
    orders: dict[Any, int] = field(default_factory=dict)
    """Each state that was reached, and in how many orders the story can go on from there to its end."""
    healed: set[Any] = field(default_factory=set)
    steps: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def explore(self) -> int:
        """Returns the number of orders; raises AssertionError with the steps that led to a broken invariant."""
        self.rows.connection.exec_driver_sql("BEGIN")
        try:
            start = World({name: Local(epoch=1 if name == "gw-1" else 0) for name in self.programs})
            return self._from(start, ())
        finally:
            self.rows.connection.exec_driver_sql("ROLLBACK")

    def _from(self, world: World, path: tuple[str, ...]) -> int:
        job, session = self.rows.jobs()[JOB], self.rows.sessions()[SESSION]
        key = _key(world, job, session)
        if key in self.orders:
            return self.orders[key]
        try:
            check(world, job, session)
            self._heal_once(world, key[1:])
        except AssertionError as broken:
            raise AssertionError(f"{broken} after {' → '.join(path)}\n{job}\n{session}\n{world}") from broken
        going = [name for name, local in world.locals.items() if local.at < len(self.programs[name])]
        self.orders[key] = sum(self._step(world, name, path) for name in going) if going else 1
        return self.orders[key]

    def _step(self, world: World, name: str, path: tuple[str, ...]) -> int:
        step = self.programs[name][world.locals[name].at]
        self.steps += 1

        def walk() -> int:
            after = step(self.rows, world)
            self.refused.update(after.refused - world.refused)
            return self._from(after, (*path, f"{name} {step.__name__}"))

        return int(self._undone(walk))

    def _undone(self, walk: Any) -> Any:
        # Past psycopg, which would forget what it has prepared.
        libpq = self.rows.connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
        libpq.exec_(b"SAVEPOINT here")
        try:
            return walk()
        finally:
            libpq.exec_(b"ROLLBACK TO here; RELEASE here")  # The clock is a setting, and goes back with it.

    def _heal_once(self, world: World, rows: Any) -> None:
        """What the dead knew is gone with them: only the rows and what was done decide."""
        if rows not in self.healed:
            self.healed.add(rows)
            self._undone(lambda: self._heal(world))

    def _heal(self, world: World) -> None:
        """All who act die here and now. Whoever is well brings the job to its end, and the client hears of it once."""
        set_clock(self.rows.connection, max(world.now, OVERDUE // 2))
        self.rows.run(sweeps.take_back_lost(HEALER))
        (claimed,) = self.rows.run(transitions.claim(JOB, HEALER))
        has_barrier = self.rows.jobs()[JOB].effect == "at_most_once"
        if claimed and (not has_barrier or self.rows.count(transitions.begin_effect(JOB, claimed[0].token))):
            world = replace(world, effects=world.effects + 1)
            assert self.rows.count(transitions.finish(JOB, claimed[0].token, succeeded(HEALER)))
        set_clock(self.rows.connection, OVERDUE)
        self.rows.run(sweeps.time_out_overdue())
        token = TOKEN if self.rows.sessions()[SESSION].resume_hash == TOKEN else sha256(NEWCOMER.encode()).digest()
        world = replace(world, locals={**world.locals, HEALER: Local()})
        world = resumed(self.rows, world, HEALER, HEALER, token)
        job, session = self.rows.jobs()[JOB], self.rows.sessions()[SESSION]
        assert job.is_over, "the job is lost"
        assert world.heard.get((session.epoch, HEALER)) == 1, "nobody heard of it"
        check(world, job, session)


def check(world: World, job: Job, session: Session) -> None:
    """What must hold in each state."""
    holders = [name for name, local in world.locals.items() if job.token is not None and local.token == job.token]
    assert len(holders) <= 1, "two hold one job"
    assert world.effects <= 1 or job.effect != "at_most_once", "an effect happened twice"
    assert all(times == 1 for times in world.heard.values()), "a conversation heard an answer twice"
    switcher = [epoch for epoch, _ in world.heard]
    assert len(set(switcher)) == len(switcher), "two gateways spoke in one epoch"
    assert not world.heard or job.is_over, "an answer was heard before there was one"
    assert job.delivered_epoch in (None, session.epoch), "a fenced epoch has taken the answer away"
    assert job.attempt <= job.max_attempts + job.rescues
    if job.delivery in ("acked", "replayed", "spoken", "heard"):
        assert session.epoch in switcher, "a conversation is said to have it, and has not"
    assert (job.delivery == "heard") == world.is_heard, "what the user has heard is lost, or was made up"


def _key(world: World, job: Job, session: Session) -> Any:
    """Two states are one where nothing can tell them apart: of a token only who holds it matters."""
    known = tuple(
        (name, local.at, local.epoch, local.has_read, local.token is not None, local.token == job.token)
        for name, local in sorted(world.locals.items())
    )
    row = {name: value for name, value in vars(job).items() if name not in ("token", "publish_after")}
    heard = tuple(sorted(world.heard.items()))
    return known, world.now, world.effects, world.is_heard, heard, tuple(row.items()), tuple(vars(session).items())
