"""Short programs on one job: each step is one statement, and what it returned decides what comes next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import HeardBy
from ringback.statements.jobs import deliveries, sweeps, transitions
from ringback.statements.jobs.deliveries import Told
from ringback.statements.sessions import items, lifecycle
from tests.integration.model.clock import set_clock
from tests.integration.model.rows import RealRows

SESSION, JOB = UUID(int=1), UUID(int=2)
TOKEN = sha256(b"the token").digest()
LOST, OVERDUE = 4_000, 60_000
"""When the first worker's lease has run out, and when the job is past its deadline; milliseconds."""
DONE = 99


@dataclass(frozen=True)
class Local:
    """What one actor knows: where it is in its program, and what it was handed."""

    at: int = 0
    token: UUID | None = None
    epoch: int = 0
    has_read: bool = False
    """The result is in its hands, and not written yet."""


@dataclass(frozen=True)
class World:
    """Everything that is not a row: what the actors know, what tools did, what each epoch's conversation heard."""

    locals: dict[str, Local]
    now: int = 0
    effects: int = 0
    heard: dict[tuple[int, str], int] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    is_heard: bool = False
    """The user has heard the answer, and the row was told so."""

    def told(self, actor: str, **known: Any) -> World:
        return replace(self, locals={**self.locals, actor: replace(self.locals[actor], **known)})

    def hears(self, epoch: int, gateway: str) -> World:
        key = epoch, gateway
        return replace(self, heard={**self.heard, key: self.heard.get(key, 0) + 1})

    def is_refused(self, what: str) -> World:
        return replace(self, refused=self.refused | {what})


Step = Callable[[RealRows, World], World]
Program = list[Step]


def worker(name: str, *, has_barrier: bool, gives_back: bool = False) -> Program:
    """Claim, the barrier where there is one, the tool, then the outcome; or once more, where it `gives_back`."""

    def claim(rows: RealRows, world: World) -> World:
        (found,) = rows.run(transitions.claim(JOB, name))
        return world.told(name, at=1, token=found[0].token) if found else world.told(name, at=DONE)

    def act(rows: RealRows, world: World) -> World:
        token = world.locals[name].token
        assert token is not None
        is_held = rows.jobs()[JOB].token == token
        if has_barrier and not rows.count(transitions.begin_effect(JOB, token)):
            return world.is_refused("effect").told(name, at=DONE)
        assert is_held or not has_barrier, "a stale worker was let in"
        return replace(world, effects=world.effects + 1).told(name, at=2)

    def end(rows: RealRows, world: World) -> World:
        token = world.locals[name].token
        assert token is not None
        is_held = rows.jobs()[JOB].token == token
        again = transitions.retry(JOB, token, {"code": "busy", "message": ""}, 0)
        moved = rows.count(again if gives_back else transitions.finish(JOB, token, succeeded(name)))
        assert bool(moved) <= is_held, "a stale write got through"
        return world.told(name, at=DONE) if moved else world.is_refused("outcome").told(name, at=DONE)

    return [claim, act, end]


def sweeper(name: str, *, times_out: bool) -> Program:
    def take_back(rows: RealRows, world: World) -> World:
        rows.run(sweeps.take_back_lost(name))
        return world.told(name, at=1 if times_out else DONE)

    def time_out(rows: RealRows, world: World) -> World:
        rows.run(sweeps.time_out_overdue())
        return world.told(name, at=DONE)

    return [take_back, time_out]


def time(*, to_the_deadline: bool) -> Program:
    def to(moment: int, at: int) -> Step:
        def passes(rows: RealRows, world: World) -> World:
            set_clock(rows.connection, moment)
            return replace(world, now=moment).told("time", at=at)

        return passes

    return [to(LOST, 1), to(OVERDUE, DONE)] if to_the_deadline else [to(LOST, DONE)]


def delivering(name: str, gateway: str, at: int, then: int) -> Program:
    """Read what is ready, write it into the socket, record that with its echo, and that the user has heard it: four
    steps from `at` on.
    """

    def read(rows: RealRows, world: World) -> World:
        if not rows.ids(deliveries.read_ready(SESSION, gateway, world.locals[name].epoch)):
            return world.is_refused(f"read of {name}").told(name, at=then)
        return world.told(name, at=at + 1, has_read=True)

    def write(rows: RealRows, world: World) -> World:
        return world.hears(world.locals[name].epoch, name).told(name, at=at + 2, has_read=False)

    def mark(rows: RealRows, world: World) -> World:
        epoch = world.locals[name].epoch
        if not rows.count(deliveries.mark(SESSION, gateway, epoch, [JOB], [JOB], 1)):
            return world.is_refused(f"mark of {name}").told(name, at=then)
        assert rows.jobs()[JOB].delivered_epoch == epoch, "an answer was marked in another epoch"
        return world.told(name, at=at + 3)

    def tell(rows: RealRows, world: World) -> World:
        epoch = world.locals[name].epoch
        told = Told(JOB, f"resp_{epoch}", 0.0, 0.0, 0.0, HeardBy.CLOCK)
        if not rows.count(deliveries.note_told(SESSION, gateway, epoch, [told], 0.0)):
            return world.is_refused(f"tell of {name}").told(name, at=then)
        return replace(world.told(name, at=then), is_heard=True)

    return [read, write, mark, tell]


def owner(name: str) -> Program:
    """Delivers in epoch 1, loses its upstream and builds it anew."""

    def rebuild(rows: RealRows, world: World) -> World:
        epoch = world.locals[name].epoch
        if not rows.count(lifecycle.next_epoch(SESSION, name, epoch)):
            return world.is_refused("next epoch").told(name, at=DONE)
        return taken_in(rows, world.told(name, at=DONE, epoch=epoch + 1), name, name)

    return [*delivering(name, name, 0, 4), rebuild]


def newcomer(name: str, gateway: str) -> Program:
    """The client comes back to this gateway, which may be the one that has it already; then it delivers."""

    def resume(rows: RealRows, world: World) -> World:
        return resumed(rows, world, name, gateway)

    return [resume, *delivering(name, gateway, 1, DONE)]


def resumed(rows: RealRows, world: World, name: str, gateway: str, token: bytes = TOKEN) -> World:
    new = sha256(name.encode()).digest()
    (found,) = rows.run(lifecycle.resume(token, new, user_id="ada", gateway_id=gateway))
    if not found:
        return world.is_refused("resume").told(name, at=DONE)
    return taken_in(rows, world.told(name, at=1, epoch=found[0].epoch), name, gateway)


def taken_in(rows: RealRows, world: World, name: str, gateway: str) -> World:
    """The rest of the transaction that began the epoch."""
    epoch = world.locals[name].epoch
    return world.hears(epoch, name) if rows.ids(items.replay(SESSION, gateway, epoch)) else world
