"""Two gateways at one announcement of a call: what the other has not committed, every order of steps, every death."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import IntegrityError

from ringback.leases.lease import LEASE_SECONDS
from ringback.postgres.statement import Runnable
from ringback.statements import processes
from ringback.statements.sessions import announced_calls as receipts
from ringback.statements.sessions import calls, lifecycle
from ringback.tables import processes as processes_table
from ringback.tables import sessions, webhook_receipts
from tests.integration.statements.statement_rows import Rows, seconds_from_now, world
from tests.integration.statements.two_connections import PATIENCE, Other, another, both_sweep
from tests.servers import execute

WEBHOOK, CALL = "wh_1", "rtc_sip"
FIRST, SECOND, HEALER = "gw", "gw2", "gw3"
SESSIONS = {name: UUID(int=at) for at, name in enumerate((FIRST, SECOND, HEALER), 1)}


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        rows.count(processes.register(HEALER, "gateway", "here", 1))
        hour = {"lease_until": seconds_from_now(3_600), "steady_since": seconds_from_now(-LEASE_SECONDS - 1)}
        rows.count(update(processes_table).values(**hour))
        for name, session in SESSIONS.items():
            rows.count(lifecycle.open_session(session, user_id="eve", agent="demo", model="m", gateway_id=name))
        yield rows


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    with another(database) as other:
        yield other


def received(gateway: str, webhook_id: str = WEBHOOK) -> Runnable:
    return receipts.receive(webhook_id, gateway, call_id=CALL, caller="+1", called="+2", headers={})


def held(gateway: str) -> Runnable:
    return receipts.hold(WEBHOOK, gateway, SESSIONS[gateway], CALL)


def attached(gateway: str) -> Runnable:
    return calls.attach(SESSIONS[gateway], gateway, 1, CALL, "s3cret")


def receipt(rows: Rows) -> tuple[str, str | None]:
    (row,) = rows.run(select(webhook_receipts.c.gateway_id, webhook_receipts.c.settled))
    return row.gateway_id, row.settled


# — a webhook that comes twice —


def test_a_repetition_waits_for_the_first_and_is_known_then(rows: Rows, other: Other) -> None:
    assert len(execute(rows.connection, received(FIRST)).all()) == 1
    second = other.waits(received(SECOND))
    rows.connection.commit()
    assert second.result(PATIENCE) == [[]]
    assert receipt(rows) == (FIRST, None)


def test_a_repetition_is_taken_where_the_first_was_not_committed(rows: Rows, other: Other) -> None:
    execute(rows.connection, received(FIRST))
    second = other.waits(received(SECOND))
    rows.connection.rollback()
    assert len(second.result(PATIENCE)[0]) == 1
    assert receipt(rows) == (SECOND, None)


# — a gateway that dies, or only seems to —


def test_two_gateways_that_take_up_one_announcement_take_it_once(rows: Rows, database: str) -> None:
    assert rows.count(received(FIRST)) == 1
    rows.lose(FIRST)
    first, second = both_sweep(database, rows, receipts.take_lost(SECOND, ()))
    assert ([row.id for row in first], list(second)) == ([WEBHOOK], [])
    assert [row.id for row in rows.run(receipts.take_lost(HEALER, ()))] == [], "its taker lives"


@pytest.mark.parametrize("ends", ["commits", "rolls_back"])
def test_a_stalled_gateway_waits_for_its_taker_and_gets_the_call_only_without_one(
    rows: Rows, other: Other, ends: str
) -> None:
    assert rows.count(received(FIRST)) == 1
    rows.lose(FIRST)
    assert len(execute(rows.connection, receipts.take_lost(SECOND, ())).all()) == 1
    stalled = other.waits(held(FIRST))
    rows.connection.commit() if ends == "commits" else rows.connection.rollback()
    assert len(stalled.result(PATIENCE)[0]) == (0 if ends == "commits" else 1)


@pytest.mark.parametrize("does", [receipts.settle(WEBHOOK, FIRST, "rejected"), receipts.release(WEBHOOK, FIRST)])
def test_a_stalled_gateway_settles_and_releases_nothing_of_its_taker(rows: Rows, other: Other, does: Runnable) -> None:
    assert rows.count(received(FIRST)) == 1
    rows.lose(FIRST)
    execute(rows.connection, receipts.take_lost(SECOND, ()))
    stalled = other.waits(does)
    rows.connection.commit()
    assert stalled.result(PATIENCE) == [[]]
    assert receipt(rows) == (SECOND, None)


@pytest.mark.parametrize("ends", ["commits", "rolls_back"])
def test_a_session_waits_for_another_that_gets_its_call_and_is_refused_only_then(
    rows: Rows, other: Other, ends: str
) -> None:
    execute(rows.connection, attached(FIRST))
    second = other.waits(attached(SECOND))
    if ends == "rolls_back":
        rows.connection.rollback()
        assert len(second.result(PATIENCE)[0]) == 1
        return
    rows.connection.commit()
    with pytest.raises(IntegrityError, match="ix_sessions_one_of_a_call"):
        second.result(PATIENCE)
    other.rolls_back()


# — every order of two gateways' steps, and the death of both after each —

DONE = 99


@dataclass(frozen=True)
class Gateway:
    """What one gateway knows: how far it is, whether the announcement is its own, and whether it took it over."""

    at: int = 0
    has_it: bool = False
    is_again: bool = False


@dataclass(frozen=True)
class World:
    """Everything that is not a row."""

    gateways: dict[str, Gateway] = field(default_factory=lambda: {FIRST: Gateway(), SECOND: Gateway()})
    leases_lost: frozenset[str] = frozenset()
    is_accepted: bool = False
    """By the Realtime API, for whichever gateway asked first."""

    def knows(self, name: str, **known: Any) -> World:
        return replace(self, gateways={**self.gateways, name: replace(self.gateways[name], **known)})


class Walk:
    """A walk through all orders; the statements run in savepoints of one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.orders: dict[Any, int] = {}
        self.lost: Counter[str] = Counter()

    def run(self, statement: Runnable) -> Sequence[Row[Any]]:
        result = execute(self.connection, statement)
        return result.all() if result.returns_rows else [()] * result.rowcount  # type: ignore[list-item]

    def undone(self, walk: Callable[[], int]) -> int:
        with self.connection.begin_nested() as savepoint:
            try:
                return walk()
            finally:
                savepoint.rollback()

    # — the steps of a gateway —

    def receive(self, world: World, name: str) -> World:
        is_new = bool(self.run(received(name)))
        return world.knows(name, at=2 if is_new else 1, has_it=is_new)

    def look(self, world: World, name: str) -> World:
        took = bool(self.run(receipts.take_lost(name, ())))
        return world.knows(name, at=2, has_it=True, is_again=True) if took else world.knows(name, at=DONE)

    def accept(self, world: World, name: str) -> World:
        me = world.gateways[name]
        if world.is_accepted and not me.is_again:  # refused: another has it
            assert not self.run(receipts.settle(WEBHOOK, name, "not_accepted")), "it was accepted, and settled so"
            self.lost[f"accept of {name}"] += 1
            return world.knows(name, at=DONE)
        return replace(world.knows(name, at=3), is_accepted=True)

    def attach(self, world: World, name: str) -> World:
        try:
            with self.connection.begin_nested():
                is_held = bool(self.run(held(name)))
                if is_held:
                    assert self.run(attached(name))
                    assert self.run(receipts.settle_attached(WEBHOOK, SESSIONS[name], CALL))
        except IntegrityError:
            is_held = False
        if not is_held:
            self.lost[f"attach of {name}"] += 1
            self.run(lifecycle.end_session(SESSIONS[name], name, 1, "call_not_placed"))
        return world.knows(name, at=DONE)

    # — the walk —

    def orders_from(self, world: World) -> int:
        found = self.run(select(webhook_receipts.c.gateway_id, webhook_receipts.c.settled))
        live = self.run(select(sessions.c.id).where(sessions.c.call_id == CALL, sessions.c.state != "ended"))
        key = (*world.gateways.values(), world.leases_lost, world.is_accepted, *map(tuple, found), *map(tuple, live))
        if key in self.orders:
            return self.orders[key]
        assert len(live) <= 1, "two sessions have one call"
        assert [row.settled for row in found] in ([], [None], [receipts.ATTACHED]), "an accepted call was given up"
        assert bool(live) == any(row.settled for row in found), "settled, and without a session"
        self.undone(partial(self.heal, world))
        steps = (self.receive, self.look, self.accept, self.attach)
        ways = [partial(steps[one.at], world, name) for name, one in world.gateways.items() if one.at < DONE]
        ways += [partial(self.lose, world, name) for name in (FIRST, SECOND) if not world.leases_lost]
        self.orders[key] = sum(self.undone(partial(self.after, way)) for way in ways) or 1
        return self.orders[key]

    def after(self, way: Callable[[], World]) -> int:
        return self.orders_from(way())

    def lose(self, world: World, name: str) -> World:
        gone = {"lease_until": seconds_from_now(-1)}
        self.run(update(processes_table).where(processes_table.c.id == name).values(**gone))
        return replace(world, leases_lost=world.leases_lost | {name})

    def heal(self, world: World) -> int:
        """Both die here and now; the sender repeats the webhook to a third, which looks for what was left."""
        for name in (FIRST, SECOND):
            self.lose(world, name)
        healer = replace(world, gateways={**world.gateways, HEALER: Gateway()})
        for step in (self.receive, self.look, self.accept, self.attach):
            if step is not self.look or not healer.gateways[HEALER].has_it:
                healer = step(healer, HEALER) if healer.gateways[HEALER].at < DONE else healer
        live = self.run(select(sessions.c.id).where(sessions.c.call_id == CALL, sessions.c.state != "ended"))
        assert len(live) == 1, "the call is lost"
        return 0


def test_every_order_of_two_gateways_leaves_one_session_and_every_death_is_healed(rows: Rows) -> None:
    walk = Walk(rows.connection)
    orders = walk.undone(partial(walk.orders_from, World()))
    print(f"{orders:,} orders, {len(walk.orders):,} states")  # noqa: T201
    assert {f"{step} of {name}" for step in ("accept", "attach") for name in (FIRST, SECOND)} <= set(walk.lost)
    assert orders > 100
